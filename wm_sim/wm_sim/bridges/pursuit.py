"""The expert of the bridges: pure pursuit of the true centre line, at a pace that curves and the car ahead allow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wm_sim.action import from_physical
from wm_sim.bridges.line import Line
from wm_sim.frame import Frame

IDM_MOST = 9.0  # squeeze beyond which braking is full


class OnLine(Protocol):
    """What the driver reads off a simulator beside its frames: where the car is on which line."""

    line: Line

    @property
    def along_m(self) -> float: ...


@dataclass(frozen=True)
class PursuitConfig:
    """How it drives; lengths m, speeds m/s. The names that ExpertConfig has too are styles that collecting varies."""

    wheelbase_m: float
    lateral_mps2: float = 2.5  # in curves
    speed_share: float = 1.0  # of the limit
    headway_s: float = 1.2
    standstill_m: float = 3.0
    accel_mps2: float = 1.6
    brake_mps2: float = 3.0
    speed_gain_1ps: float = 1.5
    preview_s: float = 0.6
    preview_min_m: float = 4.0


class PursuitDriver:
    """Privileged: reads the simulator's line and the frame's truth."""

    def __init__(self, config: PursuitConfig) -> None:
        self.config = config

    def reset(self, world: OnLine) -> None:
        self._world = world

    def act(self, frame: Frame) -> NDArray[np.float32]:
        return from_physical(self.steering(frame), self._acceleration(frame))

    def steering(self, frame: Frame, lateral_target_m: float = 0.0) -> float:
        """Steering angle (rad) of the arc to a point of the line ahead, `lateral_target_m` left of it."""
        c, line = self.config, self._world.line
        reach = max(c.preview_min_m, c.preview_s * frame.speed_mps)
        s = self._world.along_m + reach
        heading = line.heading(s % line.length_m if line.closed else s)
        px, py = line.point(s)
        px, py = px - lateral_target_m * math.sin(heading), py + lateral_target_m * math.cos(heading)
        x, y, yaw = frame.true_pose
        dx, dy = px - x, py - y
        side = math.cos(yaw) * dy - math.sin(yaw) * dx
        return math.atan(2.0 * c.wheelbase_m * side / max(dx * dx + dy * dy, 1.0))

    def _acceleration(self, frame: Frame) -> float:
        c, v = self.config, frame.speed_mps
        wish = min(c.speed_gain_1ps * (self._pace(v, frame.speed_limit_mps) - v), c.accel_mps2)
        gap = frame.truth.gap_ahead_m
        if gap < 60.0:
            # The intelligent driver model (Treiber et al. 2000).
            closing = v * frame.truth.closing_speed_mps / (2.0 * math.sqrt(c.accel_mps2 * c.brake_mps2))
            wanted = c.standstill_m + max(v * c.headway_s + closing, 0.0)
            squeeze = min((wanted / max(gap, 0.1)) ** 2, IDM_MOST)
            wish = min(wish, c.accel_mps2 * (1.0 - squeeze))
        return wish

    def _pace(self, v: float, limit: float) -> float:
        """Most speed now from which braking reaches the pace of every curve ahead."""
        c, line = self.config, self._world.line
        best = c.speed_share * limit
        for ahead in np.arange(0.0, max(v * v / (2.0 * c.brake_mps2) + 10.0, 12.0), 2.0).tolist():
            bend = abs(line.curvature(self._world.along_m + ahead))
            curve = math.sqrt(c.lateral_mps2 / max(bend, 1e-4))
            best = min(best, math.sqrt(curve * curve + 2.0 * c.brake_mps2 * ahead))
        return best
