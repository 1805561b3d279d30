"""The expert: reads the world's truth, keeps the lane centre and a comfortable distance.

Steering is the curvature ahead (feedforward, of an average car) plus feedback on the lateral and heading error at a
point ahead; speed is IDM under the limit and under what the curves ahead allow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_sim.action import BRAKE_MAX_MPS2, from_physical
from wm_sim.roads import LCURVATURE, LINE_STEP_M
from wm_sim.traffic import GAP_MAX_M
from wm_sim.world import Frame, World


@dataclass(frozen=True)
class ExpertConfig:
    """How the expert drives; lengths m, speeds m/s."""

    wheelbase_m: float = 2.75
    understeer_s2pm2: float = 0.002
    delay_s: float = 0.15  # command to wheel: half a step, the steering lag, half a hold
    preview_s: float = 0.7
    preview_min_m: float = 3.0
    speed_share: float = 0.97  # of the limit
    lateral_accel_mps2: float = 2.2
    headway_s: float = 1.4
    standstill_m: float = 4.0
    accel_mps2: float = 1.6
    brake_mps2: float = 2.5
    speed_gain_1ps: float = 0.9


class ExpertDriver:
    """Drives by the truth: an upper mark for scores and the teacher of recorded drives."""

    def __init__(self, config: ExpertConfig = ExpertConfig()) -> None:
        self.config = config
        self._curvature: NDArray[np.float64] = np.zeros(1)
        self._start_s = 0.0

    def reset(self, world: World) -> None:
        self._curvature = world.scenario.road.line[:, LCURVATURE]
        self._start_s = world.scenario.start_s

    def act(self, frame: Frame) -> NDArray[np.float32]:
        return from_physical(self.steering(frame), self.acceleration(frame))

    def _curvature_at(self, s: float) -> float:
        index = min(max(round(s / LINE_STEP_M), 0), len(self._curvature) - 1)
        return float(self._curvature[index])

    def steering(self, frame: Frame, lateral_target_m: float = 0.0) -> float:
        """Steering angle (rad) that brings the car to `lateral_target_m` left of the lane centre."""
        c, truth, v = self.config, frame.truth, frame.speed_mps
        s = self._start_s + truth.progress_m + v * c.delay_s
        preview = max(c.preview_min_m, c.preview_s * v)
        # Pure pursuit of the error: the arc that cancels it `preview` metres ahead, on top of the road's own.
        lateral = truth.lateral_error_m - lateral_target_m + v * c.delay_s * math.sin(truth.heading_error_rad)
        correction = -2.0 * (lateral + preview * math.sin(truth.heading_error_rad)) / preview**2
        curvature = self._curvature_at(s) + correction
        gain = c.wheelbase_m * (1.0 + c.understeer_s2pm2 * v * v)
        return math.atan(gain * curvature)

    def acceleration(self, frame: Frame) -> float:
        """Acceleration (m/s²) by the limit, the curves ahead and the car ahead, whichever is least."""
        return min(self._free(frame), self._follow(frame))

    def _free(self, frame: Frame) -> float:
        c, v = self.config, frame.speed_mps
        s = self._start_s + frame.truth.progress_m
        target = c.speed_share * frame.speed_limit_mps
        wanted = c.speed_gain_1ps * (target - v)
        reach = max(10.0, v * v / (2.0 * 1.5))
        first = min(max(round(s / LINE_STEP_M), 0), len(self._curvature) - 1)
        curvature = np.abs(self._curvature[first : first + int(reach / LINE_STEP_M) + 1])
        allowed = np.sqrt(c.lateral_accel_mps2 / np.maximum(curvature, 1e-6))
        slowest = np.sqrt(allowed**2 + 2.0 * 1.5 * LINE_STEP_M * np.arange(len(allowed)))
        wanted = min(wanted, 1.5 * (float(slowest.min()) - v))
        return min(max(wanted, -c.brake_mps2), c.accel_mps2)

    def _follow(self, frame: Frame) -> float:
        c, truth, v = self.config, frame.truth, frame.speed_mps
        if truth.gap_ahead_m >= GAP_MAX_M:
            return c.accel_mps2
        closing = truth.closing_speed_mps
        wish = c.standstill_m + max(0.0, v * c.headway_s + v * closing / (2.0 * math.sqrt(c.accel_mps2 * c.brake_mps2)))
        comfortable = c.accel_mps2 * (1.0 - (wish / max(truth.gap_ahead_m, 0.5)) ** 2)
        needed = closing**2 / (2.0 * max(truth.gap_ahead_m - 2.0, 0.3)) if closing > 0.0 else 0.0
        floor = -max(c.brake_mps2, 1.3 * needed)  # no harder than comfort, unless it has to be
        return max(comfortable, floor, -BRAKE_MAX_MPS2)
