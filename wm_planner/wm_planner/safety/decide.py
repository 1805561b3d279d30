"""The gate's decision: a pure function of what was heard, what is allowed and what was decided before.

Order of a decision: notice time, judge plan, sensors and belief (judge.py), move the state, choose a target, without a
plan along the route (route_keeping.py), watch the path (scan_check.py), shape (shape.py). What goes out is finite and
inside the limits whatever came in.
"""

import math
from dataclasses import replace

from wm_planner.safety.judge import (
    SURPRISED_STOP,
    judge_plan,
    judge_sensors,
    notice_time,
    older,
    watch_surprise,
)
from wm_planner.safety.limits import Limits
from wm_planner.safety.reasons import REFUSALS, Reason, Source, State
from wm_planner.safety.route import off_route
from wm_planner.safety.route_keeping import keep_route
from wm_planner.safety.scan_check import watch_path
from wm_planner.safety.shape import float32, shape
from wm_planner.safety.types import Clock, Command, Decision, GateState, Inputs, PlanInput

__all__ = ["Clock", "Command", "Decision", "GateState", "Inputs", "Limits", "PlanInput", "decide"]


def decide(now: Clock, inputs: Inputs, limits: Limits, previous: GateState) -> Decision:
    """Command the car may execute now, and why.

    Stamps and both clocks in ns. The command is finite and inside `limits` for any input, NaN included. `previous` is
    the `gate_state` of the last decision, or `GateState()` at the start and after the world was reset.
    """
    try:
        return _decide(now, inputs, limits, previous)
    except Exception as error:  # whatever is wrong with the gate itself, the car has to brake
        return _fault(f"{type(error).__name__}: {error}", limits, previous)


def _fault(what: str, limits: Limits, previous: GateState) -> Decision:
    """Full braking with the last steering, latched as any emergency is."""
    steering = 0.0 if previous.command is None else previous.command.steering_angle_rad
    command = Command(steering, 0.0, float32(-limits.deceleration_max_mps2), 0.0, Source.EMERGENCY, limited=False)
    memory = replace(previous, state=State.EMERGENCY, command=command)
    return Decision(command, State.EMERGENCY, int(Reason.FAULT), math.inf, 0.0, memory, what)


def _decide(now: Clock, inputs: Inputs, limits: Limits, previous: GateState) -> Decision:
    elapsed_s, memory = notice_time(now, previous)
    clock_age_s = (now.steady_ns - memory.advanced_steady_ns) * 1e-9
    memory, refused = judge_plan(now, inputs, limits, memory)
    stale, memory = judge_sensors(now, inputs, limits, memory)
    memory, surprised = watch_surprise(inputs, limits, memory)

    plan = memory.plan
    age_ns = None if plan is None else max(0, now.ros_ns - plan.source_stamp_ns)
    age_s = math.inf if age_ns is None else age_ns * 1e-9
    reasons = stale | refused | surprised
    if not inputs.engaged:
        reasons |= Reason.NOT_ENGAGED
    if age_ns is None or older(age_ns, limits.plan_timeout_s):
        reasons |= Reason.PLAN_LOST
    elif older(age_ns, limits.plan_late_s):
        reasons |= Reason.PLAN_LATE
    if off_route(inputs.route, memory.pose, memory.speed_mps, memory.yaw_rate_radps, limits):
        reasons |= Reason.OFF_ROUTE
    if clock_age_s > limits.clock_frozen_s:
        reasons |= Reason.CLOCK_FROZEN
    since_ns = memory.refused_since_ns
    unplanned = since_ns is not None and older(now.ros_ns - since_ns, limits.hold_refused_s)
    state = _next_state(memory, reasons, unplanned, limits)

    steering, acceleration, source = _target(state, reasons, age_s, memory, elapsed_s, limits)
    if state is State.EMERGENCY and reasons & Reason.PLAN_LOST and not reasons & Reason.ODOM_STALE:
        steering, memory = keep_route(inputs.route, memory, elapsed_s, limits)
    elif memory.kept_beside_m is not None:
        memory = replace(memory, kept_beside_m=None)
    held_back = state is State.ACTIVE and acceleration > (most := _speed_bound(memory, limits))
    if held_back:
        acceleration = most
    if state is not State.EMERGENCY:
        scan_age_s = 0.0 if memory.scan_ns is None else max(0, now.ros_ns - memory.scan_ns) * 1e-9
        demand = watch_path(memory, inputs.route, scan_age_s, steering, acceleration, limits)
        if demand.braking_mps2 > 0.0:
            reasons |= Reason.OBSTACLE
            if -demand.braking_mps2 < acceleration:
                acceleration, source = -demand.braking_mps2, Source.SCAN_BRAKE
        if demand.keep_steering and memory.command is not None:
            steering, held_back = memory.command.steering_angle_rad, True
    command, steering_s, throttle_s = shape(
        steering, acceleration, source, memory, inputs.steering_angle_rad, elapsed_s, limits
    )
    if held_back:
        command = replace(command, limited=True)
    if command.limited:
        reasons |= Reason.LIMITED
    memory = replace(
        memory,
        state=state,
        command=command,
        ros_ns=now.ros_ns,
        steering_credit_s=steering_s,
        throttle_credit_s=throttle_s,
    )
    return Decision(command, state, int(reasons), age_s, clock_age_s, memory)


def _next_state(memory: GateState, reasons: Reason, unplanned: bool, limits: Limits) -> State:
    """STOPPED needs engage and fresh data; EMERGENCY is left only by disengaging at standstill.

    `unplanned`: plans have been refused for longer than the last good one may be held.
    """
    engaged = not reasons & Reason.NOT_ENGAGED
    standing = memory.speed_mps <= limits.standing_mps
    blind = reasons & (Reason.SCAN_STALE | Reason.ODOM_STALE | Reason.CLOCK_FROZEN | Reason.PLAN_LOST)
    lost = memory.surprised >= SURPRISED_STOP and reasons & Reason.SURPRISE
    state = State.ACTIVE
    if memory.state is State.STOPPED:
        if not engaged or blind or reasons & (Reason.PLAN_LATE | Reason.OFF_ROUTE | REFUSALS):
            state = State.STOPPED
    elif not engaged and standing:
        state = State.STOPPED
    elif memory.state is State.EMERGENCY or blind:
        state = State.EMERGENCY
    elif not engaged or unplanned or lost or reasons & (Reason.PLAN_LATE | Reason.OFF_ROUTE):
        state = State.SOFT_STOP
    return state


def _target(
    state: State, reasons: Reason, age_s: float, memory: GateState, elapsed_s: float, limits: Limits
) -> tuple[float, float, Source]:
    """Steering in rad, acceleration in m/s² and their source, before any limit."""
    steering, acceleration = _planned(memory, age_s, limits)
    if state is State.STOPPED:  # a car that moves is one whose time has jumped back: nothing is known of it any more
        standing = memory.speed_mps <= limits.standing_mps
        return steering, -(limits.soft_stop_mps2 if standing else limits.deceleration_max_mps2), Source.STOPPED
    if state is State.EMERGENCY:
        return steering, -limits.deceleration_max_mps2, Source.EMERGENCY
    if state is State.SOFT_STOP:
        # No throttle from the first moment; then towards the stopping deceleration within the jerk limit.
        last = 0.0 if memory.command is None else min(memory.command.acceleration_mps2, 0.0)
        step = limits.soft_stop_jerk_mps3 * elapsed_s
        return steering, min(max(-limits.soft_stop_mps2, last - step), last + step), Source.SOFT_STOP
    if reasons & Reason.SURPRISE:
        acceleration = min(acceleration, 0.0)
    return steering, acceleration, Source.HOLD if reasons & REFUSALS else Source.PLAN


def _speed_bound(memory: GateState, limits: Limits) -> float:
    """Acceleration in m/s² that may be had at this speed: above what is allowed, gentle braking down to it."""
    allowed = limits.speed_max_mps
    if memory.speed_limit_mps is not None:
        allowed = min(allowed, limits.speed_limit_share * memory.speed_limit_mps)
    if memory.speed_mps < allowed:
        return math.inf
    return max(allowed - memory.speed_mps, -limits.soft_stop_mps2)


def _planned(memory: GateState, age_s: float, limits: Limits) -> tuple[float, float]:
    """The plan's controls for now. After its end, and without a plan, the last steering is kept and nothing driven."""
    plan, last = memory.plan, memory.command
    kept = 0.0 if last is None else last.steering_angle_rad
    if plan is None:
        return kept, 0.0
    step = max(0, math.floor((age_s - limits.plan_start_s) / plan.dt_s + 1e-6))
    if step >= len(plan.steering_angle):
        return kept, 0.0
    return float(plan.steering_angle[step]), float(plan.acceleration[step])
