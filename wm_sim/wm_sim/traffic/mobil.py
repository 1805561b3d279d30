"""When a driver changes lanes: MOBIL (Kesting, Treiber, Helbing 2007)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import inner_kernel
from wm_sim.scene import (
    ACCEL_MPS2,
    BRAKE_MPS2,
    COVER_LEFT,
    COVER_RIGHT,
    DESIRED,
    HEADWAY_S,
    LANE_M,
    LANES_LEFT,
    LANES_RIGHT,
    LENGTH,
    NEXT_CHANGE_S,
    POLITENESS,
    SHIFT_RATE,
    SHIFT_TO,
    STANDSTILL_M,
    WIDTH,
    D,
    V,
)
from wm_sim.traffic.idm import idm
from wm_sim.traffic.neighbours import EGO_V, NOBODY, SIDE_M, nearest_on_path

THINKS_EVERY_S, AFTER_CHANGE_S = 1.0, 5.0
GAIN_MPS2 = 0.25  # what a change must bring; the lane that it is in wins a tie
SAFE_BRAKE_MPS2 = 2.0  # most that a change may ask of the driver behind, and of its own
ROOM_M, ROOM_S = 2.0, 0.5  # least gap before and behind
SIDE_MPS = 1.1  # of a change where the agent has no rate of its own
EGO_DRIVES = np.array([1.2, 2.0, 1.8, 2.5])  # headway, standstill, acceleration, braking: what others take it for


@inner_kernel
def speed_of(agents: NDArray[np.float64], who: int, ego: NDArray[np.float64]) -> float:
    """Speed of an agent or the ego; 0 for nobody."""
    if who == NOBODY:
        return 0.0
    return agents[who, V] if who >= 0 else ego[EGO_V]


@inner_kernel
def behind(agents: NDArray[np.float64], who: int, gap: float, speed: float, ego: NDArray[np.float64]) -> float:
    """Acceleration of the driver `who` with a body at `speed` a gap ahead of it; 0 for nobody."""
    if who == NOBODY:
        return 0.0
    if who < 0:
        own = ego[EGO_V]
        return idm(own, max(own, 1.0), gap, own - speed, EGO_DRIVES[0], EGO_DRIVES[1], EGO_DRIVES[2], EGO_DRIVES[3])
    agent = agents[who]
    return idm(agent[V], agent[DESIRED], gap, agent[V] - speed, agent[HEADWAY_S], agent[STANDSTILL_M],
               agent[ACCEL_MPS2], agent[BRAKE_MPS2])  # fmt: skip


@inner_kernel
def consider_change(
    agents: NDArray[np.float64], k: int, desired: float,
    overlaps: NDArray[np.float64], ego: NDArray[np.float64], time_s: float,
) -> None:  # fmt: skip
    """Set a new SHIFT_TO where a lane beside is safe and better, for k and, by its politeness, for who is behind."""
    agent = agents[k]
    if time_s < agent[NEXT_CHANGE_S]:
        return
    agent[NEXT_CHANGE_S] = time_s + THINKS_EVERY_S
    held = agent[SHIFT_TO] if agent[SHIFT_RATE] > 0.0 else agent[D]
    if abs(held - agent[D]) > 0.3:  # still on its way
        return
    lane = np.rint(held / agent[LANE_M])
    speed, width = agent[V], agent[WIDTH]
    right, left = agent[COVER_RIGHT] - SIDE_M, agent[COVER_LEFT] + SIDE_M
    gap, lead = nearest_on_path(agents, k, right, left, 1.0, overlaps, ego)
    now = idm(speed, desired, gap, speed - speed_of(agents, lead, ego), agent[HEADWAY_S], agent[STANDSTILL_M],
              agent[ACCEL_MPS2], agent[BRAKE_MPS2])  # fmt: skip
    back, follower = nearest_on_path(agents, k, right, left, -1.0, overlaps, ego)
    relief = 0.0
    if follower != NOBODY:
        relief = behind(agents, follower, back + gap + agent[LENGTH], speed_of(agents, lead, ego), ego)
        relief -= behind(agents, follower, back, speed, ego)
    best, chosen = GAIN_MPS2, math.nan
    for side in (1.0, -1.0):
        to = lane + side
        if to > agent[LANES_LEFT] or to < -agent[LANES_RIGHT]:
            continue
        centre = to * agent[LANE_M]
        right, left = centre - 0.5 * width - SIDE_M, centre + 0.5 * width + SIDE_M
        front_gap, front = nearest_on_path(agents, k, right, left, 1.0, overlaps, ego)
        rear_gap, rear = nearest_on_path(agents, k, right, left, -1.0, overlaps, ego)
        front_speed, rear_speed = speed_of(agents, front, ego), speed_of(agents, rear, ego)
        if front_gap < ROOM_M + ROOM_S * speed or rear_gap < ROOM_M + ROOM_S * rear_speed:
            continue
        after = idm(speed, desired, front_gap, speed - front_speed, agent[HEADWAY_S], agent[STANDSTILL_M],
                    agent[ACCEL_MPS2], agent[BRAKE_MPS2])  # fmt: skip
        asked = behind(agents, rear, rear_gap, speed, ego)
        if after < -SAFE_BRAKE_MPS2 or asked < -SAFE_BRAKE_MPS2:
            continue
        loss = asked - behind(agents, rear, rear_gap + agent[LENGTH] + front_gap, front_speed, ego)
        gain = after - now + agent[POLITENESS] * (loss + relief)
        if gain > best:
            best, chosen = gain, centre
    if not math.isnan(chosen):
        agent[SHIFT_TO] = chosen
        if agent[SHIFT_RATE] == 0.0:
            agent[SHIFT_RATE] = SIDE_MPS
        agent[NEXT_CHANGE_S] = time_s + AFTER_CHANGE_S
        agent[COVER_RIGHT] = min(agent[COVER_RIGHT], chosen - 0.5 * width)
        agent[COVER_LEFT] = max(agent[COVER_LEFT], chosen + 0.5 * width)
