"""Commands slew and rise no faster than allowed, at any rate of decisions, and a fault of the gate itself brakes."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wm_planner.safety import Clock, Command, GateState, Inputs, Limits, PlanInput, Reason, Source, State, decide
from wm_planner.safety.limits import steering_bound, steering_range, steering_rate_bound
from wm_planner.safety.shape import shape

LIMITS = Limits()


def last(steering=0.0, acceleration=0.0, speed=0.0, credit=0.0, throttle=0.0, yaw_rate=0.0) -> GateState:
    command = Command(steering, 0.0, acceleration, 0.0, Source.PLAN, False)
    return GateState(
        command=command, speed_mps=speed, yaw_rate_radps=yaw_rate, steering_credit_s=credit, throttle_credit_s=throttle
    )


def test_steering_goes_as_far_as_time_and_credit_allow_and_uses_them_up():
    command, credit, _ = shape(0.5, 0.0, Source.PLAN, last(credit=0.02), 0.0, 0.03, LIMITS)
    assert command.steering_angle_rad == pytest.approx(0.8 * 0.05)
    assert credit == pytest.approx(0.0, abs=1e-9)
    assert command.steering_rate_radps == pytest.approx(0.04 / 0.1)
    assert command.limited
    command, credit, _ = shape(-0.5, 0.0, Source.PLAN, last(credit=0.02), 0.0, 0.03, LIMITS)
    assert command.steering_angle_rad == pytest.approx(-0.8 * 0.05)
    assert command.steering_rate_radps == pytest.approx(-0.04 / 0.1)


def test_credit_is_saved_up_to_the_burst_and_no_further():
    command, credit, _ = shape(0.016, 0.0, Source.PLAN, last(credit=0.05), 0.0, 0.02, LIMITS)
    assert not command.limited and command.steering_angle_rad == pytest.approx(0.016)
    assert credit == pytest.approx(0.05)  # 0.05 + 0.02 - 0.016 / 0.8
    assert shape(0.0, 0.0, Source.PLAN, last(credit=0.09), 0.0, 0.5, LIMITS)[1] == pytest.approx(0.1)
    command, _, _ = shape(0.6, 0.0, Source.PLAN, last(), 0.0, 0.5, LIMITS)
    assert command.steering_angle_rad == pytest.approx(0.08)
    assert command.steering_rate_radps == pytest.approx(0.08 / 0.5)


def test_the_steering_rate_told_is_that_from_the_last_angle():
    command, _, _ = shape(0.11, 0.0, Source.PLAN, last(steering=0.1, credit=0.1), 0.0, 0.1, LIMITS)
    assert command.steering_rate_radps == pytest.approx(0.1)


def test_the_first_command_starts_from_the_measured_steering():
    fresh = GateState()
    command, _, throttle = shape(0.5, 2.0, Source.PLAN, fresh, 0.3, 0.0, LIMITS)
    assert command.steering_angle_rad == pytest.approx(0.38)
    assert command.acceleration_mps2 == 2.0
    assert throttle == 0.1
    assert shape(0.5, 0.0, Source.PLAN, fresh, math.nan, 0.0, LIMITS)[0].steering_angle_rad == pytest.approx(0.08)
    assert shape(0.6, 0.0, Source.PLAN, fresh, 5.0, 0.0, LIMITS)[0].steering_angle_rad == pytest.approx(0.6)
    assert shape(-0.6, 0.0, Source.PLAN, fresh, -5.0, 0.0, LIMITS)[0].steering_angle_rad == pytest.approx(-0.6)


def test_acceleration_rises_within_its_jerk_bound_and_falls_at_once():
    command, _, credit = shape(0.0, 3.0, Source.PLAN, last(acceleration=-2.0, throttle=0.01), 0.0, 0.02, LIMITS)
    assert command.acceleration_mps2 == pytest.approx(-0.2)  # 60 m/s³ for 0.03 s
    assert credit == pytest.approx(0.0, abs=1e-9)
    assert command.limited
    command, _, credit = shape(0.0, -6.0, Source.PLAN, last(acceleration=3.0, throttle=0.01), 0.0, 0.02, LIMITS)
    assert command.acceleration_mps2 == -6.0 and not command.limited
    assert credit == pytest.approx(0.03)
    command, _, credit = shape(0.0, 1.2, Source.PLAN, last(throttle=0.1), 0.0, 0.02, LIMITS)
    assert command.acceleration_mps2 == pytest.approx(1.2) and not command.limited
    assert credit == pytest.approx(0.08)  # 0.1 - 1.2 / 60
    command, _, _ = shape(0.0, 3.0, Source.PLAN, last(acceleration=-6.0, throttle=0.1), 0.0, 5.0, LIMITS)
    assert command.acceleration_mps2 == pytest.approx(0.0)


def test_the_speed_expected_is_that_of_a_tenth_of_a_second_ahead():
    assert shape(0.0, 2.0, Source.PLAN, last(2.0, speed=10.0), 0.0, 0.1, LIMITS)[0].speed_mps == pytest.approx(10.2)
    assert shape(0.0, -6.0, Source.PLAN, last(speed=0.2), 0.0, 0.1, LIMITS)[0].speed_mps == 0.0


def test_only_a_difference_worth_noticing_is_called_limited():
    assert not shape(0.08009, 0.0, Source.PLAN, last(), 0.0, 0.1, LIMITS)[0].limited
    assert shape(0.0802, 0.0, Source.PLAN, last(), 0.0, 0.1, LIMITS)[0].limited
    assert not shape(0.0, 3.00009, Source.PLAN, last(), 0.0, 0.1, LIMITS)[0].limited
    assert shape(0.0, 3.0002, Source.PLAN, last(), 0.0, 0.1, LIMITS)[0].limited


def test_steering_stays_within_the_range_that_the_measured_turning_allows():
    low, high = steering_range(15.0, 0.25, 0.02, LIMITS)
    memory = last(0.02, speed=15.0, credit=0.1, yaw_rate=0.25)
    assert shape(0.6, 0.0, Source.PLAN, memory, 0.0, 0.1, LIMITS)[0].steering_angle_rad <= high + 1e-6
    assert low == pytest.approx(max(0.02 - 6.75 * 2.75 * 1.45 / 225, -2.0 * steering_bound(15.0, LIMITS)))
    rate = steering_rate_bound(15.0, 0.02, LIMITS)
    assert rate == pytest.approx(5.0 * 2.75 * 1.45 * math.cos(0.02) ** 2 / 225)


def healthy(now: int, seq: int = 1) -> Inputs:
    plan = PlanInput(seq, now, 0.1, np.full(12, 0.01, np.float32), np.full(12, 1.0, np.float32))
    return Inputs(True, plan, 10.0, 0.0, 0.01, now, now, np.full(72, 60.0, np.float32), now)


@pytest.mark.parametrize("broken", [{"speed_mps": "fast"}, {"scan": np.array([None] * 72)}, {"plan": 3}])
def test_a_fault_inside_the_gate_is_an_emergency_that_says_what_went_wrong(broken):
    limits = Limits(deceleration_max_mps2=5.7)
    now = 10**9
    memory = decide(Clock(now, now), healthy(now), limits, GateState()).gate_state
    now += 10**8
    decision = decide(Clock(now, now), replace(healthy(now, 2), **broken), limits, memory)
    assert decision.state is decision.gate_state.state is State.EMERGENCY
    assert decision.reasons == Reason.FAULT
    assert "Error: " in decision.fault
    assert decision.gate_state.command == decision.command
    command = decision.command
    assert command == Command(
        memory.command.steering_angle_rad, 0.0, float(np.float32(-5.7)), 0.0, Source.EMERGENCY, False
    )
    assert math.isinf(decision.command_age_s) and decision.clock_age_s == 0.0
    now += 10**8
    after = decide(Clock(now, now), healthy(now, 3), limits, decision.gate_state)
    assert after.state is State.EMERGENCY and after.fault == ""


def test_a_fault_before_any_command_steers_straight():
    decision = decide(Clock(1, 1), replace(healthy(1), scan=np.array([None] * 72)), LIMITS, GateState())
    assert decision.command.steering_angle_rad == 0.0 and decision.command.acceleration_mps2 == -6.0
