"""The observation's state part as kernels: the same bits as observation.py gives, many worlds at a time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import lean_kernel
from wm_sim.observation import LOST_M, ROUTE_LOOKAHEAD_M, SEGMENTS_BACK, SEGMENTS_FORWARD, YAW_STEPS_1PRAD
from wm_sim.scene import BIAS_X, BIAS_Y, BIAS_YAW, DRIFT_PHASE, DRIFT_RADPS, DRIFT_X, DRIFT_Y

_LOOKAHEAD = np.array(ROUTE_LOOKAHEAD_M, dtype=np.float64)


@lean_kernel
def nearest_segment(
    route: NDArray[np.float64], end: int, x: float, y: float, first: int, last: int
) -> tuple[float, int, float]:
    """Squared distance, segment and distance along it of the point of segments first..last nearest to (x, y).

    route [W, 5], observation.route_segments, of which `end` is the last.
    """
    best, best_segment, best_along = math.inf, first, 0.0
    for i in range(first, last + 1):
        rx, ry = x - route[i, 0], y - route[i, 1]
        along = rx * route[i, 3] + ry * route[i, 4]
        if along < 0.0 and i > 0:
            along = 0.0
        elif along > route[i, 2] and i < end:
            along = route[i, 2]
        ex, ey = rx - along * route[i, 3], ry - along * route[i, 4]
        distance = ex * ex + ey * ey
        if distance < best:
            best, best_segment, best_along = distance, i, along
    return best, best_segment, best_along


@lean_kernel
def look_along_route(
    state: NDArray[np.float32], route: NDArray[np.float64], remembered: int, x: float, y: float, yaw: float
) -> int:
    """Write the route points ahead of a pose into state[7:]; the segment to remember (give -1 the first time)."""
    end = len(route) - 1
    segment, along, found = remembered, 0.0, False
    if remembered >= 0:
        first, last = max(0, remembered - SEGMENTS_BACK), min(end, remembered + SEGMENTS_FORWARD)
        distance, segment, along = nearest_segment(route, end, x, y, first, last)
        at_edge = (segment == first and first > 0) or (segment == last and last < end)
        found = distance < LOST_M * LOST_M and not at_edge
    if not found:
        _, segment, along = nearest_segment(route, end, x, y, 0, end)
    remembered = segment
    yaw = np.rint(yaw * YAW_STEPS_1PRAD) / YAW_STEPS_1PRAD
    cos, sin = math.cos(yaw), math.sin(yaw)
    passed = 0.0
    for k in range(len(_LOOKAHEAD)):
        along += _LOOKAHEAD[k] - passed
        passed = _LOOKAHEAD[k]
        while segment < end and along > route[segment, 2]:
            along -= route[segment, 2]
            segment += 1
        dx = route[segment, 0] + along * route[segment, 3] - x
        dy = route[segment, 1] + along * route[segment, 4] - y
        state[7 + 2 * k] = cos * dx + sin * dy
        state[8 + 2 * k] = cos * dy - sin * dx
    return remembered


@lean_kernel
def receive_pose(
    pose: NDArray[np.float64], setup: NDArray[np.float64], x: float, y: float, yaw: float, time_s: float
) -> None:
    """What the receiver reports [3] of a true pose: with its bias and slow drift."""
    swing = 0.0
    if setup[DRIFT_RADPS] != 0.0:
        swing = math.sin(setup[DRIFT_RADPS] * time_s + setup[DRIFT_PHASE]) - math.sin(setup[DRIFT_PHASE])
    pose[0] = x + (setup[BIAS_X] + setup[DRIFT_X] * swing)
    pose[1] = y + (setup[BIAS_Y] + setup[DRIFT_Y] * swing)
    turned = yaw + setup[BIAS_YAW]
    pose[2] = turned - 2.0 * math.pi * math.floor((turned + math.pi) / (2.0 * math.pi))
