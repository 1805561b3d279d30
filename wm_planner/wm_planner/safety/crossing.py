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

from wm_planner.safety.limits import Limits
from wm_planner.safety.sightings import FAR_M, RANGE_MAX_M, Bools, Counts, Floats, sectors

_BREAK_M = 1.5  # two sectors whose ranges differ by more do not see one thing
_JUMP_M = 1.0  # an edge further than this from where a standing one would be is another thing
_PAUSE_S = 0.5  # scans further apart are not of one sequence
_RENEWED_S = 1.5
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
    """The inner edges of things ahead, and where they lay before; places are right edge, middle and left edge of their
    sector at their range, in m in a frame that the car's own motion is reckoned in."""

    stamp_ns: int
    size: int  # sectors of the whole scan
    pose: tuple[float, float, float]  # x, y in m and yaw in rad of the car in that frame
    range_m: Floats  # [S] from the lidar; FAR_M where no edge is
    hits: Counts  # [S] scans in a row that saw it
    places: Floats  # [2, 3, S, 2] an older and a newer one to compare with
    ages_s: Floats  # [2, S] how long ago that was


def follow_edges(
    scan: NDArray[np.float32],
    stamp_ns: int,
    before: Edges | None,
    speed_mps: float,
    yaw_rate_radps: float,
    limits: Limits,
) -> Edges:
    """The edges after one more scan [72] m."""
    view, cosines, sines = sectors(len(scan))
    ranges = np.asarray(scan, dtype=np.float64)[view]
    with np.errstate(invalid="ignore"):
        seen = (ranges > 0.0) & (ranges < RANGE_MAX_M)  # NaN compares false
    ranges = np.where(seen, ranges, FAR_M)
    edge = seen & _inner(ranges, sines[1])
    ranges = np.where(edge, ranges, FAR_M)
    if before is None or before.size != len(scan) or not 0 < stamp_ns - before.stamp_ns <= _PAUSE_S * 1e9:
        before, dt_s, pose = None, 0.0, (0.0, 0.0, 0.0)
    else:
        dt_s = (stamp_ns - before.stamp_ns) * 1e-9
        pose = _moved(before.pose, speed_mps * dt_s, yaw_rate_radps * dt_s)
    ahead, aside = limits.lidar_x_m + ranges * cosines, ranges * sines  # [3, S]
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    now = np.stack([pose[0] + cos * ahead - sin * aside, pose[1] + sin * ahead + cos * aside], axis=-1)  # [3, S, 2]
    places, ages = np.stack([now, now]), np.zeros((2, len(ranges)))
    hits = edge.astype(np.int64)
    if before is not None:
        origin, known = _origins(ranges, edge, before, speed_mps * dt_s)
        places = np.where(known[:, None], before.places[:, :, origin], places)
        ages = np.where(known, before.ages_s[:, origin] + dt_s, ages)
        hits += np.where(known, before.hits[origin], 0)
        renewed = ages[1] >= _RENEWED_S
        places = np.where(renewed[:, None], np.stack([places[1], now]), places)
        ages = np.where(renewed, np.stack([ages[1], np.zeros_like(ages[1])]), ages)
    return Edges(stamp_ns, len(scan), pose, ranges, hits, places, ages)


def _inner(ranges: Floats, sines: Floats) -> Bools:
    """Which sectors' neighbour on the side of straight ahead sees something else, or nothing."""
    beside = np.full((2, len(ranges)), FAR_M)
    beside[0, :-1], beside[1, 1:] = ranges[1:], ranges[:-1]
    towards = np.where(sines < 0.0, beside[0], beside[1])
    return np.asarray(np.abs(towards - ranges) > _BREAK_M)


def _moved(pose: tuple[float, float, float], way_m: float, turn_rad: float) -> tuple[float, float, float]:
    """The pose further along an arc."""
    x, y, yaw = pose
    chord = yaw + 0.5 * turn_rad
    return x + way_m * math.cos(chord), y + way_m * math.sin(chord), yaw + turn_rad


def _origins(ranges: Floats, edge: Bools, before: Edges, way_m: float) -> tuple[NDArray[np.intp], Bools]:
    """From which sector, itself or a neighbour, each edge has come, and whether it has come from any, [S] each."""
    expected = before.range_m - way_m
    own = np.arange(len(ranges))
    around = np.clip(own + np.array([[0], [-1], [1]]), 0, len(own) - 1)  # [3, S] itself first, so that it wins a tie
    origin = around[np.argmin(np.abs(ranges - expected[around]), axis=0), own]
    known = edge & (before.hits[origin] > 0) & (np.abs(ranges - expected[origin]) <= _JUMP_M)
    return origin, known


def crossing_braking(edges: Edges, age_s: float, curvature_1pm: float, speed_mps: float, limits: Limits) -> float:
    """Deceleration in m/s² that those on the way into the path ask for; 0 where it is little or nobody is.

    curvature_1pm: of the path; age_s: how long ago the scan was taken.
    """
    _, cosines, sines = sectors(edges.size)
    ahead, aside = limits.lidar_x_m + edges.range_m * cosines, edges.range_m * sines
    away = edges.places - np.array(edges.pose[:2])
    cos, sin = math.cos(edges.pose[2]), math.sin(edges.pose[2])
    then = cos * away[..., 0] + sin * away[..., 1], cos * away[..., 1] - sin * away[..., 0]  # [2, 3, S] each
    outwards = np.where(sines[1] > 0.0, -1.0, 1.0)  # with it, what is further from the path counts as more negative
    low, high, gap = _beside(ahead, aside, curvature_1pm, outwards, limits)  # [S]
    low_then, high_then, gap_then = _beside(*then, curvature_1pm, outwards, limits)  # [2, S]
    ages = np.maximum(edges.ages_s, _AGE_MIN_S)
    least, most = (low - high_then - _SLIP_M) / ages, (high - low_then) / ages
    pace = np.maximum(0.5 * (least + most), 1e-3)
    half = limits.half_width_m + limits.crossing_margin_m
    crosses = (edges.hits >= _HITS_MIN) & (edges.ages_s >= _AGE_MIN_S - 1e-9) & (least > _SURE_MPS)
    crosses &= (pace <= limits.crossing_speed_max_mps) & (0.5 * (low + high) < -0.5 * half)
    crosses &= np.abs(gap - gap_then) / ages < max(_ALONG_MPS, _ALONG_SHARE * speed_mps)
    crosses &= (gap > _GAP_MIN_M) & (gap < _GAP_MAX_M) & (np.abs(np.arctan2(sines[1], cosines[1])) < _BEARING_MAX_RAD)
    gap = np.maximum(gap - speed_mps * age_s, 0.0)
    enters_s = np.maximum(-half - high, 0.0) / np.minimum(most, pace / _DOUBT).clip(1e-3)
    leaves_s = (half - low) / np.maximum(least, pace * _DOUBT).clip(1e-3)
    reached_s, passed_s = gap / speed_mps, (gap + limits.front_bumper_m + _BEHIND_M) / speed_mps + _BEHIND_S
    meets = crosses & (enters_s < passed_s) & (leaves_s > reached_s)
    room = np.maximum(gap - _ROOM_M - _ROOM_S * speed_mps, 0.2)
    needed = float(np.where(meets, speed_mps * speed_mps / (2.0 * room), 0.0).max())
    return min(_EARNEST * needed, limits.deceleration_max_mps2) if needed >= _ENOUGH_MPS2 else 0.0


def _beside(
    ahead: Floats, aside: Floats, curvature_1pm: float, outwards: Floats, limits: Limits
) -> tuple[Floats, Floats, Floats]:
    """Sideways bounds of places [..., 3, S] from the path, and their gap to the bumper along it, m, [..., S] each."""
    bend = curvature_1pm if abs(curvature_1pm) > 1e-5 else 1e-5
    along, beside = bend * ahead, 1.0 - bend * aside
    lateral = outwards * (1.0 - np.hypot(along, beside)) / bend
    gap = (np.arctan2(along, beside) / bend).min(axis=-2) - limits.front_bumper_m
    edges = lateral[..., 0, :], lateral[..., 2, :]
    return np.minimum(*edges), np.maximum(*edges), gap
