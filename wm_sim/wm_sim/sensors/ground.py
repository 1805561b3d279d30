"""The ground: rows of the picture, ribbons to polygons. The same for the camera and for the view from above."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import lean_kernel
from wm_sim.observation import CAMERA_HFOV_RAD, CAMERA_X_M, CAMERA_Z_M
from wm_sim.sensors import appearance as look_at
from wm_sim.sensors.raster import (
    CELLS,
    CLEAR,
    GRAIN,
    GROUND_X,
    GROUND_Y,
    LONG,
    STEP_X,
    STEP_Y,
    VEIL_B,
    VEIL_G,
    VEIL_R,
)
from wm_sim.sensors.sweep import fill_flat, fill_rough

NEAREST_M = 0.1
SMALL_PX = 200  # wider pictures are for people and get finer ground
HALF_TAN = math.tan(CAMERA_HFOV_RAD / 2)
GRASS_CELLS = 1.0  # squares of texture a metre


@lean_kernel
def camera_view(view: NDArray[np.float64], height: int, width: int, band: int, yaw: float, pitch: float) -> None:
    """Projection of (X - x, Y - y, z, 1) on the picture's rows from `band` on: u w, v w and w, the depth (m)."""
    focal = 0.5 * width / HALF_TAN
    cos, sin = math.cos(yaw), math.sin(yaw)
    cp, sp = math.cos(pitch), math.sin(pitch)
    depth = (cos * cp, sin * cp, -sp, CAMERA_Z_M * sp - CAMERA_X_M * cp)
    down = (-cos * sp, -sin * sp, -cp, CAMERA_Z_M * cp + CAMERA_X_M * sp)
    left = (-sin, cos, 0.0, 0.0)
    for k in range(4):
        view[0, k] = 0.5 * width * depth[k] - focal * left[k]
        view[1, k] = (0.5 * height - band) * depth[k] + focal * down[k]
        view[2, k] = depth[k]


@lean_kernel
def rows_of_ground(
    rows: NDArray[np.float64], count: int, band: int, height: int, width: int, look: NDArray[np.float64],
    x: float, y: float, yaw: float, pitch: float,
) -> int:  # fmt: skip
    """Light, haze and place of the ground under rows `band` on; the first of `count` rows below the horizon."""
    focal = 0.5 * width / HALF_TAN
    cos, sin = math.cos(yaw), math.sin(yaw)
    cp, sp = math.cos(pitch), math.sin(pitch)
    gain = look[look_at.GAIN]
    first = count
    for row in range(count):
        up = (0.5 * height - (band + row) - 0.5) / focal
        down = sp - up * cp
        if down <= 0.0:
            continue
        first = min(first, row)
        reach = CAMERA_Z_M / down
        ahead = CAMERA_X_M + reach * (cp + up * sp)
        low, high = up - 0.5 / focal, up + 0.5 / focal
        upper = CAMERA_Z_M / max(sp - high * cp, 1e-3) * (cp + high * sp)
        long = upper - CAMERA_Z_M / (sp - low * cp) * (cp + low * sp)
        haze = 1.0 - math.exp(-ahead / look[look_at.HAZE])
        at = rows[row]
        at[CLEAR] = (1.0 - haze) * gain
        veil = haze * 0.85 * gain
        at[VEIL_R] = veil * look[look_at.SKY_LOW]
        at[VEIL_G] = veil * look[look_at.SKY_LOW + 1]
        at[VEIL_B] = veil * look[look_at.SKY_LOW + 2]
        across = reach / focal
        aside = -(0.5 - 0.5 * width) * across
        at[GROUND_X] = x + cos * ahead - sin * aside
        at[GROUND_Y] = y + sin * ahead + cos * aside
        at[STEP_X], at[STEP_Y] = sin * across, -cos * across
        at[LONG] = long
        at[GRAIN] = 2.0 * look[look_at.TEXTURE] * min(max(1.0 - 0.25 * long, 0.0), 1.0) * (1.0 - haze)
        at[CELLS] = 1.0 if width <= SMALL_PX else 3.0
    return first


@lean_kernel
def lay_grass(
    colours: NDArray[np.float32], rows: NDArray[np.float64], first: int, count: int, look: NDArray[np.float64]
) -> None:
    """Grass everywhere below the horizon."""
    red, green, blue = look[look_at.GRASS], look[look_at.GRASS + 1], look[look_at.GRASS + 2]
    seed = int(look[look_at.SEED])
    for row in range(first, count):
        at = rows[row]
        r, g, b = red * at[CLEAR] + at[VEIL_R], green * at[CLEAR] + at[VEIL_G], blue * at[CLEAR] + at[VEIL_B]
        if at[GRAIN] > 0.0:
            fill_rough(colours, row, r, g, b, rows, GRASS_CELLS, at[GRAIN], seed)
        else:
            fill_flat(colours, row, r, g, b)
