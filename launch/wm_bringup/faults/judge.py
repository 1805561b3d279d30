"""What a run proved: from what was noted to one result. No ROS import: times are wall ns, numbers those of wm_msgs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_bringup.faults.watch import Motion, Order, Record
from wm_planner.safety.limits import Limits
from wm_planner.safety.reasons import Source, describe

STOPPING = (Source.SOFT_STOP, Source.EMERGENCY, Source.STOPPED)
MODE_WATCHDOG = 2  # wm_msgs/VehicleStatus
COLLISION, OFF_ROAD, FAULT = 1, 2, 6  # wm_msgs/DriveEvent
STANDING_MPS = 0.1
SETTLE_NS = 250_000_000  # a command is in force, and shown by a frame, at most so long after it was sent
UNREADABLE = "not readable"
NOT = "no"  # the stack had to be started again
_FULL_MPS2 = -5.9
_ROUNDING = 1e-4


@dataclass(frozen=True)
class Run:
    """One fault in one drive."""

    fault: str
    speed_mps: float  # at the injection
    reaction_ms: float | None  # to the first braking or refusal; None: the car drove on
    reacted: str  # who, or with what
    stop_m: float | None  # driven from the injection to the stand; None: it did not come to stand
    collision: bool
    off_road: bool
    wrong_output: bool  # a command of the gate that was not finite or beyond a limit
    throttle: bool  # the car was driven after the reaction, while the fault was there
    reasons: str  # what the gate said
    gate_period_rsd: float | None  # relative standard deviation of the gate's period during the fault
    died: tuple[str, ...] = ()  # nodes that ended though nobody killed them
    recovered: str = NOT  # or: by itself, engaged, after reset
    bag: str = ""  # what the recorder left, where one ran


def judge(
    fault: str,
    record: Record,
    began_ns: int,
    ended_ns: int,
    must_stop: bool,
    limits: Limits,
    speed: float = 1.0,
    *,
    is_seen: bool = False,
    is_behind_gate: bool = False,
) -> Run:
    """What happened between the injection and the end of the fault.

    must_stop: the fault is one that the car may not be driven under, so any throttle after the reaction counts.
    speed: simulated s a wall s; times of the result are simulated. is_seen: braking for the scan is an answer too.
    is_behind_gate: the car did not hear what the gate said, so that only what it did counts.
    """
    orders = [order for order in record.orders if began_ns <= order.time_ns <= ended_ns]
    settle_ns = round(SETTLE_NS / speed)
    answers = (*STOPPING, Source.SCAN_BRAKE) if is_seen else STOPPING
    reaction_ns, reacted = _reaction(record, orders, began_ns, ended_ns, settle_ns, answers)
    heard = [] if is_behind_gate else orders
    kinds = {kind for time_ns, kind, _ in record.events if time_ns >= began_ns}
    return Run(
        fault=fault,
        speed_mps=_speed_at(record.motions, began_ns),
        reaction_ms=None if reaction_ns is None else max(0.0, speed * (reaction_ns - began_ns) * 1e-6),
        reacted=reacted,
        stop_m=_stop_distance(record, began_ns),
        collision=COLLISION in kinds,
        off_road=OFF_ROAD in kinds,
        wrong_output=not all(_allowed(order, limits) for order in orders),
        throttle=reaction_ns is not None
        and _driven_on(record, heard, reaction_ns + settle_ns, reaction_ns, ended_ns, must_stop),
        reasons=_reasons(record, began_ns, ended_ns),
        gate_period_rsd=_period_rsd(orders),
    )


def meets(run: Run, limit_ms: float | None) -> bool:
    """Nobody hurt, nothing impossible asked of the car, no throttle against a stop, no node brought down by a message,
    a bag that reads where one was recorded, and in time where a time is named."""
    in_time = limit_ms is None or (run.reaction_ms is not None and run.reaction_ms <= limit_ms)
    hurt = run.collision or run.off_road or run.wrong_output or run.throttle or bool(run.died)
    return in_time and not hurt and run.bag != UNREADABLE


def _reaction(
    record: Record, orders: list[Order], began_ns: int, ended_ns: int, settle_ns: int, answers: tuple[Source, ...]
) -> tuple[int | None, str]:
    """When and how the stack first braked; where it never did, when the gate first refused a plan."""
    found: list[tuple[int, str]] = []
    for order in orders:
        if order.source in answers and order.acceleration_mps2 < 0.0:
            found.append((order.time_ns, Source(order.source).name.lower()))
            break
    found += [(time_ns, "vehicle") for time_ns, kind, _ in record.events if kind == FAULT and time_ns >= began_ns]
    found += [
        (motion.time_ns, "vehicle")
        for motion in record.motions
        if began_ns <= motion.time_ns <= ended_ns
        and (motion.mode == MODE_WATCHDOG or _brakes_itself(motion, orders, settle_ns))
    ]
    if found:
        return min(found)
    holds = [order.time_ns for order in orders if order.source == Source.HOLD]
    return (holds[0], "hold") if holds else (None, "")


def _brakes_itself(motion: Motion, orders: list[Order], settle_ns: int) -> bool:
    """Whether the vehicle brakes fully though no command of the last moment said so."""
    asked = [order.acceleration_mps2 for order in orders if 0 <= motion.time_ns - order.time_ns <= settle_ns]
    return motion.commanded_mps2 <= _FULL_MPS2 and not any(value <= _FULL_MPS2 for value in asked)


def _driven_on(
    record: Record, orders: list[Order], settled_ns: int, since_ns: int, ended_ns: int, must_stop: bool
) -> bool:
    """Whether the car was given throttle after the reaction; `settled_ns`: when the vehicle must have obeyed."""
    for order in orders:
        stopping = order.source in STOPPING or (must_stop and order.source != Source.HOLD)
        if order.time_ns > since_ns and stopping and order.acceleration_mps2 > _ROUNDING:
            return True
    return must_stop and any(
        motion.commanded_mps2 > _ROUNDING for motion in record.motions if settled_ns < motion.time_ns <= ended_ns
    )


def _allowed(order: Order, limits: Limits) -> bool:
    """Whether a command is finite and inside the limits."""
    values = (order.steering_rad, order.acceleration_mps2)
    if not all(math.isfinite(value) for value in values):
        return False
    low, high = -limits.deceleration_max_mps2 - _ROUNDING, limits.acceleration_max_mps2 + _ROUNDING
    return abs(order.steering_rad) <= limits.steering_max_rad + _ROUNDING and low <= order.acceleration_mps2 <= high


def _speed_at(motions: list[Motion], time_ns: int) -> float:
    before = [motion.speed_mps for motion in motions if motion.time_ns <= time_ns]
    return before[-1] if before else 0.0


def _stop_distance(record: Record, began_ns: int) -> float | None:
    stands = [m.time_ns for m in record.motions if m.time_ns > began_ns and m.speed_mps < STANDING_MPS]
    before = [place.progress_m for place in record.places if place.time_ns <= began_ns]
    if not stands or not before:
        return None
    after = [place.progress_m for place in record.places if place.time_ns >= stands[0]]
    return max(0.0, after[0] - before[-1]) if after else None


def _reasons(record: Record, began_ns: int, ended_ns: int) -> str:
    mask = 0
    for time_ns, _, reasons in record.states:
        if began_ns <= time_ns <= ended_ns:
            mask |= reasons
    return "; ".join(describe(mask))


def _period_rsd(orders: list[Order]) -> float | None:
    periods = np.diff([order.time_ns for order in orders])
    return float(np.std(periods) / np.mean(periods)) if len(periods) > 20 else None
