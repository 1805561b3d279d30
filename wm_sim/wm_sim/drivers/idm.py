"""The plain baseline: IDM speed and textbook pure pursuit, no preview of curvature, no yielding, no lights."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.action import from_physical
from wm_sim.scene import LINE_STEP_M, LX, LY, START_S
from wm_sim.world import Frame, World

WHEELBASE_M = 2.75
ACCEL_MPS2, BRAKE_MPS2, BRAKE_MOST_MPS2 = 1.8, 2.5, 8.0
HEADWAY_S, STANDSTILL_M = 1.5, 3.0
LOOKAHEAD_S, LOOKAHEAD_MIN_M = 0.8, 5.0
NO_LEAD_M = 60.0  # the gap that stands for a free road


class IdmDriver:
    """Follows a point ahead on the route at the limit, IDM behind whatever is ahead on it."""

    def reset(self, world: World) -> None:
        scene = world.scenario.scene
        self._line = scene.paths[: scene.first[1]]
        self._start_s = float(scene.setup[START_S])

    def act(self, frame: Frame) -> NDArray[np.float32]:
        v, truth = frame.speed_mps, frame.truth
        ahead = max(LOOKAHEAD_MIN_M, LOOKAHEAD_S * v)
        index = min(round((self._start_s + truth.progress_m + ahead) / LINE_STEP_M), len(self._line) - 1)
        x, y, yaw = frame.true_pose
        dx, dy = self._line[index, LX] - x, self._line[index, LY] - y
        aside = math.cos(yaw) * dy - math.sin(yaw) * dx
        steering = math.atan(WHEELBASE_M * 2.0 * aside / (dx * dx + dy * dy))
        gap = truth.gap_ahead_m if truth.gap_ahead_m < NO_LEAD_M else math.inf
        return from_physical(steering, idm(v, frame.speed_limit_mps, gap, truth.closing_speed_mps))


def idm(v: float, desired: float, gap: float, closing: float) -> float:
    """Acceleration (m/s²) of the Intelligent Driver Model (Treiber et al. 2000); gap bumper to bumper, inf if none."""
    wish = STANDSTILL_M + max(0.0, v * HEADWAY_S + 0.5 * v * closing / math.sqrt(ACCEL_MPS2 * BRAKE_MPS2))
    wanted = ACCEL_MPS2 * (1.0 - (v / max(desired, 0.1)) ** 4 - (wish / max(gap, 0.1)) ** 2)
    return min(max(wanted, -BRAKE_MOST_MPS2), ACCEL_MPS2)
