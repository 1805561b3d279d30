"""What else than the car ahead a careful driver slows down for: who crosses the way, and a red light."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import inner_kernel
from wm_sim.lamps import lit_lamp
from wm_sim.observation import EGO_FRONT_X_M, EGO_LENGTH_M
from wm_sim.scene import ACTIVE, CCOS, CSIN, CX, CY, LAMP_RED, LENGTH, SIGNAL_PATH, STOP_S, V
from wm_sim.traffic.neighbours import EGO_COS, EGO_SIN, EGO_V, EGO_X, EGO_Y

CROSSING_SIN = 0.5  # headings nearer to each other, or to opposite ones, follow or meet: they do not cross
REACH_SHARE = 0.35  # of both lengths together: centres that come so near may touch


@inner_kernel
def crossing_time(agents: NDArray[np.float64], ego: NDArray[np.float64]) -> float:
    """Seconds until somebody who crosses is nearest and too near, both going straight on; infinite for nobody.

    ego [SEEN_EGO_SIZE].
    """
    soonest = math.inf
    vx, vy = ego[EGO_V] * ego[EGO_COS], ego[EGO_V] * ego[EGO_SIN]
    for k in range(len(agents)):
        across = ego[EGO_COS] * agents[k, CSIN] - ego[EGO_SIN] * agents[k, CCOS]
        if abs(across) < CROSSING_SIN or agents[k, ACTIVE] == 0.0 or agents[k, V] <= 0.0:
            continue
        dx, dy = agents[k, CX] - ego[EGO_X], agents[k, CY] - ego[EGO_Y]
        wx, wy = agents[k, V] * agents[k, CCOS] - vx, agents[k, V] * agents[k, CSIN] - vy
        nearest_s = -(dx * wx + dy * wy) / (wx * wx + wy * wy + 1e-9)
        reach = REACH_SHARE * (EGO_LENGTH_M + agents[k, LENGTH])
        x, y = dx + nearest_s * wx, dy + nearest_s * wy
        if 0.0 < nearest_s < soonest and x * x + y * y < reach * reach:
            soonest = nearest_s
    return soonest


@inner_kernel
def red_light_in(signals: NDArray[np.float64], s: float, time_s: float) -> float:
    """Metres from the ego's front bumper to the next stop line of its route whose light is red; infinite for none."""
    nearest = math.inf
    for g in range(len(signals)):
        free = signals[g, STOP_S] - EGO_FRONT_X_M - s
        if 0.0 <= free < nearest and signals[g, SIGNAL_PATH] == 0.0 and lit_lamp(signals[g], time_s) == LAMP_RED:
            nearest = free
    return nearest
