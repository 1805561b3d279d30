"""The bridge with the real client library against the stand-in server: lockstep, sensors, traffic, clean-up."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from wm_sim.bridges.carla import SIMULATOR
from wm_sim.contract import BUILTIN, find_simulator
from wm_sim.errors import SimError
from wm_sim.observation import CAMERA_SHAPE


def drive(simulator, steps, seed=1, scenario="empty"):
    """The expert's drive: all frames."""
    driver = SIMULATOR.drivers["expert"](0)
    frames = [simulator.reset(scenario, seed)]
    driver.reset(simulator)
    for _ in range(steps):
        frames.append(simulator.step(driver.act(frames[-1])))
    return frames


def lockstep(stand_in, simulator, steps):
    """Steps whose every tick is one of the server's, each with the picture and scan of its own frame."""
    simulator.reset("empty", 1)
    before, first = stand_in.state(), simulator._frame_number
    for _ in range(steps):
        simulator.step((0.0, 0.1))
        assert simulator._sensors._camera.newest == simulator._sensors._lidar.newest == simulator._frame_number
    after = stand_in.state()
    assert simulator._frame_number - first == after["ticks"] - before["ticks"] == 2 * steps
    assert after["controls"] - before["controls"] == 2 * steps


def test_fifty_ticks_in_lockstep_lose_no_frame(server, bridge):
    with server() as stand_in:
        lockstep(stand_in, bridge(stand_in, route_length_m=3000.0), 25)


@pytest.mark.slow
def test_a_thousand_ticks_in_lockstep_lose_no_frame(server, bridge):
    with server() as stand_in:
        lockstep(stand_in, bridge(stand_in, route_length_m=3000.0), 500)


@pytest.mark.slow
@pytest.mark.parametrize("control", ["ackermann", "pedals"])
def test_the_expert_keeps_its_lane(server, bridge, control):
    with server() as stand_in:
        frames = drive(bridge(stand_in, control=control), 60)
    assert frames[-1].speed_mps > 5.0 and frames[-1].truth.progress_m > 15.0
    assert max(abs(frame.truth.lateral_error_m) for frame in frames) < 0.3
    assert [event.type for event in frames[0].events] == ["reset"] and frames[0].truth.step == 0
    assert frames[-1].truth.step == 60 and frames[-1].time_s == pytest.approx(6.0)
    assert frames[-1].speed_limit_mps == pytest.approx(50.0 / 3.6)


def test_steering_left_turns_left_everywhere(server, bridge):
    with server() as stand_in:
        simulator = bridge(stand_in, start=0)
        simulator.reset("empty", 1)
        for _ in range(20):
            simulator.step((0.0, 1.0))
        for _ in range(5):
            frame = simulator.step((0.3, 0.0))
    assert frame.steering_angle_rad == pytest.approx(0.18, abs=0.02)
    assert frame.yaw_rate_radps > 0.05 and frame.true_pose[2] > 0.02
    assert frame.truth.lateral_error_m > 0.05 and frame.truth.heading_error_rad > 0.02
    assert frame.state[3] == np.float32(frame.steering_angle_rad)


def test_the_picture_is_rgb_with_the_sky_above(server, bridge):
    with server() as stand_in:
        frame = bridge(stand_in).reset("empty", 1)
    assert frame.camera.shape == CAMERA_SHAPE and frame.camera.dtype == np.uint8
    assert frame.camera[16, 32].tolist() == [135, 206, 235] and frame.camera[48, 32].tolist() == [90, 90, 90]


@pytest.mark.slow
@pytest.mark.parametrize("lidar", ["semantic", "plain"])
def test_a_car_ahead_is_in_the_scan_and_in_the_gap(server, bridge, lidar):
    with server() as stand_in:
        simulator = bridge(stand_in, start=0, lidar=lidar)
        stand_in.call("spawn_actor", [1, "vehicle.audi.tt", []], [[155.0, 5.25, 0.0], [0.0, 0.0, 0.0]])
        frame = simulator.reset("empty", 1)
    gap = 25.0 - 2 * 2.3
    assert frame.truth.gap_ahead_m == pytest.approx(gap, abs=0.1)
    assert frame.scan[35:37].min() == pytest.approx(25.0 - 2.3 - (1.3 - 1.4), abs=0.3)  # from the lidar, 1.3 m ahead


@pytest.mark.slow
def test_driving_into_a_car_ends_the_episode_as_a_collision(server, bridge):
    with server() as stand_in:
        simulator = bridge(stand_in, start=0)
        stand_in.call("spawn_actor", [1, "vehicle.audi.tt", []], [[145.0, 5.25, 0.0], [0.0, 0.0, 0.0]])
        simulator.reset("empty", 1)
        frames = [simulator.step((0.0, 1.0)) for _ in range(40)]
    over = next(frame for frame in frames if frame.terminated)
    (event,) = over.events
    assert event.type == "collision" and "vehicle.audi.tt" in event.detail and over.truth.collided
    assert not any(event.type == "collision" for frame in frames[frames.index(over) + 1 :] for event in frame.events)


@pytest.mark.slow
def test_leaving_the_road_ends_the_episode(server, bridge):
    with server() as stand_in:
        simulator = bridge(stand_in, start=0)
        simulator.reset("empty", 1)
        frames = [simulator.step((-0.3, 0.6)) for _ in range(60)]
    over = next(frame for frame in frames if frame.terminated)
    assert [event.type for event in over.events] == ["off_road"] and "lane markings crossed" in over.events[0].detail
    assert not over.events[0].detail.endswith(" 0 lane markings crossed")


@pytest.mark.slow
def test_a_route_between_two_spawn_points_is_driven_to_its_end(server, bridge):
    with server() as stand_in:
        simulator = bridge(stand_in, start=0, destination=2)
        frames = drive(simulator, 170)
    done = next(frame for frame in frames if frame.terminated)
    assert [event.type for event in done.events] == ["route_done"] and done.truth.progress_m == pytest.approx(
        80.0, abs=8.0
    )


@pytest.mark.slow
def test_the_same_seed_gives_the_same_frames(server, bridge):
    with server() as stand_in:
        simulator = bridge(stand_in, noise=True)
        first, again = (drive(simulator, 15, seed=4) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.state, other.state)
        np.testing.assert_array_equal(one.scan, other.scan)


@pytest.mark.slow
def test_traffic_is_driven_by_the_traffic_manager_and_goes_with_the_bridge(server, bridge):
    with server() as stand_in:
        simulator = bridge(stand_in, start=0, traffic=3)
        drive(simulator, 25, scenario="traffic")
        first = [actor["pose"] for actor in stand_in.state()["actors"] if actor["role"] == "autopilot"]
        assert len(first) == 3
        drive(simulator, 25, scenario="traffic")
        again = [actor["pose"] for actor in stand_in.state()["actors"] if actor["role"] == "autopilot"]
        assert any(pose[0] % 40.0 != 10.0 for pose in again)  # they moved from their spawn points
        np.testing.assert_allclose(sorted(first), sorted(again), atol=0.5)  # the same seed
        simulator.close()
        assert stand_in.is_clean()


def test_closing_leaves_nothing_behind_and_closing_twice_does_nothing(server, bridge):
    with server() as stand_in:
        simulator = bridge(stand_in, weather="HardRainNoon")
        drive(simulator, 3)
        assert stand_in.actors() == sorted(
            ["vehicle.tesla.model3", "sensor.camera.rgb", "sensor.lidar.ray_cast_semantic", "sensor.other.collision",
             "sensor.other.lane_invasion"]
        )  # fmt: skip
        assert stand_in.state()["settings"][0] is True and any(stand_in.state()["weather"])
        simulator.close()
        assert stand_in.is_clean()
        simulator.close()


@pytest.mark.slow
def test_an_episode_takes_the_place_of_the_last_one(server, bridge):
    with server() as stand_in:
        simulator = bridge(stand_in)
        for seed in range(3):
            simulator.reset("empty", seed)
        assert stand_in.actors().count("vehicle.tesla.model3") == 1 and len(stand_in.actors()) == 5


@pytest.mark.slow
def test_a_road_file_is_sent_to_the_server_and_driven_from_its_lanes(server, bridge, tmp_path):
    with server() as stand_in:
        simulator = bridge(stand_in)
        town = Path(__file__).parents[1] / "data" / "town.xodr"
        frames = drive(simulator, 5, scenario=f"road:{town}")
        assert stand_in.state()["map"] == "OpenDriveMap" and not frames[-1].truth.off_road
        with pytest.raises(SimError, match="is not an OpenDRIVE file"):
            (tmp_path / "lanes.csv").write_text("x_m,y_m\n")
            simulator.reset(f"road:{tmp_path / 'lanes.csv'}", 0)


@pytest.mark.slow
def test_a_map_is_chosen_by_name(server, bridge):
    with server() as stand_in:
        bridge(stand_in, map="Curves")
        assert stand_in.state()["map"] == "Curves"


DRIVE = textwrap.dedent("""
    import sys
    from wm_sim.bridges.carla import SIMULATOR
    from wm_sim.contract import SimulatorConfig

    simulator = SIMULATOR.make(SimulatorConfig(settings={"port": sys.argv[1], "tm_port": sys.argv[3], "traffic": "2"}))
    simulator.reset("traffic", 1)
    for k in range(10_000):
        simulator.step((0.0, 0.1))
        if k == 5:
            print("driving", flush=True)
        if k == 5 and sys.argv[2] == "exception":
            sys.stdin.readline()
            raise ZeroDivisionError("in the middle of a drive")
""")


@pytest.mark.slow
@pytest.mark.parametrize("way_out", ["SIGINT", "SIGTERM", "exception"])
def test_whatever_ends_a_drive_the_server_is_left_as_it_was(server, free_port, way_out):
    with server() as stand_in:
        command = [sys.executable, "-c", DRIVE, str(stand_in.port), way_out, str(free_port)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(command, text=True, **pipes)
        assert process.stdout.readline() == "driving\n"
        assert len(stand_in.actors()) == 7 and stand_in.state()["settings"][0] is True
        if way_out == "exception":
            process.stdin.write("go on\n")
            process.stdin.flush()
        else:
            os.kill(process.pid, getattr(signal, way_out))
        assert process.wait(60.0) != 0
        process.stdin.close()
        process.stdout.close()
        assert stand_in.is_clean()


def test_carla_is_found_by_name_beside_the_built_in_simulator():
    assert find_simulator("carla") is SIMULATOR and find_simulator(BUILTIN) is not SIMULATOR
