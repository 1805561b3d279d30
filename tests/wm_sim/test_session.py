"""Episodes on one clock: who may move the world, and when."""

import numpy as np
import pytest

from wm_sim.action import to_physical
from wm_sim.session import Session, Stage
from wm_sim.vehicle_interface import Command, VehicleInterface
from wm_sim.world import World, WorldConfig

ACTION = np.array([0.1, 0.4], np.float32)


@pytest.fixture
def session() -> Session:
    session = Session(World(WorldConfig(camera=False, route_length_m=60.0)))
    session.reset("lane_follow", 3)
    return session


def command(frame_ns: int, action=ACTION, from_plan: bool = True) -> Command:
    steering, acceleration = to_physical(action)
    return Command(float(steering), float(acceleration), frame_ns, from_plan)


def tick_to_frame(session: Session):
    frame = session.tick()
    return session.tick() if frame is None else frame


def test_the_clock_starts_at_one_second_and_never_goes_back_over_resets(session) -> None:
    assert session.frame_ns == 1_000_000_000
    stamps = [session.clock_ns]
    for seed in (4, 5):
        for _ in range(3):
            session.tick()
            stamps.append(session.clock_ns)
        session.reset("stop_go", seed)
        stamps.append(session.clock_ns)
        assert session.frame_ns % 100_000_000 == 0
    assert stamps == sorted(set(stamps))


def test_the_world_stands_until_the_first_planned_command_while_frames_go_on(session) -> None:
    pose = session.frame.true_pose
    for _ in range(20):
        frame = tick_to_frame(session)
        session.accept(command(session.frame_ns, from_plan=False))  # the gate's stop is no reason to begin
        assert (frame.true_pose, session.standing, session.stage) == (pose, True, Stage.READY)
    session.accept(command(session.frame_ns))
    tick_to_frame(session)
    assert session.stage is Stage.DRIVING
    assert tick_to_frame(session).truth.step == 1


def test_commands_in_time_make_realtime_and_lockstep_the_same_drive() -> None:
    rng = np.random.default_rng(0)
    actions = rng.uniform((-0.02, -0.3), (0.02, 0.3), (25, 2)).astype(np.float32)
    lockstep, realtime = (Session(World(WorldConfig(route_length_m=200.0))) for _ in range(2))
    for session in (lockstep, realtime):
        session.reset("stop_go", 11)
    realtime.accept(command(realtime.frame_ns))
    tick_to_frame(realtime)
    for action in actions:
        one = lockstep.answer(command(lockstep.frame_ns, action))
        realtime.accept(command(realtime.frame_ns, action))
        other = tick_to_frame(realtime)
        assert one.true_pose == other.true_pose
        assert np.array_equal(one.state, other.state)
        assert np.array_equal(one.camera, other.camera)


def test_a_late_command_is_executed_on_the_next_tick_and_a_plan_stepped_on_waits_for_its_half_step(session) -> None:
    session.accept(command(session.frame_ns))
    tick_to_frame(session)  # sets off
    first = session.frame_ns
    session.tick()  # half a step later: nothing new
    late = np.array([0.2, 0.1], np.float32)
    session.accept(command(first, late))
    session.tick()  # the frame's own tick: the late answer passes
    assert session.world.sense().commanded == pytest.approx(late, abs=1e-6)
    stepped_on = np.array([-0.2, 0.1], np.float32)
    session.accept(command(first, stepped_on))
    session.tick()
    assert session.world.sense().commanded == pytest.approx(stepped_on, abs=1e-6)


def test_the_vehicle_brakes_by_itself_half_a_second_after_the_last_command(session) -> None:
    session.accept(command(session.frame_ns))
    tick_to_frame(session)
    ticks = 0
    while not session.watchdog:
        session.tick()
        ticks += 1
        assert ticks < 20
    assert ticks * 0.05 <= 0.55
    assert session.world.sense().commanded[1] == -1.0


def test_lockstep_moves_only_on_the_answer_to_its_last_frame(session) -> None:
    assert session.answer(command(session.frame_ns, from_plan=False)) is None
    assert session.answer(command(session.frame_ns - 100_000_000)) is None
    assert session.answer(command(session.frame_ns)).truth.step == 1
    assert session.answer(command(session.frame_ns, from_plan=False)).truth.step == 2  # the gate may brake
    assert session.clock_ns == 1_200_000_000


def braking(frame_ns: int) -> Command:
    return Command(0.0, -6.0, frame_ns, from_plan=False, scan_brake=True)


def test_an_episode_begins_with_the_gate_braking_for_what_is_in_the_path_from_the_start(session) -> None:
    assert session.answer(braking(session.frame_ns)).truth.step == 1
    session.reset("lane_follow", 4)
    session.accept(braking(session.frame_ns))
    tick_to_frame(session)
    assert session.stage is Stage.DRIVING
    assert tick_to_frame(session).truth.step == 1


def test_a_command_from_before_a_reset_does_not_start_the_new_episode(session) -> None:
    old = session.frame_ns
    session.reset("lane_follow", 4)
    session.accept(command(old))
    tick_to_frame(session)
    tick_to_frame(session)
    assert session.stage is Stage.READY
    assert session.answer(command(old)) is None


def test_after_the_end_the_world_stands_and_nothing_happens_twice(session) -> None:
    hard = np.array([1.0, 1.0], np.float32)
    frame = session.frame
    while session.stage is not Stage.DONE:
        frame = session.answer(command(session.frame_ns, hard))
    assert frame.terminated
    assert session.answer(command(session.frame_ns, hard)) is None
    assert frame.speed_mps > 1.0
    assert frame.events
    after = tick_to_frame(session)
    assert np.array_equal(after.camera, frame.camera)
    assert (after.true_pose, after.pose, after.truth) == (frame.true_pose, frame.pose, frame.truth)
    assert np.array_equal(after.scan, frame.scan)
    assert after.terminated
    assert (after.speed_mps, after.acceleration_mps2, after.yaw_rate_radps, after.events) == (0.0, 0.0, 0.0, [])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_command_that_is_no_number_is_full_braking(value: float) -> None:
    for steering, acceleration in ((value, 1.0), (0.1, value)):
        interface = VehicleInterface(0.5)
        interface.accept(Command(steering, acceleration, 0, True), 1.0)
        action, watchdog = interface.action(1.1)
        assert action[1] == -1.0
        assert np.isfinite(action).all()
        assert not watchdog


def test_commands_beyond_the_actuators_are_clipped() -> None:
    interface = VehicleInterface(0.5)
    interface.accept(Command(1.5, 49.0, 0, True), 0.0)
    assert interface.action(0.0)[0].tolist() == [1.0, 1.0]
    interface.accept(Command(-1.5, -49.0, 0, True), 0.0)
    assert interface.action(0.0)[0].tolist() == [-1.0, -1.0]


def counted(seq: int, acceleration: float = 1.0) -> Command:
    return Command(0.0, acceleration, 0, True, seq=seq)


def test_a_command_heard_again_and_again_does_not_feed_the_watchdog() -> None:
    interface = VehicleInterface(0.5)
    for tick in range(30):
        interface.accept(counted(7), 0.02 * tick)
    assert not interface.action(0.5)[1]
    assert interface.action(0.52)[1]
    interface.accept(counted(8), 0.6)
    assert not interface.action(0.6)[1]


@pytest.mark.parametrize("rival", [0, 5_000_000])
def test_two_senders_of_commands_are_full_braking_as_long_as_both_speak(rival: int) -> None:
    interface = VehicleInterface(0.5)
    for step in range(100):
        interface.accept(counted(1000 + step), 0.02 * step)
        interface.accept(counted(rival + step), 0.02 * step + 0.01)
        if step:
            action, watchdog = interface.action(0.02 * step + 0.01)
            assert (action[1], watchdog) == (-1.0, True)
    for step in range(100, 127):
        interface.accept(counted(1000 + step), 0.02 * step)
    assert not interface.action(0.02 * 126)[1]


def test_a_gate_started_again_is_obeyed_after_half_a_second_of_braking() -> None:
    interface = VehicleInterface(0.5)
    interface.accept(counted(1000), 0.0)
    for step in range(27):
        interface.accept(counted(step), 0.1 + 0.02 * step)
        assert interface.action(0.1 + 0.02 * step)[1] == (step < 26)
    late = VehicleInterface(0.5)
    late.accept(counted(1000), 0.0)
    late.accept(counted(0), 0.6)  # nothing came in between: nobody else speaks
    assert not late.action(0.6)[1]


def test_the_count_of_commands_may_wrap() -> None:
    interface = VehicleInterface(0.5)
    interface.accept(counted(2**32 - 1), 0.0)
    interface.accept(counted(0), 0.02)
    assert not interface.action(0.02)[1]


def test_nothing_heard_yet_is_full_braking() -> None:
    action, watchdog = VehicleInterface(0.5).action(0.0)
    assert action[1] == -1.0
    assert watchdog
