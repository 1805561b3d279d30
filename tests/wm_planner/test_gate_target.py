"""Which state the gate goes into, and what it then wants of the car, to the edge of every limit."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wm_planner.safety import GateState, PlanInput, Reason, Source, State, route_from
from wm_planner.safety.sightings import Sightings

RAMP = np.arange(12, dtype=np.float32) / 10


def hold(gate, controls=RAMP, steering=RAMP / 100, dt_s=0.1) -> None:
    """The gate accepts a plan whose frame was taken now."""
    gate.wait(0.1)
    gate.sense()
    gate.seq += 1
    gate.hear(PlanInput(gate.seq, gate.now_ns, dt_s, steering, controls))
    gate.decide()


def after(gate, seconds, **changed):
    """A decision that long after, with fresh sensors and no new plan."""
    gate.wait(seconds)
    gate.sense(**changed)
    return gate.decide()


def test_plans_step_on_a_twentieth_of_a_second_after_their_frame(gate):
    hold(gate)
    assert after(gate, 0.149).command.acceleration_mps2 == 0.0
    assert after(gate, 0.001).command.acceleration_mps2 == pytest.approx(0.1)
    assert gate.decide().command_age_s == pytest.approx(0.15)


def test_a_plan_that_has_run_out_drives_nothing_and_keeps_the_steering(gate):
    hold(gate, controls=np.ones(1, np.float32), steering=np.full(1, 0.01, np.float32))
    assert after(gate, 0.149).command.acceleration_mps2 == 1.0
    decision = after(gate, 0.001)
    assert decision.command.acceleration_mps2 == 0.0
    assert decision.command.steering_angle_rad == pytest.approx(0.01)


def test_late_and_lost_begin_just_beyond_their_limits(gate):
    hold(gate)
    assert after(gate, 0.2).reasons == 0
    assert after(gate, 1e-9).reasons == Reason.PLAN_LATE
    decision = after(gate, 0.3 - 1e-9)
    assert decision.state is State.SOFT_STOP and decision.reasons == Reason.PLAN_LATE
    decision = after(gate, 1e-9)
    assert decision.state is State.EMERGENCY and decision.reasons == Reason.PLAN_LOST
    assert decision.command_age_s == pytest.approx(0.5)


def test_a_plan_from_a_moment_ahead_has_no_age(gate):
    gate.wait(0.1)
    gate.sense()
    gate.hear(gate.plan(acceleration=1.0, stamp_ns=gate.now_ns + 50_000_000))
    assert gate.decide().command_age_s == 0.0


def test_a_clock_counts_as_frozen_after_more_than_a_second(gate):
    gate.steady_ns += 10**9
    assert gate.decide().reasons == 0
    gate.steady_ns += 1
    decision = gate.decide()
    assert decision.reasons == Reason.CLOCK_FROZEN and decision.state is State.EMERGENCY
    assert decision.clock_age_s == pytest.approx(1.0)


def test_refused_plans_are_covered_for_a_tenth_of_a_second(gate):
    gate.step()
    gate.wait(0.02)
    gate.sense()
    gate.hear(replace(gate.plan(), dt_s=0.0))
    assert gate.decide().state is State.ACTIVE
    assert after(gate, 0.1).state is State.ACTIVE
    assert after(gate, 1e-9).state is State.SOFT_STOP


@pytest.mark.parametrize("speed", [0.1, 0.101])
def test_who_stands_stops_at_once_and_may_leave_an_emergency(gate, speed):
    standing = speed <= 0.1
    state = gate.step(engaged=False, speed_mps=speed).state
    assert state is (State.STOPPED if standing else State.SOFT_STOP)
    gate.memory = replace(gate.memory, state=State.EMERGENCY)
    state = gate.step(engaged=False, speed_mps=speed).state
    assert state is (State.STOPPED if standing else State.EMERGENCY)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"engaged": False}, Reason.NOT_ENGAGED),
        ({"scan_stamp_ns": None}, Reason.SCAN_STALE),
        ({"odom_stamp_ns": None}, Reason.ODOM_STALE),
        ({"status_stamp_ns": None}, Reason.ODOM_STALE),
    ],
)
def test_the_gate_stays_stopped_while_anything_is_missing(fresh_gate, changed, reason):
    decision = fresh_gate.step(**changed)
    assert decision.state is State.STOPPED and decision.reasons == reason
    known_to_move = "status_stamp_ns" not in changed
    assert decision.command.acceleration_mps2 == (-6.0 if known_to_move else -2.5)
    assert decision.command.source is Source.STOPPED
    assert fresh_gate.step(**changed, speed_mps=0.0).command.acceleration_mps2 == -2.5


def test_the_gate_stays_stopped_while_the_plan_is_late_lost_or_refused_or_the_clock_stands(fresh_gate):
    gate = fresh_gate
    gate.wait(0.1)
    gate.sense()
    gate.hear(gate.plan(stamp_ns=gate.now_ns - 200_000_001))
    assert (decision := gate.decide()).state is State.STOPPED and decision.reasons == Reason.PLAN_LATE
    gate.hear(gate.plan(stamp_ns=gate.now_ns + 10**9))
    assert gate.decide().reasons == Reason.PLAN_LATE | Reason.PLAN_FUTURE
    gate.hear(replace(gate.plan(), dt_s=math.nan))
    gate.memory = replace(gate.memory, plan=gate.plan(stamp_ns=gate.now_ns))
    assert (decision := gate.decide()).state is State.STOPPED and decision.reasons == Reason.PLAN_INVALID
    gate.memory = GateState()
    gate.hear(None)
    assert (decision := gate.decide()).state is State.STOPPED and decision.reasons == Reason.PLAN_LOST
    gate.memory = GateState()
    gate.hear(gate.plan())
    assert gate.decide().state is State.ACTIVE
    gate.memory = replace(gate.memory, state=State.STOPPED)
    gate.steady_ns += 2 * 10**9
    assert (decision := gate.decide()).state is State.STOPPED and decision.reasons == Reason.CLOCK_FROZEN


def test_a_soft_stop_begins_without_throttle_and_deepens_by_its_jerk(gate):
    gate.step(acceleration=2.0)
    decision = gate.step(0.02, engaged=False, acceleration=2.0)
    assert decision.command.acceleration_mps2 == pytest.approx(-0.1)
    assert decision.command.source is Source.SOFT_STOP
    assert gate.step(0.1, acceleration=2.0).command.acceleration_mps2 == pytest.approx(-0.6)
    for _ in range(20):
        decision = gate.step(0.1, acceleration=2.0)
    assert decision.command.acceleration_mps2 == -2.5


def test_a_soft_stop_out_of_hard_braking_eases_by_the_same_jerk(gate):
    gate.step(acceleration=-6.0)
    assert gate.step(0.1, engaged=False).command.acceleration_mps2 == pytest.approx(-5.5)
    gate.memory = replace(gate.memory, command=None)
    assert gate.step(0.1).command.acceleration_mps2 == pytest.approx(-0.5)


def test_at_the_top_speed_throttle_is_taken_away_and_braking_is_not(gate):
    top = gate.limits.speed_max_mps
    assert gate.step(acceleration=1.0, speed_mps=top).command.acceleration_mps2 == 0.0
    assert gate.step(acceleration=1.0, speed_mps=top - 0.01).command.acceleration_mps2 == 1.0
    assert gate.step(acceleration=-1.0, speed_mps=top).command.acceleration_mps2 == -1.0


def test_above_the_roads_limit_throttle_is_taken_away_and_the_car_slowed_gently(gate):
    def driven(speed, wanted=1.0, limit=10.0):
        decision = gate.step(acceleration=wanted, speed_mps=speed, speed_limit_mps=limit)
        gate.memory = replace(gate.memory, command=None)
        return decision.command.acceleration_mps2, decision.command.limited

    assert driven(10.99) == (1.0, False)
    assert driven(11.0) == (0.0, True)
    assert driven(12.0) == (-1.0, True)
    assert driven(20.0) == (-2.5, True)
    assert driven(20.0, wanted=-3.0) == (-3.0, False)
    assert driven(24.0, limit=30.0) == (1.0, False)
    assert driven(25.5, limit=30.0) == (-0.5, True)
    for unknown in (None, 0.0, -1.0, math.nan, math.inf):
        assert driven(12.0, limit=unknown) == (1.0, False)


def test_the_roads_limit_does_not_deepen_a_soft_stop(gate):
    gate.step(acceleration=1.0, speed_mps=20.0, speed_limit_mps=5.0)
    decision = gate.step(0.02, engaged=False, speed_mps=20.0)
    assert decision.state is State.SOFT_STOP and decision.command.acceleration_mps2 > -2.6


def test_surprised_for_ten_plans_the_gate_stops_and_not_before(gate):
    gate.limits = replace(gate.limits, surprise_max_nats=5.0)
    decisions = [gate.step(acceleration=-1.0, surprise_nats=9.0) for _ in range(10)]
    assert [d.state for d in decisions] == [State.ACTIVE] * 9 + [State.SOFT_STOP]
    assert decisions[5].command.acceleration_mps2 == -1.0
    assert gate.step(surprise_nats=None).state is State.ACTIVE


def test_the_brake_for_an_obstacle_has_the_last_word_only_where_it_brakes_harder(gate, scan_of, box):
    near = scan_of([box(gate.limits.front_bumper_m + 5.0, 0.0)])
    for _ in range(3):
        decision = gate.step(scan=near, acceleration=1.0)
    assert decision.command.source is Source.SCAN_BRAKE and decision.reasons & Reason.OBSTACLE
    decision = gate.step(scan=near, acceleration=-6.0)
    assert decision.command.source is Source.PLAN and decision.reasons == Reason.OBSTACLE


def test_a_stopped_gate_in_a_moving_car_still_brakes_for_what_is_in_the_path(fresh_gate, scan_of, box):
    for k in range(3):
        near = scan_of([box(fresh_gate.limits.front_bumper_m + 6.0 - k, 0.0)])
        decision = fresh_gate.step(scan=near, engaged=False)
    assert decision.state is State.STOPPED and decision.reasons & Reason.OBSTACLE
    assert decision.command.acceleration_mps2 == -6.0
    assert decision.command.acceleration_mps2 == -6.0
    fresh_gate.memory = replace(fresh_gate.memory, state=State.EMERGENCY)
    decision = fresh_gate.step(scan=near, engaged=True)
    assert decision.command.source is Source.EMERGENCY and not decision.reasons & Reason.OBSTACLE


def test_what_was_decided_is_remembered(gate):
    decision = gate.step(steering=0.01, acceleration=1.0)
    memory = decision.gate_state
    assert memory.command == decision.command and memory.state is decision.state
    assert memory.ros_ns == gate.now_ns
    assert memory.steering_credit_s == pytest.approx(0.1 - 0.01 / (5.0 * 2.75 * 1.2 / 100.0), abs=1e-6)
    assert memory.throttle_credit_s == pytest.approx(0.1 - 1.0 / 60.0)
    assert isinstance(memory.sightings, Sightings)


def test_every_reason_that_holds_is_said_and_the_worst_decides(gate, scan_of, box):
    near = scan_of([box(gate.limits.front_bumper_m + 2.0, 0.0)])
    for _ in range(3):
        gate.step(scan=near, acceleration=1.0)
    route = route_from([[0.0, 0.0], [100.0, 0.0]])
    gate.wait(0.25)
    gate.steady_ns += 2 * 10**9
    gate.sense(route=route, pose=(50.0, 9.0, 0.0), engaged=False)
    gate.decide()
    gate.memory = replace(gate.memory, state=State.ACTIVE)
    gate.steady_ns += 2 * 10**9
    gate.inputs = replace(gate.inputs, odom_stamp_ns=gate.now_ns - 10**9)
    decision = gate.decide()
    fault = Reason.CLOCK_FROZEN | Reason.ODOM_STALE
    assert decision.reasons == Reason.NOT_ENGAGED | Reason.PLAN_LATE | Reason.OFF_ROUTE | fault
    assert decision.state is State.EMERGENCY


def test_a_refused_plan_is_said_beside_what_else_is_wrong(gate):
    gate.wait(0.25)
    gate.sense(engaged=False, steering_angle_rad=math.nan)
    gate.hear(replace(gate.plan(), dt_s=0.0))
    assert gate.decide().reasons == Reason.NOT_ENGAGED | Reason.PLAN_INVALID | Reason.PLAN_LATE
    gate.wait(0.1)
    gate.inputs = replace(gate.inputs, scan_stamp_ns=None, engaged=True)
    decision = gate.decide()
    lost = Reason.ODOM_STALE | Reason.SCAN_STALE
    assert decision.reasons & lost == Reason.ODOM_STALE and decision.reasons & Reason.PLAN_INVALID


def test_an_obstacle_and_a_limit_are_said_beside_what_else_is_wrong(gate, scan_of, box):
    near = scan_of([box(gate.limits.front_bumper_m + 2.0, 0.0)])
    for _ in range(3):
        gate.step(scan=near)
    gate.wait(0.25)
    gate.sense()
    gate.memory = replace(gate.memory, plan=replace(gate.memory.plan, steering_angle=np.full(12, 0.6, np.float32)))
    assert gate.decide().reasons == Reason.PLAN_LATE | Reason.OBSTACLE | Reason.LIMITED


def test_standing_before_something_the_push_that_is_wanted_counts(gate, scan_of, box):
    touching = scan_of([box(gate.limits.front_bumper_m + 0.3, 0.0)])
    for wanted, source in ((1.0, Source.SCAN_BRAKE), (-1.0, Source.PLAN), (0.0, Source.SCAN_BRAKE)):
        for _ in range(3):
            decision = gate.step(scan=touching, speed_mps=0.0, acceleration=wanted)
        assert decision.command.source is source and decision.fault == ""
