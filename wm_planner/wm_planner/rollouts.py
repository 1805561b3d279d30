"""What a search looked at, for pictures: where its candidates lead, and how good and how risky they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_planner.path import WHEELBASE_M, plan_path
from wm_planner.plan_result import PlanResult, predicted_speed
from wm_sim.action import to_physical
from wm_sim.observation import STEP_S


@dataclass(frozen=True, eq=False)
class Rollouts:
    """Paths in base_link, m, with what colours them."""

    chosen: NDArray[np.float64]  # [H + 1, 2]
    paths: NDArray[np.float64]  # [N, H + 1, 2]
    goodness: NDArray[np.float64]  # [N] 0 the least valued of those shown, 1 the most
    risk: NDArray[np.float64]  # [N] 0 none, 1 at the limit and beyond


def rollouts(plan: PlanResult, speed_mps: float, wheelbase_m: float = WHEELBASE_M) -> Rollouts:
    """The candidates of a plan that was made with `show`, followed by a kinematic car; without them only the plan."""
    chosen = plan_path(plan.steering_angle, plan.speed, STEP_S, wheelbase_m)
    shown = plan.candidates
    if shown is None:
        return Rollouts(chosen, np.zeros((0, *chosen.shape)), np.zeros(0), np.zeros(0))
    steering_angle, acceleration = to_physical(shown.actions)
    paths = plan_path(steering_angle, predicted_speed(speed_mps, acceleration), STEP_S, wheelbase_m)
    return Rollouts(chosen, paths, _between(shown.value), np.clip(np.nan_to_num(shown.risk, nan=1.0), 0.0, 1.0))


def _between(value: NDArray[np.float32]) -> NDArray[np.float64]:
    """Values as places between the least (0) and the largest finite one (1)."""
    finite = np.isfinite(value)
    if not finite.any():
        return np.zeros(len(value))
    low, high = float(value[finite].min()), float(value[finite].max())
    place = (np.where(finite, value, low) - low) / max(high - low, 1e-9)
    return np.asarray(place, np.float64)
