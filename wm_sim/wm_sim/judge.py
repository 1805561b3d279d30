"""What becomes of the ego: how free its way is, whom it touches and how, and what ends its episode."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.geometry import locate_between, turned_boxes_overlap
from wm_sim.kernel import inner_kernel
from wm_sim.lamps import lit_lamp
from wm_sim.observation import EGO_FRONT_X_M, EGO_LENGTH_M, EGO_WIDTH_M
from wm_sim.scene import (
    ACTIVE,
    CCOS,
    CSIN,
    CX,
    CY,
    LAMP_RED,
    LCOS,
    LENGTH,
    LINE_STEP_M,
    LSIN,
    OVERLAP_FROM,
    OVERLAP_SHIFT,
    OVERLAP_TO,
    PATH,
    SIGNAL_PATH,
    STOP_S,
    WIDTH,
    D,
    S,
    V,
)
from wm_sim.traffic.ground import Ground
from wm_sim.traffic.neighbours import EGO_COS, EGO_D, EGO_S, EGO_SIN, EGO_V, EGO_X, EGO_Y

GAP_MAX_M = 60.0

# Bits of events; the first four are also what ends an episode.
COLLISION, OFF_ROAD, ROUTE_DONE, TIMEOUT, RED_LIGHT, RESET = 1, 2, 4, 8, 16, 32
TERMINAL = COLLISION | OFF_ROAD | ROUTE_DONE
# The ego's side that was hit.
FRONT, REAR, LEFT, RIGHT = range(4)
SIDES = ("front", "rear", "left", "right")

_EGO_REACH_M = 0.5 * (EGO_LENGTH_M + EGO_WIDTH_M)


@inner_kernel
def touched(agents: NDArray[np.float64], ego: NDArray[np.float64]) -> int:
    """The first agent whose box touches the ego's, -1 if none. ego [SEEN_EGO_SIZE]."""
    cos, sin = ego[EGO_COS], ego[EGO_SIN]
    x, y = ego[EGO_X], ego[EGO_Y]
    for k in range(len(agents)):
        dx, dy = agents[k, CX] - x, agents[k, CY] - y
        reach = _EGO_REACH_M + 0.5 * (agents[k, LENGTH] + agents[k, WIDTH])
        if (
            dx * dx + dy * dy < reach * reach
            and agents[k, ACTIVE] > 0.0
            and turned_boxes_overlap(
                dx, dy, cos, sin, EGO_LENGTH_M, EGO_WIDTH_M,
                agents[k, CCOS], agents[k, CSIN], agents[k, LENGTH], agents[k, WIDTH],
            )
        ):  # fmt: skip
            return k
    return -1


@inner_kernel
def impact_of(agent: NDArray[np.float64], ego: NDArray[np.float64]) -> tuple[float, int]:
    """Relative speed (m/s) of ego and the agent that it touches, and the ego's side that is hit."""
    cos, sin = ego[EGO_COS], ego[EGO_SIN]
    vx = ego[EGO_V] * cos - agent[V] * agent[CCOS]
    vy = ego[EGO_V] * sin - agent[V] * agent[CSIN]
    dx, dy = agent[CX] - ego[EGO_X], agent[CY] - ego[EGO_Y]
    ahead, aside = dx * cos + dy * sin, dy * cos - dx * sin
    turn_cos = abs(cos * agent[CCOS] + sin * agent[CSIN])
    turn_sin = abs(cos * agent[CSIN] - sin * agent[CCOS])
    deep_x = 0.5 * (EGO_LENGTH_M + agent[LENGTH] * turn_cos + agent[WIDTH] * turn_sin) - abs(ahead)
    deep_y = 0.5 * (EGO_WIDTH_M + agent[LENGTH] * turn_sin + agent[WIDTH] * turn_cos) - abs(aside)
    if deep_x <= deep_y:
        side = FRONT if ahead > 0.0 else REAR
    else:
        side = LEFT if aside > 0.0 else RIGHT
    return math.sqrt(vx * vx + vy * vy), side


@inner_kernel
def gap_ahead(agents: NDArray[np.float64], ground: Ground, ego: NDArray[np.float64], index: int) -> tuple[float, float]:
    """Free metres ahead along the route on the width that the ego covers, and closing speed; GAP_MAX_M and 0 if free.

    ego [SEEN_EGO_SIZE], at sample `index` of path 0. Who drives on ground that the route shares is known by s and d,
    everybody else is looked up on the route.
    """
    gap, closing = GAP_MAX_M, 0.0
    paths, overlaps, last = ground.paths, ground.overlaps, ground.first[1] - 1
    front = ego[EGO_S] + EGO_FRONT_X_M
    for k in range(len(agents)):
        if agents[k, ACTIVE] == 0.0:
            continue
        dx, dy = agents[k, CX] - ego[EGO_X], agents[k, CY] - ego[EGO_Y]
        reach = gap + EGO_LENGTH_M + agents[k, LENGTH]
        if dx * dx + dy * dy > reach * reach:  # along the route it is not nearer than through the air
            continue
        path, s, d = int(agents[k, PATH]), agents[k, S], agents[k, D]
        half_length, half_width, along = 0.5 * agents[k, LENGTH], 0.5 * agents[k, WIDTH], agents[k, V]
        if path != 0:
            if path > 0 and overlaps[path, 0, OVERLAP_FROM] <= s <= overlaps[path, 0, OVERLAP_TO]:
                s += overlaps[path, 0, OVERLAP_SHIFT]
            else:
                ahead = dx * ego[EGO_COS] + dy * ego[EGO_SIN]
                if ahead < -0.5 * (EGO_LENGTH_M + agents[k, LENGTH]):
                    continue
                guess = min(max(index + int(ahead / LINE_STEP_M), 0), last)
                at, s, d = locate_between(paths, 0, last, guess, agents[k, CX], agents[k, CY])
                cos, sin = paths[at, LCOS], paths[at, LSIN]
                turn_cos = agents[k, CCOS] * cos + agents[k, CSIN] * sin
                turn_sin = abs(agents[k, CSIN] * cos - agents[k, CCOS] * sin)
                along *= turn_cos
                turn_cos = abs(turn_cos)
                half_length = 0.5 * (agents[k, LENGTH] * turn_cos + agents[k, WIDTH] * turn_sin)
                half_width = 0.5 * (agents[k, LENGTH] * turn_sin + agents[k, WIDTH] * turn_cos)
        free = s - half_length - front
        if abs(d - ego[EGO_D]) < half_width + 0.5 * EGO_WIDTH_M and -2.0 * half_length < free < gap:
            gap = max(free, 0.0)
            closing = ego[EGO_V] - along
    return gap, closing


@inner_kernel
def crossed_red(signals: NDArray[np.float64], before_s: float, after_s: float, time_s: float) -> bool:
    """Whether the ego's front bumper went over one of the route's stop lines while its light was red."""
    for g in range(len(signals)):
        crossed = before_s < signals[g, STOP_S] - EGO_FRONT_X_M <= after_s
        if crossed and signals[g, SIGNAL_PATH] == 0.0 and lit_lamp(signals[g], time_s) == LAMP_RED:
            return True
    return False
