"""What is done with a covered area: colour mixed in by its share of each pixel, or a class written. Clears the cover."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import hash_unit, lean_kernel
from wm_sim.sensors.raster import (
    CELLS,
    CLEAR,
    EMPTY,
    FULL,
    GRAIN,
    GROUND_X,
    GROUND_Y,
    LONG,
    STEP_X,
    STEP_Y,
    VEIL_B,
    VEIL_G,
    VEIL_R,
    lowest_bit,
)

WORN_CELLS = 1.7  # patches of worn paint a metre
WORN_LONG_M = 2.0  # where a pixel is longer than this, wear is its mean
_HASH_X, _HASH_Y, _HASH_MIX = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0x7FEB352D)
_S15 = np.uint32(15)
_ONE64 = np.uint64(1)
_BIT31 = np.float32(1.0 / 4294967296.0)


@lean_kernel
def fill_rough(
    colours: NDArray[np.float32], row: int, start: int, end: int, red: float, green: float, blue: float,
    at: NDArray[np.float64], cells: float, grain: float, seed: int,
) -> None:  # fmt: skip
    """Fill pixels start to end - 1 of a row with a colour made rough by `grain`; `cells` squares a metre of the world."""
    x0, y0 = at[GROUND_X] * cells, at[GROUND_Y] * cells
    bx, by = math.floor(x0), math.floor(y0)
    fx, fy = np.float32(x0 - bx), np.float32(y0 - by)
    dx, dy = np.float32(at[STEP_X] * cells), np.float32(at[STEP_Y] * cells)
    hx = np.uint32(np.uint32(bx) * _HASH_X + np.uint32(seed))
    hy = np.uint32(np.uint32(by) * _HASH_Y)
    r, g, b = np.float32(red), np.float32(green), np.float32(blue)
    rough = np.float32(grain) * _BIT31
    one = np.float32(1.0)
    for u in range(start, end):
        step = np.float32(np.int32(u))
        ix = np.uint32(np.int32(np.floor(fx + dx * step)))
        iy = np.uint32(np.int32(np.floor(fy + dy * step)))
        h = np.uint32(np.uint32(ix * _HASH_X + hx) ^ np.uint32(iy * _HASH_Y + hy))
        h = np.uint32(h ^ (h >> _S15))
        h = np.uint32(h * _HASH_MIX)
        factor = one + rough * np.float32(np.int32(h))
        colours[row, 3 * u] = r * factor
        colours[row, 3 * u + 1] = g * factor
        colours[row, 3 * u + 2] = b * factor


@lean_kernel
def fill_flat(
    colours: NDArray[np.float32], row: int, start: int, end: int, red: float, green: float, blue: float
) -> None:
    """Fill pixels start to end - 1 of a row with one colour."""
    r, g, b = np.float32(red), np.float32(green), np.float32(blue)
    for u in range(start, end):
        colours[row, 3 * u] = r
        colours[row, 3 * u + 1] = g
        colours[row, 3 * u + 2] = b


@lean_kernel
def mix_pixel(
    colours: NDArray[np.float32], row: int, u: int, keep: float, red: float, green: float, blue: float
) -> None:
    """A pixel becomes `keep` times itself plus a colour."""
    colours[row, 3 * u] = colours[row, 3 * u] * keep + red
    colours[row, 3 * u + 1] = colours[row, 3 * u + 1] * keep + green
    colours[row, 3 * u + 2] = colours[row, 3 * u + 2] * keep + blue


@lean_kernel
def lay(
    colours: NDArray[np.float32], row: int, start: int, end: int, share: float, red: float, green: float, blue: float,
    at: NDArray[np.float64], cells: float, rough: float, seed: int,
) -> None:  # fmt: skip
    """A surface over pixels start to end - 1 of a row; rough where it fills them."""
    if share < FULL or end == start + 1:
        a = min(share, 1.0)
        for u in range(start, end):
            mix_pixel(colours, row, u, 1.0 - a, a * red, a * green, a * blue)
    elif rough > 0.0:
        fill_rough(colours, row, start, end, red, green, blue, at, cells, rough, seed)
    else:
        fill_flat(colours, row, start, end, red, green, blue)


@lean_kernel
def lay_worn(
    colours: NDArray[np.float32], row: int, start: int, end: int, share: float, red: float, green: float, blue: float,
    at: NDArray[np.float64], wear: float, seed: int,
) -> None:  # fmt: skip
    """Paint over pixels start to end - 1 of a row, thinner in patches by up to `wear`."""
    for u in range(start, end):
        patch = 0.5
        if at[LONG] < WORN_LONG_M:
            px = math.floor((at[GROUND_X] + u * at[STEP_X]) * WORN_CELLS)
            patch = hash_unit(seed, px, math.floor((at[GROUND_Y] + u * at[STEP_Y]) * WORN_CELLS))
        a = min(share, 1.0) * (1.0 - wear * patch)
        mix_pixel(colours, row, u, 1.0 - a, a * red, a * green, a * blue)


@lean_kernel
def sweep_ground(
    colours: NDArray[np.float32], cover: NDArray[np.float32], touched: NDArray[np.uint64], rows: NDArray[np.float64],
    first: int, last: int, red: float, green: float, blue: float, cells: float, grain: float, wear: float, seed: int,
) -> None:  # fmt: skip
    """Lay a surface on the ground: rough by `grain`, or paint (grain < 0) worn by `wear`."""
    width = cover.shape[1] - 2
    for row in range(first, last):
        at = rows[row]
        r, g, b = red * at[CLEAR] + at[VEIL_R], green * at[CLEAR] + at[VEIL_G], blue * at[CLEAR] + at[VEIL_B]
        rough = grain * at[GRAIN]
        share, start = 0.0, 0
        for word in range(touched.shape[1]):
            bits = touched[row, word]
            touched[row, word] = 0
            while bits != 0:
                end = 64 * word + lowest_bit(bits)
                bits &= bits - _ONE64
                if share > EMPTY:
                    if grain < 0.0:
                        lay_worn(colours, row, start, end, share, r, g, b, at, wear, seed)
                    else:
                        lay(colours, row, start, end, share, r, g, b, at, cells * at[CELLS], rough, seed)
                share += cover[row, end]
                cover[row, end] = 0.0
                start = end
        if share > EMPTY:
            if grain < 0.0:
                lay_worn(colours, row, start, width, share, r, g, b, at, wear, seed)
            else:
                lay(colours, row, start, width, share, r, g, b, at, cells * at[CELLS], rough, seed)


@lean_kernel
def sweep_mix(
    colours: NDArray[np.float32], cover: NDArray[np.float32], touched: NDArray[np.uint64],
    first: int, last: int, hide: float, red: float, green: float, blue: float,
) -> None:  # fmt: skip
    """Take away `hide` of what is there and add a colour, each times the share of the pixel that is covered."""
    for row in range(first, last):
        share, start = 0.0, 0
        for word in range(touched.shape[1]):
            bits = touched[row, word]
            touched[row, word] = 0
            while bits != 0:
                end = 64 * word + lowest_bit(bits)
                bits &= bits - _ONE64
                if abs(share) > EMPTY:
                    for u in range(start, end):
                        mix_pixel(colours, row, u, 1.0 - share * hide, share * red, share * green, share * blue)
                share += cover[row, end]
                cover[row, end] = 0.0
                start = end
        if abs(share) > EMPTY:
            for u in range(start, cover.shape[1] - 2):
                mix_pixel(colours, row, u, 1.0 - share * hide, share * red, share * green, share * blue)


@lean_kernel
def sweep_label(
    labels: NDArray[np.uint8], cover: NDArray[np.float32], touched: NDArray[np.uint64],
    band: int, first: int, last: int, label: int, least: float,
) -> None:  # fmt: skip
    """Write a class where at least `least` of the pixel is covered; row `first` is row band + first of the labels."""
    for row in range(first, last):
        share, start = 0.0, 0
        for word in range(touched.shape[1]):
            bits = touched[row, word]
            touched[row, word] = 0
            while bits != 0:
                end = 64 * word + lowest_bit(bits)
                bits &= bits - _ONE64
                if share >= least:
                    labels[band + row, start:end] = label
                share += cover[row, end]
                cover[row, end] = 0.0
                start = end
        if share >= least:
            labels[band + row, start:] = label
