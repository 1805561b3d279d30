"""Boxes around a car: what a scan of 72 beams sees of them, and which of them is ahead in its lane."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.frame import Pose
from wm_sim.observation import LIDAR_X_M, SCAN_ANGLE_MIN_RAD, SCAN_MAX_M, SCAN_SECTOR_RAD, SCAN_SIZE

RAYS = 3  # a sector; the nearest counts
# Columns of a box.
X, Y, YAW, LENGTH, WIDTH, SPEED = range(6)


def corners(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners [K, 4, 2] of boxes [K, 6], in order around each."""
    cos, sin = np.cos(boxes[:, YAW]), np.sin(boxes[:, YAW])
    along = 0.5 * boxes[:, LENGTH, None] * np.array([1.0, 1.0, -1.0, -1.0])
    beside = 0.5 * boxes[:, WIDTH, None] * np.array([1.0, -1.0, -1.0, 1.0])
    x = boxes[:, X, None] + along * cos[:, None] - beside * sin[:, None]
    y = boxes[:, Y, None] + along * sin[:, None] + beside * cos[:, None]
    return np.stack([x, y], axis=-1)


def scan_of(boxes: NDArray[np.float64], pose: Pose) -> NDArray[np.float32]:
    """Ranges [72] m of a lidar on the car whose base_link stands at `pose`; 60 where no box [K, 6] is."""
    ranges = np.full(SCAN_SIZE, SCAN_MAX_M)
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    x, y = pose[0] + LIDAR_X_M * cos, pose[1] + LIDAR_X_M * sin
    reach = SCAN_MAX_M + 0.5 * np.hypot(boxes[:, LENGTH], boxes[:, WIDTH])
    near = boxes[np.hypot(boxes[:, X] - x, boxes[:, Y] - y) < reach]
    if not len(near):
        return ranges.astype(np.float32)
    offsets = (np.arange(RAYS) - 0.5 * (RAYS - 1)) / RAYS
    bearing = SCAN_ANGLE_MIN_RAD + SCAN_SECTOR_RAD * (np.arange(SCAN_SIZE)[:, None] + offsets)  # [72, RAYS]
    angle = (pose[2] + bearing).reshape(-1, 1)
    dx, dy = np.cos(angle), np.sin(angle)  # [72 * RAYS, 1]
    points = corners(near)
    start = points.reshape(-1, 2) - (x, y)  # [4K, 2]
    edge = np.roll(points, -1, axis=1).reshape(-1, 2) - points.reshape(-1, 2)
    cross = dx * edge[:, 1] - dy * edge[:, 0]  # [R, 4K]
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = (start[:, 0] * edge[:, 1] - start[:, 1] * edge[:, 0]) / cross
        share = (start[:, 0] * dy - start[:, 1] * dx) / cross
    hit = (distance >= 0.0) & (share >= 0.0) & (share <= 1.0)
    nearest = np.where(hit, distance, SCAN_MAX_M).min(axis=1).reshape(SCAN_SIZE, RAYS).min(axis=1)
    return np.minimum(ranges, nearest).astype(np.float32)
