"""How fast: the expert's law of speed, and where it would lead within the next ten seconds.

The law is one kernel, so that what is imagined is what is driven.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.drivers.forecast import (
    F_ALONG_MPS,
    F_D,
    F_HALF_D,
    F_HALF_S,
    F_S,
    F_SAME_WAY,
    FAR_M,
    FORECAST_STEP_S,
)
from wm_sim.kernel import kernel
from wm_sim.observation import EGO_CENTRE_X_M, EGO_FRONT_X_M, EGO_LENGTH_M, EGO_WIDTH_M
from wm_sim.scene import LCURVATURE, LIMIT_MPS, LINE_STEP_M

AHEAD_SAMPLES = 480  # 240 m
REAR_X_M = EGO_FRONT_X_M - EGO_LENGTH_M
DECELERATION_MPS2 = 1.5  # for curves, limits and stops that are known in time
CURVE_LEAD_S = 0.35
LEAD_STEPS = 7  # who will be in the way this many steps on counts as ahead already
STANDING_MPS = 0.3
TOO_SLOW = -1000
SIDE_M = 0.3  # room kept to either side

# Columns of what lies ahead, one row a path sample from the ego's on.
AHEAD_SPEED, AHEAD_OFFSET, AHEAD_LIMIT = range(3)
# Entries of the law.
LAW_SPEED_GAIN, LAW_ACCEL, LAW_BRAKE, LAW_BRAKE_MOST, LAW_HEADWAY, LAW_STANDSTILL, LAW_SHARE = range(7)
# Roles of the others.
NOBODY, LEAD, CHECKED = range(3)  # no matter; followed by the law; may be in the way, and followed if ahead


@kernel
def speeds_ahead(
    line: NDArray[np.float64],
    start: int,
    share: float,
    lateral_mps2: float,
    caps: NDArray[np.float64],
    offsets: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Fill `out` [AHEAD_SAMPLES, 3]: the speed that limits, curves and `caps` [AHEAD_SAMPLES] allow, braking early."""
    last = len(line) - 1
    for i in range(len(out)):
        row = min(start + i, last)
        curvature = abs(line[row, LCURVATURE] / max(0.3, 1.0 - line[row, LCURVATURE] * offsets[i]))
        allowed = math.sqrt(lateral_mps2 / max(curvature, 1e-6))
        out[i, AHEAD_LIMIT] = line[row, LIMIT_MPS]
        out[i, AHEAD_SPEED] = min(share * line[row, LIMIT_MPS], allowed, caps[i])
        out[i, AHEAD_OFFSET] = offsets[i]
    for i in range(len(out) - 2, -1, -1):
        reach = math.sqrt(out[i + 1, AHEAD_SPEED] ** 2 + 2.0 * DECELERATION_MPS2 * LINE_STEP_M)
        out[i, AHEAD_SPEED] = min(out[i, AHEAD_SPEED], reach)


@kernel
def stopping(v: float, distance: float, most: float) -> float:
    """Acceleration (m/s²) that stops within `distance`, gently while there is time; inf while it does not matter."""
    if distance > 200.0:
        return np.inf
    if distance < 0.25:
        return -max(1.0, min(most, 0.5 * v * v / 0.1))
    needed = 0.5 * v * v / max(distance - 0.1 * v, 0.1)
    if needed > 0.85 * DECELERATION_MPS2:
        return -min(needed, most)
    return 1.2 * (math.sqrt(2.0 * DECELERATION_MPS2 * distance) - v)


@kernel
def following(v: float, gap: float, lead_mps: float, lead_mps2: float, law: NDArray[np.float64]) -> float:
    """Acceleration (m/s²) behind a car: IDM, no harder than comfort unless it has to be."""
    closing = v - lead_mps
    accel, brake = law[LAW_ACCEL], law[LAW_BRAKE]
    wish = law[LAW_STANDSTILL] + max(0.0, v * law[LAW_HEADWAY] + 0.5 * v * closing / math.sqrt(accel * brake))
    comfortable = accel * (1.0 - (wish / max(gap, 0.5)) ** 2)
    needed = 0.5 * closing * closing / max(gap - 2.0, 0.3) if closing > 0.0 else 0.0
    if lead_mps2 < -1.0:  # it may go on braking to a stop
        room = gap - 2.0 - 0.2 * v + 0.5 * lead_mps * lead_mps / -lead_mps2
        needed = max(needed, 0.5 * v * v / max(room, 0.3))
    floor = -max(brake, 1.3 * needed)
    if lead_mps2 < -1.0:
        comfortable = min(comfortable, -needed)
    return max(comfortable, floor, -law[LAW_BRAKE_MOST])


@kernel
def sample_at(s: float, start_s: float, last: int) -> int:
    """Index of the sample of `ahead` at s (m along the route), of those from 0 to `last`."""
    return min(max(int((s - start_s) / LINE_STEP_M), 0), last)


@kernel
def wanted(
    s: float,
    v: float,
    step: int,
    start_s: float,
    ahead: NDArray[np.float64],
    cast: NDArray[np.float64],
    roles: NDArray[np.int64],
    law: NDArray[np.float64],
    share: float,
    accel: float,
    stop_s: float,
) -> float:
    """Acceleration (m/s²) by the limit, the curves, the stop at `stop_s` (front bumper) and who is ahead at `step`."""
    last = len(ahead) - 1
    here = sample_at(s, start_s, last)
    soon = sample_at(s + CURVE_LEAD_S * v, start_s, last)
    target = min(ahead[here, AHEAD_SPEED], share * ahead[here, AHEAD_LIMIT])
    wish = law[LAW_SPEED_GAIN] * (target - v)
    wish = min(wish, 1.5 * (ahead[soon, AHEAD_SPEED] - v))
    wish = min(max(wish, -law[LAW_BRAKE]), accel)
    wish = min(wish, stopping(v, stop_s - s - EGO_FRONT_X_M, law[LAW_BRAKE_MOST]))
    middle = s + EGO_CENTRE_X_M
    later = min(step + LEAD_STEPS, cast.shape[1] - 1)
    for k in range(len(cast)):
        if roles[k] == NOBODY:
            continue
        row = cast[k, step]
        if row[F_D] == FAR_M or row[F_SAME_WAY] < 0.5 or row[F_S] < middle:
            continue
        beside = sample_at(row[F_S], start_s, last)
        room = row[F_HALF_D] + 0.5 * EGO_WIDTH_M + 0.5 * SIDE_M
        in_way = abs(row[F_D] - ahead[beside, AHEAD_OFFSET]) < room
        floor = -law[LAW_BRAKE_MOST] if in_way else -law[LAW_BRAKE]  # who only will be in the way can wait
        if not in_way and cast[k, later, F_D] != FAR_M:
            beside = sample_at(cast[k, later, F_S], start_s, last)
            in_way = abs(cast[k, later, F_D] - ahead[beside, AHEAD_OFFSET]) < room
        if in_way:
            gap = row[F_S] - row[F_HALF_S] - s - EGO_FRONT_X_M
            change = (cast[k, min(step + 2, later), F_ALONG_MPS] - row[F_ALONG_MPS]) / (2.0 * FORECAST_STEP_S)
            if cast[k, min(step + 2, later), F_D] == FAR_M:
                change = 0.0
            wish = min(wish, max(floor, following(v, gap, max(row[F_ALONG_MPS], 0.0), change, law)))
    return wish


@kernel
def imagine(
    s: float,
    v: float,
    start_s: float,
    ahead: NDArray[np.float64],
    cast: NDArray[np.float64],
    roles: NDArray[np.int64],
    law: NDArray[np.float64],
    share: float,
    accel: float,
    stop_s: float,
    care: float,
    window_s: float,
    zones: NDArray[np.float64],
    reach_s: float,
) -> tuple[int, int]:
    """Follow the law for the forecast's length: who is met first and at which step, (-1, -1) if nobody.

    reach_s: where the ego has to be in the end, else the last step counts as a meeting with nobody (TOO_SLOW).

    zones [Z, 2]: from where to where the route must not be stood upon; -2 - z for standing in zone z.

    care scales all margins: 1 usual, 0 bodies only. window_s: how long before and after a crossing body the place is
    left to it.
    """
    steps = cast.shape[1]
    last = len(ahead) - 1
    first_high = s + EGO_FRONT_X_M
    agreed = np.zeros(len(cast), dtype=np.bool_)
    for step in range(steps):
        low, high = s + REAR_X_M, s + EGO_FRONT_X_M
        for z in range(len(zones)):
            if v < STANDING_MPS and high > zones[z, 0] and low < zones[z, 1] and first_high < zones[z, 0]:
                return -2 - z, step
        here = sample_at(s, start_s, last - 1)
        offset = ahead[here, AHEAD_OFFSET]
        swing = EGO_FRONT_X_M * (ahead[here + 1, AHEAD_OFFSET] - offset) / LINE_STEP_M  # of the nose
        room = 0.5 * EGO_WIDTH_M + 0.5 * (1.0 + care) * SIDE_M
        right, left = offset + min(swing, 0.0) - room, offset + max(swing, 0.0) + room
        for k in range(len(cast)):
            if roles[k] != CHECKED:
                continue
            same_way = cast[k, step, F_SAME_WAY] > 0.7 and cast[k, step, F_D] != FAR_M
            window = 0 if same_way else int(np.rint(care * window_s / FORECAST_STEP_S))
            for at in range(max(0, step - window), min(steps - 1, step + window) + 1):
                row = cast[k, at]
                if row[F_D] == FAR_M or row[F_D] - row[F_HALF_D] > left or row[F_D] + row[F_HALF_D] < right:
                    continue
                gap, lead = row[F_S] - row[F_HALF_S] - high, low - row[F_S] - row[F_HALF_S]
                if not same_way:
                    if gap < care and lead < care:
                        return k, step
                elif not agreed[k]:
                    closing = v - row[F_ALONG_MPS]
                    if gap > lead:  # it is ahead: room to slow down to its speed
                        need = 1.0 + 0.25 * v + max(0.0, closing) ** 2 / 4.0
                        if gap < care * need:
                            return k, step
                    else:  # it comes from behind and brakes gently half a second later
                        need = 2.0 + max(0.0, -closing) ** 2 / 4.0 + 0.6 * max(0.0, -closing)
                        if lead < care * need:
                            return k, step
                    agreed[k] = True
        change = wanted(s, v, step, start_s, ahead, cast, roles, law, share, accel, stop_s)
        after = max(0.0, v + change * FORECAST_STEP_S)
        s += 0.5 * (v + after) * FORECAST_STEP_S
        v = after
    return (-1, -1) if s >= reach_s else (TOO_SLOW, steps - 1)
