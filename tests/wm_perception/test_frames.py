"""One moment out of topics that arrive one by one."""

from dataclasses import replace

import numpy as np
import pytest

from wm_perception.frames import STUCK_FRAMES, Frames, Status
from wm_sim.action import to_physical
from wm_sim.world import World, WorldConfig

ROUTE = np.array([[0.0, 0.0], [200.0, 0.0]])
OTHER_ROUTE = np.array([[0.0, 0.0], [0.0, 200.0]])


def status(ready: bool = False) -> Status:
    return Status(5.0, 0.1, 0.0, 0.0, 14.0, 0.0, 0.0, ready)


def send(frames: Frames, stamp_ns: int, ready: bool = False):
    assert frames.add("camera", stamp_ns, np.zeros((64, 64, 3), np.uint8)) is None
    assert frames.add("scan", stamp_ns, np.zeros(72, np.float32)) is None
    assert frames.add("odom", stamp_ns, (1.0, 0.0, 0.0)) is None
    return frames.add("status", stamp_ns, status(ready))


def test_a_moment_waits_for_a_route() -> None:
    frames = Frames()
    assert send(frames, 10) is None
    moment = frames.route(10, ROUTE)
    assert moment.stamp_ns == 10
    assert moment.state[7:9] == pytest.approx([10.0, 0.0])


def test_the_first_frame_of_a_new_episode_waits_for_its_own_route() -> None:
    frames = Frames()
    frames.route(10, ROUTE)
    assert send(frames, 10, ready=True) is not None
    assert send(frames, 20) is not None
    assert send(frames, 30, ready=True) is None  # its route is still under way
    assert frames.route(30, OTHER_ROUTE).state[7:9] == pytest.approx([-1.0, 10.0], abs=1.5)


def test_after_a_restart_of_the_simulator_the_first_frame_waits_for_the_new_worlds_route() -> None:
    frames, long_ns = Frames(), 60_000_000_000
    frames.route(10, ROUTE)
    assert send(frames, long_ns) is not None
    frames.route(long_ns + 10, ROUTE)
    assert send(frames, 100, ready=True) is None
    moment = frames.route(50, OTHER_ROUTE)
    assert moment.stamp_ns == 100
    assert moment.state[7:9] == pytest.approx([-1.0, 10.0], abs=0.3)
    assert send(frames, 200) is not None


def test_a_camera_that_repeats_itself_while_the_car_moves_is_blind_until_it_sees_something_new() -> None:
    frames, rng = Frames(), np.random.default_rng(0)
    frames.route(1, ROUTE)

    def show(stamp_ns: int, picture: np.ndarray, speed: float = 5.0, ready: bool = False):
        frames.add("camera", stamp_ns, picture)
        frames.add("scan", stamp_ns, np.zeros(72, np.float32))
        frames.add("odom", stamp_ns, (1.0, 0.0, 0.0))
        return frames.add("status", stamp_ns, replace(status(ready), speed=speed))

    first, second = rng.integers(0, 256, (2, 64, 64, 3), np.uint8)
    assert all(show(2 + n, first, ready=True) is not None for n in range(2 * STUCK_FRAMES))  # waits to begin
    assert all(show(50 + n, first) is not None for n in range(STUCK_FRAMES - 1))
    assert not frames.camera_stuck
    assert all(show(100 + n, first) is None and frames.camera_stuck for n in range(3))
    assert show(200, second) is not None and not frames.camera_stuck
    assert all(show(300 + n, second, speed=0.5) is not None for n in range(2 * STUCK_FRAMES))
    assert all(show(400, second) is not None for _ in range(2 * STUCK_FRAMES))


def test_a_moment_brings_the_scan_of_half_a_second_before_but_none_of_another_episode() -> None:
    frames = Frames()

    def sent(stamp_ns: int, metres: float, ready: bool = False) -> float:
        frames.add("camera", stamp_ns, np.zeros((64, 64, 3), np.uint8))
        frames.add("scan", stamp_ns, np.full(72, metres, np.float32))
        frames.add("odom", stamp_ns, (1.0, 0.0, 0.0))
        moment = frames.add("status", stamp_ns, status(ready))
        assert moment.scans.shape == (2, 72) and moment.scans[0, 0] == np.float32(metres)
        return float(moment.scans[1, 0])

    frames.route(0, ROUTE)
    before = [sent(n * 100_000_000, 20.0 - n, ready=n == 0) for n in range(8)]
    assert before == [20.0, 19.0, 18.0, 17.0, 16.0, 20.0, 19.0, 18.0]
    frames.route(800_000_000, OTHER_ROUTE)
    assert [sent(800_000_000 + n * 100_000_000, 40.0, ready=n == 0) for n in range(3)] == [40.0] * 3


def test_who_joins_late_takes_the_route_that_is_there() -> None:
    frames = Frames()
    frames.route(10, ROUTE)
    assert send(frames, 500, ready=True) is not None


def test_the_route_heard_again_answers_nothing_twice() -> None:
    frames = Frames()
    frames.route(10, ROUTE)
    assert send(frames, 10) is not None
    assert frames.route(10, ROUTE) is None


def test_the_state_built_from_messages_is_the_simulators_bit_for_bit() -> None:
    convert = pytest.importorskip("wm_ros.convert")
    world, frames = World(WorldConfig(route_length_m=150.0)), Frames()
    frame = world.reset("lane_follow", 8)
    frames.route(0, convert.path_xy(convert.path_msg(world.route, convert.to_stamp(0))))
    rng = np.random.default_rng(1)
    for step in range(60):
        odom = convert.odom_msg(*frame.pose, frame.speed_mps, frame.yaw_rate_radps, convert.to_stamp(step))
        steering, acceleration = to_physical(frame.commanded)
        values = (
            frame.speed_mps, frame.acceleration_mps2, frame.yaw_rate_radps, frame.steering_angle_rad,
            frame.speed_limit_mps, steering, acceleration,
        )  # fmt: skip
        frames.add("camera", step, frame.camera)
        frames.add("scan", step, frame.scan)
        frames.add("odom", step, convert.odom_pose(odom)[:3])
        moment = frames.add("status", step, Status(*(float(np.float32(value)) for value in values), step == 0))
        assert np.array_equal(moment.state, frame.state)
        frame = world.step(rng.uniform(-0.1, 0.3, 2))
