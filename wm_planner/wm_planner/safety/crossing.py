"""Who is on the way into the path? Those who walk or ride across, told from what stands beside the road.

A scan says of a thing no more than its range and its sector of 5°. What stands beside the path wanders outwards, from
sector to sector, as the car comes nearer; what keeps its bearing while its range falls will be met: the mariner's
rule of constant bearing and decreasing range. In figures: the inner edge of a thing, the one nearer to the path, lies
somewhere in its sector. Where it must lie now, and where it must have lain a second or two ago beside the same path,
bound how fast it moves sideways. Only edges count: within a broad face every sector keeps its bearing, and nothing
moves.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_planner.safety.corridor import along_arc, bend_of
from wm_planner.safety.limits import Limits
from wm_planner.safety.sightings import FAR_M, Bools, Counts, Floats, origins, returns, sectors

_SIDES = np.arange(2)[:, None]  # of a thing: its right edge, its left one
_OUTWARDS = np.array([[-1.0], [1.0]])  # sign that makes a place count as the more negative the further outside it lies
_BREAK_M = 1.5  # two sectors whose ranges differ by more do not see one thing
_JUMP_M = 1.0  # an edge further than this from where a standing one would be is another thing
_PAUSE_S = 0.5  # scans further apart are not of one sequence
_PASTS, _RENEWED_S = 6, 0.5  # places remembered of every edge, and how far apart in time
_AGE_MIN_S, _HITS_MIN = 0.3, 4  # younger edges say nothing
_SLIP_M, _SURE_MPS = 0.1, 0.1  # error of the dead reckoning; an edge that must have moved faster than this moves
_DOUBT = 0.6  # it moves at the middle of its bounds, times or divided by this
_ALONG_MPS, _ALONG_SHARE = 1.5, 0.35  # who crosses hardly moves along the path: m/s, or share of the car's speed
_BEARING_MAX_RAD, _GAP_MIN_M, _GAP_MAX_M = math.radians(60.0), 0.3, 45.0
_BEHIND_M, _BEHIND_S = 1.5, 0.4  # so much longer than the car, and so much later, the place is still taken
_ROOM_M, _ROOM_S = 0.8, 0.15  # left before the place, and driven before the brakes bite
_ENOUGH_MPS2, _EARNEST = 2.0, 1.15  # braking is left to the planner until it takes this much; then a little more


@dataclass(frozen=True, eq=False)
class Edges:
    """The right and the left edges of things ahead: where they lie, and where what is there now has lain before.

    The right edge of what is to the left of the path is its inner one, and the other way round.
    """

    stamp_ns: int
    size: int  # sectors of the whole scan
    range_m: Floats  # [2, S] from the lidar; FAR_M where no edge is
    hits: Counts  # [2, S] scans in a row that saw it
    places: Floats  # [1 + K, 3, 2, S, 2] in base_link: now, before from long ago on; right end, middle, left of sectors
    ages_s: Floats  # [K, 2, S] how long ago the last K were


def follow_edges(
    scan: NDArray[np.float32],
    stamp_ns: int,
    before: Edges | None,
    speed_mps: float,
    yaw_rate_radps: float,
    limits: Limits,
) -> Edges:
    """The edges after one more scan [72] m."""
    _, cosines, sines = sectors(len(scan))
    seen_m, seen = returns(scan)
    edge = seen & _free_beside(seen_m)  # [2, S]
    ranges = np.where(edge, seen_m, FAR_M)
    now = np.stack([limits.lidar_x_m + ranges * cosines[:, None], ranges * sines[:, None]], axis=-1)  # [3, 2, S, 2]
    past, ages = np.stack([now] * _PASTS), np.zeros((_PASTS, *edge.shape))
    hits = edge.astype(np.int64)
    if before is not None and before.size == len(scan) and 0 < stamp_ns - before.stamp_ns <= _PAUSE_S * 1e9:
        dt_s = (stamp_ns - before.stamp_ns) * 1e-9
        expected = before.range_m - speed_mps * dt_s
        origin = origins(ranges, expected)
        seen_before, range_before = before.hits[_SIDES, origin], expected[_SIDES, origin]
        known = edge & (seen_before > 0) & (np.abs(ranges - range_before) <= _JUMP_M)
        moved = _left_behind(before.places[1:, :, _SIDES, origin], speed_mps, yaw_rate_radps, dt_s)
        past = np.where(known[..., None], moved, past)
        ages = np.where(known, before.ages_s[:, _SIDES, origin] + dt_s, ages)
        hits += np.where(known, seen_before, 0)
        renewed = ages[-1] >= _RENEWED_S
        past = np.where(renewed[..., None], np.concatenate([past[1:], now[None]]), past)
        ages = np.where(renewed, np.concatenate([ages[1:], np.zeros((1, *edge.shape))]), ages)
    return Edges(stamp_ns, len(scan), ranges, hits, np.concatenate([now[None], past]), ages)


def _free_beside(ranges: Floats) -> Bools:
    """Beside which sectors, to the right and to the left, something else is seen or nothing, [2, S]."""
    beside = np.full((2, len(ranges)), FAR_M)
    beside[0, 1:], beside[1, :-1] = ranges[:-1], ranges[1:]
    return np.asarray(np.abs(beside - ranges) > _BREAK_M)


def _left_behind(places: Floats, speed_mps: float, yaw_rate_radps: float, dt_s: float) -> Floats:
    """Places [..., 2] in base_link as they are once the car has driven on along an arc."""
    way_m, turn_rad = speed_mps * dt_s, yaw_rate_radps * dt_s
    x = places[..., 0] - way_m * math.cos(0.5 * turn_rad)
    y = places[..., 1] - way_m * math.sin(0.5 * turn_rad)
    cos, sin = math.cos(turn_rad), math.sin(turn_rad)
    return np.stack([cos * x + sin * y, cos * y - sin * x], axis=-1)


def crossing_braking(edges: Edges, age_s: float, curvature_1pm: float, speed_mps: float, limits: Limits) -> float:
    """Deceleration in m/s² that those on the way into the path ask for; 0 where it is little or nobody is.

    curvature_1pm: of the path; age_s: how long ago the scan was taken.
    """
    _, cosines, sines = sectors(edges.size)
    ahead = np.abs(np.arctan2(sines[1], cosines[1])) < _BEARING_MAX_RAD
    known = np.flatnonzero(ahead & (edges.hits >= _HITS_MIN).any(axis=0))  # of the other sectors nothing is to be said
    if not len(known):
        return 0.0
    places, ages_s, hits = edges.places[..., known, :], edges.ages_s[..., known], edges.hits[:, known]
    lateral, along = along_arc(places[..., 0], places[..., 1], bend_of(curvature_1pm))
    lateral *= _OUTWARDS  # [1 + K, 3, 2, S]
    lows, highs = np.minimum(lateral[:, 0], lateral[:, 2]), np.maximum(lateral[:, 0], lateral[:, 2])  # [1 + K, 2, S]
    gaps = along.min(axis=1) - limits.front_bumper_m
    low, high, gap = lows[0], highs[0], gaps[0]  # [2, S]
    ages = np.maximum(ages_s, _AGE_MIN_S)
    least, most = (low - highs[1:] - _SLIP_M) / ages, (high - lows[1:]) / ages  # [K, 2, S]
    pace = np.maximum(0.5 * (least + most), 1e-3)
    half = limits.half_width_m + limits.crossing_margin_m
    crosses = (hits >= _HITS_MIN) & (ages_s >= _AGE_MIN_S - 1e-9) & (least > _SURE_MPS)
    crosses &= (pace <= limits.crossing_speed_max_mps) & (0.5 * (low + high) < -0.5 * half)
    crosses &= np.abs(gap - gaps[1:]) / ages < max(_ALONG_MPS, _ALONG_SHARE * speed_mps)
    crosses &= (gap > _GAP_MIN_M) & (gap < _GAP_MAX_M)
    gap = np.maximum(gap - speed_mps * age_s, 0.0)
    enters_s = np.maximum(-half - high, 0.0) / np.minimum(most, pace / _DOUBT).clip(1e-3)
    leaves_s = (half - low) / np.maximum(least, pace * _DOUBT).clip(1e-3)
    reached_s, passed_s = gap / speed_mps, (gap + limits.front_bumper_m + _BEHIND_M) / speed_mps + _BEHIND_S
    meets = crosses & (enters_s < passed_s) & (leaves_s > reached_s)
    room = np.maximum(gap - _ROOM_M - _ROOM_S * speed_mps, 0.2)
    needed = float(np.where(meets, speed_mps * speed_mps / (2.0 * room), 0.0).max())
    return min(_EARNEST * needed, limits.deceleration_max_mps2) if needed >= _ENOUGH_MPS2 else 0.0
