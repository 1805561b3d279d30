"""The two-lane road as one line; what is left of it here is in `network`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_sim.network.generate import (
    AFTER_END_M,
    BEFORE_START_M,
    LATERAL_ACCEL_MPS2,
    RADIUS_MAX_M,
    RADIUS_MIN_M,
    road_line,
)
from wm_sim.network.line import line_of_curvature, locate
from wm_sim.scene import LCOS, LCURVATURE, LINE_STEP_M, LSIN, LX, LY, LYAW


@dataclass(frozen=True)
class Road:
    """The ego's lane, the right one of two, sampled every LINE_STEP_M along its centre."""

    line: NDArray[np.float64]  # [N, 6]: x, y, cos yaw, sin yaw, curvature (1/m, left positive), yaw
    lane_width_m: float

    def point(self, s: float, d: float = 0.0) -> tuple[float, float, float]:
        """x, y, yaw of the point at arc length s, d metres left of the centre line."""
        i = min(max(round(s / LINE_STEP_M), 0), len(self.line) - 1)
        row = self.line[i]
        along = s - i * LINE_STEP_M
        yaw = float(row[LYAW] + row[LCURVATURE] * along)
        x = float(row[LX] + along * row[LCOS] - d * row[LSIN])
        y = float(row[LY] + along * row[LSIN] + d * row[LCOS])
        return x, y, yaw

    def polyline(self, start_s: float, end_s: float, spacing: float = 2.0) -> NDArray[np.float64]:
        """Points [M, 2] of the centre line from start_s to end_s."""
        s = np.linspace(start_s, end_s, max(2, round((end_s - start_s) / spacing) + 1))
        at = np.arange(len(self.line)) * LINE_STEP_M
        return np.stack([np.interp(s, at, self.line[:, LX]), np.interp(s, at, self.line[:, LY])], axis=1)


def random_road(rng: np.random.Generator, route_length_m: float, speed_limit_mps: float, lane_width_m: float) -> Road:
    """A road whose every curve can be driven at the limit; the route starts BEFORE_START_M along it."""
    return Road(road_line(rng, route_length_m, speed_limit_mps), lane_width_m)
