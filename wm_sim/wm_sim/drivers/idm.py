"""The plain baseline: IDM speed and textbook pure pursuit, no preview of curvature."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.action import from_physical
from wm_sim.roads import LINE_STEP_M, LX, LY
from wm_sim.traffic import GAP_MAX_M, idm
from wm_sim.world import Frame, World

WHEELBASE_M = 2.75
HEADWAY_S, STANDSTILL_M = 1.5, 3.0
LOOKAHEAD_S, LOOKAHEAD_MIN_M = 0.8, 5.0


class IdmDriver:
    """Follows a point ahead on the true lane centre at the limit, IDM behind other cars."""

    def reset(self, world: World) -> None:
        self._line = world.scenario.road.line
        self._start_s = world.scenario.start_s

    def act(self, frame: Frame) -> NDArray[np.float32]:
        v, truth = frame.speed_mps, frame.truth
        ahead = max(LOOKAHEAD_MIN_M, LOOKAHEAD_S * v)
        index = min(round((self._start_s + truth.progress_m + ahead) / LINE_STEP_M), len(self._line) - 1)
        x, y, yaw = frame.true_pose
        dx, dy = self._line[index, LX] - x, self._line[index, LY] - y
        aside = math.cos(yaw) * dy - math.sin(yaw) * dx
        steering = math.atan(WHEELBASE_M * 2.0 * aside / (dx * dx + dy * dy))
        gap = truth.gap_ahead_m if truth.gap_ahead_m < GAP_MAX_M else math.inf
        acceleration = idm(v, frame.speed_limit_mps, gap, truth.closing_speed_mps, HEADWAY_S, STANDSTILL_M)
        return from_physical(steering, acceleration)
