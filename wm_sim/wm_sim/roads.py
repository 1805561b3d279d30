"""Roads: a lane centre line of straights, clothoids and arcs, and where a point lies along it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import kernel

LINE_STEP_M = 0.5
BEFORE_START_M = 30.0
AFTER_END_M = 170.0
RADIUS_MIN_M, RADIUS_MAX_M = 15.0, 200.0
LATERAL_ACCEL_MPS2 = 2.2  # design speed: a curve can be driven at the limit with this much
HEADING_MAX_RAD = math.radians(80.0)  # about the road's general direction, so that it never meets itself
TURN_MIN_RAD = math.radians(15.0)

# Columns of a line.
LX, LY, LCOS, LSIN, LCURVATURE, LYAW = range(6)


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


def line_of_curvature(curvature: NDArray[np.float64], yaw: float) -> NDArray[np.float64]:
    """Integrate curvatures [N], one per LINE_STEP_M, into a line [N, 6] that starts at the origin with `yaw`."""
    middle = 0.5 * (curvature[1:] + curvature[:-1]) * LINE_STEP_M
    yaws = yaw + np.concatenate([[0.0], np.cumsum(middle)])
    half = 0.5 * (yaws[1:] + yaws[:-1])
    x = np.concatenate([[0.0], np.cumsum(np.cos(half) * LINE_STEP_M)])
    y = np.concatenate([[0.0], np.cumsum(np.sin(half) * LINE_STEP_M)])
    return np.ascontiguousarray(np.stack([x, y, np.cos(yaws), np.sin(yaws), curvature, yaws], axis=1))


def random_road(rng: np.random.Generator, route_length_m: float, speed_limit_mps: float, lane_width_m: float) -> Road:
    """A road whose every curve can be driven at the limit; the route starts BEFORE_START_M along it."""
    length = BEFORE_START_M + route_length_m + AFTER_END_M
    radius_min = min(max(RADIUS_MIN_M, speed_limit_mps**2 / LATERAL_ACCEL_MPS2), RADIUS_MAX_M)
    s = BEFORE_START_M + rng.uniform(8.0, 25.0)
    knots_s, knots_curvature = [0.0, s], [0.0, 0.0]
    heading = 0.0
    while s < length:
        target = heading
        while abs(target - heading) < TURN_MIN_RAD:
            target = rng.uniform(-HEADING_MAX_RAD, HEADING_MAX_RAD)
        turn = target - heading
        curvature = math.exp(-rng.uniform(math.log(radius_min), math.log(RADIUS_MAX_M)))
        transition = max(5.0, speed_limit_mps * rng.uniform(0.9, 1.8))
        curvature = math.copysign(min(curvature, abs(turn) / transition), turn)
        arc = abs(turn / curvature) - transition
        for distance, value in ((transition, curvature), (arc, curvature), (transition, 0.0)):
            s += distance
            knots_s.append(s)
            knots_curvature.append(value)
        if rng.random() < 0.5:
            s += rng.uniform(0.3, 2.5) * speed_limit_mps
            knots_s.append(s)
            knots_curvature.append(0.0)
        heading = target
    at = np.arange(int(length / LINE_STEP_M) + 1) * LINE_STEP_M
    curvature_at = np.interp(at, knots_s, knots_curvature)
    return Road(line_of_curvature(curvature_at, rng.uniform(-math.pi, math.pi)), lane_width_m)


@kernel
def locate(line: NDArray[np.float64], index: int, x: float, y: float) -> tuple[int, float, float]:
    """Nearest sample, arc length s and lateral offset d (left positive) of (x, y), walking on from sample `index`."""
    last = len(line) - 1
    along = 0.0
    d = 0.0
    for _ in range(12):
        rx = x - line[index, LX]
        ry = y - line[index, LY]
        d = ry * line[index, LCOS] - rx * line[index, LSIN]
        # Points left of a left curve are nearer to its centre: a metre there is more than a metre of the line.
        along = (rx * line[index, LCOS] + ry * line[index, LSIN]) / max(0.2, 1.0 - line[index, LCURVATURE] * d)
        step = int(np.rint(along / LINE_STEP_M))
        moved = min(max(index + step, 0), last)
        if moved == index:
            break
        index = moved
    return index, index * LINE_STEP_M + along, d
