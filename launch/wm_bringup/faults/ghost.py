"""Something that stands in the path all at once, as a lidar would see it. No ROS import."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

HALF_WIDTH_M = 0.9  # of what stands there
NEAREST_M = 2.5  # before the bumper: it never touches the car
REACH_M = 60.0


@dataclass
class Ghost:
    """A wall across the lane, `ahead_m` before the bumper at the first scan and nearer by `speed_mps` from then on.

    The car that brakes for it comes nearer more slowly than that: who stops for the ghost stops for the real thing.
    """

    ahead_m: float
    speed_mps: float
    lidar_to_bumper_m: float
    _first_ns: int | None = field(default=None, repr=False)

    def into(self, ranges: NDArray[np.float32], angles: NDArray[np.float64], stamp_ns: int) -> NDArray[np.float32]:
        """Ranges [B] m in directions `angles` [B] rad with the ghost among them."""
        if self._first_ns is None:
            self._first_ns = stamp_ns
        gone_m = self.speed_mps * max(0, stamp_ns - self._first_ns) * 1e-9
        ahead_m = max(self.ahead_m - gone_m, NEAREST_M) + self.lidar_to_bumper_m
        facing = np.abs(angles) < math.atan2(HALF_WIDTH_M, ahead_m) + np.abs(np.diff(angles)).min() / 2.0
        seen_m = ahead_m / np.cos(np.where(facing, angles, 0.0))
        return np.where(facing & (seen_m < REACH_M), np.minimum(ranges, seen_m), ranges).astype(np.float32)
