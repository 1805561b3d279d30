"""Sky above the horizon, with a line of far trees that turns with the heading."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import hash_unit, lean_kernel
from wm_sim.sensors import appearance as look_at
from wm_sim.sensors.lanes import LANES, PIXEL_VALUES, window
from wm_sim.sensors.sweep import fill_flat, mix

TREES_PER_RAD = 9.0


@lean_kernel
def grow_trees(columns: NDArray[np.float32], look: NDArray[np.float64], yaw: float) -> None:
    """Height of the tree line over each column, as a slope."""
    seed = int(look[look_at.SEED])
    width = columns.shape[1]
    height = look[look_at.TREE_HEIGHT]
    before, low, high = math.floor((yaw - columns[0, 0]) * TREES_PER_RAD) + 2, 0.0, 0.0
    for u in range(width):
        angle = (yaw - columns[0, u]) * TREES_PER_RAD
        whole = math.floor(angle)
        if whole != before:
            before, low, high = whole, hash_unit(seed, whole, 7), hash_unit(seed, whole + 1, 7)
        part = angle - whole
        part = part * part * (3.0 - 2.0 * part)
        columns[1, u] = height * (0.25 + 0.75 * (low + part * (high - low)))


@lean_kernel
def draw_sky(
    colours: NDArray[np.float32], columns: NDArray[np.float32], count: int, band: int, height: int,
    look: NDArray[np.float64], focal: float, pitch: float,
) -> None:  # fmt: skip
    """Rows of the band that lie above the horizon, up to `count`."""
    cp, sp = math.cos(pitch), math.sin(pitch)
    gain = look[look_at.GAIN]
    low, top, trees = look_at.SKY_LOW, look_at.SKY_TOP, look_at.TREES
    for row in range(count):
        up = (0.5 * height - (band + row) - 0.5) / focal
        slope = (up * cp - sp) / (cp + up * sp)
        upper = min(1.0, slope * 1.6)
        r = ((1.0 - upper) * look[low] + upper * look[top]) * gain
        g = ((1.0 - upper) * look[low + 1] + upper * look[top + 1]) * gain
        b = ((1.0 - upper) * look[low + 2] + upper * look[top + 2]) * gain
        fill_flat(colours, row, r, g, b)
        if slope - 0.5 / focal > look[look_at.TREE_HEIGHT]:
            continue
        one = np.float32(1.0)
        tr = np.float32((0.65 * look[trees] + 0.35 * look[low]) * gain)
        tg = np.float32((0.65 * look[trees + 1] + 0.35 * look[low + 1]) * gain)
        tb = np.float32((0.65 * look[trees + 2] + 0.35 * look[low + 2]) * gain)
        ground = np.float32(max(0.5 - slope * focal, 0.0))  # share of the row below the horizon
        scale, from_px = np.float32(focal), np.float32(0.5 - slope * focal)
        zero = np.float32(0.0)
        for block in range(colours.shape[1] // PIXEL_VALUES):
            heights = window(columns, 1, LANES * block, LANES)
            filled = window(colours, row, PIXEL_VALUES * block, PIXEL_VALUES)
            for i in range(LANES):
                tree = min(max(heights[i] * scale + from_px, zero), one) - ground
                mix(filled, i, max(tree, zero), one, tr, tg, tb)
