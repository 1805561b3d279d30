"""A stand-in CARLA server for the real client library, in a process of its own, and a look at it past that library."""

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
DATA = TESTS / "wm_sim" / "data"
WHEEL = "the carla client library is not installed (pip install -r requirements-carla.txt)"
# On the outer lane of the east road, eastwards; CARLA's axes: y to the right.
STARTS = [[130.0 + 40.0 * k, 5.25, 0.0, 0.0, 0.0, 0.0] for k in range(8)]


def pytest_collection_modifyitems(items):
    """Tests that start a server need both packages."""
    missing = [name for name in ("carla", "msgpack") if not _installed(name)]
    for item in items:
        if missing and "server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=f"{', '.join(missing)} missing: {WHEEL}"))


def _installed(name):
    from importlib.util import find_spec

    return find_spec(name) is not None


def find_free_port():
    """A port that is free together with the next one."""
    for _ in range(50):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
    raise RuntimeError("no two free ports in a row")


class StandIn:
    """A running server: its port, what stands on it, and the ways to end it."""

    def __init__(self, *options, port=None, starts=STARTS):
        self.port = port or find_free_port()
        command = [sys.executable, "-m", "carla_stand_in", "--port", str(self.port), "--spawn", json.dumps(starts)]
        maps = ["--map", f"Town={DATA / 'town.xodr'}", "--map", f"Curves={DATA / 'four_curves.xodr'}"]
        environment = {**os.environ, "PYTHONPATH": str(TESTS)}
        self.process = subprocess.Popen([*command, *maps, *options], env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def call(self, name, *arguments):
        import msgpack

        with socket.create_connection(("127.0.0.1", self.port), 5.0) as link:
            link.sendall(msgpack.packb([0, 1, name, [[False], *arguments]]))
            unpacker = msgpack.Unpacker(max_buffer_size=2**28)
            while data := link.recv(2**16):
                unpacker.feed(data)
                for answer in unpacker:
                    return answer[3] if name == "tick_cue" else answer[3][0][1]
        raise RuntimeError("hung up")

    def state(self):
        return self.call("stand_in_state")

    def actors(self):
        """Blueprints of all that was spawned."""
        return sorted(actor["blueprint"] for actor in self.state()["actors"] if actor["blueprint"] != "spectator")

    def is_clean(self):
        """Nothing spawned, settings and weather as at the start, no traffic manager."""
        state = self.state()
        untouched = state["settings"][:3] == [False, False, [False]] and not any(state["weather"])
        return not self.actors() and untouched and not state["traffic_managers"]

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def free_port():
    return find_free_port()


@pytest.fixture
def server():
    """Starts servers: `with server("--mute", "sensor.camera.rgb") as stand_in:`."""

    @contextmanager
    def start(*options, **more):
        stand_in = StandIn(*options, **more)
        try:
            yield stand_in
        finally:
            stand_in.end()

    return start


@pytest.fixture
def bridge():
    """Makes simulators that are closed at the end: `bridge(stand_in, traffic=4)`."""
    from wm_sim.bridges.carla import SIMULATOR
    from wm_sim.contract import SimulatorConfig

    made = []

    def make(stand_in, route_length_m=None, noise=False, **settings):
        texts = {"port": str(stand_in.port), "tm_port": str(find_free_port())}
        texts |= {name: str(value) for name, value in settings.items()}
        made.append(SIMULATOR.make(SimulatorConfig(noise, route_length_m, texts)))
        return made[-1]

    yield make
    for simulator in made:
        simulator.close()
