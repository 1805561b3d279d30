"""The observation layout: what every driver, node, bag and model agrees on. NumPy only.

The environment, the perception node and the bag reader all build `state` with the functions below from the same
quantised inputs (status fields float32, pose and route float64), so that they agree bit for bit.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_sim.errors import SimError

STEP_S = 0.1
PHYSICS_STEP_S = 0.05

CAMERA_SHAPE = (64, 64, 3)
CAMERA_X_M = 1.3  # ahead of base_link, the rear axle
CAMERA_Z_M = 1.5
CAMERA_PITCH_RAD = math.radians(8.0)  # downwards
CAMERA_HFOV_RAD = math.radians(90.0)

SCAN_SIZE = 72
SCAN_MAX_M = 60.0  # also the value of a sector without a return
SCAN_SECTOR_RAD = 2.0 * math.pi / SCAN_SIZE
SCAN_ANGLE_MIN_RAD = -math.pi + SCAN_SECTOR_RAD / 2  # centre of sector 0; angles grow to the left
LIDAR_X_M = 1.3
LIDAR_Z_M = 1.8

EGO_LENGTH_M = 4.508
EGO_WIDTH_M = 1.610
EGO_CENTRE_X_M = 1.29  # middle of the body ahead of base_link
EGO_FRONT_X_M = EGO_CENTRE_X_M + EGO_LENGTH_M / 2

ROUTE_LOOKAHEAD_M = (10, 20, 40, 80)
STATE_NAMES = (
    "speed_mps",
    "acceleration_mps2",
    "yaw_rate_radps",
    "steering_angle_rad",
    "previous_steer",
    "previous_accel",
    "speed_limit_mps",
    *(f"route_{distance}_{axis}" for distance in ROUTE_LOOKAHEAD_M for axis in "xy"),
)
STATE_SIZE = len(STATE_NAMES)  # 15

SEGMENTS_BACK, SEGMENTS_FORWARD = 3, 7  # searched around the last one before looking everywhere
LOST_M = 12.0
YAW_STEPS_1PRAD = 2.0**30  # the yaw is rounded, so that one that went through a quaternion gives the same points


def route_segments(route_xy: ArrayLike) -> NDArray[np.float64]:
    """The route's segments [W, 5]: x, y of the first end (m), length (m), direction x, y. Equal points count once."""
    route = np.asarray(route_xy, dtype=np.float64)
    if route.ndim != 2 or route.shape[1] != 2 or len(route) < 2 or not np.isfinite(route).all():
        raise SimError(f"route of shape {route.shape}: expected two or more finite (x, y) points; reset the simulator")
    steps = np.diff(route, axis=0)
    moving = np.any(steps != 0.0, axis=1)
    if not moving.all():
        route = route[np.concatenate([[True], moving])]
        if len(route) < 2:
            raise SimError("route whose points all coincide: expected a path with a length; reset the simulator")
        steps = np.diff(route, axis=0)
    segments = np.empty((len(steps), 5))
    segments[:, :2] = route[:-1]
    segments[:, 2] = np.hypot(steps[:, 0], steps[:, 1])
    segments[:, 3:] = steps / segments[:, 2:3]
    return segments


class RouteTracker:
    """Looks ahead along one route, remembering where it was so that each look is short.

    The memory only saves work: on routes that do not come back to themselves the answer is that of `route_ahead`.
    """

    def __init__(self, route_xy: ArrayLike) -> None:
        self._x, self._y, self._length, self._tx, self._ty = route_segments(route_xy).T.tolist()
        self._segment: int | None = None

    def _nearest(self, x: float, y: float, first: int, last: int) -> tuple[float, int, float]:
        """Squared distance, segment and distance along it of the point of segments first..last nearest to (x, y)."""
        best, best_segment, best_along = math.inf, first, 0.0
        end = len(self._length) - 1
        for i in range(first, last + 1):
            rx, ry = x - self._x[i], y - self._y[i]
            along = rx * self._tx[i] + ry * self._ty[i]
            if along < 0.0 and i > 0:
                along = 0.0
            elif along > self._length[i] and i < end:
                along = self._length[i]
            ex, ey = rx - along * self._tx[i], ry - along * self._ty[i]
            distance = ex * ex + ey * ey
            if distance < best:
                best, best_segment, best_along = distance, i, along
        return best, best_segment, best_along

    def project(self, x: float, y: float) -> tuple[int, float]:
        """Segment and distance along it (m) of the route point nearest to (x, y)."""
        end = len(self._length) - 1
        if self._segment is not None:
            first, last = max(0, self._segment - SEGMENTS_BACK), min(end, self._segment + SEGMENTS_FORWARD)
            distance, segment, along = self._nearest(x, y, first, last)
            at_edge = (segment == first and first > 0) or (segment == last and last < end)
            if distance < LOST_M * LOST_M and not at_edge:
                self._segment = segment
                return segment, along
        _, segment, along = self._nearest(x, y, 0, end)
        self._segment = segment
        return segment, along

    def ahead(self, x: float, y: float, yaw: float) -> NDArray[np.float32]:
        """Route points 10, 20, 40 and 80 m along the route from the pose, in base_link: x, y, x, y, … [8]."""
        x, y, yaw = float(x), float(y), float(yaw)
        if not (math.isfinite(x) and math.isfinite(y) and math.isfinite(yaw)):
            raise SimError(f"pose ({x}, {y}, {yaw}) is not finite; check the odometry source")
        yaw = round(yaw * YAW_STEPS_1PRAD) / YAW_STEPS_1PRAD
        segment, along = self.project(x, y)
        cos, sin = math.cos(yaw), math.sin(yaw)
        end = len(self._length) - 1
        points = np.empty(2 * len(ROUTE_LOOKAHEAD_M), dtype=np.float32)
        passed = 0.0
        for k, distance in enumerate(ROUTE_LOOKAHEAD_M):
            along += distance - passed
            passed = float(distance)
            while segment < end and along > self._length[segment]:
                along -= self._length[segment]
                segment += 1
            dx = self._x[segment] + along * self._tx[segment] - x
            dy = self._y[segment] + along * self._ty[segment] - y
            points[2 * k] = cos * dx + sin * dy
            points[2 * k + 1] = cos * dy - sin * dx
        return points


def route_ahead(route_xy: ArrayLike, x: float, y: float, yaw: float) -> NDArray[np.float32]:
    """Route points 10, 20, 40, 80 m ahead of a pose (map frame, m, rad), in base_link: float32 [8] = x, y, x, y, ….

    The (biased) pose is projected on the polyline `route_xy` [M, 2]; beyond its ends the route goes straight on.
    """
    return RouteTracker(route_xy).ahead(x, y, yaw)


def state_vector(
    speed: float,
    acceleration: float,
    yaw_rate: float,
    steering_angle: float,
    previous_action: ArrayLike,
    speed_limit: float,
    route8: ArrayLike,
) -> NDArray[np.float32]:
    """The state part of an observation, float32 [15] in the order of STATE_NAMES; SI units, action in [-1, 1]²."""
    state = np.empty(STATE_SIZE, dtype=np.float32)
    state[0] = speed
    state[1] = acceleration
    state[2] = yaw_rate
    state[3] = steering_angle
    state[4:6] = previous_action
    state[6] = speed_limit
    state[7:] = route8
    return state
