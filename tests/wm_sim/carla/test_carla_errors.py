"""What goes wrong with a server: one sentence each, a clean end, and a server that others can use."""

import socket
import sys
import threading
import time

import pytest

from wm_sim.bridges.carla import SIMULATOR
from wm_sim.contract import SimulatorConfig
from wm_sim.errors import SimError


def refused(said, port, **settings):
    """The sentence of a bridge that cannot be made."""
    texts = {"port": str(port), **{name: str(value) for name, value in settings.items()}}
    with pytest.raises(SimError, match=said) as caught:
        SIMULATOR.make(SimulatorConfig(settings=texts))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_server():
    pytest.importorskip("carla", reason="the carla client library is not installed (requirements-carla.txt)")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, not listening
        refused("no server at 127.0.0.1:[0-9]+ \\(Connection refused\\); start one", nobody.getsockname()[1])


def test_something_else_listens():
    pytest.importorskip("carla", reason="the carla client library is not installed (requirements-carla.txt)")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        refused("does not answer as a CARLA server", mute.getsockname()[1], timeout_s=0.5)


def test_without_the_client_library_the_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "carla", None)
    refused("the client library cannot be loaded .*pip install -r requirements-carla.txt", 2000)


def test_wrong_version(server):
    with server("--version", "0.9.15") as stand_in:
        refused("is 0.9.15, the client library is 0.9.16; pip install carla==0.9.15", stand_in.port)
        assert stand_in.is_clean()


@pytest.mark.slow
def test_wrong_map_lists_the_maps(server):
    with server() as stand_in:
        refused("no map 'Tow'; the server has Curves, Town", stand_in.port, map="Tow")
        assert stand_in.is_clean()


@pytest.mark.slow
def test_wrong_weather_and_vehicle(server, bridge):
    with server() as stand_in:
        refused("no weather 'Snow'", stand_in.port, weather="Snow")
        with pytest.raises(SimError, match=r"no vehicle 'vehicle.tank'; the server has vehicle.audi.tt, "):
            bridge(stand_in, vehicle="vehicle.tank").reset("empty", 0)


@pytest.mark.slow
def test_no_free_spawn_point(server, bridge):
    with server(starts=[[130.0, 5.25, 0.0, 0.0, 0.0, 0.0]]) as stand_in:
        stand_in.call("spawn_actor", [1, "vehicle.audi.tt", []], [[130.0, 5.25, 0.0], [0.0, 0.0, 0.0]])
        simulator = bridge(stand_in)
        with pytest.raises(SimError, match=r"no free spawn point on Town \(1 tried\)"):
            simulator.reset("empty", 0)
        simulator.close()
        assert stand_in.actors() == ["vehicle.audi.tt"]


@pytest.mark.slow
def test_another_client_that_ticks_already(server):
    with server() as stand_in, other_ticker(stand_in, synchronous=True):
        refused("another client is already ticking .* passive=true", stand_in.port)


def test_another_client_that_begins_to_tick(server, bridge):
    with server() as stand_in:
        simulator = bridge(stand_in)
        simulator.reset("empty", 0)
        stand_in.call("tick_cue")
        with pytest.raises(SimError, match=r"another client ticks too \(1 frames came between two of ours\)"):
            simulator.step((0.0, 0.0))
        simulator.close()
        assert stand_in.is_clean()


@pytest.mark.slow
def test_passive_follows_the_other_client_and_changes_nothing(server, bridge):
    with server() as stand_in, other_ticker(stand_in, synchronous=True):
        simulator = bridge(stand_in, passive="true")
        simulator.reset("empty", 0)
        settings = stand_in.state()["settings"]
        for _ in range(5):
            frame = simulator.step((0.0, 1.0))
        assert frame.speed_mps > 0.2 and stand_in.state()["settings"] == settings
        simulator.close()
        assert not stand_in.actors() and stand_in.state()["settings"] == settings


@pytest.mark.slow
def test_passive_without_anybody_who_ticks(server):
    with server() as stand_in:
        stand_in.call("set_episode_settings", [True, False, [True, 0.05], True, 0.01, 10, 0.0, False, 0.0, 0.0, True])
        refused("nobody ticks the server", stand_in.port, passive="true")


@pytest.mark.slow
def test_a_synchronous_server_that_its_client_left_is_taken_over_and_left_running(server, bridge):
    with server() as stand_in:
        stand_in.call("set_episode_settings", [True, False, [True, 0.1], True, 0.01, 10, 0.0, False, 0.0, 0.0, True])
        simulator = bridge(stand_in)
        simulator.reset("empty", 0)
        simulator.close()
        assert stand_in.state()["settings"][0] is False and not stand_in.actors()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("blueprint", "name"), [("sensor.camera.rgb", "camera"), ("sensor.lidar.ray_cast_semantic", "lidar")]
)
def test_a_sensor_that_never_delivers_is_named(server, bridge, blueprint, name):
    with server("--mute", blueprint) as stand_in:
        simulator = bridge(stand_in, sensor_timeout_s=0.5)
        with pytest.raises(
            SimError, match=f"the {name} did not deliver frame [0-9]+ within 0.5 s, it has never delivered"
        ):
            simulator.reset("empty", 0)
        simulator.close()
        assert stand_in.is_clean()


@pytest.mark.slow
def test_a_sensor_that_is_a_frame_late_is_named_with_its_newest_frame(server, bridge):
    with server("--late", "sensor.camera.rgb") as stand_in:
        simulator = bridge(stand_in, sensor_timeout_s=0.5)
        with pytest.raises(
            SimError, match=r"the camera did not deliver frame [0-9]+ within 0.5 s, the newest it sent is"
        ):
            simulator.reset("empty", 0)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["empty", "traffic"])
def test_a_server_that_dies_is_noticed_within_5_s_and_a_new_one_is_driven_by_the_next_reset(server, bridge, scenario):
    with server() as first:
        simulator = bridge(first, traffic=2)
        simulator.reset(scenario, 0)
        simulator.step((0.0, 1.0))
        first.end()
        begun = time.monotonic()
        with pytest.raises(SimError, match=f"the server at 127.0.0.1:{first.port} stopped answering"):
            for _ in range(20):
                simulator.step((0.0, 1.0))
        assert time.monotonic() - begun < 5.0  # what is promised is a time
        with pytest.raises(SimError, match="no server at"):
            simulator.reset(scenario, 0)
        with server(port=first.port) as second:
            simulator.reset(scenario, 0)
            assert simulator.step((0.0, 1.0)).truth.step == 1
            simulator.close()
            assert second.is_clean()


def test_closing_after_the_server_died_ends_quickly(server, bridge):
    with server() as stand_in:
        simulator = bridge(stand_in, tick_timeout_s=1.0)
        simulator.reset("empty", 0)
        stand_in.end()
        simulator.close()
        assert simulator._lost


class other_ticker:  # noqa: N801
    """Somebody else who ticks, from a thread."""

    def __init__(self, stand_in, synchronous):
        self.stand_in, self.over = stand_in, threading.Event()
        if synchronous:
            settings = [True, False, [True, 0.05], True, 0.01, 10, 0.0, False, 3000.0, 2000.0, True]
            stand_in.call("set_episode_settings", settings)
        self.thread = threading.Thread(target=self.tick, daemon=True)

    def tick(self):
        while not self.over.wait(0.02):
            self.stand_in.call("tick_cue")

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
