"""Time to collision after nuPlan: everybody goes straight on at the speed that they have."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.geometry import boxes_overlap
from wm_sim.kernel import kernel
from wm_sim.observation import EGO_CENTRE_X_M, EGO_LENGTH_M, EGO_WIDTH_M
from wm_sim.scene import ACTIVE, CX, CY, CYAW, LENGTH, WIDTH, V
from wm_sim.vehicle import SPEED, YAW, X, Y

HORIZON_S, STEP_S = 3.0, 0.1
EGO_STOPPED_MPS = 0.005  # below it nobody collides by the ego's motion
AHEAD = math.cos(math.radians(30.0))  # seen from the rear axle
BEHIND = math.cos(math.radians(150.0))


@kernel
def bearing(ego: NDArray[np.float64], x: float, y: float) -> float:
    """Cosine of the angle between the ego's heading and the way from its rear axle to a point; 1 straight ahead."""
    dx, dy = x - ego[X], y - ego[Y]
    away = math.sqrt(dx * dx + dy * dy)
    return 1.0 if away < 1e-9 else (dx * math.cos(ego[YAW]) + dy * math.sin(ego[YAW])) / away


@kernel
def time_to_collision(ego: NDArray[np.float64], agents: NDArray[np.float64], beside: bool) -> float:
    """Time in s until the ego's box meets an agent's, in steps of 0.1 s; inf if not before 3 s.

    ego [EGO_STATE_SIZE], agents [K, AGENT_SIZE]. Only agents within 30 degrees of straight ahead count; with `beside`
    (the ego is not in one lane) all but those within 30 degrees of straight behind. nuPlan's time_to_collision, which
    looks beside in every junction too.
    """
    least = math.inf
    speed = ego[SPEED]
    if speed <= EGO_STOPPED_MPS:
        return least
    cos, sin = math.cos(ego[YAW]), math.sin(ego[YAW])
    x0, y0 = ego[X] + EGO_CENTRE_X_M * cos, ego[Y] + EGO_CENTRE_X_M * sin
    steps = round(HORIZON_S / STEP_S)
    for k in range(len(agents)):
        if agents[k, ACTIVE] == 0.0:
            continue
        side = bearing(ego, agents[k, CX], agents[k, CY])
        if not (side > AHEAD or (beside and side >= BEHIND)):
            continue
        vx, vy = agents[k, V] * math.cos(agents[k, CYAW]), agents[k, V] * math.sin(agents[k, CYAW])
        reach = (speed + abs(agents[k, V])) * HORIZON_S + 0.75 * (agents[k, LENGTH] + agents[k, WIDTH] + EGO_LENGTH_M)
        if (agents[k, CX] - x0) ** 2 + (agents[k, CY] - y0) ** 2 > reach * reach:
            continue
        for i in range(1, steps):
            t = i * STEP_S
            if t >= least:
                break
            if boxes_overlap(
                x0 + speed * cos * t, y0 + speed * sin * t, ego[YAW], EGO_LENGTH_M, EGO_WIDTH_M,
                agents[k, CX] + vx * t, agents[k, CY] + vy * t, agents[k, CYAW], agents[k, LENGTH], agents[k, WIDTH],
            ):  # fmt: skip
                least = t
                break
    return least
