"""Who drives ahead and behind: bodies on the same ground, and bodies that merely stand or walk there."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.geometry import locate_between
from wm_sim.kernel import inner_kernel
from wm_sim.observation import EGO_CENTRE_X_M, EGO_LENGTH_M, EGO_WIDTH_M
from wm_sim.scene import (
    ACTIVE,
    BODY,
    CAR,
    CCOS,
    COVER_LEFT,
    COVER_RIGHT,
    CSIN,
    CX,
    CY,
    LCOS,
    LENGTH,
    LINE_STEP_M,
    LSIN,
    OVERLAP_FROM,
    OVERLAP_SHIFT,
    OVERLAP_TO,
    PATH,
    REACTS_TO_EGO,
    WIDTH,
    S,
    V,
)
from wm_sim.traffic.ground import Ground

SIDE_M = 0.3  # bodies that pass each other closer than this count as in the way
SEEN_M = 80.0  # a driver looks no further ahead
NEAR_M = 30.0  # nor further for what is not on the lanes that it knows

# Entries of the ego as others see it.
EGO_S, EGO_D, EGO_V, EGO_A, EGO_X, EGO_Y, EGO_COS, EGO_SIN = range(8)
SEEN_EGO_SIZE = 8
NOBODY, THE_EGO = -1, -2


@inner_kernel
def carried(overlaps: NDArray[np.float64], a: int, b: int, s: float) -> float:
    """Arc length on path b of the point at s of path a; NaN where they are not on the same ground."""
    if a == b:
        return s
    if overlaps[a, b, OVERLAP_FROM] <= s <= overlaps[a, b, OVERLAP_TO]:
        return s + overlaps[a, b, OVERLAP_SHIFT]
    return math.nan


@inner_kernel
def nearest_on_path(
    agents: NDArray[np.float64], k: int, right: float, left: float, ahead: float,
    overlaps: NDArray[np.float64], ego: NDArray[np.float64],
) -> tuple[float, int]:  # fmt: skip
    """Gap (m, inf if none) and number of the nearest body between offsets right..left ahead (1) or behind (-1) of k."""
    gap, who = math.inf, NOBODY
    path, s, half = agents[k, PATH], agents[k, S], 0.5 * agents[k, LENGTH]
    for j in range(len(agents)):
        distance = (agents[j, S] - s) * ahead
        if agents[j, PATH] != path:
            if agents[j, PATH] < 0.0:
                continue
            distance = (carried(overlaps, int(agents[j, PATH]), int(path), agents[j, S]) - s) * ahead
        free = distance - half - 0.5 * agents[j, LENGTH]
        if (
            distance > 0.0
            and free < gap
            and agents[j, COVER_RIGHT] <= left
            and agents[j, COVER_LEFT] >= right
            and agents[j, ACTIVE] > 0.0
        ):
            gap, who = free, j
    if agents[k, REACTS_TO_EGO] > 0.0:
        middle = ego[EGO_D]
        if middle - 0.5 * EGO_WIDTH_M <= left and middle + 0.5 * EGO_WIDTH_M >= right:
            distance = (carried(overlaps, 0, int(path), ego[EGO_S] + EGO_CENTRE_X_M) - s) * ahead
            if distance > 0.0:
                free = distance - half - 0.5 * EGO_LENGTH_M
                if free < gap:
                    gap, who = free, THE_EGO
    return gap, who


@inner_kernel
def met_at(
    agent: NDArray[np.float64], paths: NDArray[np.float64], begin: int, end: int, reach: float,
    x: float, y: float, cos: float, sin: float, length: float, width: float, speed: float,
) -> tuple[float, float]:  # fmt: skip
    """Gap (m, inf if not in the way) and speed along the agent's way of a body found by its place on the ground.

    The agent drives along rows begin..end of `paths` and looks `reach` metres ahead.
    """
    dx, dy = x - agent[CX], y - agent[CY]
    ahead = dx * agent[CCOS] + dy * agent[CSIN]
    if ahead <= 0.0 or dx * dx + dy * dy > reach * reach:
        return math.inf, 0.0
    guess = begin + int((agent[S] + ahead) / LINE_STEP_M)
    index, s, d = locate_between(paths, begin, end, min(max(guess, begin), end), x, y)
    turn_cos = cos * paths[index, LCOS] + sin * paths[index, LSIN]
    turn_sin = abs(sin * paths[index, LCOS] - cos * paths[index, LSIN])
    half_width = 0.5 * (length * turn_sin + width * abs(turn_cos)) + SIDE_M
    if s <= agent[S] or d - half_width > agent[COVER_LEFT] or d + half_width < agent[COVER_RIGHT]:
        return math.inf, 0.0
    return s - agent[S] - 0.5 * (agent[LENGTH] + length * abs(turn_cos) + width * turn_sin), speed * turn_cos


@inner_kernel
def nearest_in_the_way(
    agents: NDArray[np.float64], k: int, everybody: bool, with_agents: bool, with_ego: bool, ground: Ground,
    ego: NDArray[np.float64],
) -> tuple[float, float]:  # fmt: skip
    """Gap (m, inf if none) and speed along k's way of the nearest body found by its place on the ground, not its path.

    Looks, as asked, at the ego and at people on foot or bicycle; at `everybody` for who drives by a recorded track.
    """
    agent = agents[k]
    path = int(agent[PATH])
    begin, end = ground.first[path], ground.first[path + 1] - 1
    reach = SEEN_M if everybody else NEAR_M
    gap, along = math.inf, 0.0
    if with_ego:
        gap, along = met_at(agent, ground.paths, begin, end, reach, ego[EGO_X], ego[EGO_Y], ego[EGO_COS], ego[EGO_SIN],
                            EGO_LENGTH_M, EGO_WIDTH_M, ego[EGO_V])  # fmt: skip
    if not with_agents:
        return gap, along
    for j in range(len(agents)):
        if j == k or agents[j, ACTIVE] == 0.0 or not (everybody or agents[j, BODY] != CAR or agents[j, PATH] < 0.0):
            continue
        free, speed = met_at(agent, ground.paths, begin, end, reach, agents[j, CX], agents[j, CY], agents[j, CCOS],
                             agents[j, CSIN], agents[j, LENGTH], agents[j, WIDTH], agents[j, V])  # fmt: skip
        if free < gap:
            gap, along = free, speed
    return gap, along
