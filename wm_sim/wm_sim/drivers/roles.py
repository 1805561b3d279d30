"""Who matters to the ego: who is followed, who has to be let pass, who gives way."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.drivers.forecast import F_D, F_HALF_D, F_HALF_S, F_S, F_SAME_WAY, FAR_M
from wm_sim.drivers.pace import CHECKED, LEAD, NOBODY, SIDE_M
from wm_sim.kernel import kernel
from wm_sim.lamps import lit_lamp
from wm_sim.observation import EGO_CENTRE_X_M, EGO_WIDTH_M
from wm_sim.scene import (
    ACTIVE,
    GREEN_S,
    HAS_WAY,
    KIND,
    LAMP_GREEN,
    LAMP_YELLOW,
    LENGTH,
    LOGGED,
    OFFSET_S,
    PATH,
    REACTIVE,
    RED_S,
    SIGNAL_PATH,
    STANDING,
    STOP_S,
    YELLOW_S,
    YIELD_IN,
    YIELDS,
    S,
    V,
)

STOPS_AT_MPS2 = 4.0  # who can still stop with this much gives way
CREEPS_MPS = 0.5


@kernel
def lamp(signal: NDArray[np.float64], time_s: float) -> tuple[int, float]:
    """What a signal shows, and for how long still (s)."""
    shows = lit_lamp(signal, time_s)
    period = signal[GREEN_S] + signal[YELLOW_S] + signal[RED_S]
    into = time_s + signal[OFFSET_S]
    into -= period * math.floor(into / period)
    if shows == LAMP_GREEN:
        return shows, signal[GREEN_S] - into
    if shows == LAMP_YELLOW:
        return shows, signal[GREEN_S] + signal[YELLOW_S] - into
    return shows, period - into


@kernel
def gives_way(
    agent: NDArray[np.float64], conflicts: NDArray[np.float64], signals: NDArray[np.float64], time_s: float
) -> bool:
    """Whether this road user waits: it yields to the ego's path or its light is not green, and it can still stop."""
    front, brake_m = agent[S] + 0.5 * agent[LENGTH], agent[V] ** 2 / (2.0 * STOPS_AT_MPS2)
    for row in conflicts:
        if row[YIELDS] == agent[PATH] and row[HAS_WAY] == 0.0 and front + brake_m < row[YIELD_IN]:
            return True
    for signal in signals:
        before = signal[SIGNAL_PATH] == agent[PATH] and front + brake_m < signal[STOP_S] + 1.0
        if before and lit_lamp(signal, time_s) != LAMP_GREEN:
            return True
    return False


@kernel
def assign_roles(
    agents: NDArray[np.float64],
    cast: NDArray[np.float64],
    conflicts: NDArray[np.float64],
    signals: NDArray[np.float64],
    time_s: float,
    s: float,
    d: float,
    out: NDArray[np.int64],
) -> None:
    """Fill `out` [K] with the roles of pace.py for an ego at (s, d) of the route."""
    middle = s + EGO_CENTRE_X_M
    for k in range(len(agents)):
        out[k] = NOBODY
        kind = int(agents[k, KIND])
        if agents[k, ACTIVE] == 0.0 or kind == STANDING:
            continue
        near = False
        for j in range(cast.shape[1]):
            near |= cast[k, j, F_D] != FAR_M and cast[k, j, F_S] + cast[k, j, F_HALF_S] > s - 60.0
        if not near:
            continue
        now = cast[k, 0]
        out[k] = CHECKED
        if now[F_D] != FAR_M and now[F_SAME_WAY] > 0.7:
            beside = abs(now[F_D] - d) < now[F_HALF_D] + 0.5 * EGO_WIDTH_M + SIDE_M
            in_lane = abs(now[F_D]) < now[F_HALF_D] + 0.5 * EGO_WIDTH_M
            if (beside or in_lane) and now[F_S] > middle:
                out[k] = LEAD
                continue
            if (beside or in_lane) and now[F_S] + now[F_HALF_S] < middle:
                out[k] = NOBODY  # it follows
                continue
        if kind not in (LOGGED, REACTIVE) and gives_way(agents[k], conflicts, signals, time_s):
            out[k] = NOBODY


@kernel
def time_until(distance: float, v: float, accel: float, top: float) -> float:
    """Seconds to cover `distance` from speed v, gaining `accel` up to `top`."""
    top = max(top, v)
    gain_m = (top * top - v * v) / (2.0 * accel)
    if distance <= gain_m:
        return (math.sqrt(v * v + 2.0 * accel * distance) - v) / accel
    return (top - v) / accel + (distance - gain_m) / max(top, 0.1)
