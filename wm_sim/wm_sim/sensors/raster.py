"""Polygons to pixels with exact coverage: each edge leaves signed areas in the cells it crosses; their sum along a row
is the share of each pixel that is covered (the accumulation buffer of font renderers). Cells that were touched are
marked in bit words, so that a sweep visits only those and fills what lies between.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import inner_kernel, lean_kernel
from wm_sim.sensors.lanes import LANES, PIXEL_VALUES, window

BAND_PIXELS = 16384  # large pictures are drawn in bands of about this many pixels
NOISE_VALUES = 65536
SEGMENT_PIXELS = 1360  # of one row get their noise from one place in the table; whole LANES
VERTICES = 512
BODIES = 256  # farther ones are left out
BOXES = 12  # of one body
SPARE = LANES + 2  # cells behind each row of the cover: what lies in them is in no picture

# Columns of the rows' table: light and ground under each row of the band.
CLEAR, VEIL_R, VEIL_G, VEIL_B, GROUND_X, GROUND_Y, STEP_X, STEP_Y, GRAIN, LONG, CELLS = range(11)
ROW_SIZE = 11

EMPTY = 0.002  # coverage up to which a pixel counts as bare
_NOT_NEGATIVE = 0x7FFFFFFF
_ALL, _ONE, _LOW6 = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(1), np.uint64(63)


class Scratch(NamedTuple):
    """Working memory of the camera kernels for one picture size; one for each thread, nothing in it outlives a call."""

    colours: NDArray[np.float32]  # [R, values] of a band of R rows, PIXEL_VALUES for every LANES pixels
    cover: NDArray[np.float32]  # [R, W + SPARE] signed areas
    touched: NDArray[np.uint64]  # [R, words] bit c of word w: cell 64 w + c of `cover` is not zero
    rows: NDArray[np.float64]  # [R, ROW_SIZE]
    columns: NDArray[np.float32]  # [2, W or more] the angle of a column and how high the trees stand there
    noise: NDArray[np.int8]  # [3, values] even random numbers: each row has every third of one sequence
    points: NDArray[np.float64]  # [VERTICES, 3] a polygon, homogeneous
    polygon: NDArray[np.float64]  # [2 VERTICES, 2] the same in pixels, cut off at the camera
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
    blocks = (width + LANES - 1) // LANES
    columns = np.zeros((2, blocks * LANES), dtype=np.float32)
    columns[0] = np.arctan((np.arange(blocks * LANES) + 0.5 - 0.5 * width) / (0.5 * width))
    return Scratch(
        colours=np.zeros((band, blocks * PIXEL_VALUES), dtype=np.float32),
        cover=np.zeros((band, width + SPARE), dtype=np.float32),
        touched=np.zeros((band, (width + 63) // 64), dtype=np.uint64),
        rows=np.zeros((band, ROW_SIZE)),
        columns=columns,
        noise=np.ascontiguousarray(np.resize(noise, (NOISE_VALUES // 3 + SEGMENT_PIXELS + 2, 3)).T),
        points=np.zeros((VERTICES, 3)),
        polygon=np.zeros((2 * VERTICES, 2)),
        lens=np.zeros((3, 4)),
        boxes=np.zeros((BOXES, 16)),
        order=np.zeros(BODIES, dtype=np.int64),
        away=np.zeros(BODIES),
    )


@inner_kernel
def mark(touched: NDArray[np.uint64], row: int, first: int, last: int) -> None:
    """Note that the cells first to last of a row are not zero."""
    above = _ALL << (np.uint64(first) & _LOW6)
    below = _ALL >> (np.uint64(63 - last) & _LOW6)
    word = first >> 6
    if word == last >> 6:
        touched[row, word] |= above & below
        return
    touched[row, word] |= above
    for between in range(word + 1, last >> 6):
        touched[row, between] = _ALL
    touched[row, last >> 6] |= below


@inner_kernel
def add_border(cover: NDArray[np.float32], touched: NDArray[np.uint64], y0: float, y1: float, sign: float) -> None:
    """What lies left of the picture counts at its border."""
    y = y0
    for row in range(int(y0) & _NOT_NEGATIVE, math.ceil(y1)):
        below = min(row + 1.0, y1)
        cover[row, 0] += (below - y) * sign
        touched[row, 0] |= _ONE
        y = below


@inner_kernel
def beyond(u: np.float32, h: np.float32, steep: np.float32) -> np.float32:
    """Area, up to a ramp, that lies left of u and right of an edge that runs from 0 to h."""
    inside = min(max(u, np.float32(0.0)), h)
    return inside * (inside * steep - np.float32(1.0))


@inner_kernel
def add_slope(cells: NDArray[np.float32], low: np.float32, h: np.float32, area: np.float32) -> None:
    """What an edge that crosses a row from `low` to low + h, 0 <= low < 1, leaves in the row's cells."""
    one = np.float32(1.0)
    steep = np.float32(0.5) / h
    for i in range(len(cells)):
        u = np.float32(np.int32(i)) - low
        here = beyond(u, h, steep)
        change = (beyond(u + one, h, steep) - here) - (here - beyond(u - one, h, steep))
        cells[i] += area * (change + max(one - abs(u), np.float32(0.0)))


@inner_kernel
def add_edge(
    cover: NDArray[np.float32], touched: NDArray[np.uint64], x0: float, y0: float, y1: float, slope: float, sign: float
) -> None:
    """The area right of an edge from (x0, y0) down to y1, all of it inside the picture."""
    width = cover.shape[1] - SPARE
    right = float(width)
    x, y = x0, y0
    # `& _NOT_NEGATIVE` tells the compiler that an index never counts from the end.
    for row in range(int(y0) & _NOT_NEGATIVE, math.ceil(y1)):
        below = min(row + 1.0, y1)
        area = np.float32((below - y) * sign)
        after = min(max(x0 + slope * (below - y0), 0.0), right)
        left, h = min(x, after), np.float32(max(abs(after - x), 1e-6))
        x, y = after, below
        column = int(left) & _NOT_NEGATIVE
        low = np.float32(left - column)
        last = int(low + h) + 1
        add_slope(window(cover, row, column, (last | (LANES - 1)) + 1), low, h, area)
        mark(touched, row, min(column, width - 1), min(column + last, width - 1))


@lean_kernel
def add_polygon(
    cover: NDArray[np.float32], touched: NDArray[np.uint64], polygon: NDArray[np.float64], count: int, weight: float
) -> tuple[int, int]:
    """Add the area of a polygon of `count` vertices, clockwise as seen, to `cover`; the rows touched [first, last)."""
    height, width = float(touched.shape[0]), float(cover.shape[1] - SPARE)
    top, bottom = height, 0.0
    for i in range(count):
        before = i - 1 if i > 0 else count - 1
        x0, y0, x1, y1 = polygon[before, 0], polygon[before, 1], polygon[i, 0], polygon[i, 1]
        sign = -weight
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
            sign = weight
        if y1 <= 0.0 or y0 >= height or y0 == y1 or (x0 >= width and x1 >= width):
            continue
        slope = (x1 - x0) / (y1 - y0)
        if y0 < 0.0:
            x0 -= y0 * slope
            y0 = 0.0
        if y1 > height:
            x1 -= (y1 - height) * slope
            y1 = height
        top, bottom = min(top, y0), max(bottom, y1)
        # Parts beyond the right border cover nothing, parts beyond the left one everything.
        if x0 > width:
            y0 = min(y0 + (width - x0) / slope, y1)
            x0 = width
        elif x1 > width:
            y1 = max(y1 + (width - x1) / slope, y0)
        if x0 < 0.0:
            inside = min(y0 - x0 / slope, y1) if x1 > 0.0 else y1
            add_border(cover, touched, y0, inside, sign)
            x0, y0 = 0.0, inside
        elif x1 < 0.0:
            outside = max(y1 - x1 / slope, y0)
            add_border(cover, touched, outside, y1, sign)
            y1 = outside
        if y0 < y1:
            add_edge(cover, touched, x0, y0, y1, slope, sign)
    return int(top), math.ceil(bottom)


@inner_kernel
def project(points: NDArray[np.float64], polygon: NDArray[np.float64], count: int, nearest: float) -> int:
    """Homogeneous points [count, 3] to pixels, cut off where they come nearer than `nearest`; how many are left."""
    kept = 0
    before = count - 1
    for i in range(count):
        w = points[i, 2]
        if (points[before, 2] < nearest) != (w < nearest):
            t = (nearest - points[before, 2]) / (w - points[before, 2])
            polygon[kept, 0] = (points[before, 0] + t * (points[i, 0] - points[before, 0])) / nearest
            polygon[kept, 1] = (points[before, 1] + t * (points[i, 1] - points[before, 1])) / nearest
            kept += 1
        if w >= nearest:
            polygon[kept, 0] = points[i, 0] / w
            polygon[kept, 1] = points[i, 1] / w
            kept += 1
        before = i
    return kept
