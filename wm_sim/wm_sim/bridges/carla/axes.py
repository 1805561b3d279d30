"""CARLA's left-handed axes (y right, degrees, clockwise) and ours (REP-103: y left, rad, counter-clockwise)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import carla

KMH_PER_MPS = 3.6


def to_ours(points: ArrayLike) -> NDArray[np.float64]:
    """Points or vectors [..., 2 or 3] of CARLA, m, in our axes; the same the other way."""
    flipped = np.array(points, dtype=np.float64)
    flipped[..., 1] *= -1.0
    return flipped


def yaw_to_ours(yaw_deg: float) -> float:
    """Yaw in rad, counter-clockwise, in [-pi, pi]."""
    return math.remainder(-math.radians(yaw_deg), 2.0 * math.pi)


def rate_to_ours(rate_dps: float) -> float:
    """Yaw rate in rad/s, left positive."""
    return -math.radians(rate_dps)


def pose_to_ours(transform: carla.Transform) -> tuple[float, float, float]:
    """x, y (m) and yaw (rad) in map."""
    return transform.location.x, -transform.location.y, yaw_to_ours(transform.rotation.yaw)


def along(vector: carla.Vector3D, yaw_rad: float) -> float:
    """The part of a CARLA vector that points along one of our headings."""
    return float(vector.x * math.cos(yaw_rad) - vector.y * math.sin(yaw_rad))


def rear_axle(x: float, y: float, yaw: float, rear_x_m: float) -> tuple[float, float, float]:
    """base_link's pose from that of the actor, whose rear axle is at rear_x_m of its own x axis."""
    return x + rear_x_m * math.cos(yaw), y + rear_x_m * math.sin(yaw), yaw
