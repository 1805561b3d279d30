"""Which way the wheels have to point before a standing car may go: as the gate lets it start, not as the model likes.

The gate keeps a car standing while something lies in the arc that its wheels point along. A model that is a few degrees
off beside a parked car would ask for that arc for ever. It is the scan that knows better.
"""

import math

import numpy as np
from numpy.typing import NDArray

from wm_planner.safety.corridor import in_corridor
from wm_planner.safety.limits import Limits, effective_wheelbase
from wm_planner.safety.sightings import sight
from wm_sim.action import STEER_MAX_RAD

Array = NDArray[np.float32]

WALKING_MPS = 1.5  # a faster car is on its way, and steers as the model says
ROOM_M = 0.3  # in the arc, beyond the gap that the gate keeps when all has stopped
ANGLES = np.linspace(-1.0, 1.0, 41)  # of steering that are looked at, action units


def steering_to_start(
    scan: Array, wanted: float, most_turn: float, speed_mps: float, limits: Limits
) -> tuple[float, float] | None:
    """The steering, least and most in action units, within which a standing car may start nearest to how it wants to.

    scan [72] m. None where nothing has to change, and where nothing within `most_turn` of `wanted` would help.
    """
    free = _free(scan, speed_mps, limits)
    wished = int(np.argmin(np.abs(ANGLES - wanted)))
    if free[wished] or not free.any():
        return None
    candidates = np.flatnonzero(free)
    first = last = int(candidates[np.argmin(np.abs(ANGLES[candidates] - wanted))])
    if abs(ANGLES[first] - wanted) > most_turn:
        return None
    while first > 0 and free[first - 1]:
        first -= 1
    while last < len(free) - 1 and free[last + 1]:
        last += 1
    return float(ANGLES[first]), float(ANGLES[last])


def _free(scan: Array, speed_mps: float, limits: Limits) -> NDArray[np.bool_]:
    """Along which of ANGLES, and their neighbours, nothing stands too near to start, [41]."""
    curvature = np.tan(ANGLES * STEER_MAX_RAD) / effective_wheelbase(speed_mps, limits)
    inside, gap_m = in_corridor(sight(scan, 0, None, speed_mps), 0.0, curvature, limits)
    blocked = (inside & (gap_m < limits.standstill_gap_m + ROOM_M)).any(axis=1)
    beside = np.concatenate(([False], blocked, [False]))
    return ~(blocked | beside[:-2] | beside[2:])


def may_pull_away(speed_mps: float) -> bool:
    """Whether a car is slow enough to be told how to steer for a start."""
    return math.isfinite(speed_mps) and speed_mps < WALKING_MPS
