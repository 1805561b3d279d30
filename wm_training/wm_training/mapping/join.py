"""Messages at any rate onto a grid of stamps. Stamps are int64 ns and strictly increasing, as `forward` leaves them."""

from __future__ import annotations

import numpy as np


def forward(stamps: np.ndarray) -> np.ndarray:
    """Indices of the stamps that go forward: each later than all kept before it. int64[N] → int64[M], M ≤ N"""
    if not len(stamps):
        return np.zeros(0, np.int64)
    highest = np.maximum.accumulate(stamps)
    keep = np.ones(len(stamps), bool)
    keep[1:] = stamps[1:] > highest[:-1]
    return np.flatnonzero(keep)


def nearest(stamps: np.ndarray, grid: np.ndarray, tolerance: int) -> np.ndarray:
    """Row nearest in time to each stamp of `grid`, the earlier of two; -1 beyond `tolerance` ns. int64[T]"""
    if not len(stamps):
        return np.full(len(grid), -1)
    after = np.searchsorted(stamps, grid).clip(max=len(stamps) - 1)
    before = np.maximum(after - 1, 0)
    row = np.where(np.abs(grid - stamps[before]) <= np.abs(stamps[after] - grid), before, after)
    return np.where(np.abs(stamps[row] - grid) <= tolerance, row, -1)


def held(stamps: np.ndarray, grid: np.ndarray, tolerance: int) -> np.ndarray:
    """Last row that is not later than each stamp of `grid`; -1 where it is older than `tolerance` ns. int64[T]"""
    row = np.searchsorted(stamps, grid, side="right") - 1
    if not len(stamps):
        return row
    return np.where((row >= 0) & (grid - stamps[np.maximum(row, 0)] <= tolerance), row, -1)


def interpolated(stamps: np.ndarray, values: np.ndarray, grid: np.ndarray, tolerance: int) -> np.ndarray:
    """Values [N] on straight lines between the messages around each stamp of `grid`. float64[T]

    NaN where those lie more than 2 x `tolerance` ns apart, and beyond the ends, where the last value is held for
    `tolerance`. A NaN among the values stays one.
    """
    out = np.full(len(grid), np.nan)
    if not len(stamps):
        return out
    right = np.searchsorted(stamps, grid)  # first stamp at or after
    inside = (right > 0) & (right < len(stamps))
    a, b = np.where(inside, right - 1, 0), np.where(inside, right, 0)
    gap = np.maximum(stamps[b] - stamps[a], 1)
    share = (grid - stamps[a]) / gap
    line = np.where(share >= 1.0, values[b], values[a] + share * (values[b] - values[a]))
    out[inside] = np.where((gap <= 2 * tolerance) | (share >= 1.0), line, np.nan)[inside]
    ends = ~inside
    near = nearest(stamps, grid, tolerance)
    out[ends] = np.where(near >= 0, values[near], np.nan)[ends]
    return out


def grid_of(stamps: np.ndarray, step: int, gap: int) -> tuple[np.ndarray, np.ndarray]:
    """Stamps `step` ns apart from the first to the last of the given ones, and where one follows the one before it.

    It begins anew where the given stamps are more than `gap` ns apart. int64[T], bool[T]
    """
    if not len(stamps):
        return np.zeros(0, np.int64), np.zeros(0, bool)
    breaks = np.flatnonzero(np.diff(stamps) > gap) + 1
    parts = [np.arange(part[0], part[-1] + 1, step) for part in np.split(stamps, breaks)]
    follows = [np.arange(len(part)) > 0 for part in parts]
    return np.concatenate(parts), np.concatenate(follows)


def pieces(complete: np.ndarray, follows: np.ndarray, least: int) -> list[tuple[int, int]]:
    """Runs [a, b) of at least `least` complete frames, each following the one before. bool[T] both"""
    goes_on = np.zeros(len(complete), bool)
    goes_on[1:] = complete[1:] & complete[:-1] & follows[1:]
    first = np.flatnonzero(complete & ~goes_on)
    last = np.flatnonzero(complete & ~np.append(goes_on[1:], False))
    return [(int(a), int(b) + 1) for a, b in zip(first, last, strict=True) if b + 1 - a >= least]


def slope(values: np.ndarray, follows: np.ndarray, step_s: float) -> np.ndarray:
    """Change per second of values [T]: central, one-sided at ends and beside NaN; NaN where a frame stands alone."""
    ahead = np.full(len(values), np.nan)
    if len(values) > 1:
        ahead[:-1] = np.where(follows[1:], np.diff(values), np.nan) / step_s
    behind = np.concatenate(([np.nan], ahead[:-1]))[: len(values)]
    both = 0.5 * (ahead + behind)
    return np.where(np.isfinite(both), both, np.where(np.isfinite(ahead), ahead, behind))
