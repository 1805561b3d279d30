"""Where everybody else will be: bodies along the ego's route, from their paths or tracks and present speeds.

Everything is told along path 0, the ego's route: arc length s of a body's middle, offset d to the left, and half of its
extent along and across the route.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import kernel
from wm_sim.scene import (
    ACTIVE,
    CROSSING,
    CX,
    CY,
    CYAW,
    DESIRED,
    KIND,
    LCOS,
    LENGTH,
    LINE_STEP_M,
    LOGGED,
    LSIN,
    LX,
    LY,
    LYAW,
    PATH,
    SHIFT_RATE,
    SHIFT_TO,
    STANDING,
    STATION,
    TRACK,
    TRACK_STEP_S,
    TRACK_TIME,
    TRACK_V,
    TRACK_X,
    TRACK_Y,
    TRACK_YAW,
    TRIGGERED,
    WIDTH,
    A,
    D,
    S,
    V,
)

FORECAST_STEP_S = 0.2
FORECAST_STEPS = 70  # 14 s
FAR_M = 1.0e6  # the offset of what is nowhere near the route
REACH_M = 14.0  # from the route; beyond it a body counts as far away
BRAKING_ON_S, GAINING_ON_S = 0.6, 4.0  # how long a present braking or gaining of speed is taken to go on

# Columns of a forecast: along the route, then on the ground.
F_S, F_D, F_HALF_S, F_HALF_D, F_ALONG_MPS, F_SAME_WAY, F_X, F_Y, F_YAW = range(9)
FORECAST_SIZE = 9  # F_SAME_WAY: cosine of the heading to the route's


@kernel
def project(line: NDArray[np.float64], points: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Arc length, offset and relative yaw [M, 3] along `line` [N, ≥ 6] of the points [M, 3] (x, y, yaw)."""
    last = len(line) - 1
    coarse = 6
    for m in range(len(points)):
        out[m, 0], out[m, 1], out[m, 2] = 0.0, FAR_M, 0.0
        x, y = points[m, 0], points[m, 1]
        if not (math.isfinite(x) and math.isfinite(y)):
            continue
        best, nearest = np.inf, 0
        for i in range(0, last + 1, coarse):
            distance = (x - line[i, LX]) ** 2 + (y - line[i, LY]) ** 2
            if distance < best:
                best, nearest = distance, i
        if best > (REACH_M + coarse * LINE_STEP_M) ** 2:
            continue
        for i in range(max(0, nearest - coarse), min(last, nearest + coarse) + 1):
            distance = (x - line[i, LX]) ** 2 + (y - line[i, LY]) ** 2
            if distance < best:
                best, nearest = distance, i
        along = (x - line[nearest, LX]) * line[nearest, LCOS] + (y - line[nearest, LY]) * line[nearest, LSIN]
        across = (y - line[nearest, LY]) * line[nearest, LCOS] - (x - line[nearest, LX]) * line[nearest, LSIN]
        if best > REACH_M**2 or abs(along) > 2.0:
            continue
        out[m, 0], out[m, 1] = nearest * LINE_STEP_M + along, across
        turn = points[m, 2] - line[nearest, LYAW]
        out[m, 2] = turn - 2.0 * math.pi * math.floor((turn + math.pi) / (2.0 * math.pi))


@kernel
def write_body(
    out: NDArray[np.float64], s: float, d: float, turn: float, length: float, width: float, along: float
) -> None:
    """Fill the route columns of one forecast row for a body whose middle is at (s, d), turned by `turn`."""
    cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
    out[F_S], out[F_D] = s, d
    out[F_HALF_S] = 0.5 * (length * cos + width * sin)
    out[F_HALF_D] = 0.5 * (length * sin + width * cos)
    out[F_ALONG_MPS] = along
    out[F_SAME_WAY] = math.cos(turn)


@kernel
def forecast(
    agents: NDArray[np.float64],
    paths: NDArray[np.float64],
    first: NDArray[np.int64],
    beside: NDArray[np.float64],
    tracks: NDArray[np.float64],
    track_beside: NDArray[np.float64],
    step_s: float,
    out: NDArray[np.float64],
) -> None:
    """Fill `out` [K, T, FORECAST_SIZE] with rows `step_s` apart from now on; far away and NaN where nobody is.

    beside [M, 3] are all path samples as `project` sees them from path 0, track_beside [Q, T, 3] all track samples.
    """
    here = np.empty((1, 3))
    pose = np.empty((1, 3))
    for k in range(len(agents)):
        length, width, kind = agents[k, LENGTH], agents[k, WIDTH], int(agents[k, KIND])
        for j in range(out.shape[1]):
            out[k, j, F_D] = FAR_M
            out[k, j, F_X] = np.nan
        if agents[k, ACTIVE] == 0.0:
            continue
        if kind == STANDING:
            pose[0, 0], pose[0, 1], pose[0, 2] = agents[k, CX], agents[k, CY], agents[k, CYAW]
            project(paths[: first[1]], pose, here)
            for j in range(out.shape[1]):
                write_body(out[k, j], here[0, 0], here[0, 1], here[0, 2], length, width, 0.0)
                out[k, j, F_X], out[k, j, F_Y], out[k, j, F_YAW] = pose[0, 0], pose[0, 1], pose[0, 2]
            continue
        speed, change = agents[k, V], agents[k, A]
        if kind == CROSSING:
            speed, change = (max(speed, agents[k, DESIRED]) if agents[k, TRIGGERED] > 0.0 else speed), 0.0
        if kind == LOGGED:
            _forecast_track(agents[k], tracks, track_beside, step_s, out[k])
            continue
        begin, end = first[int(agents[k, PATH])], first[int(agents[k, PATH]) + 1]
        s, d = agents[k, S], agents[k, D]
        shift = abs(agents[k, SHIFT_RATE]) * step_s
        for j in range(out.shape[1]):
            i = begin + int(np.rint(s / LINE_STEP_M))
            if i >= end:
                break
            i = max(i, begin)  # straight on before the path's start
            rest = s - (i - begin) * LINE_STEP_M
            s0, d0, turn = beside[i, 0], beside[i, 1], beside[i, 2]
            if d0 < FAR_M:
                s0 += rest * math.cos(turn) - d * math.sin(turn)
                d0 += rest * math.sin(turn) + d * math.cos(turn)
                write_body(out[k, j], s0, d0, turn, length, width, speed * math.cos(turn))
            out[k, j, F_X] = paths[i, LX] + rest * paths[i, LCOS] - d * paths[i, LSIN]
            out[k, j, F_Y] = paths[i, LY] + rest * paths[i, LSIN] + d * paths[i, LCOS]
            out[k, j, F_YAW] = paths[i, LYAW]
            time = j * step_s
            goes_on = time < BRAKING_ON_S if change < 0.0 else time < GAINING_ON_S and speed < agents[k, DESIRED]
            after = max(0.0, speed + change * step_s) if goes_on else speed
            s += 0.5 * (speed + after) * step_s
            speed = after
            if agents[k, TRIGGERED] > 0.0 or kind != STATION:
                d += min(max(agents[k, SHIFT_TO] - d, -shift), shift)


@kernel
def _forecast_track(
    agent: NDArray[np.float64],
    tracks: NDArray[np.float64],
    track_beside: NDArray[np.float64],
    step_s: float,
    out: NDArray[np.float64],
) -> None:
    """Forecast of one replayed road user: as recorded."""
    q = int(agent[TRACK])
    now = int(np.rint(agent[TRACK_TIME] / TRACK_STEP_S))
    every = int(np.rint(step_s / TRACK_STEP_S))
    for j in range(len(out)):
        at = now + every * j
        if at < 0 or at >= tracks.shape[1] or math.isnan(tracks[q, at, TRACK_X]):
            continue
        s0, d0, turn = track_beside[q, at, 0], track_beside[q, at, 1], track_beside[q, at, 2]
        if d0 < FAR_M:
            along = tracks[q, at, TRACK_V] * math.cos(turn)
            write_body(out[j], s0, d0, turn, agent[LENGTH], agent[WIDTH], along)
        out[j, F_X], out[j, F_Y], out[j, F_YAW] = (
            tracks[q, at, TRACK_X],
            tracks[q, at, TRACK_Y],
            tracks[q, at, TRACK_YAW],
        )
