"""Polygons to pixels with exact coverage: each edge leaves signed areas in the cells it crosses; their sum along a row
is the share of each pixel that is covered (the accumulation buffer of font renderers). Cells that were touched are
marked in bit words, so that a sweep visits only those and fills what lies between.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from wm_sim.kernel import lean_kernel

BAND_PIXELS = 16384  # large pictures are drawn in bands of about this many pixels
NOISE_VALUES = 65536
SEGMENT = 4096  # values of one row that get their noise from one place in the table
VERTICES = 512
BODIES = 256  # farther ones are left out
BOXES = 12  # of one body

# Columns of the rows' table: light and ground under each row of the band.
CLEAR, VEIL_R, VEIL_G, VEIL_B, GROUND_X, GROUND_Y, STEP_X, STEP_Y, GRAIN, LONG, CELLS = range(11)
ROW_SIZE = 11

FULL = 0.998  # coverage from which a pixel counts as filled
EMPTY = 0.002
_ONE, _LOW6 = np.uint64(1), np.uint64(63)


class Scratch(NamedTuple):
    """Working memory of the camera kernels for one picture size; one for each thread, nothing in it outlives a call."""

    colours: NDArray[np.float32]  # [R, 3 W] red, green, blue of a band of R rows
    cover: NDArray[np.float32]  # [R, W + 2] signed areas
    touched: NDArray[np.uint64]  # [R, words] bit c of word w: cell 64 w + c of `cover` is not zero
    rows: NDArray[np.float64]  # [R, ROW_SIZE]
    columns: NDArray[np.float32]  # [2, W] the angle of a column and how high the trees stand there
    noise: NDArray[np.int8]  # [NOISE_VALUES + SEGMENT] even random numbers
    points: NDArray[np.float64]  # [VERTICES, 3] a polygon, homogeneous
    polygon: NDArray[np.float64]  # [VERTICES, 2] the same in pixels
    lens: NDArray[np.float64]  # [3, 4] projection
    boxes: NDArray[np.float64]  # [BOXES, BOX_SIZE] of one body, see shapes.py
    order: NDArray[np.int64]  # [BODIES]
    away: NDArray[np.float64]  # [BODIES]


def camera_scratch(height: int, width: int) -> Scratch:
    """Working memory for pictures [height, width], about 250 KB whatever their size, more only for very wide ones."""
    band = min(height, max(1, BAND_PIXELS // width))
    state = np.arange(NOISE_VALUES, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    noise = (state >> np.uint64(56)).astype(np.uint8).view(np.int8)
    columns = np.zeros((2, width), dtype=np.float32)
    columns[0] = np.arctan((np.arange(width) + 0.5 - 0.5 * width) / (0.5 * width))
    return Scratch(
        colours=np.zeros((band, 3 * width), dtype=np.float32),
        cover=np.zeros((band, width + 2), dtype=np.float32),
        touched=np.zeros((band, (width + 63) // 64), dtype=np.uint64),
        rows=np.zeros((band, ROW_SIZE)),
        columns=columns,
        noise=np.concatenate([noise, noise[:SEGMENT]]),
        points=np.zeros((VERTICES, 3)),
        polygon=np.zeros((VERTICES, 2)),
        lens=np.zeros((3, 4)),
        boxes=np.zeros((BOXES, 16)),
        order=np.zeros(BODIES, dtype=np.int64),
        away=np.zeros(BODIES),
    )


@intrinsic  # type: ignore[untyped-decorator]
def lowest_bit(typing_context: Any, word: Any) -> Any:
    """Index of the lowest set bit of a uint64 that is not zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@lean_kernel
def add_polygon(
    cover: NDArray[np.float32], touched: NDArray[np.uint64], polygon: NDArray[np.float64], count: int, weight: float
) -> tuple[int, int]:
    """Add the area of a polygon of `count` vertices, clockwise as seen, to `cover`; the rows touched [first, last)."""
    height, width = touched.shape[0], cover.shape[1] - 2
    right = float(width)
    first, last = height, 0
    ax, ay = polygon[count - 1, 0], polygon[count - 1, 1]
    for i in range(count):
        x0, y0 = ax, ay
        x1, y1 = polygon[i, 0], polygon[i, 1]
        ax, ay = x1, y1
        sign = -weight
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
            sign = weight
        if y1 <= 0.0 or y0 >= height or y0 == y1 or (x0 >= right and x1 >= right):
            continue
        slope = (x1 - x0) / (y1 - y0)
        if y0 < 0.0:
            x0 -= y0 * slope
            y0 = 0.0
        if y1 > height:
            y1 = float(height)
        top, bottom = int(y0), math.ceil(y1)
        first, last = min(first, top), max(last, bottom)
        x = x0
        for row in range(top, bottom):
            area = (min(row + 1.0, y1) - max(float(row), y0)) * sign
            after = x0 + slope * (min(row + 1.0, y1) - y0)
            low, high = min(x, after), max(x, after)
            x = after
            if low >= right:
                continue
            if high <= 0.0:
                cover[row, 0] += area
                touched[row, 0] |= _ONE
                continue
            if low < 0.0 or high > right:  # the part outside counts at the border
                per = area / (high - low)
                if low < 0.0:
                    cover[row, 0] -= per * low
                    touched[row, 0] |= _ONE
                    low = 0.0
                high = min(high, right)
                area = per * (high - low)
            column, end = int(low), math.ceil(high)
            if end <= column + 1:
                share = area * (0.5 * (low + high) - column)
                cover[row, column] += area - share
                cover[row, column + 1] += share
                touched[row, column >> 6] |= _ONE << (np.uint64(column) & _LOW6)
                if column + 1 < width:
                    touched[row, (column + 1) >> 6] |= _ONE << (np.uint64(column + 1) & _LOW6)
                continue
            per = area / (high - low)
            done = 0.0  # coverage of the pixel before
            for c in range(column, end + 1):
                # What lies to the right of the edge within pixel c, as a share of it.
                enter, leave = max(low, float(c)), min(high, c + 1.0)
                here = area if c >= end else per * (leave - enter) * (c + 1.0 - 0.5 * (enter + leave))
                here += 0.0 if c >= end else per * (enter - low)
                cover[row, c] += here - done
                done = here
                if c < width:
                    touched[row, c >> 6] |= _ONE << (np.uint64(c) & _LOW6)
    return first, last


@lean_kernel
def project(
    points: NDArray[np.float64], polygon: NDArray[np.float64], count: int, nearest: float
) -> int:
    """Homogeneous points [count, 3] to pixels, cut off where they come nearer than `nearest`; how many are left."""
    kept = 0
    bu, bv, bw = points[count - 1, 0], points[count - 1, 1], points[count - 1, 2]
    for i in range(count):
        au, av, aw = bu, bv, bw
        bu, bv, bw = points[i, 0], points[i, 1], points[i, 2]
        if (aw < nearest) != (bw < nearest):
            t = (nearest - aw) / (bw - aw)
            polygon[kept, 0] = (au + t * (bu - au)) / nearest
            polygon[kept, 1] = (av + t * (bv - av)) / nearest
            kept += 1
        if bw >= nearest:
            polygon[kept, 0] = bu / bw
            polygon[kept, 1] = bv / bw
            kept += 1
    return kept
