"""Reading one field out of one message, whatever the message is called."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wm_sim.observation import SCAN_ANGLE_MIN_RAD, SCAN_MAX_M, SCAN_SECTOR_RAD, SCAN_SIZE


def at_path(message: Any, path: str) -> Any:
    """What lies at a path such as `drive.steering_angle` or `axes.1`; the message itself for an empty path."""
    for part in path.split(".") if path else ():
        message = message[int(part)] if part.isdigit() else getattr(message, part)
    return message


def scalar(message: Any, path: str) -> float:
    """A number or a flag."""
    return float(at_path(message, path))


def pose(message: Any, path: str) -> tuple[float, float, float]:
    """x, y (m), yaw (rad) of a Pose or a Transform, also one within PoseStamped and the like."""
    found = at_path(message, path)
    while hasattr(found, "pose"):
        found = found.pose
    if hasattr(found, "transform"):
        found = found.transform
    point = found.position if hasattr(found, "position") else found.translation
    turn = found.orientation if hasattr(found, "orientation") else found.rotation
    yaw = math.atan2(2.0 * (turn.w * turn.z + turn.x * turn.y), 1.0 - 2.0 * (turn.y * turn.y + turn.z * turn.z))
    return float(point.x), float(point.y), yaw


def polyline(message: Any, path: str) -> np.ndarray:
    """The points of a nav_msgs/Path or of any list of poses or points. float64[M, 2]"""
    points = [getattr(p, "pose", p) for p in at_path(message, path or "poses")]
    points = [getattr(p, "position", p) for p in points]
    return np.array([(p.x, p.y) for p in points], np.float64).reshape(-1, 2)


def sectors(message: Any, path: str) -> np.ndarray:
    """The nearest return of a LaserScan in each of our 72 sectors, m; 60 where there is none. float64[72]"""
    scan = at_path(message, path)
    ranges = np.asarray(scan.ranges, np.float64)
    angles = scan.angle_min + np.arange(len(ranges)) * scan.angle_increment
    sector = np.floor((angles - SCAN_ANGLE_MIN_RAD) / SCAN_SECTOR_RAD + 0.5).astype(np.int64) % SCAN_SIZE
    seen = np.isfinite(ranges) & (ranges >= scan.range_min) & (ranges <= scan.range_max) & (ranges > 0.0)
    out = np.full(SCAN_SIZE, SCAN_MAX_M)
    np.minimum.at(out, sector[seen], ranges[seen])
    return out


VALUES: dict[str, Callable[[Any, str], Any]] = {"pose": pose, "route": polyline, "scan": sectors}
