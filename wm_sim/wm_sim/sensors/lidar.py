"""The lidar: 72 sectors of 5°, each the nearest of several rays (a dense scanner, min-pooled)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import hash_normal, lean_kernel
from wm_sim.observation import LIDAR_X_M, SCAN_MAX_M, SCAN_SECTOR_RAD, SCAN_SIZE
from wm_sim.scene import ACTIVE, CX, CY, CYAW, LENGTH, WIDTH

RAYS_PER_SECTOR = 8
RANGE_NOISE_M = 0.03


@lean_kernel
def ray_to_box(ox: float, oy: float, dx: float, dy: float, half_length: float, half_width: float) -> float:
    """Distance from (ox, oy) along the unit ray (dx, dy) to a box about the origin; inf if it misses, 0 inside."""
    near, far = -math.inf, math.inf
    if abs(dx) < 1e-12:
        if abs(ox) > half_length:
            return math.inf
    else:
        first, second = (-half_length - ox) / dx, (half_length - ox) / dx
        near, far = max(near, min(first, second)), min(far, max(first, second))
    if abs(dy) < 1e-12:
        if abs(oy) > half_width:
            return math.inf
    else:
        first, second = (-half_width - oy) / dy, (half_width - oy) / dy
        near, far = max(near, min(first, second)), min(far, max(first, second))
    if near > far or far < 0.0:
        return math.inf
    return max(near, 0.0)


@lean_kernel
def cast_scan(
    scan: NDArray[np.float32],
    cars: NDArray[np.float64],
    x: float,
    y: float,
    yaw: float,
    noise_m: float,
    noise_seed: int,
) -> None:
    """Fill scan [72] with ranges (m) from an ego at x, y, yaw to the cars; SCAN_MAX_M where nothing is seen."""
    scan[:] = SCAN_MAX_M
    cos, sin = math.cos(yaw), math.sin(yaw)
    for k in range(len(cars)):
        if cars[k, ACTIVE] == 0.0:
            continue
        dx, dy = cars[k, CX] - x, cars[k, CY] - y
        px, py = cos * dx + sin * dy - LIDAR_X_M, cos * dy - sin * dx
        half_length, half_width = 0.5 * cars[k, LENGTH], 0.5 * cars[k, WIDTH]
        if math.hypot(px, py) > SCAN_MAX_M + half_length + half_width:
            continue
        turn = cars[k, CYAW] - yaw
        ct, st = math.cos(turn), math.sin(turn)
        bearing = math.atan2(py, px)
        low, high = 0.0, 0.0  # angles of the corners about the bearing
        for corner in range(4):
            bx = half_length * (1.0 if corner & 1 else -1.0)
            by = half_width * (1.0 if corner & 2 else -1.0)
            angle = math.atan2(py + st * bx + ct * by, px + ct * bx - st * by) - bearing
            angle -= 2.0 * math.pi * math.floor((angle + math.pi) / (2.0 * math.pi))
            low, high = min(low, angle), max(high, angle)
        ox, oy = -(ct * px + st * py), -(ct * py - st * px)  # the sensor, seen from the car
        if abs(ox) <= half_length and abs(oy) <= half_width:  # inside, the corners do not bound what is hit
            low, high = -math.pi, math.pi
        spacing = SCAN_SECTOR_RAD / RAYS_PER_SECTOR
        first = math.ceil((bearing + low + math.pi) / spacing - 0.5)
        last = math.floor((bearing + high + math.pi) / spacing - 0.5)
        for ray in range(first, last + 1):
            angle = -math.pi + (ray + 0.5) * spacing - turn
            reached = ray_to_box(ox, oy, math.cos(angle), math.sin(angle), half_length, half_width)
            sector = (ray // RAYS_PER_SECTOR) % SCAN_SIZE
            scan[sector] = min(scan[sector], reached)
    if noise_m > 0.0:
        for sector in range(SCAN_SIZE):
            if scan[sector] < SCAN_MAX_M:
                noisy = scan[sector] + noise_m * hash_normal(noise_seed, sector, 1)
                scan[sector] = min(max(noisy, 0.0), SCAN_MAX_M)
