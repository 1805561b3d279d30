"""Scenes of a few straight paths, built by hand, for tests that know what must happen in them.

And a stand-in CARLA server for the real client library, in a process of its own, and a look at it past that library.
"""

import json
import math
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from wm_sim import scene as at
from wm_sim.observation import EGO_FRONT_X_M
from wm_sim.scenarios.builder import Conditions, EgoStart, SceneBuilder
from wm_sim.scenarios.scenario import Localisation
from wm_sim.sensors.appearance import nominal_appearance
from wm_sim.vehicle import VehicleParameters
from wm_sim.world import World, WorldConfig

WIDTH_M = 3.5
START_S = 20.0
TESTS = Path(__file__).parents[1]
DATA = TESTS / "wm_sim" / "data"
WHEEL = "the carla client library is not installed (pip install -r requirements-carla.txt)"
# On the outer lane of the east road, eastwards; CARLA's axes: y to the right.
STARTS = [[130.0 + 40.0 * k, 5.25, 0.0, 0.0, 0.0, 0.0] for k in range(8)]


def straight(length=600.0, x=0.0, y=0.0, yaw=0.0, limit=20.0, side=40.0):
    """A straight path [M, PATH_SIZE] from (x, y)."""
    s = np.arange(int(length / at.LINE_STEP_M) + 1) * at.LINE_STEP_M
    path = np.zeros((len(s), at.PATH_SIZE))
    path[:, at.LX], path[:, at.LY] = x + s * math.cos(yaw), y + s * math.sin(yaw)
    path[:, at.LCOS], path[:, at.LSIN], path[:, at.LYAW] = math.cos(yaw), math.sin(yaw), yaw
    path[:, at.LEFT_M] = path[:, at.RIGHT_M] = side
    path[:, at.LANE_WIDTH_M], path[:, at.LIMIT_MPS] = WIDTH_M, limit
    return path


def road_user(kind=at.IDM, s=60.0, v=10.0, d=0.0, path=0, body=at.CAR, desired=None, **columns):
    """An agent [AGENT_SIZE]: a car of 4.5 x 1.8 m unless `columns` say otherwise, by the names of scene.py."""
    agent = np.zeros(at.AGENT_SIZE)
    agent[[at.KIND, at.BODY, at.PATH, at.ACTIVE, at.REACTS_TO_EGO]] = kind, body, path, 1.0, 1.0
    agent[[at.S, at.D, at.V, at.DESIRED]] = s, d, v, v if desired is None else desired
    agent[[at.LENGTH, at.WIDTH, at.HEIGHT]] = 4.5, 1.8, 1.5
    agent[[at.HEADWAY_S, at.STANDSTILL_M, at.ACCEL_MPS2, at.BRAKE_MPS2]] = 1.4, 2.5, 1.8, 2.5
    agent[[at.GAP_ACCEPT_S, at.TRACK]] = 4.0, -1.0
    for name, value in columns.items():
        agent[getattr(at, name)] = value
    return agent


def ego_at(gap, length=4.5):
    """S of an agent whose rear bumper is `gap` ahead of the ego's front bumper at the start."""
    return START_S + EGO_FRONT_X_M + gap + 0.5 * length


def builder(paths=None, speed=0.0, route=400.0, time_limit=300.0, seed=0, lateral=0.0):
    """A SceneBuilder with nominal car and look; path 0 straight along x unless `paths` are given."""
    made = SceneBuilder(Conditions(VehicleParameters(), nominal_appearance(), Localisation(), False))
    for path in paths or [straight()]:
        made.add_path(path)
    made.start_s, made.route_length_m, made.time_limit_s = START_S, route, time_limit
    made.ego = EgoStart(lateral_m=lateral, speed_mps=speed)
    return made


def world_of(made, camera=False, scan=False):
    """A World in which the scene of a SceneBuilder stands."""
    world = World(WorldConfig(camera=camera, scan=scan, noise=False))
    world.reset_to(made.build("by hand", 3))
    return world


def drive(world, seconds, action=(0.0, 0.0)):
    """Agents [T, K, AGENT_SIZE] and egos [T, EGO_STATE_SIZE] after each step under a constant action."""
    agents, egos = [world.cars.copy()], [world.ego.copy()]
    for _ in range(round(seconds / 0.1)):
        world.step(action)
        agents.append(world.cars.copy())
        egos.append(world.ego.copy())
    return np.array(agents), np.array(egos)


@pytest.fixture(scope="session")
def scenes():
    """The functions of this module: scenes of a few straight paths."""
    return sys.modules[__name__]


def _free_port():
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
        self.port = port or _free_port()
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
def find_free_port():
    """Finds a port that is free together with the next one."""
    return _free_port


@pytest.fixture
def server():
    """Starts stand-in CARLA servers: `with server("--mute", "sensor.camera.rgb") as stand_in:`."""
    missing = [name for name in ("carla", "msgpack") if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} missing: {WHEEL}")

    @contextmanager
    def start(*options, **more):
        stand_in = StandIn(*options, **more)
        try:
            yield stand_in
        finally:
            stand_in.end()

    return start
