"""The gate's decision: a pure function of what was heard, what is allowed and what was decided before.

Order of a decision: notice time, judge the plan, watch the path, move the state, choose a target, shape it. A NaN, a
wrong length or a stamp from anywhere may come in; what goes out is finite and inside the limits.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wm_planner.safety.limits import Limits
from wm_planner.safety.reasons import REFUSALS, Reason, Source, State
from wm_planner.safety.scan_check import scan_braking, update_track
from wm_planner.safety.shape import shape
from wm_planner.safety.types import Clock, Command, Decision, GateState, Inputs, PlanInput

__all__ = ["Clock", "Command", "Decision", "GateState", "Inputs", "Limits", "PlanInput", "decide"]

_PLAN_LENGTH_MAX = 1000
_SCAN_LENGTH_MIN = 8
_SPEED_BELIEVED_MPS = 100.0
_SURPRISED_CAP, _SURPRISED_STOP = 5, 10  # plans in a row above the surprise limit: no throttle, soft stop


def decide(now: Clock, inputs: Inputs, limits: Limits, previous: GateState) -> Decision:
    """Command the car may execute now, and why.

    Stamps and both clocks in ns. The command is finite and inside `limits` for any input, NaN included. `previous` is
    the `gate_state` of the last decision, or `GateState()` at the start and after the world was reset.
    """
    elapsed_s, memory = _notice_time(now, previous)
    clock_age_s = (now.steady_ns - memory.advanced_steady_ns) * 1e-9
    memory, refused = _judge_plan(now, inputs, limits, memory)
    stale, memory = _judge_sensors(now, inputs, limits, memory)
    memory, surprised = _watch_surprise(inputs, limits, memory)

    plan = memory.plan
    age_ns = None if plan is None else max(0, now.ros_ns - plan.source_stamp_ns)
    age_s = math.inf if age_ns is None else age_ns * 1e-9
    reasons = stale | refused | surprised
    if not inputs.engaged:
        reasons |= Reason.NOT_ENGAGED
    if age_ns is None or _older(age_ns, limits.plan_timeout_s):
        reasons |= Reason.PLAN_LOST
    elif _older(age_ns, limits.plan_late_s):
        reasons |= Reason.PLAN_LATE
    if clock_age_s > limits.clock_frozen_s:
        reasons |= Reason.CLOCK_FROZEN
    since_ns = memory.refused_since_ns
    unplanned = since_ns is not None and _older(now.ros_ns - since_ns, limits.hold_refused_s)
    state = _next_state(memory, reasons, unplanned, limits)

    steering, acceleration, source = _target(state, reasons, age_s, memory, elapsed_s, limits)
    if state in (State.ACTIVE, State.SOFT_STOP):
        braking = scan_braking(memory, acceleration, limits)
        if braking is not None:
            reasons |= Reason.OBSTACLE
            if braking < acceleration:
                acceleration, source = braking, Source.SCAN_BRAKE
    command, credit_s = shape(steering, acceleration, source, memory, inputs.steering_angle_rad, elapsed_s, limits)
    if command.limited:
        reasons |= Reason.LIMITED
    memory = replace(memory, state=state, command=command, ros_ns=now.ros_ns, steering_credit_s=credit_s)
    return Decision(command, state, int(reasons), age_s, clock_age_s, memory)


def _notice_time(now: Clock, previous: GateState) -> tuple[float, GateState]:
    """ROS seconds since the last decision, and the memory with time's progress noted.

    A jump back forgets all stamps and starts again from STOPPED (or stays in EMERGENCY)."""
    if previous.ros_ns is None:
        return 0.0, replace(previous, advanced_steady_ns=now.steady_ns)
    if now.ros_ns < previous.ros_ns:
        latched = previous.state is State.EMERGENCY
        again = GateState(state=State.EMERGENCY if latched else State.STOPPED, advanced_steady_ns=now.steady_ns)
        return 0.0, replace(again, command=previous.command, speed_mps=previous.speed_mps)
    if now.ros_ns > previous.ros_ns:
        return (now.ros_ns - previous.ros_ns) * 1e-9, replace(previous, advanced_steady_ns=now.steady_ns)
    return 0.0, previous


def _judge_plan(now: Clock, inputs: Inputs, limits: Limits, memory: GateState) -> tuple[GateState, Reason]:
    """Accept a new plan, or refuse it and remember since when plans are refused."""
    plan, held = inputs.plan, memory.plan
    if plan is None or plan is held:
        return memory, Reason.NONE
    refusal = Reason.NONE
    if not _well_formed(plan):
        refusal = Reason.PLAN_INVALID
    elif _older(plan.source_stamp_ns - now.ros_ns, limits.future_s):
        refusal = Reason.PLAN_FUTURE
    elif held is not None:
        if plan.seq == held.seq and plan.source_stamp_ns == held.source_stamp_ns:
            return memory, Reason.NONE  # heard again, nothing new
        # A planner that was started again counts from zero: let it in once the plan held has run out.
        over = _older(now.ros_ns - held.source_stamp_ns, limits.plan_late_s)
        old = plan.source_stamp_ns <= held.source_stamp_ns or (plan.seq < held.seq and not over)
        if old or plan.seq == held.seq:
            refusal = Reason.PLAN_SEQUENCE
    if refusal:
        since = now.ros_ns if memory.refused_since_ns is None else memory.refused_since_ns
        return replace(memory, refused_since_ns=since), refusal
    return replace(memory, plan=plan, refused_since_ns=None), Reason.NONE


def _well_formed(plan: PlanInput) -> bool:
    steering, acceleration = np.asarray(plan.steering_angle), np.asarray(plan.acceleration)
    if steering.ndim != 1 or steering.shape != acceleration.shape or not 1 <= len(steering) <= _PLAN_LENGTH_MAX:
        return False
    if steering.dtype.kind != "f" or acceleration.dtype.kind != "f" or not 0.01 <= plan.dt_s <= 1.0:
        return False
    return bool(np.isfinite(steering).all() and np.isfinite(acceleration).all())


def _judge_sensors(now: Clock, inputs: Inputs, limits: Limits, memory: GateState) -> tuple[Reason, GateState]:
    """What is stale, and the memory with the last usable status and scan. What is not finite has not come."""
    stale = Reason.NONE
    measured = (inputs.speed_mps, inputs.yaw_rate_radps, inputs.steering_angle_rad)
    if inputs.status_stamp_ns is not None and all(math.isfinite(value) for value in measured):
        speed = min(max(inputs.speed_mps, 0.0), _SPEED_BELIEVED_MPS)
        memory = replace(
            memory, speed_mps=speed, yaw_rate_radps=inputs.yaw_rate_radps, status_ns=inputs.status_stamp_ns
        )
    if _stale(now, memory.status_ns, limits) or _stale(now, inputs.odom_stamp_ns, limits):
        stale |= Reason.ODOM_STALE
    if inputs.scan_stamp_ns != memory.scan_ns and _readable(inputs.scan):
        memory = replace(memory, scan_ns=inputs.scan_stamp_ns, track=update_track(inputs, limits, memory))
    if _stale(now, memory.scan_ns, limits):
        stale |= Reason.SCAN_STALE
        memory = replace(memory, track=None)
    return stale, memory


def _readable(scan: NDArray[np.float32] | None) -> bool:
    """Whether most of a scan's ranges are numbers (infinite means no return)."""
    if scan is None or np.ndim(scan) != 1 or len(scan) < _SCAN_LENGTH_MIN:
        return False
    return 2 * int(np.count_nonzero(np.isnan(scan))) < len(scan)


def _stale(now: Clock, stamp_ns: int | None, limits: Limits) -> bool:
    """Whether data of this stamp is too old, missing, or from a future too far to believe."""
    if stamp_ns is None:
        return True
    return _older(abs(now.ros_ns - stamp_ns), limits.sensor_stale_s)


def _older(age_ns: int, limit_s: float) -> bool:
    """Whether an age is above a limit, to the nanosecond: 0.3 s is not above 0.3 s."""
    return age_ns > round(limit_s * 1e9)


def _watch_surprise(inputs: Inputs, limits: Limits, memory: GateState) -> tuple[GateState, Reason]:
    """Count plans in a row whose belief was more surprised than calibration knows."""
    surprise, plan = inputs.surprise_nats, memory.plan
    if limits.surprise_max_nats <= 0.0 or surprise is None or plan is None:
        return memory, Reason.NONE
    if plan.seq != memory.surprise_plan_seq:
        calm = math.isfinite(surprise) and surprise <= limits.surprise_max_nats
        surprised = 0 if calm else memory.surprised + 1
        memory = replace(memory, surprised=surprised, surprise_plan_seq=plan.seq)
    return memory, Reason.SURPRISE if memory.surprised >= _SURPRISED_CAP else Reason.NONE


def _next_state(memory: GateState, reasons: Reason, unplanned: bool, limits: Limits) -> State:
    """STOPPED needs engage and fresh data; EMERGENCY is left only by disengaging at standstill.

    `unplanned`: plans have been refused for longer than the last good one may be held.
    """
    engaged = not reasons & Reason.NOT_ENGAGED
    standing = memory.speed_mps <= limits.standing_mps
    blind = reasons & (Reason.SCAN_STALE | Reason.ODOM_STALE | Reason.CLOCK_FROZEN | Reason.PLAN_LOST)
    lost = memory.surprised >= _SURPRISED_STOP and reasons & Reason.SURPRISE
    state = State.ACTIVE
    if memory.state is State.STOPPED:
        if not engaged or blind or reasons & (Reason.PLAN_LATE | REFUSALS):
            state = State.STOPPED
    elif not engaged and standing:
        state = State.STOPPED
    elif memory.state is State.EMERGENCY or blind:
        state = State.EMERGENCY
    elif not engaged or unplanned or lost or reasons & Reason.PLAN_LATE:
        state = State.SOFT_STOP
    return state


def _target(
    state: State, reasons: Reason, age_s: float, memory: GateState, elapsed_s: float, limits: Limits
) -> tuple[float, float, Source]:
    """Steering in rad, acceleration in m/s² and their source, before any limit."""
    steering, acceleration = _planned(memory, age_s, limits)
    if state is State.STOPPED:
        return steering, -limits.soft_stop_mps2, Source.STOPPED
    if state is State.EMERGENCY:
        return steering, -limits.deceleration_max_mps2, Source.EMERGENCY
    if state is State.SOFT_STOP:
        # No throttle from the first moment; then towards the stopping deceleration within the jerk limit.
        last = 0.0 if memory.command is None else min(memory.command.acceleration_mps2, 0.0)
        step = limits.soft_stop_jerk_mps3 * elapsed_s
        return steering, min(max(-limits.soft_stop_mps2, last - step), last + step), Source.SOFT_STOP
    if memory.speed_mps >= limits.speed_max_mps or reasons & Reason.SURPRISE:
        acceleration = min(acceleration, 0.0)
    return steering, acceleration, Source.HOLD if reasons & REFUSALS else Source.PLAN


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
