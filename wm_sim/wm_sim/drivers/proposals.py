"""Proposals of the PDM-Closed planner: bicycle rollouts along the route at a few speeds and offsets, and their scores.

After Dauner et al. 2023, "Parting with misconceptions about learning-based vehicle motion planning", section 4, scored
by NAVSIM's PDM score: no collision x drivable x (5 progress + 5 time to collision + 2 comfort) / 12.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.drivers.forecast import F_D, F_HALF_D, F_HALF_S, F_S, F_X, F_Y, F_YAW, FAR_M
from wm_sim.geometry import boxes_overlap, locate
from wm_sim.kernel import kernel
from wm_sim.observation import EGO_CENTRE_X_M, EGO_FRONT_X_M, EGO_LENGTH_M, EGO_WIDTH_M
from wm_sim.scene import LCURVATURE, LEFT_M, LENGTH, LIMIT_MPS, LINE_STEP_M, LYAW, RIGHT_M, WIDTH, V

PROPOSAL_STEP_S = 0.1
PROPOSAL_STEPS = 40
SPEED_SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)
OFFSETS_M = (-1.0, 0.0, 1.0)
WHEELBASE_M, STEER_MOST_RAD, STEER_LAG_S, ACCEL_LAG_S = 2.75, 0.6, 0.05, 0.2
IDM_ACCEL, IDM_BRAKE, IDM_HEADWAY_S, IDM_STANDSTILL_M, BRAKE_MOST = 1.5, 3.0, 1.5, 2.0, 6.0
TTC_LOOKS_S = (0.3, 0.6, 0.9)
PREVIEW_MIN_M, PREVIEW_S = 4.0, 1.0
EDGE_M = 0.3  # kept from where the road ends
STANDING_MPS = 0.05
LON_LOW, LON_HIGH, LAT_MOST, JERK_MOST, YAW_RATE_MOST = -4.05, 2.40, 4.89, 8.37, 0.95  # nuPlan's comfort bounds

# Columns of a proposal's result.
P_ACCEL, P_STEER, P_ALONG, P_CLEAR, P_ON_ROAD, P_TTC, P_COMFORT, P_MEETS_S = range(8)
PROPOSAL_SIZE = 8
# Columns of its states.
Q_X, Q_Y, Q_YAW, Q_V, Q_S = range(5)


@kernel
def propose(
    line: NDArray[np.float64],
    index: int,
    ego: NDArray[np.float64],
    agents: NDArray[np.float64],
    cast: NDArray[np.float64],
    stop_s: float,
    results: NDArray[np.float64],
    states: NDArray[np.float64],
) -> None:
    """Fill results [15, PROPOSAL_SIZE] and states [15, PROPOSAL_STEPS + 1, 5] of all proposals.

    ego: x, y, yaw, v, measured acceleration, measured steering angle. stop_s: front bumper's stop at a red light.
    cast: the forecast of the others, a row a PROPOSAL_STEP_S.
    """
    for p in range(len(results)):
        share, offset = SPEED_SHARES[p // len(OFFSETS_M)], OFFSETS_M[p % len(OFFSETS_M)]
        _roll(line, index, ego, cast, share, offset, stop_s, results[p], states[p])
        _meet(agents, cast, states[p], results[p])


@kernel
def _idm(v: float, desired: float, gap: float, closing: float) -> float:
    wish = IDM_STANDSTILL_M + max(0.0, v * IDM_HEADWAY_S + 0.5 * v * closing / math.sqrt(IDM_ACCEL * IDM_BRAKE))
    if v <= desired:
        free = IDM_ACCEL * (1.0 - (v / max(desired, 0.1)) ** 4)
    else:  # slows down comfortably to a lower speed (Treiber & Kesting 2013, eq. 11.25)
        free = -IDM_BRAKE * (1.0 - (desired / v) ** (4.0 * IDM_ACCEL / IDM_BRAKE))
    return min(max(free - IDM_ACCEL * (wish / max(gap, 0.1)) ** 2, -BRAKE_MOST), IDM_ACCEL)


@kernel
def _roll(
    line: NDArray[np.float64],
    index: int,
    ego: NDArray[np.float64],
    cast: NDArray[np.float64],
    share: float,
    offset: float,
    stop_s: float,
    result: NDArray[np.float64],
    states: NDArray[np.float64],
) -> None:
    """Drive one proposal: IDM behind whoever is on its lane, pure pursuit of its offset."""
    x, y, yaw, v, drive, steer = ego[0], ego[1], ego[2], ego[3], ego[4], ego[5]
    result[P_ON_ROAD], result[P_COMFORT] = 1.0, 1.0
    start = 0.0
    before = drive
    for j in range(len(states)):
        index, s, d = locate(line, index, x, y)
        if j == 0:
            start = s
        states[j, Q_X], states[j, Q_Y], states[j, Q_YAW], states[j, Q_V], states[j, Q_S] = x, y, yaw, v, s
        if d > line[index, LEFT_M] - EDGE_M or d < EDGE_M - line[index, RIGHT_M]:
            result[P_ON_ROAD] = 0.0
        gap, lead = 1.0e4, v
        for k in range(len(cast)):
            row = cast[k, j]
            if row[F_D] == FAR_M or row[F_S] < s + EGO_CENTRE_X_M:
                continue
            if abs(row[F_D] - offset) < row[F_HALF_D] + 0.5 * EGO_WIDTH_M:
                free = row[F_S] - row[F_HALF_S] - s - EGO_FRONT_X_M
                if free < gap:
                    gap, lead = free, max(0.0, (cast[k, min(j + 1, cast.shape[1] - 1), F_S] - row[F_S]) * 10.0)
                    if cast[k, min(j + 1, cast.shape[1] - 1), F_D] == FAR_M:
                        lead = 0.0
        if stop_s - s - EGO_FRONT_X_M < gap:
            gap, lead = stop_s - s - EGO_FRONT_X_M, 0.0
        curve = 3.0
        for i in range(index, min(index + int(2.0 * v / LINE_STEP_M) + 4, len(line) - 1)):
            if abs(line[i, LCURVATURE]) > 0.005:
                v_curve = math.sqrt(2.5 / abs(line[i, LCURVATURE]))
                away = (i - index) * LINE_STEP_M
                curve = min(curve, 1.2 * (math.sqrt(v_curve * v_curve + 3.0 * away) - v))
        wish = max(min(_idm(v, share * line[index, LIMIT_MPS], gap, v - lead), curve), -BRAKE_MOST)
        preview = max(PREVIEW_MIN_M, PREVIEW_S * v)
        heading = yaw - line[index, LYAW] - line[index, LCURVATURE] * (s - index * LINE_STEP_M)
        heading -= 2.0 * math.pi * math.floor((heading + math.pi) / (2.0 * math.pi))
        at = min(index + int(np.rint(0.15 * v / LINE_STEP_M)), len(line) - 1)
        bend = line[at, LCURVATURE] - 2.0 * (d - offset + preview * math.sin(heading)) / preview**2
        turn = math.atan(WHEELBASE_M * (1.0 + 0.002 * v * v) * bend)
        turn = min(max(turn, -STEER_MOST_RAD), STEER_MOST_RAD)
        if j == 0:
            result[P_ACCEL], result[P_STEER] = wish, turn
        drive += (wish - drive) * (1.0 - math.exp(-PROPOSAL_STEP_S / ACCEL_LAG_S))
        steer += min(max((turn - steer) * (1.0 - math.exp(-PROPOSAL_STEP_S / STEER_LAG_S)), -0.04), 0.04)
        after = max(0.0, v + drive * PROPOSAL_STEP_S)
        accel = (after - v) / PROPOSAL_STEP_S
        rate = v * math.tan(steer) / (WHEELBASE_M * (1.0 + 0.002 * v * v))
        jerk = abs(accel - before) / PROPOSAL_STEP_S
        uneasy = accel < LON_LOW or accel > LON_HIGH or abs(v * rate) > LAT_MOST or abs(rate) > YAW_RATE_MOST
        if uneasy or (jerk > JERK_MOST and after > 0.0):
            result[P_COMFORT] = 0.0
        before = accel
        mean = 0.5 * (v + after)
        x += mean * math.cos(yaw + 0.5 * rate * PROPOSAL_STEP_S) * PROPOSAL_STEP_S
        y += mean * math.sin(yaw + 0.5 * rate * PROPOSAL_STEP_S) * PROPOSAL_STEP_S
        yaw += rate * PROPOSAL_STEP_S
        v = after
    result[P_ALONG] = states[len(states) - 1, Q_S] - start


@kernel
def _at_fault(ex: float, ey: float, yaw: float, v: float, row: NDArray[np.float64], agent: NDArray[np.float64]) -> bool:
    """Whether the ego's box at rear axle (ex, ey) touches this body in a way that the ego is to blame for."""
    mx, my = ex + EGO_CENTRE_X_M * math.cos(yaw), ey + EGO_CENTRE_X_M * math.sin(yaw)
    dx, dy = row[F_X] - mx, row[F_Y] - my
    reach = 0.5 * (EGO_LENGTH_M + EGO_WIDTH_M + agent[LENGTH] + agent[WIDTH])
    if v < STANDING_MPS or dx * dx + dy * dy > reach * reach:
        return False
    if dx * math.cos(yaw) + dy * math.sin(yaw) < -0.5 * EGO_LENGTH_M:  # its middle is behind the ego: it ran into it
        return False
    return boxes_overlap(
        mx, my, yaw, EGO_LENGTH_M, EGO_WIDTH_M, row[F_X], row[F_Y], row[F_YAW], agent[LENGTH], agent[WIDTH]
    )


@kernel
def _meet(
    agents: NDArray[np.float64], cast: NDArray[np.float64], states: NDArray[np.float64], result: NDArray[np.float64]
) -> None:
    """Fill in whether and when the proposal collides, and whether it would within a second of not reacting."""
    result[P_CLEAR], result[P_TTC], result[P_MEETS_S] = 1.0, 1.0, np.inf
    last = cast.shape[1] - 1
    for j in range(len(states)):
        x, y, yaw, v = states[j, Q_X], states[j, Q_Y], states[j, Q_YAW], states[j, Q_V]
        for k in range(len(cast)):
            row = cast[k, j]
            if math.isnan(row[F_X]) or (row[F_X] - x) ** 2 + (row[F_Y] - y) ** 2 > (12.0 + v + agents[k, V]) ** 2:
                continue
            if _at_fault(x, y, yaw, v, row, agents[k]):
                result[P_CLEAR], result[P_TTC] = 0.0, 0.0
                result[P_MEETS_S] = j * PROPOSAL_STEP_S
                return
            if result[P_TTC] == 0.0:
                continue
            for look in TTC_LOOKS_S:
                at = min(j + int(np.rint(look / PROPOSAL_STEP_S)), last)
                if not math.isnan(cast[k, at, F_X]) and _at_fault(
                    x + look * v * math.cos(yaw), y + look * v * math.sin(yaw), yaw, v, cast[k, at], agents[k]
                ):
                    result[P_TTC] = 0.0


def scores(results: NDArray[np.float64]) -> NDArray[np.float64]:  # [15]
    """PDM score of each proposal; progress is relative to the best proposal that collides with nobody."""
    good = results[:, P_CLEAR] * results[:, P_ON_ROAD]
    best = float((results[:, P_ALONG] * good).max())
    progress = np.clip(results[:, P_ALONG] / best, 0.0, 1.0) if best > 5.0 else np.ones(len(results))
    total: NDArray[np.float64] = good * (5.0 * progress + 5.0 * results[:, P_TTC] + 2.0 * results[:, P_COMFORT]) / 12.0
    return total
