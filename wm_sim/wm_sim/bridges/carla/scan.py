"""Lidar points to the stack's scan: 72 sectors of 5 degrees, each the nearest thing in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wm_sim.observation import LIDAR_Z_M, SCAN_MAX_M, SCAN_SECTOR_RAD, SCAN_SIZE

SEMANTIC_POINT = np.dtype([("xyz", "<f4", 3), ("cos_incidence", "<f4"), ("object", "<u4"), ("tag", "<u4")])
PLAIN_POINT = np.dtype([("xyz", "<f4", 3), ("intensity", "<f4")])
# CityObjectLabel of 0.9.14 and later: pedestrians to bicycles, and loose things.
USER_TAGS = (12, 13, 14, 15, 16, 17, 18, 19, 20, 21)
GROUND_TAGS = (0, 1, 2, 10, 11, 23, 24, 25, 26, 27)  # unlabelled, road, sidewalk, terrain, sky, water, lines, ground, …
LOW_M, HIGH_M = 0.25, 2.5  # above the ground: what a car can run into


def semantic_scan(points: NDArray, own_id: int, everything: bool = False) -> NDArray[np.float32]:
    """Scan [72], m, of SEMANTIC_POINT [N] in the sensor's left-handed frame.

    own_id: actor whose own body is left out. everything: also walls, poles and trees, not road users and loose things
    alone, which is what the built-in simulator's scan shows.
    """
    tags = points["tag"]
    wanted = ~np.isin(tags, GROUND_TAGS) if everything else np.isin(tags, USER_TAGS)
    return nearest_by_sector(points["xyz"][wanted & (points["object"] != own_id)])


def plain_scan(points: NDArray, own_box: tuple[float, float, float]) -> NDArray[np.float32]:
    """Scan [72], m, of PLAIN_POINT [N]; what stands above the ground counts.

    own_box: rear and front end and half width of the ego, m, in the sensor's frame.
    """
    rear, front, half_width = own_box
    x, y = points["xyz"][:, 0], points["xyz"][:, 1]
    own = (x > rear) & (x < front) & (np.abs(y) < half_width)
    return nearest_by_sector(points["xyz"][~own])


def nearest_by_sector(xyz: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scan [72] of points [N, 3] in the lidar's left-handed frame, those at a height that a car can hit."""
    height = xyz[:, 2] + LIDAR_Z_M
    xyz = xyz[(height > LOW_M) & (height < HIGH_M)]
    ranges = np.hypot(xyz[:, 0], xyz[:, 1])
    angles = np.arctan2(-xyz[:, 1], xyz[:, 0])  # left positive
    sectors = np.floor((angles + np.pi) / SCAN_SECTOR_RAD).astype(np.intp) % SCAN_SIZE
    scan = np.full(SCAN_SIZE, SCAN_MAX_M, np.float32)
    np.minimum.at(scan, sectors, ranges)
    return scan
