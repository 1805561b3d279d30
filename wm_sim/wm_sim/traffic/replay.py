"""Recorded road users: shown as recorded, or driving their recorded way with eyes open."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import lean_kernel
from wm_sim.scene import (
    ACTIVE,
    CCOS,
    CSIN,
    CX,
    CY,
    CYAW,
    TRACK,
    TRACK_ALONG,
    TRACK_STEP_S,
    TRACK_TIME,
    TRACK_V,
    TRACK_X,
    TRACK_Y,
    TRACK_YAW,
    TRIGGERED,
    A,
    S,
    V,
)
from wm_sim.traffic.neighbours import EGO_X, EGO_Y

BEHIND_M = 1.5  # a reactive driver's clock waits while it is so far behind its recording
CATCH_UP_1PS = 0.8
ROOM_M = 9.0  # a recorded car does not appear nearer than this to the ego
FOLLOW_1PS, FOLLOW_MPS2 = 3.0, 3.0  # how speed is adjusted to the recorded one, and at most how fast it grows


@lean_kernel
def track_at(track: NDArray[np.float64], time_s: float) -> tuple[int, float]:
    """Sample before a time and the share of the way to the next; -1 where the road user is not there."""
    last = len(track) - 1
    at = time_s / TRACK_STEP_S
    i = int(math.floor(at + 1e-9))
    if i < 0 or i > last or math.isnan(track[i, TRACK_X]):
        return -1, 0.0
    share = max(at - i, 0.0)
    if i == last or math.isnan(track[i + 1, TRACK_X]):
        return (i, 0.0) if share < 1e-6 else (-1, 0.0)
    return i, share


@lean_kernel
def replay(agent: NDArray[np.float64], tracks: NDArray[np.float64], duration: float) -> None:
    """Move a LOGGED agent on by `duration` s: where, how fast and whether at all, as recorded."""
    agent[TRACK_TIME] += duration
    track = tracks[int(agent[TRACK])]
    i, share = track_at(track, agent[TRACK_TIME])
    if i < 0:
        agent[ACTIVE] = 0.0
        return
    j = i + 1 if share > 0.0 else i
    turn = track[j, TRACK_YAW] - track[i, TRACK_YAW]
    turn -= 2.0 * math.pi * math.floor((turn + math.pi) / (2.0 * math.pi))
    agent[ACTIVE] = 1.0
    agent[CX] = track[i, TRACK_X] + share * (track[j, TRACK_X] - track[i, TRACK_X])
    agent[CY] = track[i, TRACK_Y] + share * (track[j, TRACK_Y] - track[i, TRACK_Y])
    agent[CYAW] = track[i, TRACK_YAW] + share * turn
    agent[CCOS], agent[CSIN] = math.cos(agent[CYAW]), math.sin(agent[CYAW])
    agent[V] = track[i, TRACK_V] + share * (track[j, TRACK_V] - track[i, TRACK_V])
    agent[A] = (track[j, TRACK_V] - track[i, TRACK_V]) / TRACK_STEP_S
    agent[S] = track[i, TRACK_ALONG] + share * (track[j, TRACK_ALONG] - track[i, TRACK_ALONG])


@lean_kernel
def recorded_pace(
    agent: NDArray[np.float64], tracks: NDArray[np.float64], duration: float, ego: NDArray[np.float64]
) -> float:
    """Let a REACTIVE agent's own clock run on; the speed (m/s) that keeps it with its recording, NaN once that is over.

    Held up, it drives on later from where it was: the clock stands while the recording is ahead.
    """
    track = tracks[int(agent[TRACK])]
    i, share = track_at(track, agent[TRACK_TIME])
    if agent[TRIGGERED] == 0.0:  # not there yet
        if i >= 0:
            free = math.hypot(track[i, TRACK_X] - ego[EGO_X], track[i, TRACK_Y] - ego[EGO_Y]) > ROOM_M
            if free or agent[ACTIVE] > 0.0:
                agent[TRIGGERED], agent[ACTIVE] = 1.0, 1.0
                agent[S] = track[i, TRACK_ALONG]
                agent[V] = track[i, TRACK_V]
        elif agent[TRACK_TIME] > (len(track) - 1) * TRACK_STEP_S:
            agent[ACTIVE] = 0.0
            return math.nan
        else:
            agent[ACTIVE] = 0.0
        agent[TRACK_TIME] += duration
        return agent[V]
    if i < 0:
        agent[ACTIVE] = 0.0
        return math.nan
    j = i + 1 if share > 0.0 else i
    along = track[i, TRACK_ALONG] + share * (track[j, TRACK_ALONG] - track[i, TRACK_ALONG])
    ahead = along - agent[S]
    if ahead < BEHIND_M:
        agent[TRACK_TIME] += duration
    return max(0.0, track[i, TRACK_V] + CATCH_UP_1PS * ahead)
