"""Where paths run on the same ground, and where they cross or join: found by geometry alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import kernel
from wm_sim.network.line import project
from wm_sim.network.paths import Path
from wm_sim.scene import (
    CONFLICT_SIZE,
    HAS_WAY,
    LCOS,
    LINE_STEP_M,
    LSIN,
    OVERLAP_FROM,
    OVERLAP_TO,
    WAY_IN,
    WAY_OUT,
    YIELD_IN,
    YIELD_LINE_S,
    YIELD_OUT,
    YIELDS,
)

STRIP_M = 2.2  # width of the strip that traffic along a path sweeps
SAME_GROUND_M = 0.2  # paths nearer than this …
SAME_SHIFT_M = 0.2  # … whose arc lengths keep step this well run together
SAME_COS = 0.97  # … if they head the same way
LINE_REACH_M = 30.0  # traffic waits at the junction's edge where that is no farther from the conflict than this
LINE_MARGIN_M = 1.0


@kernel
def together(
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    found: NDArray[np.float64],
    same_ground_m: float,
    same_shift_m: float,
) -> tuple[NDArray[np.bool_], int, int, float]:
    """Samples of path a that lie on path b [m]; of their longest stretch in step the first, the last and the shift.

    found: project(a, b). First > last where there is none.
    """
    same = np.zeros(len(a), dtype=np.bool_)
    best_first, best_last, best_shift = 0, -1, 0.0
    first, low, high = -1, 0.0, 0.0
    for i in range(len(a)):
        j = min(max(int(np.rint(found[i, 0])), 0), len(b) - 1)
        aligned = a[i, LCOS] * b[j, LCOS] + a[i, LSIN] * b[j, LSIN]
        same[i] = found[i, 1] < same_ground_m and aligned > SAME_COS
        shift = found[i, 0] * LINE_STEP_M - i * LINE_STEP_M
        if not same[i]:
            first = -1
            continue
        if first < 0 or max(high, shift) - min(low, shift) > same_shift_m:
            first, low, high = i, shift, shift
        low, high = min(low, shift), max(high, shift)
        if i - first > best_last - best_first:
            best_first, best_last, best_shift = first, i, 0.5 * (low + high)
    return same, best_first, best_last, best_shift


def _apart(a: Path, b: Path, reach: float) -> bool:
    """Whether the paths' bounding boxes are farther than `reach` from each other."""
    low, high = a.samples[:, :2].min(0), a.samples[:, :2].max(0)
    return bool(np.any(b.samples[:, :2].min(0) > high + reach) or np.any(b.samples[:, :2].max(0) < low - reach))


def overlaps(
    paths: Sequence[Path], same_ground_m: float = SAME_GROUND_M, same_shift_m: float = SAME_SHIFT_M
) -> NDArray[np.float64]:
    """For every two paths the longest stretch that both run along: [P, P, 3], OVERLAP_* of scene.py.

    A place at s_a on path a is the place s_a + SHIFT on path b to within 0.3 m; wider bounds suit recorded paths.
    """
    count = len(paths)
    table = np.zeros((count, count, 3))
    table[:, :, OVERLAP_FROM], table[:, :, OVERLAP_TO] = 1.0, -1.0
    for k, a in enumerate(paths):
        table[k, k] = 0.0, a.length_m, 0.0
        for m in range(k + 1, count):
            b = paths[m]
            if _apart(a, b, same_ground_m):
                continue
            found = project(a.samples, b.samples, 2.0)
            _, first, last, shift = together(a.samples, b.samples, found, same_ground_m, same_shift_m)
            if last - first < 2:
                continue
            start, end = first * LINE_STEP_M, last * LINE_STEP_M
            table[k, m] = start, end, shift
            table[m, k] = max(start + shift, 0.0), min(end + shift, b.length_m), -shift
    return table


def conflicts(paths: Sequence[Path], strip_m: float = STRIP_M) -> NDArray[np.float64]:
    """Where strips `strip_m` wide along the paths cross or join: [C, CONFLICT_SIZE].

    The lane with the higher priority has the way; between equals, who comes from the right. Where paths part there is
    no conflict: there the ones behind follow the ones ahead.
    """
    rows: list[NDArray[np.float64]] = []
    for k, a in enumerate(paths):
        for m in range(k + 1, len(paths)):
            if not _apart(a, paths[m], strip_m):
                rows += _meetings(k, a, m, paths[m], strip_m)
    return np.array(rows).reshape(-1, CONFLICT_SIZE)


def _meetings(k: int, a: Path, m: int, b: Path, strip_m: float) -> list[NDArray[np.float64]]:
    """Conflicts between two paths."""
    onto_b, onto_a = project(a.samples, b.samples, strip_m), project(b.samples, a.samples, strip_m)
    same_a = together(a.samples, b.samples, onto_b, SAME_GROUND_M, SAME_SHIFT_M)[0]
    same_b = together(b.samples, a.samples, onto_a, SAME_GROUND_M, SAME_SHIFT_M)[0]
    near = (onto_b[:, 1] < strip_m) & ~same_a
    near_b = (onto_a[:, 1] < strip_m) & ~same_b
    rows = []
    for first, last in runs(near):
        parting = first > 0 and same_a[first - 1]
        opening = (
            first == 0 and onto_b[0, 0] < 2.0 * strip_m / LINE_STEP_M and _heading_cos(a, b, 0, int(onto_b[0, 0])) > 0.5
        )
        if parting or opening:
            continue
        place = onto_a[:, 0]
        on_b = np.flatnonzero(near_b & (place >= first - 1.5) & (place <= last + 1.5))
        touched = onto_b[first : last + 1, 0]
        b_first = int(min(on_b.min(initial=len(b.samples)), np.floor(touched.min())))
        b_last = int(max(on_b.max(initial=0), np.ceil(touched.max())))
        b_last = min(b_last, len(b.samples) - 1)
        if _a_yields(a, b, (first + last) // 2, (b_first + b_last) // 2, first, b_first):
            rows.append(_row(k, a, first, last, m, b_first, b_last))
        else:
            rows.append(_row(m, b, b_first, b_last, k, first, last))
    return rows


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of every stretch of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(start), int(end) - 1) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _heading_cos(a: Path, b: Path, i: int, j: int) -> float:
    p, q = a.samples[i], b.samples[j]
    return float(p[LCOS] * q[LCOS] + p[LSIN] * q[LSIN])


def _a_yields(a: Path, b: Path, at_a: int, at_b: int, first_a: int, first_b: int) -> bool:
    """Whether a gives way to b: by priority where they meet, else to the right."""
    ours, theirs = int(a.priority[at_a]), int(b.priority[at_b])
    if ours != theirs:
        return ours < theirs
    p, q = a.samples[first_a], b.samples[first_b]
    return bool(p[LCOS] * q[LSIN] - p[LSIN] * q[LCOS] > 0.0)


def _row(k: int, path: Path, first: int, last: int, m: int, way_first: int, way_last: int) -> NDArray[np.float64]:
    """One conflict: who comes along path k at samples first to last yields to path m."""
    row = np.zeros(CONFLICT_SIZE)
    row[YIELDS], row[HAS_WAY] = k, m
    row[YIELD_IN], row[YIELD_OUT] = first * LINE_STEP_M, last * LINE_STEP_M
    row[WAY_IN], row[WAY_OUT] = way_first * LINE_STEP_M, way_last * LINE_STEP_M
    outside = np.flatnonzero(~path.junction[: first + 1])
    edge = (outside[-1] + 1) * LINE_STEP_M if len(outside) else 0.0
    line = row[YIELD_IN] - LINE_MARGIN_M
    if path.junction[first] and row[YIELD_IN] - edge < LINE_REACH_M:
        line = min(line, edge)
    row[YIELD_LINE_S] = max(line, 0.0)
    return row
