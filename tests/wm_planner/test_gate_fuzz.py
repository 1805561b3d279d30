"""Whatever comes in, what goes out is finite, inside the limits, and never throttle in a stop.

WM_FUZZ_DECISIONS=1000000 python -m pytest tests/wm_planner/test_gate_fuzz.py     decides so often; 200,000 unless told.
"""

import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_planner.safety import Clock, Decision, GateState, Inputs, Limits, PlanInput, Reason, State, decide, route_from
from wm_planner.safety.limits import steering_bound

DECISIONS = int(os.environ.get("WM_FUZZ_DECISIONS", "200000"))
NASTY = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-30, -1e-30, 1.0, -1.0, 20.0, -7.0, 1e30, -1e30, 1e300, 3.4e38)
ELAPSED_NS = (20_000_000, 100_000_000, 0, 400_000_000, -(10**9), 10**12)
STAMPS = (None, 0, -1, 2**62, 50_000_000, 10**9, -(10**9), -250_000_000)  # from the third on: beside now
LIMITS = Limits(surprise_max_nats=5.0)
RISE_MPS2 = LIMITS.throttle_jerk_max_mps3 * LIMITS.throttle_burst_s
ROUTES = (None, route_from([[-500.0, 0.0], [0.0, 0.0], [500.0, 30.0]]))


def nasty_arrays(rng: np.random.Generator, count: int, usual: int, low: float, high: float) -> list[np.ndarray]:
    """`count` arrays, some of a wrong length, some with numbers that are none."""
    arrays = []
    for _ in range(count):
        size = usual if rng.random() < 0.85 else int(rng.integers(0, 100))
        array = rng.uniform(low, high, size).astype(np.float32)
        if size and rng.random() < 0.25:
            with np.errstate(over="ignore"):
                array[rng.integers(0, size, 3)] = np.asarray(rng.choice(NASTY, 3), np.float32)
        arrays.append(array)
    return arrays


_rng = np.random.default_rng(0)
STEERING = nasty_arrays(_rng, 300, 12, -0.7, 0.7) + nasty_arrays(_rng, 20, 1, -0.7, 0.7)
ACCELERATION = nasty_arrays(_rng, 300, 12, -8.0, 5.0) + nasty_arrays(_rng, 20, 1, -8.0, 5.0)
SCANS = [*nasty_arrays(_rng, 300, 72, 0.5, 90.0), None]


class Nasty:
    """Columns of random numbers for many decisions, drawn at once."""

    def __init__(self, rng: np.random.Generator, count: int) -> None:
        self.rng, self.count = rng, count
        self.elapsed = rng.choice(ELAPSED_NS, count, p=(0.5, 0.42, 0.04, 0.02, 0.01, 0.01)).tolist()
        self.engaged = (rng.random(count) < 0.97).tolist()
        self.no_plan = (rng.random(count) < 0.05).tolist()
        self.seq = np.where(rng.random(count) < 0.9, np.arange(count), rng.integers(0, 50, count)).tolist()
        self.freed = (rng.random(count) < 0.3).tolist()
        self.dt = self.floats(np.full(count, 0.1))
        self.speed, self.surprise = self.floats(rng.uniform(0, 20, count)), self.floats(np.full(count, 1.0))
        self.yaw_rate = self.floats(rng.uniform(-0.5, 0.5, count))
        self.angle = self.floats(rng.uniform(-0.6, 0.6, count))
        self.speed_limit = self.floats(rng.uniform(0, 30, count))
        self.pose = [self.floats(rng.uniform(-2, 2, count)) for _ in range(3)]
        self.steering, self.acceleration, self.scan = (
            rng.integers(0, len(pool), count).tolist() for pool in (STEERING, ACCELERATION, SCANS)
        )
        self.route = rng.integers(0, len(ROUTES), count).tolist()
        self.stamps = [self.ages() for _ in range(4)]

    def floats(self, usual: np.ndarray) -> list[float]:
        return np.where(self.rng.random(self.count) < 0.95, usual, self.rng.choice(NASTY, self.count)).tolist()

    def ages(self) -> list[tuple[bool, int]]:
        """How old each stamp is, or which of STAMPS it is."""
        odd = self.rng.random(self.count) < 0.06
        which = np.where(odd, self.rng.integers(0, len(STAMPS), self.count), self.rng.integers(0, 10**8, self.count))
        return list(zip(odd.tolist(), which.tolist(), strict=True))

    def stamp(self, which: int, k: int, now: int) -> int | None:
        odd, value = self.stamps[which][k]
        if not odd:
            return now - value
        return STAMPS[value] if value < 4 else now + (STAMPS[value] or 0)

    def inputs(self, k: int, now: int) -> Inputs:
        steering, acceleration = STEERING[self.steering[k]], ACCELERATION[self.acceleration[k]]
        plan = PlanInput(self.seq[k], self.stamp(0, k, now) or 0, self.dt[k], steering, acceleration)
        return Inputs(
            engaged=self.engaged[k],
            plan=None if self.no_plan[k] else plan,
            speed_mps=self.speed[k],
            yaw_rate_radps=self.yaw_rate[k],
            steering_angle_rad=self.angle[k],
            status_stamp_ns=self.stamp(1, k, now),
            odom_stamp_ns=self.stamp(2, k, now),
            scan=SCANS[self.scan[k]],
            scan_stamp_ns=self.stamp(3, k, now),
            surprise_nats=self.surprise[k] if self.freed[k] else None,
            pose=(self.pose[0][k], self.pose[1][k], self.pose[2][k]),
            route=ROUTES[self.route[k]],
            speed_limit_mps=self.speed_limit[k],
        )


def check(decision: Decision, before: GateState, inputs: Inputs, elapsed_s: float) -> None:
    command, last = decision.command, before.command
    numbers = (command.steering_angle_rad, command.steering_rate_radps, command.acceleration_mps2, command.speed_mps)
    assert all(map(math.isfinite, numbers))
    assert np.array_equal(np.array(numbers), np.array(numbers, np.float32))
    assert not decision.fault and not decision.reasons & Reason.FAULT, decision.fault
    assert -6.0 <= command.acceleration_mps2 <= 3.0
    assert command.speed_mps >= 0.0
    assert abs(command.steering_angle_rad) <= 0.6 + 1e-6
    widest = 2.0 * steering_bound(decision.gate_state.speed_mps, LIMITS)
    previous = 0.6 if last is None else abs(last.steering_angle_rad)
    assert abs(command.steering_angle_rad) <= max(widest, previous) + 1e-6
    if last is not None:
        slew = abs(command.steering_angle_rad - last.steering_angle_rad)
        assert slew <= 0.8 * min(elapsed_s + 0.1, 0.1) + 1e-6
        assert command.acceleration_mps2 - last.acceleration_mps2 <= RISE_MPS2 + 1e-5
        if decision.state is State.SOFT_STOP and command.source.name == "SOFT_STOP":
            jerked = abs(command.acceleration_mps2 - min(last.acceleration_mps2, 0.0))
            assert jerked <= LIMITS.soft_stop_jerk_mps3 * elapsed_s + 1e-5
    if decision.state is not State.ACTIVE:
        assert command.acceleration_mps2 <= 0.0
    if decision.state is State.EMERGENCY:
        assert command.acceleration_mps2 == -6.0
    if before.state is State.EMERGENCY and inputs.engaged:
        assert decision.state is State.EMERGENCY
    if before.state is State.STOPPED and decision.state is not State.STOPPED:
        assert inputs.engaged


def drive_through(seed: int, decisions: int) -> set[State]:
    """A gate through nasty inputs; the states it was in."""
    nasty = Nasty(np.random.default_rng(seed), decisions)
    now = steady = 10**9
    memory, seen = GateState(), set()
    for k in range(decisions):
        elapsed = nasty.elapsed[k]
        now, steady = now + elapsed, steady + abs(elapsed)
        inputs = nasty.inputs(k, now)
        decision = decide(Clock(now, steady), inputs, LIMITS, memory)
        check(decision, memory, inputs, max(elapsed * 1e-9, 0.0))
        memory = decision.gate_state
        seen.add(decision.state)
        if memory.state is State.EMERGENCY and nasty.freed[k]:
            memory = GateState()
    return seen


def test_no_input_makes_the_gate_fail_or_leave_its_limits_in_any_state():
    assert set.union(*(drive_through(seed, 1000) for seed in range(50))) == set(State)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_no_input_makes_the_gate_fail_or_leave_its_limits_however_long_it_drives(part):
    for seed in range(max(DECISIONS // 10_000, 1)):
        drive_through(10_000 + 100_000 * part + seed, 1000)


number = st.floats(width=32, allow_nan=True, allow_infinity=True)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    steering=st.lists(number, min_size=0, max_size=14),
    acceleration=st.lists(number, min_size=0, max_size=14),
    state=st.tuples(st.floats(), st.floats(), st.floats(), st.floats(), st.floats(), st.floats()),
    scan=st.lists(number, min_size=0, max_size=80),
    dt=st.floats(),
    ages_ns=st.lists(st.integers(-(2**40), 2**40), min_size=4, max_size=4),
)
def test_no_single_input_makes_an_active_gate_leave_its_limits(steering, acceleration, state, scan, dt, ages_ns):
    now = 10**12
    good = PlanInput(1, now, 0.1, np.full(12, 0.01, np.float32), np.full(12, 1.0, np.float32))
    clear = np.full(72, 60.0, np.float32)
    first = Inputs(True, good, 10.0, 0.0, 0.01, now, now, clear, now)
    memory = decide(Clock(now, now), first, LIMITS, GateState()).gate_state
    assert memory.state is State.ACTIVE
    now += 100_000_000
    arrays = (np.array(steering, np.float32), np.array(acceleration, np.float32))
    plan_stamp, status, odom, scanned = (now - age for age in ages_ns)
    plan, ranges = PlanInput(2, plan_stamp, dt, *arrays), np.array(scan, np.float32)
    speed, yaw_rate, angle, *pose = state
    inputs = Inputs(True, plan, speed, yaw_rate, angle, status, odom, ranges, scanned, None, tuple(pose), ROUTES[1])
    decision = decide(Clock(now, now), inputs, LIMITS, memory)
    check(decision, memory, inputs, 0.1)


@pytest.mark.parametrize("seed", range(40))
def test_a_stop_never_turns_into_throttle_while_plans_stay_away(seed):
    rng = np.random.default_rng(seed)
    now, speed = 10**12, rng.uniform(1, 20)
    plan = PlanInput(1, now, 0.1, np.full(12, 0.02, np.float32), rng.uniform(-6, 3, 12).astype(np.float32))
    memory, stopping, last = GateState(), False, 0.0
    for _ in range(60):
        inputs = Inputs(True, plan, speed, 0.0, 0.0, now, now, np.full(72, 60.0, np.float32), now)
        decision = decide(Clock(now, now), inputs, LIMITS, memory)
        accel = decision.command.acceleration_mps2
        if stopping:
            assert decision.state in (State.SOFT_STOP, State.EMERGENCY)
            assert accel <= 0.0
            assert decision.state is State.EMERGENCY or abs(accel - min(last, 0.0)) <= 5.0 * 0.02 + 1e-5
        stopping = stopping or decision.state is not State.ACTIVE
        memory, last = decision.gate_state, accel
        speed = max(0.0, speed + accel * 0.02)
        now += 20_000_000
    assert decision.state is State.EMERGENCY
