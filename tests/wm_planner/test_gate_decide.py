"""The gate's states, stops and limits."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wm_planner.safety import GateState, PlanInput, Reason, Source, State, describe
from wm_planner.safety.reasons import WORDS

NOTHING = np.zeros(0, np.float32)


def test_it_starts_stopped_and_brakes_until_it_is_engaged_and_everything_is_fresh(fresh_gate):
    gate = fresh_gate
    first = gate.decide()
    assert first.state is State.STOPPED
    assert first.command.acceleration_mps2 < 0
    assert first.command.source is Source.STOPPED
    assert first.reasons & Reason.SCAN_STALE and first.reasons & Reason.ODOM_STALE and first.reasons & Reason.PLAN_LOST
    assert math.isinf(first.command_age_s)
    assert gate.step(engaged=False).state is State.STOPPED
    assert gate.step(engaged=True, acceleration=1.0).state is State.ACTIVE


def test_a_healthy_plan_passes_unchanged(gate):
    gate.step(steering=0.01, acceleration=1.5)
    decision = gate.step(steering=0.01, acceleration=1.5)
    assert decision.command.steering_angle_rad == pytest.approx(0.01, abs=1e-6)
    assert decision.command.acceleration_mps2 == pytest.approx(1.5)
    assert decision.command.source is Source.PLAN
    assert not decision.command.limited
    assert decision.reasons == 0


def test_a_late_plan_is_driven_on_step_by_step_then_stopped_softly_then_hard(gate):
    gate.wait(0.1)
    gate.sense()
    begun = gate.now_ns
    controls = np.linspace(1.0, -1.0, 12, dtype=np.float32)
    gate.hear(PlanInput(100, begun, 0.1, np.zeros(12, np.float32), controls))
    seen = {}
    for tick in range(40):  # the planner is dead, 50 Hz decisions
        gate.sense()
        seen[tick * 20] = gate.decide()
        gate.wait(0.02)
    assert seen[0].command.acceleration_mps2 == pytest.approx(controls[0])
    assert seen[140].command.acceleration_mps2 == pytest.approx(controls[0])
    assert seen[160].command.acceleration_mps2 == pytest.approx(controls[1])
    assert seen[200].state is State.ACTIVE
    assert seen[220].state is State.SOFT_STOP and seen[220].reasons & Reason.PLAN_LATE
    assert seen[220].command.acceleration_mps2 <= 0.0
    assert seen[240].command.acceleration_mps2 < 0.0  # braking within 250 ms
    assert seen[500].state is State.SOFT_STOP
    assert seen[500].command.acceleration_mps2 >= -2.5 - 1e-6
    assert seen[520].state is State.EMERGENCY
    assert seen[520].command.acceleration_mps2 == -6.0


def test_soft_stop_recovers_when_fresh_plans_come_again(gate):
    gate.wait(0.3)
    gate.sense()
    assert gate.decide().state is State.SOFT_STOP
    decision = gate.step(0.02, acceleration=0.5)
    assert decision.state is State.ACTIVE
    assert decision.command.acceleration_mps2 == pytest.approx(0.5)


def test_soft_stop_builds_up_within_its_jerk_limit_and_holds_standing(gate):
    gate.wait(0.21)
    before = 0.0
    for _ in range(14):
        gate.sense(speed_mps=5.0)
        decision = gate.decide()
        assert decision.state is State.SOFT_STOP
        now = decision.command.acceleration_mps2
        assert -5.0 * 0.02 - 1e-6 <= now - before <= 1e-6 or before == 0.0
        before = now
        gate.wait(0.02)
    assert before < -1.0


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("scan_stamp_ns", Reason.SCAN_STALE),
        ("odom_stamp_ns", Reason.ODOM_STALE),
        ("status_stamp_ns", Reason.ODOM_STALE),
    ],
)
def test_a_sensor_silent_for_300_ms_is_an_emergency(gate, broken, reason):
    silent_since = gate.now_ns
    for tick in range(1, 6):
        decision = gate.step(0.1, **{broken: silent_since})
        if tick <= 3:
            assert decision.state is State.ACTIVE
    assert decision.state is State.EMERGENCY
    assert decision.reasons & reason
    assert decision.command.acceleration_mps2 == -6.0


def test_status_that_is_not_finite_counts_as_silence(gate):
    for _ in range(3):
        decision = gate.step(0.1, speed_mps=math.nan)
        assert decision.state is State.ACTIVE
    decision = gate.step(0.1, speed_mps=math.nan)
    assert decision.state is State.EMERGENCY and decision.reasons & Reason.ODOM_STALE


def test_a_scan_of_nothing_but_nan_counts_as_silence(gate):
    blind = np.full(72, np.nan, np.float32)
    states = [gate.step(0.1, scan=blind).state for _ in range(5)]
    assert states[2] is State.ACTIVE and states[4] is State.EMERGENCY


def test_emergency_is_latched_until_the_driver_disengages_at_standstill(gate):
    gate.wait(1.0)
    assert gate.decide().state is State.EMERGENCY
    for _ in range(20):
        decision = gate.step(acceleration=3.0)
        assert decision.state is State.EMERGENCY
        assert decision.command.acceleration_mps2 == -6.0
    assert gate.step(engaged=False, speed_mps=5.0).state is State.EMERGENCY
    assert gate.step(engaged=True, speed_mps=0.0).state is State.EMERGENCY
    assert gate.step(engaged=False, speed_mps=0.0).state is State.STOPPED
    assert gate.step(engaged=True, speed_mps=0.0).state is State.ACTIVE


def test_a_world_that_was_reset_starts_a_new_gate(gate):
    gate.wait(1.0)
    assert gate.decide().state is State.EMERGENCY
    gate.memory = GateState()
    assert gate.step().state is State.ACTIVE


def test_disengaging_stops_softly_and_ends_stopped(gate):
    assert gate.step(engaged=False, acceleration=2.0).state is State.SOFT_STOP
    assert gate.step(engaged=False, speed_mps=0.0).state is State.STOPPED


@pytest.mark.parametrize(
    ("break_plan", "reason"),
    [
        (lambda p: replace(p, steering_angle=np.array([np.nan] * 12, np.float32)), Reason.PLAN_INVALID),
        (lambda p: replace(p, acceleration=np.array([np.inf] * 12, np.float32)), Reason.PLAN_INVALID),
        (lambda p: replace(p, acceleration=p.acceleration[:5]), Reason.PLAN_INVALID),
        (lambda p: replace(p, steering_angle=NOTHING, acceleration=NOTHING), Reason.PLAN_INVALID),
        (lambda p: replace(p, dt_s=math.nan), Reason.PLAN_INVALID),
        (lambda p: replace(p, dt_s=0.0), Reason.PLAN_INVALID),
        (lambda p: replace(p, seq=3), Reason.PLAN_SEQUENCE),
        (lambda p: replace(p, source_stamp_ns=p.source_stamp_ns - 10**9), Reason.PLAN_SEQUENCE),
        (lambda p: replace(p, source_stamp_ns=p.source_stamp_ns + 10**9), Reason.PLAN_FUTURE),
    ],
)
def test_a_bad_plan_is_refused_and_the_last_good_one_held_for_a_moment(gate, break_plan, reason):
    gate.step(steering=0.01, acceleration=0.7)
    gate.step(steering=0.01, acceleration=0.7)
    begun, states = gate.now_ns, []
    for _ in range(12):
        gate.wait(0.02)
        gate.sense()
        gate.hear(break_plan(gate.plan(acceleration=3.0)))
        decision = gate.decide()
        assert decision.reasons & reason
        assert decision.command.acceleration_mps2 <= 0.7 + 1e-6
        states.append(((gate.now_ns - begun) * 1e-9, decision))
    held = [d for age, d in states if age <= 0.115]
    assert all(d.state is State.ACTIVE and d.command.source is Source.HOLD for d in held)
    assert all(d.state is State.SOFT_STOP for age, d in states if age > 0.135)


def test_the_same_plan_heard_again_is_no_fault(gate):
    gate.wait(0.1)
    gate.sense()
    plan = gate.plan(acceleration=0.5)
    gate.hear(plan)
    gate.decide()
    gate.wait(0.05)
    gate.sense()
    gate.hear(replace(plan))
    decision = gate.decide()
    assert decision.state is State.ACTIVE and decision.reasons == 0


def test_a_planner_that_was_started_again_is_heard_after_its_predecessors_plan_ran_out(gate):
    for _ in range(10):
        gate.step()
    gate.seq = 0
    assert gate.step(0.1).reasons & Reason.PLAN_SEQUENCE
    gate.seq = 0
    assert gate.step(0.15).state is State.ACTIVE


def test_a_frozen_clock_is_an_emergency_within_a_second(gate):
    for tick in range(60):
        gate.steady_ns += 20_000_000
        decision = gate.decide()
        if tick == 48:
            assert decision.state is State.ACTIVE
    assert decision.state is State.EMERGENCY
    assert decision.reasons & Reason.CLOCK_FROZEN
    assert decision.clock_age_s == pytest.approx(1.2)


def test_time_that_jumps_back_starts_again_from_stopped_and_recovers(gate):
    for _ in range(5):
        gate.step()
    gate.now_ns = 500_000_000
    decision = gate.decide()
    assert decision.state is State.STOPPED
    assert decision.command.acceleration_mps2 < 0
    assert gate.step().state is State.ACTIVE


def test_time_that_jumps_back_does_not_free_a_latched_emergency(gate):
    gate.wait(1.0)
    gate.decide()
    gate.now_ns = 500_000_000
    assert gate.decide().state is State.EMERGENCY


@pytest.mark.parametrize("speed", [0.0, 2.0, 6.0, 12.0, 20.0])
def test_lateral_acceleration_and_jerk_stay_bounded_whatever_the_plan_steers(gate, speed):
    limits, rng, before = gate.limits, np.random.default_rng(3), None
    square, curve = speed**2, limits.wheelbase_m * (1 + limits.understeer_s2pm2 * speed**2)
    yaw_rate = 0.0
    for _ in range(300):
        decision = gate.step(steering=float(rng.choice([-0.6, 0.6, 0.0])), speed_mps=speed, yaw_rate_radps=yaw_rate)
        angle = decision.command.steering_angle_rad
        lateral = square * math.tan(angle) / curve
        assert abs(lateral) <= 3.0 + 1e-3
        if before is not None:
            assert abs(angle - before) <= 0.8 * 0.1 + 1e-6
            assert abs(lateral - square * math.tan(before) / curve) <= 5.0 * 0.1 * 1.02 + 1e-3
        before = angle
        yaw_rate = speed * math.tan(angle) / curve


def test_a_car_that_turns_less_than_the_nominal_one_may_steer_more(fresh_gate):
    def steered(gate, gain):
        """Steering and lateral acceleration that a hard left ends in, for a car that turns `gain` times the nominal."""
        angle = lateral = 0.0
        for _ in range(100):
            decision = gate.step(steering=0.3, speed_mps=15.0, yaw_rate_radps=lateral / 15.0)
            angle = decision.command.steering_angle_rad
            lateral = gain * 15**2 * math.tan(angle) / (2.75 * 1.45)
        return angle, lateral

    nominal, _ = steered(fresh_gate, 1.0)
    lazy, lateral = steered(type(fresh_gate)(), 0.6)
    assert lazy > 1.4 * nominal
    assert 2.5 < lateral <= 3.1


def test_a_plans_step_is_not_smeared_over_the_gates_faster_decisions(gate):
    """A 0.1 s step of steering inside the jerk limit is executed at once at 50 Hz as in lockstep at 10 Hz."""
    gate.step(speed_mps=14.0)
    decision = gate.step(0.1, steering=0.008, speed_mps=14.0)
    assert not decision.command.limited
    for _ in range(4):
        gate.wait(0.02)
        gate.sense()
        assert not gate.decide().command.limited
    gate.wait(0.02)
    gate.sense()
    gate.hear(gate.plan(0.016))
    assert not gate.decide().command.limited


def test_accelerations_are_clipped_and_said_to_be(gate):
    decision = gate.step(acceleration=50.0)
    assert decision.command.acceleration_mps2 == 3.0
    assert decision.command.limited and decision.reasons & Reason.LIMITED
    assert gate.step(acceleration=-50.0).command.acceleration_mps2 == -6.0


def test_no_throttle_above_the_top_speed(gate):
    assert gate.step(acceleration=2.0, speed_mps=gate.limits.speed_max_mps + 1).command.acceleration_mps2 <= 0


def test_a_model_that_stays_surprised_loses_throttle_then_stops(gate):
    gate.limits = replace(gate.limits, surprise_max_nats=10.0)
    decisions = [gate.step(acceleration=1.0, surprise_nats=50.0) for _ in range(12)]
    assert decisions[3].command.acceleration_mps2 == pytest.approx(1.0)
    assert decisions[4].command.acceleration_mps2 <= 0.0 and decisions[4].reasons & Reason.SURPRISE
    assert decisions[4].state is State.ACTIVE
    assert decisions[9].state is State.SOFT_STOP
    assert gate.step(acceleration=1.0, surprise_nats=1.0).state is State.ACTIVE


def test_commands_are_exactly_what_a_float32_message_carries(gate):
    command = gate.step(steering=0.0123456789, acceleration=0.987654321).command
    numbers = (command.steering_angle_rad, command.steering_rate_radps, command.acceleration_mps2, command.speed_mps)
    for value in numbers:
        assert value == float(np.float32(value))


def test_every_reason_has_words():
    assert set(WORDS) == set(Reason)
    assert describe(Reason.PLAN_LATE | Reason.OBSTACLE) == ["plan late", "something in the path"]
    assert describe(0) == []
