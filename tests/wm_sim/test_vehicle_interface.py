"""The last link before the actuators trusts nobody: whatever arrives, and whenever, what goes out is an action."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_sim.vehicle_interface import Command, VehicleInterface

WATCHDOG_S = 0.5
anything = st.floats(allow_nan=True, allow_infinity=True)
commands = st.builds(
    Command,
    steering_angle=anything,
    acceleration=anything,
    frame_ns=st.integers(-(2**63), 2**63 - 1),
    from_plan=st.booleans(),
    seq=st.none() | st.integers(0, 2**32 - 1),
)
pauses = st.floats(0.0, 2.0)


def at(frame_s: float, acceleration: float = 1.0) -> Command:
    """A command that answers the frame of this time."""
    return Command(0.0, acceleration, round(frame_s * 1e9), True)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.none() | commands, pauses), min_size=1, max_size=20))
def test_whatever_arrives_the_action_is_finite_and_in_range_and_silence_is_full_braking(events) -> None:
    interface, now_s, heard_s = VehicleInterface(WATCHDOG_S), 10.0, -math.inf
    for command, pause_s in events:
        now_s += pause_s
        if command is not None:
            interface.accept(command, now_s)
            heard_s = now_s
        action, watchdog = interface.action(now_s)
        assert action.shape == (2,) and action.dtype == np.float32
        assert np.isfinite(action).all() and (np.abs(action) <= 1.0).all()
        if now_s - heard_s > WATCHDOG_S:
            assert watchdog
        if watchdog:
            assert action[1] == -1.0


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from([math.nan, math.inf, -math.inf]), anything, st.booleans())
def test_a_command_with_one_number_that_is_none_brakes_fully_and_keeps_the_wheel(broken, other, first) -> None:
    interface = VehicleInterface(WATCHDOG_S)
    interface.accept(Command(0.3, 1.0, 0, True), 0.0)
    steering = interface.action(0.0)[0][0]
    interface.accept(Command(*((broken, other) if first else (other, broken)), 0, True), 0.1)
    action, _ = interface.action(0.1)
    assert action.tolist() == [steering, -1.0]


def test_before_the_first_command_and_after_the_last_the_car_brakes_fully() -> None:
    interface = VehicleInterface(WATCHDOG_S)
    assert interface.action(0.0)[0][1] == -1.0 and interface.action(0.0)[1]
    interface.accept(at(1.0, 3.0), 1.0)
    assert interface.action(1.0 + WATCHDOG_S)[0][1] == 1.0
    action, watchdog = interface.action(1.0 + WATCHDOG_S + 1e-6)
    assert action[1] == -1.0 and watchdog


def test_one_good_command_ends_the_braking_of_the_watchdog() -> None:
    interface = VehicleInterface(WATCHDOG_S)
    interface.accept(at(1.0), 1.0)
    assert interface.action(9.0)[1]
    interface.accept(at(9.0), 9.0)
    action, watchdog = interface.action(9.0)
    assert not watchdog and action[1] > 0.0


def test_throttle_for_a_frame_long_gone_or_yet_to_come_is_not_executed() -> None:
    interface = VehicleInterface(WATCHDOG_S)
    for frame_s, driven in ((10.0, True), (9.5, True), (9.49, False), (10.01, False), (0.0, False)):
        interface.accept(at(frame_s), 10.0)
        assert (interface.action(10.0)[0][1] > 0.0) == driven
        assert not interface.action(10.0)[1]
    interface.accept(at(0.0, -3.0), 10.0)
    assert interface.action(10.0)[0][1] == -0.5


@pytest.mark.parametrize(("steering", "acceleration"), [(1e30, 1.0), (0.1, 1e30), (math.nan, 1.0), (0.1, -math.inf)])
def test_a_command_that_no_car_could_be_meant_by_is_full_braking_with_the_wheel_kept(steering, acceleration) -> None:
    vehicle = VehicleInterface(0.5)
    vehicle.accept(Command(0.3, 1.0, 0, True), 0.0)
    before = vehicle.action(0.0)[0]
    vehicle.accept(Command(steering, acceleration, round(0.1e9), True), 0.1)
    after, watchdog = vehicle.action(0.1)
    assert (after[0], after[1]) == (before[0], -1.0) and not watchdog
