"""What each road user does next and where it is then: the one kernel that a world calls for its traffic."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import inner_kernel
from wm_sim.observation import EGO_CENTRE_X_M, EGO_FRONT_X_M, PHYSICS_STEP_S, STEP_S
from wm_sim.scene import (
    ACCEL_MPS2,
    ACTIVE,
    BRAKE_MPS2,
    BRAKING,
    CCOS,
    COVER_LEFT,
    COVER_RIGHT,
    CROSSING,
    CSIN,
    CX,
    CY,
    CYAW,
    DESIRED,
    HEADWAY_S,
    IDM,
    KIND,
    LANE_M,
    LCOS,
    LCURVATURE,
    LENGTH,
    LINE_STEP_M,
    LOGGED,
    LSIN,
    LX,
    LY,
    LYAW,
    PATH,
    PHASE,
    REACTIVE,
    REACTS_TO_EGO,
    SCRIPT_HOLD,
    SCRIPT_RATE,
    SCRIPT_SPEED,
    SCRIPTED,
    SHIFT_RATE,
    SHIFT_TO,
    STANDING,
    STANDSTILL_M,
    STATION,
    TRIGGER_S,
    TRIGGER_VALUE,
    TRIGGERED,
    WAITED,
    WIDTH,
    A,
    D,
    S,
    V,
)
from wm_sim.traffic.ground import Ground
from wm_sim.traffic.idm import BRAKE_MAX_MPS2, idm
from wm_sim.traffic.mobil import consider_change
from wm_sim.traffic.neighbours import (
    EGO_A,
    EGO_S,
    EGO_V,
    SIDE_M,
    THE_EGO,
    carried,
    nearest_in_the_way,
    nearest_on_path,
)
from wm_sim.traffic.replay import FOLLOW_1PS, FOLLOW_MPS2, recorded_pace, replay
from wm_sim.traffic.yielding import hold_back

END_M = 3.0  # before the end of its path a car is gone
CURVE_MPS2 = 3.0  # most across in a curve
CURVE_BRAKE_MPS2, CURVE_AHEAD_S, CURVE_1PS = 1.5, 0.5, 1.5  # braking before it, how far and how sharply it is heeded
CURVE_HARDEST_MPS2 = 4.0
STATION_MIN_MPS = 2.0
WALK_MPS2 = 2.0  # how fast who crosses gains speed
FREE_MPS = 4.0  # a recorded driver's wish beyond the recorded speed, which its recording then limits
TURN_MAX = 0.35  # rad that a car turns at most to change lanes


@inner_kernel
def place(agent: NDArray[np.float64], paths: NDArray[np.float64], begin: int, end: int, aside_mps: float) -> None:
    """Fill in where an agent is and how it is turned, from its S and D along rows begin..end-1 of `paths`."""
    i = min(max(begin + int(np.rint(agent[S] / LINE_STEP_M)), begin), end - 1)
    along = agent[S] - (i - begin) * LINE_STEP_M
    cos, sin = paths[i, LCOS], paths[i, LSIN]
    agent[CX] = paths[i, LX] + along * cos - agent[D] * sin
    agent[CY] = paths[i, LY] + along * sin + agent[D] * cos
    turn = paths[i, LCURVATURE] * along
    if aside_mps != 0.0:
        turn += min(max(aside_mps / max(agent[V], 1.0), -TURN_MAX), TURN_MAX)
    agent[CYAW] = paths[i, LYAW] + turn
    if abs(turn) > 0.01:
        agent[CCOS], agent[CSIN] = math.cos(agent[CYAW]), math.sin(agent[CYAW])
    else:
        agent[CCOS], agent[CSIN] = cos - sin * turn, sin + cos * turn
    half = 0.5 * agent[WIDTH]
    to = agent[D]
    if agent[SHIFT_RATE] > 0.0 and (agent[KIND] != STATION or agent[TRIGGERED] > 0.0):
        to = agent[SHIFT_TO]
    agent[COVER_RIGHT], agent[COVER_LEFT] = min(agent[D], to) - half, max(agent[D], to) + half


@inner_kernel
def place_all(agents: NDArray[np.float64], ground: Ground) -> None:
    """Place every agent as it is at time 0."""
    for k in range(len(agents)):
        if agents[k, KIND] == LOGGED:
            replay(agents[k], ground.tracks, 0.0)
        elif agents[k, PATH] >= 0.0:
            path = int(agents[k, PATH])
            place(agents[k], ground.paths, ground.first[path], ground.first[path + 1], 0.0)
        else:  # stands where it was put
            agents[k, CCOS], agents[k, CSIN] = math.cos(agents[k, CYAW]), math.sin(agents[k, CYAW])


@inner_kernel
def script_speed(agent: NDArray[np.float64], script: NDArray[np.float64], duration: float) -> float:
    """Acceleration by a script [R, 3] for the next `duration` s."""
    phase = min(int(agent[PHASE]), len(script) - 1)
    change = script[phase, SCRIPT_SPEED] - agent[V]
    most = script[phase, SCRIPT_RATE] * duration
    if abs(change) < 1e-9:
        agent[WAITED] += duration
        if agent[WAITED] >= script[phase, SCRIPT_HOLD] and phase < len(script) - 1:
            agent[PHASE] = phase + 1
            agent[WAITED] = 0.0
    return min(max(change, -most), most) / duration


@inner_kernel
def pace_curves(paces: NDArray[np.float64], paths: NDArray[np.float64], first: NDArray[np.int64]) -> None:
    """Fill `paces` [M] with the speed (m/s) that each sample of the paths allows, curves ahead included."""
    for p in range(len(first) - 1):
        squared = math.inf
        for i in range(first[p + 1] - 1, first[p] - 1, -1):
            squared = min(squared + 2.0 * CURVE_BRAKE_MPS2 * LINE_STEP_M,
                          CURVE_MPS2 / max(abs(paths[i, LCURVATURE]), 1e-4))  # fmt: skip
            paces[i] = math.sqrt(squared)


@inner_kernel
def drive(
    agents: NDArray[np.float64], k: int, wish: float, spread: bool, people: bool, ground: Ground,
    ego: NDArray[np.float64], time_s: float,
) -> float:  # fmt: skip
    """Acceleration of a driver with the desired speed `wish` (m/s) who sees lanes, lights, rights of way and people.

    spread: it knows others by their place on the ground only, and rights and lights not at all, as who follows a
    recorded track does.
    """
    agent = agents[k]
    path = int(agent[PATH])
    speed = agent[V]
    gap, other = math.inf, 0.0
    if not spread:
        gap, who = nearest_on_path(
            agents, k, agent[COVER_RIGHT] - SIDE_M, agent[COVER_LEFT] + SIDE_M, 1.0, ground.overlaps, ego
        )
        if gap < math.inf:
            other = ego[EGO_V] if who == THE_EGO else agents[who, V]
        if agent[LANE_M] > 0.0:
            consider_change(agents, k, wish, ground.overlaps, ego, time_s)
    feels = agent[REACTS_TO_EGO] > 0.0
    lost = feels and (spread or math.isnan(carried(ground.overlaps, 0, path, ego[EGO_S] + EGO_CENTRE_X_M)))
    if spread or people or lost:
        free, along = nearest_in_the_way(agents, k, spread, spread or people, lost, ground, ego)
        if free < gap:
            gap, other = free, along
    wanted = idm(speed, wish, gap, speed - other, agent[HEADWAY_S], agent[STANDSTILL_M], agent[ACCEL_MPS2],
                 agent[BRAKE_MPS2])  # fmt: skip
    if not spread:
        begin, last = ground.first[path], ground.first[path + 1] - 1
        soon = begin + int((agent[S] + CURVE_AHEAD_S * speed) / LINE_STEP_M)
        pace = ground.paces[min(max(soon, begin), last)]
        wanted = min(wanted, max(CURVE_1PS * (pace - speed), -CURVE_HARDEST_MPS2))
        if len(ground.conflicts) + len(ground.signals) > 0:
            wanted = min(wanted, hold_back(agents, k, ground, ego, time_s))
    return wanted


@inner_kernel
def step_traffic(
    agents: NDArray[np.float64], people: bool, ground: Ground, ego: NDArray[np.float64], time_s: float, decide: bool
) -> None:
    """Move every agent [K, AGENT_SIZE] on by a physics step from time_s, in place; where `decide`, drivers think anew.

    ego [SEEN_EGO_SIZE] as it is after the step. people: some agents are no cars, or stand beside every path.
    """
    dt = PHYSICS_STEP_S
    for k in range(len(agents)):
        agent = agents[k]
        kind = int(agent[KIND])
        if kind == STANDING:
            continue
        if kind == LOGGED:
            replay(agent, ground.tracks, dt)
            continue
        pace = 0.0
        if kind == REACTIVE and decide:
            pace = recorded_pace(agent, ground.tracks, STEP_S, ego)
        if agent[ACTIVE] == 0.0:
            continue
        path = int(agent[PATH])
        begin, end = ground.first[path], ground.first[path + 1]
        length = (end - begin - 1) * LINE_STEP_M
        speed, gained = agent[V], agent[A]
        scripted = kind == SCRIPTED or (kind == BRAKING and agent[TRIGGERED] > 0.0)
        if scripted:
            gained = script_speed(agent, ground.scripts[k], dt)
        elif kind == STATION and agent[TRIGGERED] == 0.0:
            if time_s + dt < agent[TRIGGER_S]:
                at = carried(ground.overlaps, 0, path, ego[EGO_S])
                agent[S] = (ego[EGO_S] if math.isnan(at) else at) + EGO_FRONT_X_M
                agent[S] = min(agent[S] + agent[TRIGGER_VALUE] + 0.5 * agent[LENGTH], length - END_M)
                agent[V], agent[A] = ego[EGO_V], ego[EGO_A]
                place(agent, ground.paths, begin, end, 0.0)
                continue
            agent[TRIGGERED] = 1.0
            agent[DESIRED] = max(agent[DESIRED] + ego[EGO_V], STATION_MIN_MPS)
        elif kind == CROSSING:
            gained = 0.0
            if agent[TRIGGERED] == 0.0:
                away = agent[TRIGGER_S] - ego[EGO_S] - EGO_FRONT_X_M
                if away <= agent[TRIGGER_VALUE] * ego[EGO_V]:
                    agent[TRIGGERED] = 1.0
            if agent[TRIGGERED] > 0.0:
                wish = agent[DESIRED] if agent[S] < length - 0.05 else 0.0
                most = max(agent[ACCEL_MPS2], WALK_MPS2) * dt
                gained = min(max(wish - speed, -speed), most) / dt
        if decide and not scripted and kind in (IDM, STATION, BRAKING, REACTIVE):
            if kind == BRAKING and time_s >= agent[TRIGGER_S]:
                at = carried(ground.overlaps, 0, path, ego[EGO_S])
                behind = agent[S] - 0.5 * agent[LENGTH] - at - EGO_FRONT_X_M
                if 0.0 <= behind <= agent[TRIGGER_VALUE] * max(ego[EGO_V], 0.1):
                    agent[TRIGGERED] = 1.0
            recorded = kind == REACTIVE
            wish = pace + FREE_MPS if recorded else agent[DESIRED]
            gained = drive(agents, k, wish, recorded, people, ground, ego, time_s)
            if recorded:
                gained = min(gained, max(FOLLOW_1PS * (pace - speed), -BRAKE_MAX_MPS2), FOLLOW_MPS2)
        after = max(0.0, speed + gained * dt)
        agent[A] = (after - speed) / dt if after == 0.0 else gained
        agent[V] = after
        agent[S] += 0.5 * (speed + after) * dt
        aside = 0.0
        if agent[SHIFT_RATE] > 0.0:
            way = agent[SHIFT_TO] - agent[D]
            if way != 0.0:
                aside = min(max(way / dt, -agent[SHIFT_RATE]), agent[SHIFT_RATE])
                if kind != SCRIPTED and after < 1.0:
                    aside *= after  # no car moves aside on the spot
                agent[D] += aside * dt
        if kind == CROSSING:
            agent[S] = min(agent[S], length)
        elif agent[S] > length - END_M:
            agent[ACTIVE] = 0.0
        place(agent, ground.paths, begin, end, aside)
