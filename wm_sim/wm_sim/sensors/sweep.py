"""What is done with a covered area: colour mixed in by its share, or a class written. Clears the cover."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import inner_kernel, lean_kernel
from wm_sim.sensors.raster import (
    CELLS,
    CLEAR,
    EMPTY,
    FULL,
    GRAIN,
    GROUND_X,
    GROUND_Y,
    LONG,
    SPARE,
    STEP_X,
    STEP_Y,
    VEIL_B,
    VEIL_G,
    VEIL_R,
    lowest_bit,
)

WORN_CELLS = 1.7  # patches of worn paint a metre
BLOCK = 16  # pixels that are filled at once
WORN_LONG_M = 2.0  # where a pixel is longer than this, wear is its mean
_HASH_X, _HASH_Y, _HASH_MIX = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0x7FEB352D)
_S15 = np.uint32(15)
_ONE64 = np.uint64(1)
_PER_BIT = np.float32(1.0 / 4294967296.0)


@inner_kernel
def mixed(a: np.uint32, b: np.uint32, seed: np.uint32) -> np.uint32:
    """32 bits that depend on three integers; simple enough for the compiler to make many at once."""
    h = np.uint32(np.uint32(a * _HASH_X + seed) ^ np.uint32(b * _HASH_Y))
    h = np.uint32(h ^ (h >> _S15))
    return np.uint32(h * _HASH_MIX)


@inner_kernel
def fill_rough(
    colours: NDArray[np.float32], row: int, start: int, end: int, red: float, green: float, blue: float,
    rows: NDArray[np.float64], cells: float, grain: float, seed: int,
) -> None:  # fmt: skip
    """Fill pixels start to end - 1 of a row with a colour made rough by `grain`; `cells` squares a metre."""
    cells *= rows[row, CELLS]
    x0, y0 = rows[row, GROUND_X] * cells, rows[row, GROUND_Y] * cells
    bx, by = math.floor(x0), math.floor(y0)
    fx, fy = np.float32(x0 - bx), np.float32(y0 - by)
    dx, dy = np.float32(rows[row, STEP_X] * cells), np.float32(rows[row, STEP_Y] * cells)
    hx, hy, salt = np.uint32(bx), np.uint32(by), np.uint32(seed)
    r, g, b = np.float32(red), np.float32(green), np.float32(blue)
    rough = np.float32(grain) * _PER_BIT
    one = np.float32(1.0)
    # Whole blocks, of which the last may lie in part on the one before: what is left over would take as long as all.
    block = min(end - start, BLOCK)
    for onward in range(start, end, BLOCK):
        begin = min(onward, end - block)
        filled = colours[row, 3 * begin : 3 * (begin + block)]
        for u in range(block):
            step = np.float32(np.int32(begin + u))
            ix = np.uint32(np.uint32(np.int32(np.floor(fx + dx * step))) + hx)
            iy = np.uint32(np.uint32(np.int32(np.floor(fy + dy * step))) + hy)
            factor = one + rough * np.float32(np.int32(mixed(ix, iy, salt)))
            filled[3 * u] = r * factor
            filled[3 * u + 1] = g * factor
            filled[3 * u + 2] = b * factor


@inner_kernel
def fill_flat(
    colours: NDArray[np.float32], row: int, start: int, end: int, red: float, green: float, blue: float
) -> None:
    """Fill pixels start to end - 1 of a row with one colour."""
    r, g, b = np.float32(red), np.float32(green), np.float32(blue)
    filled = colours[row, 3 * start : 3 * end]
    for u in range(end - start):
        filled[3 * u] = r
        filled[3 * u + 1] = g
        filled[3 * u + 2] = b


@inner_kernel
def mix_pixel(
    colours: NDArray[np.float32], row: int, u: int, share: np.float32,
    hide: np.float32, red: np.float32, green: np.float32, blue: np.float32,
) -> None:  # fmt: skip
    """Take away `hide` of a pixel and add a colour, each times `share`."""
    r, g, b = colours[row, 3 * u], colours[row, 3 * u + 1], colours[row, 3 * u + 2]
    colours[row, 3 * u] = r + share * (red - hide * r)
    colours[row, 3 * u + 1] = g + share * (green - hide * g)
    colours[row, 3 * u + 2] = b + share * (blue - hide * b)


@inner_kernel
def mix_run(
    colours: NDArray[np.float32], row: int, start: int, end: int, share: np.float32,
    hide: np.float32, red: np.float32, green: np.float32, blue: np.float32,
) -> None:  # fmt: skip
    """The same for pixels start to end - 1."""
    for u in range(start, end):
        mix_pixel(colours, row, u, share, hide, red, green, blue)


@lean_kernel
def sweep_ground(
    colours: NDArray[np.float32], cover: NDArray[np.float32], touched: NDArray[np.uint64], rows: NDArray[np.float64],
    first: int, last: int, red: float, green: float, blue: float, cells: float, grain: float, seed: int,
) -> None:  # fmt: skip
    """Lay a surface on the ground, rough by `grain` where it fills the pixels between its borders."""
    width = cover.shape[1] - SPARE
    one = np.float32(1.0)
    for row in range(first, last):
        clear = rows[row, CLEAR]
        r, g, b = red * clear + rows[row, VEIL_R], green * clear + rows[row, VEIL_G], blue * clear + rows[row, VEIL_B]
        r4, g4, b4 = np.float32(r), np.float32(g), np.float32(b)
        rough = grain * rows[row, GRAIN]
        share, start = np.float32(0.0), 0
        for word in range(touched.shape[1] + 1):
            end, bits = width, np.uint64(0)
            if word < touched.shape[1]:
                bits = touched[row, word]
                touched[row, word] = 0
            while bits != 0 or word == touched.shape[1]:
                if bits != 0:
                    end = 64 * word + lowest_bit(bits)
                    bits &= bits - _ONE64
                if end > start and share > EMPTY:
                    if share < FULL:
                        mix_run(colours, row, start, end, share, one, r4, g4, b4)
                    elif rough > 0.0:
                        fill_rough(colours, row, start, end, r, g, b, rows, cells, rough, seed)
                    else:
                        fill_flat(colours, row, start, end, r, g, b)
                if end == width:
                    break
                share += cover[row, end]
                cover[row, end] = 0.0
                mix_pixel(colours, row, end, min(share, one), one, r4, g4, b4)
                start = end + 1


@inner_kernel
def worn(share: np.float32, rows: NDArray[np.float64], row: int, u: int, wear: float, seed: int) -> np.float32:
    """Share of a pixel that is left of paint, which wears off in patches."""
    patch = np.float32(0.5)
    if rows[row, LONG] < WORN_LONG_M:
        px = np.uint32(math.floor((rows[row, GROUND_X] + u * rows[row, STEP_X]) * WORN_CELLS))
        py = np.uint32(math.floor((rows[row, GROUND_Y] + u * rows[row, STEP_Y]) * WORN_CELLS))
        patch = np.float32(0.5) + _PER_BIT * np.float32(np.int32(mixed(px, py, np.uint32(seed))))
    return min(share, np.float32(1.0)) * (np.float32(1.0) - np.float32(wear) * patch)


@lean_kernel
def sweep_paint(
    colours: NDArray[np.float32], cover: NDArray[np.float32], touched: NDArray[np.uint64], rows: NDArray[np.float64],
    first: int, last: int, red: float, green: float, blue: float, wear: float, seed: int,
) -> None:  # fmt: skip
    """Lay paint, thinner in patches by up to `wear`."""
    width = cover.shape[1] - SPARE
    one = np.float32(1.0)
    for row in range(first, last):
        clear = rows[row, CLEAR]
        r = np.float32(red * clear + rows[row, VEIL_R])
        g = np.float32(green * clear + rows[row, VEIL_G])
        b = np.float32(blue * clear + rows[row, VEIL_B])
        share, start = np.float32(0.0), 0
        for word in range(touched.shape[1] + 1):
            end, bits = width, np.uint64(0)
            if word < touched.shape[1]:
                bits = touched[row, word]
                touched[row, word] = 0
            while bits != 0 or word == touched.shape[1]:
                if bits != 0:
                    end = 64 * word + lowest_bit(bits)
                    bits &= bits - _ONE64
                if end > start and share > EMPTY:
                    for u in range(start, end):
                        mix_pixel(colours, row, u, worn(share, rows, row, u, wear, seed), one, r, g, b)
                if end == width:
                    break
                share += cover[row, end]
                cover[row, end] = 0.0
                mix_pixel(colours, row, end, worn(share, rows, row, end, wear, seed), one, r, g, b)
                start = end + 1


@lean_kernel
def sweep_mix(
    colours: NDArray[np.float32], cover: NDArray[np.float32], touched: NDArray[np.uint64],
    first: int, last: int, hide: float, red: float, green: float, blue: float,
) -> None:  # fmt: skip
    """Take away `hide` of what is there and add a colour, each times the share of the pixel that is covered."""
    h, r, g, b = np.float32(hide), np.float32(red), np.float32(green), np.float32(blue)
    width = cover.shape[1] - SPARE
    for row in range(first, last):
        share, start = np.float32(0.0), 0
        for word in range(touched.shape[1]):
            bits = touched[row, word]
            touched[row, word] = 0
            while bits != 0:
                end = 64 * word + lowest_bit(bits)
                bits &= bits - _ONE64
                if end > start and share > EMPTY:
                    mix_run(colours, row, start, end, share, h, r, g, b)
                share += cover[row, end]
                cover[row, end] = 0.0
                mix_pixel(colours, row, end, share, h, r, g, b)
                start = end + 1
        if start < width and share > EMPTY:
            mix_run(colours, row, start, width, share, h, r, g, b)


@lean_kernel
def sweep_label(
    labels: NDArray[np.uint8], cover: NDArray[np.float32], touched: NDArray[np.uint64],
    first: int, last: int, label: int, least: float,
) -> None:  # fmt: skip
    """Write a class where at least `least` of the pixel is covered."""
    for row in range(first, last):
        share, start = 0.0, 0
        for word in range(touched.shape[1]):
            bits = touched[row, word]
            touched[row, word] = 0
            while bits != 0:
                end = 64 * word + lowest_bit(bits)
                bits &= bits - _ONE64
                if share >= least:
                    labels[row, start:end] = label
                share += cover[row, end]
                cover[row, end] = 0.0
                start = end
        if share >= least:
            labels[row, start:] = label
