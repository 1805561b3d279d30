"""What the gate makes of time, plan, sensors and belief before it decides; each step returns the memory.

A NaN, a wrong length or a stamp from anywhere may come in; what is not usable has not come.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wm_planner.safety.limits import Limits
from wm_planner.safety.reasons import Reason, State
from wm_planner.safety.scan_check import update_edges, update_sightings
from wm_planner.safety.sightings import RANGE_MAX_M, sectors
from wm_planner.safety.types import Clock, GateState, Inputs, PlanInput

_PLAN_LENGTH_MAX = 1000
_PLAN_STEP_MIN_S, _PLAN_STEP_MAX_S = 0.01, 1.0
_SCAN_LENGTH_MIN = 8
_ANGLE_BELIEVED_RAD, _BELIEVED_MPS2 = math.pi / 2, 50.0  # of a plan: no car is meant by more
_STATUS_BELIEVED = (100.0, 20.0, math.pi / 2)  # speed m/s, yaw rate rad/s, steering rad: more is no measurement
_STUCK_MPS = 1.0  # slower, a scan without noise may repeat itself
SURPRISED_CAP, SURPRISED_STOP = 5, 10  # plans in a row above the surprise limit: no throttle, soft stop


def notice_time(now: Clock, previous: GateState) -> tuple[float, GateState]:
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


def judge_plan(now: Clock, inputs: Inputs, limits: Limits, memory: GateState) -> tuple[GateState, Reason]:
    """Accept a new plan, or refuse it and remember since when plans are refused."""
    plan, held = inputs.plan, memory.plan
    if plan is None or plan is held:
        return memory, Reason.NONE
    refusal = Reason.NONE
    if not _well_formed(plan):
        refusal = Reason.PLAN_INVALID
    elif older(plan.source_stamp_ns - now.ros_ns, limits.future_s):
        refusal = Reason.PLAN_FUTURE
    elif held is not None:
        if plan.seq == held.seq and plan.source_stamp_ns == held.source_stamp_ns:
            return memory, Reason.NONE  # heard again, nothing new
        # A planner that was started again counts from zero: let it in once the plan held has run out.
        over = older(now.ros_ns - held.source_stamp_ns, limits.plan_late_s)
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
    if steering.dtype.kind != "f" or acceleration.dtype.kind != "f":
        return False
    if not _PLAN_STEP_MIN_S <= plan.dt_s <= _PLAN_STEP_MAX_S:
        return False
    return bool((np.abs(steering) <= _ANGLE_BELIEVED_RAD).all() and (np.abs(acceleration) <= _BELIEVED_MPS2).all())


def judge_sensors(now: Clock, inputs: Inputs, limits: Limits, memory: GateState) -> tuple[Reason, GateState]:
    """What is stale, and the memory with the last usable status, pose and scan."""
    stale = Reason.NONE
    measured = (inputs.speed_mps, inputs.yaw_rate_radps, inputs.steering_angle_rad)
    if inputs.status_stamp_ns is not None and all(map(_believed, measured, _STATUS_BELIEVED)):
        posted = inputs.speed_limit_mps
        known = posted is not None and math.isfinite(posted) and posted > 0.0
        memory = replace(
            memory,
            speed_mps=max(inputs.speed_mps, 0.0),
            yaw_rate_radps=inputs.yaw_rate_radps,
            status_ns=inputs.status_stamp_ns,
            speed_limit_mps=posted if known else None,
        )
    if inputs.pose is None or _finite(inputs.pose):
        memory = replace(memory, pose=inputs.pose, odom_ns=inputs.odom_stamp_ns)
    if _stale(now, memory.status_ns, limits) or _stale(now, memory.odom_ns, limits):
        stale |= Reason.ODOM_STALE
    newer = _newer(now, inputs.scan_stamp_ns, memory.scan_ns, limits)
    if newer and _readable(inputs.scan) and not _stuck(inputs.scan, memory):
        sightings, edges = update_sightings(inputs, limits, memory), update_edges(inputs, limits, memory)
        memory = replace(memory, scan_ns=inputs.scan_stamp_ns, scan=inputs.scan, sightings=sightings, edges=edges)
    if _stale(now, memory.scan_ns, limits):
        stale |= Reason.SCAN_STALE
        memory = replace(memory, sightings=None, edges=None)
    return stale, memory


def watch_surprise(inputs: Inputs, limits: Limits, memory: GateState) -> tuple[GateState, Reason]:
    """Count plans in a row whose belief was more surprised than calibration knows."""
    surprise, plan = inputs.surprise_nats, memory.plan
    if limits.surprise_max_nats <= 0.0 or surprise is None or plan is None:
        return memory, Reason.NONE
    if plan.seq != memory.surprise_plan_seq:
        calm = math.isfinite(surprise) and surprise <= limits.surprise_max_nats
        surprised = 0 if calm else memory.surprised + 1
        memory = replace(memory, surprised=surprised, surprise_plan_seq=plan.seq)
    return memory, Reason.SURPRISE if memory.surprised >= SURPRISED_CAP else Reason.NONE


def older(age_ns: int, limit_s: float) -> bool:
    """Whether an age is above a limit, to the nanosecond: 0.3 s is not above 0.3 s."""
    return age_ns > round(limit_s * 1e9)


def _newer(now: Clock, stamp_ns: int | None, known_ns: int | None, limits: Limits) -> bool:
    """Whether data of this stamp is fresh and later than what is known: an overtaken message changes nothing."""
    return stamp_ns is not None and not _stale(now, stamp_ns, limits) and (known_ns is None or stamp_ns > known_ns)


def _stale(now: Clock, stamp_ns: int | None, limits: Limits) -> bool:
    """Whether data of this stamp is too old, missing, or from a future too far to believe."""
    return stamp_ns is None or older(abs(now.ros_ns - stamp_ns), limits.sensor_stale_s)


def _stuck(scan: NDArray[np.float32] | None, memory: GateState) -> bool:
    """Whether a moving car's scan is to the last bit the one before: a lidar's noise alone forbids that.

    Where nothing is in range, all scans are alike."""
    if scan is None or memory.scan is None or memory.speed_mps < _STUCK_MPS or not np.array_equal(scan, memory.scan):
        return False
    return bool((scan < RANGE_MAX_M).any())


def _believed(value: float, most: float) -> bool:
    return abs(value) <= most  # NaN compares false


def _finite(values: tuple[float, ...]) -> bool:
    return all(math.isfinite(value) for value in values)


def _readable(scan: NDArray[np.float32] | None) -> bool:
    """Whether most of a scan's ranges, and most of those ahead, are numbers (infinite means no return)."""
    if scan is None or np.ndim(scan) != 1 or len(scan) < _SCAN_LENGTH_MIN:
        return False
    failed = np.isnan(scan)
    return all(2 * int(np.count_nonzero(part)) < len(part) for part in (failed, failed[sectors(len(scan))[0]]))
