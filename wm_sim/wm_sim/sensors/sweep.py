"""What is done with a covered area: colour mixed in by its share, or a class written. Clears the cover."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import inner_kernel, lean_kernel
from wm_sim.sensors.lanes import LANES, PIXEL_VALUES, flood, lowest_bit, sum_up, window
from wm_sim.sensors.raster import (
    CELLS,
    CLEAR,
    EMPTY,
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

WORN_CELLS = 1.7  # patches of worn paint a metre
WORD_BLOCKS = 64 // LANES  # blocks of pixels that one word of marks stands for
WORN_LONG_M = 2.0  # where a pixel is longer than this, wear is its mean
_HASH_X, _HASH_Y, _HASH_MIX = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0x7FEB352D)
_S15 = np.uint32(15)
_NONE, _ONE64 = np.uint64(0), np.uint64(1)
_BLOCK_BITS, _BLOCK_SHIFT = np.uint64((1 << LANES) - 1), np.uint64(LANES)
_PER_BIT = np.float32(1.0 / 4294967296.0)


@inner_kernel
def mixed(a: np.uint32, b: np.uint32, seed: np.uint32) -> np.uint32:
    """32 bits that depend on three integers; simple enough for the compiler to make many at once."""
    h = np.uint32(np.uint32(a * _HASH_X + seed) ^ np.uint32(b * _HASH_Y))
    h = np.uint32(h ^ (h >> _S15))
    return np.uint32(h * _HASH_MIX)


@inner_kernel
def roughness(
    rows: NDArray[np.float64], row: int, cells: float
) -> tuple[np.float32, np.float32, np.float32, np.float32, np.uint32, np.uint32]:
    """Place in the texture of a row's first pixel, the step to the next, and the square that both count from."""
    x0, y0 = rows[row, GROUND_X] * cells, rows[row, GROUND_Y] * cells
    bx, by = math.floor(x0), math.floor(y0)
    fx, fy = np.float32(x0 - bx), np.float32(y0 - by)
    dx, dy = np.float32(rows[row, STEP_X] * cells), np.float32(rows[row, STEP_Y] * cells)
    return fx, fy, dx, dy, np.uint32(bx), np.uint32(by)


@inner_kernel
def rough_at(
    u: np.float32, fx: np.float32, fy: np.float32, dx: np.float32, dy: np.float32, hx: np.uint32, hy: np.uint32,
    salt: np.uint32,
) -> np.float32:  # fmt: skip
    """The texture at pixel u of a row: evenly from -0.5 to 0.5."""
    ix = np.uint32(np.uint32(np.int32(np.floor(fx + dx * u))) + hx)
    iy = np.uint32(np.uint32(np.int32(np.floor(fy + dy * u))) + hy)
    return _PER_BIT * np.float32(np.int32(mixed(ix, iy, salt)))


@inner_kernel
def fill_rough(
    colours: NDArray[np.float32], row: int, red: float, green: float, blue: float,
    rows: NDArray[np.float64], cells: float, grain: float, seed: int,
) -> None:  # fmt: skip
    """Fill a row with a colour made rough by `grain`; `cells` squares a metre."""
    fx, fy, dx, dy, hx, hy = roughness(rows, row, cells * rows[row, CELLS])
    r, g, b, salt = np.float32(red), np.float32(green), np.float32(blue), np.uint32(seed)
    rough, one = np.float32(grain), np.float32(1.0)
    for block in range(colours.shape[1] // PIXEL_VALUES):
        filled = window(colours, row, PIXEL_VALUES * block, PIXEL_VALUES)
        for i in range(LANES):
            u = np.float32(np.int32(LANES * block + i))
            factor = one + rough * rough_at(u, fx, fy, dx, dy, hx, hy, salt)
            filled[i] = r * factor
            filled[i + LANES] = g * factor
            filled[i + 2 * LANES] = b * factor


@inner_kernel
def fill_flat(colours: NDArray[np.float32], row: int, red: float, green: float, blue: float) -> None:
    """Fill a row with one colour."""
    r, g, b = np.float32(red), np.float32(green), np.float32(blue)
    for block in range(colours.shape[1] // PIXEL_VALUES):
        flood(colours, row, PIXEL_VALUES * block, r, g, b)


@inner_kernel
def mix(
    colours: NDArray[np.float32], at: int, share: np.float32,
    hide: np.float32, red: np.float32, green: np.float32, blue: np.float32,
) -> None:  # fmt: skip
    """Take away `hide` of the pixel whose red is number `at` and add a colour, each times `share`."""
    r, g, b = colours[at], colours[at + LANES], colours[at + 2 * LANES]
    colours[at] = r + share * (red - hide * r)
    colours[at + LANES] = g + share * (green - hide * g)
    colours[at + 2 * LANES] = b + share * (blue - hide * b)


@inner_kernel
def mix_pixel(
    colours: NDArray[np.float32], row: int, u: int, share: np.float32,
    hide: np.float32, red: np.float32, green: np.float32, blue: np.float32,
) -> None:  # fmt: skip
    """The same for pixel u of a row."""
    mix(colours[row], u // LANES * PIXEL_VALUES + u % LANES, share, hide, red, green, blue)


@inner_kernel
def through_haze(
    rows: NDArray[np.float64], row: int, red: float, green: float, blue: float
) -> tuple[np.float32, np.float32, np.float32]:
    """A colour of the ground as it is seen in a row."""
    clear = rows[row, CLEAR]
    return (
        np.float32(red * clear + rows[row, VEIL_R]),
        np.float32(green * clear + rows[row, VEIL_G]),
        np.float32(blue * clear + rows[row, VEIL_B]),
    )


@inner_kernel
def take_marks(touched: NDArray[np.uint64], row: int, block: int, bits: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Marks of a block, and those of the blocks after it in its word; clears a word as it begins."""
    if block % WORD_BLOCKS == 0:
        bits = touched[row, block // WORD_BLOCKS]
        touched[row, block // WORD_BLOCKS] = _NONE
    return bits & _BLOCK_BITS, bits >> _BLOCK_SHIFT


@lean_kernel
def sweep_ground(
    colours: NDArray[np.float32], cover: NDArray[np.float32], touched: NDArray[np.uint64], rows: NDArray[np.float64],
    first: int, last: int, red: float, green: float, blue: float, cells: float, grain: float, seed: int,
) -> None:  # fmt: skip
    """Lay a surface on the ground, rough by `grain`."""
    one, zero, salt = np.float32(1.0), np.float32(0.0), np.uint32(seed)
    blocks = colours.shape[1] // PIXEL_VALUES
    for row in range(first, last):
        r, g, b = through_haze(rows, row, red, green, blue)
        rough = np.float32(grain * rows[row, GRAIN])
        fx, fy, dx, dy, hx, hy = roughness(rows, row, cells * rows[row, CELLS])
        share, bits = zero, _NONE
        for block in range(blocks):
            here, bits = take_marks(touched, row, block, bits)
            if here == _NONE and share <= EMPTY:
                continue
            share = sum_up(cover, row, LANES * block, share)
            shares = window(cover, row, LANES * block, LANES)
            filled = window(colours, row, PIXEL_VALUES * block, PIXEL_VALUES)
            for i in range(LANES):
                u = np.float32(np.int32(LANES * block + i))
                factor = one + rough * rough_at(u, fx, fy, dx, dy, hx, hy, salt)
                mix(filled, i, min(shares[i], one), one, r * factor, g * factor, b * factor)
                shares[i] = zero


@lean_kernel
def sweep_paint(
    colours: NDArray[np.float32], cover: NDArray[np.float32], touched: NDArray[np.uint64], rows: NDArray[np.float64],
    first: int, last: int, red: float, green: float, blue: float, wear: float, seed: int,
) -> None:  # fmt: skip
    """Lay paint, thinner in patches by up to `wear`."""
    one, zero, salt = np.float32(1.0), np.float32(0.0), np.uint32(seed)
    blocks = colours.shape[1] // PIXEL_VALUES
    left = np.float32(1.0 - 0.5 * wear)
    for row in range(first, last):
        r, g, b = through_haze(rows, row, red, green, blue)
        patchy = np.float32(wear if rows[row, LONG] < WORN_LONG_M else 0.0)
        fx, fy, dx, dy, hx, hy = roughness(rows, row, WORN_CELLS)
        share, bits = zero, _NONE
        for block in range(blocks):
            here, bits = take_marks(touched, row, block, bits)
            if here == _NONE and share <= EMPTY:
                continue
            share = sum_up(cover, row, LANES * block, share)
            shares = window(cover, row, LANES * block, LANES)
            filled = window(colours, row, PIXEL_VALUES * block, PIXEL_VALUES)
            for i in range(LANES):
                u = np.float32(np.int32(LANES * block + i))
                kept = left - patchy * rough_at(u, fx, fy, dx, dy, hx, hy, salt)
                mix(filled, i, min(shares[i], one) * kept, one, r, g, b)
                shares[i] = zero


@lean_kernel
def sweep_mix(
    colours: NDArray[np.float32], cover: NDArray[np.float32], touched: NDArray[np.uint64],
    first: int, last: int, hide: float, red: float, green: float, blue: float,
) -> None:  # fmt: skip
    """Take away `hide` of what is there and add a colour, each times the share of the pixel that is covered."""
    h, r, g, b = np.float32(hide), np.float32(red), np.float32(green), np.float32(blue)
    zero, blocks = np.float32(0.0), colours.shape[1] // PIXEL_VALUES
    for row in range(first, last):
        share, bits = zero, _NONE
        for block in range(blocks):
            here, bits = take_marks(touched, row, block, bits)
            if here == _NONE and share <= EMPTY:
                continue
            share = sum_up(cover, row, LANES * block, share)
            shares = window(cover, row, LANES * block, LANES)
            filled = window(colours, row, PIXEL_VALUES * block, PIXEL_VALUES)
            for i in range(LANES):
                mix(filled, i, shares[i], h, r, g, b)
                shares[i] = zero


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
