"""Has the car left its route, or will it in a moment? From route and odometry alone, without help from any model.

The receiver may be metres off and a route says nothing about the width of the road, so this is a backstop: it stops a
car that is plainly elsewhere, it does not keep a lane.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_planner.safety.limits import Limits

Floats = NDArray[np.float64]
Pose = tuple[float, float, float]  # x, y in m, yaw in rad, in the route's frame

_STEP_MIN_M = 1e-6
_YAW_RATE_BELIEVED_RADPS = 1.5


@dataclass(frozen=True, eq=False)
class Route:
    """A route ready to be measured against: its segments, none of them without length."""

    start: Floats  # [S, 2] m, where each begins
    along: Floats  # [S, 2] unit vector of each
    first: Floats  # [S] m along each from which on it counts; the route goes straight on before its first point
    last: Floats  # [S] m along each up to which it counts; the route goes straight on behind its last point
    length: Floats  # [S] m of each


def route_from(points: ArrayLike) -> Route | None:
    """The route through points [W, 2] in m; None where they are not finite or make no way."""
    way = np.asarray(points, dtype=np.float64)
    if way.ndim != 2 or way.shape[1] != 2 or not np.isfinite(way).all():
        return None
    steps = np.diff(way, axis=0)
    with np.errstate(over="ignore"):
        length = np.hypot(steps[:, 0], steps[:, 1])
    moving = np.isfinite(length) & (length > _STEP_MIN_M)
    if not moving.any():
        return None
    start, along, last = way[:-1][moving], steps[moving] / length[moving, None], length[moving]
    first = np.zeros_like(last)
    first[0], last[-1] = -math.inf, math.inf
    return Route(start, along, first, last, length[moving])


def distance_to(route: Route, x_m: float, y_m: float) -> float:
    """Metres from a place to the nearest point of the route."""
    return float(_beside(route, x_m, y_m)[1].min())


@lru_cache(maxsize=4)  # a decision asks for a place twice, and decisions between two of the odometry for the same
def _beside(route: Route, x_m: float, y_m: float) -> tuple[Floats, Floats]:
    """Of every stretch the point nearest to a place: how far along it, and how far from the place, m, [S] each."""
    x, y = x_m - route.start[:, 0], y_m - route.start[:, 1]
    along_x, along_y = route.along[:, 0], route.along[:, 1]
    at = np.minimum(np.maximum(x * along_x + y * along_y, route.first), route.last)
    return at, np.hypot(x - at * along_x, y - at * along_y)


def bend_ahead(route: Route, x_m: float, y_m: float, ahead_m: float) -> float:
    """Curvature in 1/m of the arc that leaves the route beside a place and meets it again `ahead_m` further on.

    Only the route's own shape counts, so that a receiver that is metres off changes little.
    """
    here, at, _ = _nearest(route, x_m, y_m)
    there, reached = _further(route, here, at, ahead_m)
    along = route.along[here]
    away = route.start[there] + reached * route.along[there] - route.start[here] - at * along
    return float(2.0 * (along[0] * away[1] - along[1] * away[0]) / max(away @ away, _STEP_MIN_M))


def arc_beside(route: Route, pose: Pose, beside_m: float, ahead_m: float) -> float:
    """Curvature in 1/m of the arc from a pose to the place `beside_m` left of the route, `ahead_m` further on.

    Pure pursuit (Coulter 1992) of a line that runs beside the route.
    """
    x, y, yaw = pose
    here, at, _ = _nearest(route, x, y)
    there, reached = _further(route, here, at, ahead_m)
    along = route.along[there]
    left = np.array([-along[1], along[0]])
    away = route.start[there] + reached * along + beside_m * left - np.array([x, y])
    sideways = math.cos(yaw) * away[1] - math.sin(yaw) * away[0]
    return float(2.0 * sideways / max(away @ away, _STEP_MIN_M))


def left_of(route: Route, x_m: float, y_m: float) -> float:
    """Metres from the route to a place, left of it positive."""
    here, _, off_m = _nearest(route, x_m, y_m)
    along, away = route.along[here], np.array([x_m, y_m]) - route.start[here]
    return math.copysign(off_m, float(along[0] * away[1] - along[1] * away[0]))


def _nearest(route: Route, x_m: float, y_m: float) -> tuple[int, float, float]:
    """The stretch nearest to a place, how far along it its nearest point lies, and how far from the place, m."""
    at, off_m = _beside(route, x_m, y_m)
    here = int(np.argmin(off_m))
    return here, float(at[here]), float(off_m[here])


def _further(route: Route, here: int, reached_m: float, ahead_m: float) -> tuple[int, float]:
    """The stretch that lies `ahead_m` along the route from `reached_m` on stretch `here`, and how far along it, m."""
    there, reached, left_m = here, reached_m, ahead_m
    while there < len(route.length) - 1 and left_m > route.length[there] - reached:
        left_m -= float(route.length[there]) - reached
        there, reached = there + 1, 0.0
    return there, reached + left_m


def off_route(route: Route | None, pose: Pose | None, speed_mps: float, yaw_rate_radps: float, limits: Limits) -> bool:
    """Whether the car is farther from its route than allowed, or will be in `departure_ahead_s` on its present arc.

    Without a route or a pose nothing is known and nothing is said.
    """
    if route is None or pose is None:
        return False
    x, y, yaw = pose
    turning = min(max(yaw_rate_radps, -_YAW_RATE_BELIEVED_RADPS), _YAW_RATE_BELIEVED_RADPS)
    chord = yaw + 0.5 * turning * limits.departure_ahead_s
    way = speed_mps * limits.departure_ahead_s
    ahead = distance_to(route, x + way * math.cos(chord), y + way * math.sin(chord))
    return max(distance_to(route, x, y), ahead) > limits.departure_max_m
