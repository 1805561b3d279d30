"""Which bodies may be in sight, and which stands in front of which."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import lean_kernel
from wm_sim.observation import CAMERA_X_M
from wm_sim.scene import ACTIVE, CX, CY, LENGTH, SIGNAL_X, SIGNAL_Y, WIDTH
from wm_sim.sensors.raster import BODIES, Scratch

VISIBLE_M = 150.0


@lean_kernel
def order_bodies(
    scratch: Scratch, agents: NDArray[np.float64], signals: NDArray[np.float64], x: float, y: float, yaw: float
) -> int:
    """Sort what may be in sight, farthest first, into scratch.order: agents by row, signals by -1 - row; how many."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    order, away = scratch.order, scratch.away
    count = 0
    for k in range(len(agents) + len(signals)):
        if k < len(agents):
            if agents[k, ACTIVE] == 0.0:
                continue
            dx, dy, half = agents[k, CX] - x, agents[k, CY] - y, 0.5 * (agents[k, LENGTH] + agents[k, WIDTH])
            which = k
        else:
            dx, dy, half = signals[k - len(agents), SIGNAL_X] - x, signals[k - len(agents), SIGNAL_Y] - y, 1.0
            which = len(agents) - 1 - k
        ahead, aside = cos * dx + sin * dy - CAMERA_X_M, cos * dy - sin * dx
        distance = math.sqrt(ahead * ahead + aside * aside)
        if ahead < -half or distance > VISIBLE_M or abs(aside) > ahead + 2.0 * half + 2.0:
            continue
        if count == BODIES:
            if distance >= away[0]:
                continue
            for i in range(BODIES - 1):
                order[i], away[i] = order[i + 1], away[i + 1]
            count -= 1
        i = count
        while i > 0 and away[i - 1] < distance:
            order[i], away[i] = order[i - 1], away[i - 1]
            i -= 1
        order[i], away[i] = which, distance
        count += 1
    return count
