"""A plan as the planner answers it: controls, what the model expects of them, and how the search ended."""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from wm_planner.objective import COLLISION, DISAGREEMENT, OFF_ROAD, RETURN
from wm_planner.solvers import Solution
from wm_sim.action import to_physical
from wm_sim.observation import STEP_S

Array = NDArray[np.float32]


class Status(IntEnum):
    """wm_msgs/Plan.status."""

    OK = 0
    INFEASIBLE = 1  # nothing evaluated was safe enough; this is the least risky
    FALLBACK = 2  # the belief or every outcome was not finite: full braking
    TIMEOUT = 3  # the deadline cut the search, or passed; this is the best so far


@dataclass(frozen=True, eq=False)
class Candidates:
    """What the last iteration of a search evaluated."""

    actions: Array  # [N, H, 2]
    value: Array  # [N] larger is better
    risk: Array  # [N] in units of what is allowed


@dataclass(frozen=True, eq=False)
class PlanResult:
    """A plan: controls from the frame on, one every step."""

    actions: Array  # [H, 2]
    steering_angle: Array  # [H] rad
    acceleration: Array  # [H] m/s²
    speed: Array  # [H] m/s, at the end of each step
    expected_return: float
    collision_prob: float  # 0..1
    off_road_prob: float  # 0..1
    disagreement: float  # over its validation p95
    value: float  # what the objective makes of it all
    solve_ms: float
    samples: int  # candidates imagined, or left out because they could not be among the best
    status: Status
    candidates: Candidates | None = None  # where they were asked for


def plan_found(
    solution: Solution, speed_mps: float, took_s: float, deadline_s: float | None, candidates: Candidates | None
) -> PlanResult:
    """The plan that a search ended with, and what its end says."""
    if not solution.feasible:
        status = Status.INFEASIBLE
    elif not solution.complete or (deadline_s is not None and took_s > deadline_s):
        status = Status.TIMEOUT
    else:
        status = Status.OK
    steering_angle, acceleration = to_physical(solution.actions)
    detail = solution.detail
    return PlanResult(
        actions=solution.actions,
        steering_angle=steering_angle,
        acceleration=acceleration,
        speed=predicted_speed(speed_mps, acceleration),
        expected_return=float(detail[RETURN]),
        collision_prob=float(detail[COLLISION]),
        off_road_prob=float(detail[OFF_ROAD]),
        disagreement=float(detail[DISAGREEMENT]),
        value=solution.value,
        solve_ms=took_s * 1e3,
        samples=solution.samples,
        status=status,
        candidates=candidates,
    )


def full_braking(before: Array, horizon: int, speed_mps: float, took_s: float, samples: int) -> PlanResult:
    """FALLBACK: the brakes, with the steering of the action in force [2] held."""
    actions = np.empty((horizon, 2), np.float32)
    actions[:, 0], actions[:, 1] = before[0], -1.0
    steering_angle, acceleration = to_physical(actions)
    return PlanResult(
        actions=actions,
        steering_angle=steering_angle,
        acceleration=acceleration,
        speed=predicted_speed(speed_mps if math.isfinite(speed_mps) else 0.0, acceleration),
        expected_return=0.0,
        collision_prob=1.0,
        off_road_prob=1.0,
        disagreement=0.0,
        value=-math.inf,
        solve_ms=took_s * 1e3,
        samples=samples,
        status=Status.FALLBACK,
    )


def predicted_speed(speed_mps: float, acceleration: Array) -> Array:
    """Speed at the end of each step [..., H] in m/s, never below zero, driving `acceleration` [..., H] from there."""
    speed = np.empty(acceleration.shape, np.float32)
    now = np.full(acceleration.shape[:-1], max(0.0, speed_mps))
    for step in range(acceleration.shape[-1]):
        now = np.maximum(0.0, now + acceleration[..., step].astype(np.float64) * STEP_S)
        speed[..., step] = now
    return speed
