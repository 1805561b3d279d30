"""Whatever comes in, what goes out is finite, inside the limits, and never throttle in a stop."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_planner.safety import Clock, Decision, GateState, Inputs, Limits, PlanInput, State, decide
from wm_planner.safety.limits import steering_bound

NASTY = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-30, -1e-30, 1.0, -1.0, 20.0, -7.0, 1e30, -1e30, 1e300, 3.4e38)
ELAPSED_NS = (20_000_000, 100_000_000, 0, 400_000_000, -(10**9), 10**12)
LIMITS = Limits(surprise_max_nats=5.0)


def nasty_float(rng: np.random.Generator, usual: float) -> float:
    return usual if rng.random() < 0.7 else float(rng.choice(NASTY))


def nasty_array(rng: np.random.Generator, usual: int, low: float, high: float) -> np.ndarray:
    size = usual if rng.random() < 0.8 else int(rng.integers(0, 100))
    array = rng.uniform(low, high, size).astype(np.float32)
    if size and rng.random() < 0.3:
        with np.errstate(over="ignore"):
            array[rng.integers(0, size, 3)] = np.asarray(rng.choice(NASTY, 3), np.float32)
    return array


def nasty_stamp(rng: np.random.Generator, now: int) -> int | None:
    usual = now - int(rng.integers(0, 150_000_000))
    odd = (None, 0, -1, 2**62, now + 50_000_000, now + 10**9, now - 10**9, now - 250_000_000)
    return usual if rng.random() < 0.85 else odd[rng.integers(len(odd))]


def nasty_inputs(rng: np.random.Generator, now: int, seq: int) -> Inputs:
    length = int(rng.choice([12, 12, 12, 1]))
    plan = PlanInput(
        seq if rng.random() < 0.9 else int(rng.integers(0, 50)),
        nasty_stamp(rng, now) or 0,
        nasty_float(rng, 0.1),
        nasty_array(rng, length, -0.7, 0.7),
        nasty_array(rng, length, -8, 5),
    )
    return Inputs(
        engaged=bool(rng.random() < 0.95),
        plan=None if rng.random() < 0.05 else plan,
        speed_mps=nasty_float(rng, rng.uniform(0, 20)),
        yaw_rate_radps=nasty_float(rng, rng.uniform(-0.5, 0.5)),
        steering_angle_rad=nasty_float(rng, rng.uniform(-0.6, 0.6)),
        status_stamp_ns=nasty_stamp(rng, now),
        odom_stamp_ns=nasty_stamp(rng, now),
        scan=None if rng.random() < 0.05 else nasty_array(rng, 72, 0.0, 70.0),
        scan_stamp_ns=nasty_stamp(rng, now),
        surprise_nats=None if rng.random() < 0.2 else nasty_float(rng, 1.0),
    )


def check(decision: Decision, before: GateState, inputs: Inputs, elapsed_s: float) -> None:
    command, last = decision.command, before.command
    numbers = (command.steering_angle_rad, command.steering_rate_radps, command.acceleration_mps2, command.speed_mps)
    assert all(math.isfinite(value) for value in numbers)
    assert all(value == float(np.float32(value)) for value in numbers)
    assert -6.0 <= command.acceleration_mps2 <= 3.0
    assert command.speed_mps >= 0.0
    assert abs(command.steering_angle_rad) <= 0.6 + 1e-6
    widest = 2.0 * steering_bound(decision.gate_state.speed_mps, LIMITS)
    previous = 0.6 if last is None else abs(last.steering_angle_rad)
    assert abs(command.steering_angle_rad) <= max(widest, previous) + 1e-6
    if last is not None:
        slew = abs(command.steering_angle_rad - last.steering_angle_rad)
        assert slew <= 0.8 * min(elapsed_s + 0.1, 0.1) + 1e-6
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
    rng = np.random.default_rng(seed)
    now = steady = 10**9
    memory, seq, seen = GateState(), 0, set()
    for _ in range(decisions):
        elapsed = int(rng.choice(ELAPSED_NS, p=(0.5, 0.42, 0.04, 0.02, 0.01, 0.01)))
        now, steady, seq = now + elapsed, steady + abs(elapsed), seq + 1
        inputs = nasty_inputs(rng, now, seq)
        decision = decide(Clock(now, steady), inputs, LIMITS, memory)
        check(decision, memory, inputs, max(elapsed * 1e-9, 0.0))
        memory = decision.gate_state
        seen.add(decision.state)
        if memory.state is State.EMERGENCY and rng.random() < 0.3:
            memory = GateState()
    return seen


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_no_input_makes_the_gate_fail_or_leave_its_limits(seed):
    drive_through(seed, decisions=50)  # 12,500 decisions in all


def test_the_fuzz_reaches_every_state():
    assert set.union(*(drive_through(seed, 100) for seed in range(20))) == set(State)


@pytest.mark.slow
def test_no_input_makes_the_gate_fail_in_a_hundred_thousand():
    for seed in range(1000):
        drive_through(10_000 + seed, decisions=100)


number = st.floats(width=32, allow_nan=True, allow_infinity=True)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    steering=st.lists(number, min_size=0, max_size=14),
    acceleration=st.lists(number, min_size=0, max_size=14),
    speed=st.floats(),
    yaw_rate=st.floats(),
    scan=st.lists(number, min_size=0, max_size=80),
    dt=st.floats(),
    ages_ns=st.lists(st.integers(-(2**40), 2**40), min_size=4, max_size=4),
)
def test_no_single_input_makes_an_active_gate_leave_its_limits(
    steering, acceleration, speed, yaw_rate, scan, dt, ages_ns
):
    now = 10**12
    good = PlanInput(1, now, 0.1, np.full(12, 0.01, np.float32), np.full(12, 1.0, np.float32))
    clear = np.full(72, 60.0, np.float32)
    first = Inputs(True, good, 10.0, 0.0, 0.01, now, now, clear, now)
    memory = decide(Clock(now, now), first, LIMITS, GateState()).gate_state
    assert memory.state is State.ACTIVE
    now += 100_000_000
    arrays = (np.array(steering, np.float32), np.array(acceleration, np.float32))
    plan_stamp, status, odom, scanned = (now - age for age in ages_ns)
    plan = PlanInput(2, plan_stamp, dt, *arrays)
    inputs = Inputs(True, plan, speed, yaw_rate, 0.0, status, odom, np.array(scan, np.float32), scanned)
    decision = decide(Clock(now, now), inputs, LIMITS, memory)
    check(decision, memory, inputs, 0.1)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
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
