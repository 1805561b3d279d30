"""The route of bags that hold none: where the car went on to drive."""

from __future__ import annotations

import numpy as np

from wm_sim.observation import ROUTE_LOOKAHEAD_M

SPACING_M = 0.5  # of the driven path's points, so that a standing car's noise has no length


def straight_route(frames: int) -> np.ndarray:
    """The points of a route that goes straight on. float64[T, 8]"""
    return np.tile([float(v) for d in ROUTE_LOOKAHEAD_M for v in (d, 0.0)], (frames, 1))


def driven_route(poses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points 10, 20, 40, 80 m ahead along the path driven from each pose on, in base_link, and which were reached.

    poses: x, y (m), yaw (rad) [T, 3] of one uninterrupted stretch. Points [T, 8]; reached bool[T, 4]. Behind the last
    pose the path goes straight on in its direction.
    """
    x, y, yaw = poses.T
    corner, along = _path(x, y)  # indices of the path's points; distance driven at each of them and each frame
    at = np.interp(np.arange(len(x)), corner, along)
    end = along[-1]
    points, reached = np.empty((len(x), 2 * len(ROUTE_LOOKAHEAD_M))), np.empty((len(x), len(ROUTE_LOOKAHEAD_M)), bool)
    heading = yaw[corner[-1]]
    for k, distance in enumerate(ROUTE_LOOKAHEAD_M):
        ahead = at + distance
        beyond = np.maximum(ahead - end, 0.0)
        px = np.interp(ahead, along, x[corner]) + beyond * np.cos(heading) - x
        py = np.interp(ahead, along, y[corner]) + beyond * np.sin(heading) - y
        points[:, 2 * k] = np.cos(yaw) * px + np.sin(yaw) * py
        points[:, 2 * k + 1] = np.cos(yaw) * py - np.sin(yaw) * px
        reached[:, k] = ahead <= end
    return points, reached


def _path(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    corners = [0]
    for i in range(1, len(x)):
        if np.hypot(x[i] - x[corners[-1]], y[i] - y[corners[-1]]) >= SPACING_M:
            corners.append(i)
    corner = np.array(corners)
    return corner, np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x[corner]), np.diff(y[corner])))))
