"""Where a point lies along a line, and whether two boxes touch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import lean_kernel
from wm_sim.scene import LCOS, LCURVATURE, LINE_STEP_M, LSIN, LX, LY

STEPS_MAX = 12  # a search that starts within some metres of the point needs two or three


@lean_kernel
def locate_between(
    line: NDArray[np.float64], first: int, last: int, index: int, x: float, y: float
) -> tuple[int, float, float]:
    """Sample of rows first..last nearest to (x, y), arc length s from row `first`, offset d to the left.

    Walks on from row `index`, so that what comes near the line twice is found where it was before.
    """
    along = 0.0
    d = 0.0
    for _ in range(STEPS_MAX):
        rx = x - line[index, LX]
        ry = y - line[index, LY]
        d = ry * line[index, LCOS] - rx * line[index, LSIN]
        # Points left of a left curve are nearer to its centre: a metre there is more than a metre of the line.
        along = (rx * line[index, LCOS] + ry * line[index, LSIN]) / max(0.2, 1.0 - line[index, LCURVATURE] * d)
        moved = min(max(index + int(np.rint(along / LINE_STEP_M)), first), last)
        if moved == index:
            break
        index = moved
    return index, (index - first) * LINE_STEP_M + along, d


@lean_kernel
def locate(line: NDArray[np.float64], index: int, x: float, y: float) -> tuple[int, float, float]:
    """Nearest sample, arc length s and lateral offset d (left positive) of (x, y), walking on from sample `index`."""
    return locate_between(line, 0, len(line) - 1, index, x, y)


@lean_kernel
def turned_boxes_overlap(
    dx: float, dy: float, acos: float, asin: float, al: float, aw: float, bcos: float, bsin: float, bl: float, bw: float
) -> bool:
    """Whether two oriented boxes touch: from middle to middle, cosine and sine of the yaws, lengths, widths."""
    cos = abs(acos * bcos + asin * bsin)
    sin = abs(acos * bsin - asin * bcos)
    if abs(dx * acos + dy * asin) > 0.5 * (al + bl * cos + bw * sin):
        return False
    if abs(dy * acos - dx * asin) > 0.5 * (aw + bl * sin + bw * cos):
        return False
    if abs(dx * bcos + dy * bsin) > 0.5 * (bl + al * cos + aw * sin):
        return False
    return abs(dy * bcos - dx * bsin) <= 0.5 * (bw + al * sin + aw * cos)


@lean_kernel
def boxes_overlap(
    ax: float, ay: float, ayaw: float, al: float, aw: float, bx: float, by: float, byaw: float, bl: float, bw: float
) -> bool:
    """Whether two oriented boxes (middle, yaw, length, width) touch, by separating axes."""
    return turned_boxes_overlap(
        bx - ax, by - ay, math.cos(ayaw), math.sin(ayaw), al, aw, math.cos(byaw), math.sin(byaw), bl, bw
    )
