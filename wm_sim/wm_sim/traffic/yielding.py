"""Lines that a driver stops at: red lights, and places where others have the right of way."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import inner_kernel
from wm_sim.lamps import lit_lamp
from wm_sim.observation import EGO_CENTRE_X_M, EGO_LENGTH_M
from wm_sim.scene import (
    ACCEL_MPS2,
    ACTIVE,
    BRAKE_MPS2,
    CCOS,
    CSIN,
    DESIRED,
    GAP_ACCEPT_S,
    HAS_WAY,
    HEADWAY_S,
    LAMP_GREEN,
    LAMP_YELLOW,
    LENGTH,
    PATH,
    REACTS_TO_EGO,
    SIGNAL_PATH,
    STOP_S,
    WAY_IN,
    WAY_OUT,
    YIELD_IN,
    YIELD_LINE_S,
    YIELD_OUT,
    YIELDS,
    A,
    S,
    V,
)
from wm_sim.traffic.ground import Ground
from wm_sim.traffic.idm import idm
from wm_sim.traffic.neighbours import EGO_A, EGO_COS, EGO_D, EGO_S, EGO_SIN, EGO_V

LINE_M = 1.0  # stops this far before a line
YELLOW_BRAKE_MPS2, RED_BRAKE_MPS2 = 3.5, 7.0  # who would have to brake harder goes on
YIELD_BRAKE_MPS2 = 5.0
DECIDE_BRAKE_MPS2, DECIDE_M = 2.0, 10.0  # looks at a crossing from where it could stop so gently
COURTESY_S = 3.0  # who has the way still minds a body in it this far ahead
NOSE_M = 1.0  # that reach into the way are passed: two who wait for each other would wait for ever
ON_PATH_M = 3.0  # an ego further beside its route than this is not coming along it


@inner_kernel
def red_light_ahead(agent: NDArray[np.float64], signals: NDArray[np.float64], front: float, time_s: float) -> float:
    """Metres to the nearest stop line that keeps an agent, inf if none."""
    nearest = math.inf
    for g in range(len(signals)):
        distance = signals[g, STOP_S] - front
        if signals[g, SIGNAL_PATH] != agent[PATH] or not 0.0 < distance < nearest:
            continue
        lamp = lit_lamp(signals[g], time_s)
        if lamp == LAMP_GREEN:
            continue
        most = YELLOW_BRAKE_MPS2 if lamp == LAMP_YELLOW else RED_BRAKE_MPS2
        if agent[V] * agent[V] <= 2.0 * most * distance:
            nearest = distance
    return nearest


@inner_kernel
def comes(front: float, rear: float, speed: float, gaining: float, way_in: float, way_out: float, gap_s: float) -> bool:
    """Whether a body is between way_in and way_out or will be within gap_s."""
    if rear > way_out:
        return False
    return front >= way_in or way_in - front < gap_s * max(speed + max(gaining, 0.0), 0.1)


@inner_kernel
def way_is_taken(agents: NDArray[np.float64], k: int, conflict: NDArray[np.float64], ego: NDArray[np.float64]) -> bool:
    """Whether somebody with the right of way leaves agent k too small a gap."""
    path, gap_s = conflict[HAS_WAY], agents[k, GAP_ACCEPT_S]
    way_in, way_out = conflict[WAY_IN], conflict[WAY_OUT]
    if path == 0.0 and agents[k, REACTS_TO_EGO] > 0.0 and abs(ego[EGO_D]) < ON_PATH_M:
        middle = ego[EGO_S] + EGO_CENTRE_X_M
        front, rear = middle + 0.5 * EGO_LENGTH_M, middle - 0.5 * EGO_LENGTH_M
        if comes(front, rear, ego[EGO_V], ego[EGO_A], way_in, way_out, gap_s):
            return True
    for j in range(len(agents)):
        if j != k and agents[j, PATH] == path and agents[j, ACTIVE] > 0.0:
            half = 0.5 * agents[j, LENGTH]
            front, rear = agents[j, S] + half, agents[j, S] - half
            if comes(front, rear, agents[j, V], agents[j, A], way_in, way_out, gap_s):
                return True
    return False


@inner_kernel
def body_in_the_way(
    agents: NDArray[np.float64], k: int, conflict: NDArray[np.float64], ego: NDArray[np.float64]
) -> tuple[float, float]:
    """How far into agent k's way a body that should have yielded stands (m past YIELD_IN, inf if none), and its speed.

    The speed is that along k's heading: a car that joins drives on, one that crosses stands.
    """
    path, least, along = conflict[YIELDS], math.inf, 0.0
    low, high = conflict[YIELD_IN], conflict[YIELD_OUT]
    if path == 0.0 and agents[k, REACTS_TO_EGO] > 0.0 and abs(ego[EGO_D]) < ON_PATH_M:
        rear = ego[EGO_S] + EGO_CENTRE_X_M - 0.5 * EGO_LENGTH_M
        if rear < high and rear + EGO_LENGTH_M > low + NOSE_M:
            least = max(rear - low, 0.0)
            along = ego[EGO_V] * (ego[EGO_COS] * agents[k, CCOS] + ego[EGO_SIN] * agents[k, CSIN])
    for j in range(len(agents)):
        if j != k and agents[j, PATH] == path and agents[j, ACTIVE] > 0.0:
            rear = agents[j, S] - 0.5 * agents[j, LENGTH]
            if rear < high and rear + agents[j, LENGTH] > low + NOSE_M and rear - low < least:
                least = max(rear - low, 0.0)
                along = agents[j, V] * (agents[j, CCOS] * agents[k, CCOS] + agents[j, CSIN] * agents[k, CSIN])
    return least, along


@inner_kernel
def hold_back(agents: NDArray[np.float64], k: int, ground: Ground, ego: NDArray[np.float64], time_s: float) -> float:
    """Most acceleration that lights and rights of way leave agent k; inf where none asks anything of it."""
    agent = agents[k]
    speed, path, front = agent[V], agent[PATH], agent[S] + 0.5 * agent[LENGTH]
    line = red_light_ahead(agent, ground.signals, front, time_s)
    most = math.inf
    for c in range(len(ground.conflicts)):
        conflict = ground.conflicts[c]
        if conflict[YIELDS] == path and front <= conflict[YIELD_IN]:
            distance = conflict[YIELD_LINE_S] - front
            seen = speed * speed / (2.0 * DECIDE_BRAKE_MPS2) + DECIDE_M
            if distance > min(seen, line) or speed * speed > 2.0 * YIELD_BRAKE_MPS2 * max(distance, 0.1):
                continue
            if way_is_taken(agents, k, conflict, ego):
                line = max(distance, 0.0)
        elif conflict[HAS_WAY] == path and front < conflict[WAY_IN]:
            distance = conflict[WAY_IN] - front
            if distance > COURTESY_S * max(speed, 2.0):
                continue
            into, along = body_in_the_way(agents, k, conflict, ego)
            if into < math.inf:
                most = min(most, idm(speed, agent[DESIRED], distance + into, speed - along, agent[HEADWAY_S],
                                     LINE_M, agent[ACCEL_MPS2], agent[BRAKE_MPS2]))  # fmt: skip
    if line < math.inf:
        most = min(most, idm(speed, agent[DESIRED], line, speed, 0.6 * agent[HEADWAY_S], LINE_M, agent[ACCEL_MPS2],
                             agent[BRAKE_MPS2]))  # fmt: skip
    return most
