"""How the ego's box lies in its lane and on the road: what corners and middle say of a path."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import kernel
from wm_sim.observation import EGO_CENTRE_X_M, EGO_LENGTH_M, EGO_WIDTH_M
from wm_sim.scene import LANE_WIDTH_M, LCOS, LEFT_M, LSIN, LX, LY, ONCOMING_LEFT, RIGHT_M
from wm_sim.vehicle import YAW, X, Y

WINDOW = 16  # path samples searched on either side: 8 m, more than a corner's distance from the rear axle


@kernel
def offset_at(path: NDArray[np.float64], index: int, x: float, y: float) -> tuple[int, float]:
    """Sample nearest to a point among those around `index`, and the point's offset to the left of the path in m."""
    best, least = index, math.inf
    for i in range(max(0, index - WINDOW), min(len(path), index + WINDOW + 1)):
        away = (x - path[i, LX]) ** 2 + (y - path[i, LY]) ** 2
        if away < least:
            best, least = i, away
    return best, (y - path[best, LY]) * path[best, LCOS] - (x - path[best, LX]) * path[best, LSIN]


@kernel
def lane_position(ego: NDArray[np.float64], path: NDArray[np.float64], index: int) -> tuple[float, float, bool, bool]:
    """Metres that the furthest corner and the ego's middle are off the road (0 if not), whether all corners are in one
    lane, and whether the middle is in an oncoming lane.

    ego [EGO_STATE_SIZE]; path [M, PATH_SIZE] of the route, `index` its sample at the ego. The road reaches as far as
    the ego may go, and over the oncoming lane beside it.
    """
    cos, sin = math.cos(ego[YAW]), math.sin(ego[YAW])
    x0, y0 = ego[X] + EGO_CENTRE_X_M * cos, ego[Y] + EGO_CENTRE_X_M * sin
    near, middle = offset_at(path, index, x0, y0)
    width = path[near, LANE_WIDTH_M]
    left, right = road_reach(path, near)
    lane = np.rint(middle / width)
    lane = min(max(lane, -np.rint((right - 0.5 * width) / width)), np.rint((left - 0.5 * width) / width)) * width
    middle_out = max(0.0, middle - left, -middle - right)
    out, inside = 0.0, True
    for fore in (-0.5, 0.5):
        for aside in (-0.5, 0.5):
            along, across = fore * EGO_LENGTH_M, aside * EGO_WIDTH_M
            i, d = offset_at(path, near, x0 + along * cos - across * sin, y0 + along * sin + across * cos)
            left, right = road_reach(path, i)
            out = max(out, d - left, -d - right)
            inside = inside and abs(d - lane) <= 0.5 * width
    return out, middle_out, inside, path[near, ONCOMING_LEFT] > 0.0 and middle > 0.5 * width


@kernel
def road_reach(path: NDArray[np.float64], i: int) -> tuple[float, float]:
    """How far the road reaches left and right of the path at a sample, in m."""
    left = path[i, LEFT_M]
    if path[i, ONCOMING_LEFT] > 0.0:
        left = max(left, 1.5 * path[i, LANE_WIDTH_M])
    return left, path[i, RIGHT_M]
