"""Networks from random numbers: roads, carriageways, ramps, junctions, roundabouts.

Each function returns a Layout: the network and the routes through it that scenarios use, by name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wm_sim.network.lanes import Lane, RoadNetwork
from wm_sim.network.line import line_of_curvature, offset
from wm_sim.network.paths import Path, route_path
from wm_sim.scene import LINE_STEP_M, LX, LY

BEFORE_START_M = 30.0
AFTER_END_M = 170.0
RADIUS_MIN_M, RADIUS_MAX_M = 15.0, 200.0
LATERAL_ACCEL_MPS2 = 2.2  # design speed: a curve can be driven at the limit with this much
HEADING_MAX_RAD = math.radians(80.0)  # about the road's general direction, so that it never meets itself
TURN_MIN_RAD = math.radians(15.0)


@dataclass(frozen=True)
class Layout:
    """A network and named routes through it."""

    network: RoadNetwork
    routes: dict[str, tuple[str, ...]] = field(repr=False)

    def path(self, route: str) -> Path:
        """The path of a named route."""
        return route_path(self.network, self.routes[route])


def road_line(
    rng: np.random.Generator, route_length_m: float, limit_mps: float, heading_max_rad: float = HEADING_MAX_RAD
) -> NDArray[np.float64]:
    """A line [N, 6] whose every curve can be driven at the limit; a route starts BEFORE_START_M along it."""
    length = BEFORE_START_M + route_length_m + AFTER_END_M
    radius_min = min(max(RADIUS_MIN_M, limit_mps**2 / LATERAL_ACCEL_MPS2), RADIUS_MAX_M)
    s = BEFORE_START_M + rng.uniform(8.0, 25.0)
    knots_s, knots_curvature = [0.0, s], [0.0, 0.0]
    heading = 0.0
    while s < length:
        target = heading
        while abs(target - heading) < TURN_MIN_RAD:
            target = rng.uniform(-heading_max_rad, heading_max_rad)
        turn = target - heading
        curvature = math.exp(-rng.uniform(math.log(radius_min), math.log(RADIUS_MAX_M)))
        transition = max(5.0, limit_mps * rng.uniform(0.9, 1.8))
        curvature = math.copysign(min(curvature, abs(turn) / transition), turn)
        arc = abs(turn / curvature) - transition
        for distance, value in ((transition, curvature), (arc, curvature), (transition, 0.0)):
            s += distance
            knots_s.append(s)
            knots_curvature.append(value)
        if rng.random() < 0.5:
            s += rng.uniform(0.3, 2.5) * limit_mps
            knots_s.append(s)
            knots_curvature.append(0.0)
        heading = target
    at = np.arange(int(length / LINE_STEP_M) + 1) * LINE_STEP_M
    curvature_at = np.interp(at, knots_s, knots_curvature)
    return line_of_curvature(curvature_at, rng.uniform(-math.pi, math.pi))


def straight_line(length_m: float, yaw: float = 0.0) -> NDArray[np.float64]:
    """A straight line [N, 6] from the origin."""
    return line_of_curvature(np.zeros(int(length_m / LINE_STEP_M) + 1), yaw)


def two_lane_road(line: NDArray[np.float64], limit_mps: float, width_m: float) -> Layout:
    """Two lanes with oncoming traffic on the left: the line is the middle of the right one. Routes ego, oncoming."""
    left, right, far = (offset(line, d * width_m) for d in (0.5, -0.5, 1.5))
    ego = Lane(
        "ego", left, right, limit_mps, line[:, LX : LY + 1], left_mark="dashed", left_neighbour="oncoming",
        left_oncoming=True,
    )  # fmt: skip
    oncoming = Lane(
        "oncoming", left[::-1], far[::-1], limit_mps, left_mark="dashed", left_neighbour="ego", left_oncoming=True
    )
    return Layout(RoadNetwork({"ego": ego, "oncoming": oncoming}), {"ego": ("ego",), "oncoming": ("oncoming",)})


def carriageway(line: NDArray[np.float64], limit_mps: float, width_m: float, lanes: int, along: int = 0) -> Layout:
    """Lanes 0 (rightmost) to lanes - 1 of the same direction; the line is the middle of lane `along`.

    Routes lane0, lane1, …; traffic on any of them may also follow one path at d = width_m * (lane - along).
    """
    found = {}
    for k in range(lanes):
        d = (k - along) * width_m
        found[f"lane{k}"] = Lane(
            f"lane{k}",
            offset(line, d + 0.5 * width_m),
            offset(line, d - 0.5 * width_m),
            limit_mps,
            offset(line, d),
            left_mark="dashed" if k < lanes - 1 else "solid",
            right_mark="dashed" if k > 0 else "solid",
            left_neighbour=f"lane{k + 1}" if k < lanes - 1 else None,
            right_neighbour=f"lane{k - 1}" if k > 0 else None,
        )
    return Layout(RoadNetwork(found), {name: (name,) for name in found})
