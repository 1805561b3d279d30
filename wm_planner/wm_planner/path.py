"""Where a plan leads, for people and for pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_planner.safety.limits import Limits

WHEELBASE_M = Limits().wheelbase_m


def plan_path(
    steering_angle: ArrayLike, speed: ArrayLike, dt: float, wheelbase_m: float = WHEELBASE_M
) -> NDArray[np.float64]:
    """Positions [..., H + 1, 2] in base_link, m, of a kinematic car that follows the plan.

    steering_angle [..., H] rad, left positive; speed [..., H] m/s, reached at the end of each step.
    """
    steering = np.asarray(steering_angle, np.float64)
    travelled = np.asarray(speed, np.float64) * dt
    turned = travelled * np.tan(steering) / wheelbase_m
    yaw = np.cumsum(turned, axis=-1) - 0.5 * turned  # in the middle of each step
    points = np.zeros((*steering.shape[:-1], steering.shape[-1] + 1, 2))
    points[..., 1:, 0] = np.cumsum(travelled * np.cos(yaw), axis=-1)
    points[..., 1:, 1] = np.cumsum(travelled * np.sin(yaw), axis=-1)
    return points
