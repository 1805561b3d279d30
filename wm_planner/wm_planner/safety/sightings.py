"""What the scan sees, followed from scan to scan: how far each sector's nearest thing is, and how fast that changes.

The scan is coarse: 72 sectors of 5°, each with its nearest return. What a sector saw before is looked for in the sector
itself and in its two neighbours, so that a thing keeps its speed while it wanders from one to the next.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

FAR_M = 1e6  # where there is nothing
_VIEW_RAD = math.radians(80.0)  # sectors further to the side cannot hold anything in a drivable path
RANGE_MAX_M = 59.9  # at and beyond: no return
_STEP_MIN_S = 0.02  # scans that follow faster than this say nothing about speeds
_JUMP_M = 3.0  # a range further than this from its prediction is another thing
_FIRST = 0.7  # part believed of the first difference of two ranges
_ALPHA, _BETA = 0.6, 0.4  # range and rate gains of the filter after that
_COASTING_HITS = 3  # what so many scans have seen may be missed by one
_RATE_MAX_MPS = 60.0


@dataclass(frozen=True, eq=False)
class Sightings:
    """The nearest thing in each sector ahead, and the path just driven."""

    stamp_ns: int
    size: int  # sectors of the whole scan
    range_m: Floats  # [S] from the lidar, filtered; FAR_M where nothing is
    rate_mps: Floats  # [S] of the range, filtered; negative when closing
    hits: Counts  # [S] scans in a row that saw it; 0: nothing
    coasted: Bools  # [S] carried over a scan that missed it
    curvature_1pm: float = 0.0  # of the path just driven, filtered
    measured_1pm: float = 0.0  # the same as it is this moment


def sight(scan: NDArray[np.float32], stamp_ns: int, before: Sightings | None, speed_mps: float) -> Sightings:
    """The sightings after one more scan [72] m. What is seen for the first time counts as standing."""
    ranges, seen = returns(scan)
    if before is None or stamp_ns <= before.stamp_ns or before.size != len(scan):
        standing, none = np.full(len(ranges), -speed_mps), np.zeros(len(ranges), dtype=np.bool_)
        return Sightings(stamp_ns, len(scan), ranges, standing, seen.astype(np.int64), none)
    return _follow(ranges, seen, stamp_ns, before, speed_mps)


def returns(scan: NDArray[np.float32]) -> tuple[Floats, Bools]:
    """The ranges of the sectors in view, FAR_M where nothing is, and which of them saw something, [S] each."""
    ranges = np.asarray(scan, dtype=np.float64)[sectors(len(scan))[0]]
    with np.errstate(invalid="ignore"):
        seen = (ranges > 0.0) & (ranges < RANGE_MAX_M)  # NaN compares false
    return np.where(seen, ranges, FAR_M), seen


def origins(ranges: Floats, expected: Floats) -> NDArray[np.intp]:
    """Of every sector itself or the neighbour whose expected range comes nearest to what it sees now, [..., S]."""
    own = np.arange(ranges.shape[-1])
    around = np.clip(own + np.array([[0], [-1], [1]]), 0, len(own) - 1)  # [3, S] itself first, so that it wins a tie
    off = np.abs(ranges[..., None, :] - expected[..., around])  # [..., 3, S]
    return np.asarray(around[np.argmin(off, axis=-2), own])


def _follow(ranges: Floats, seen: Bools, stamp_ns: int, before: Sightings, speed_mps: float) -> Sightings:
    """α-β filter of each sector's range, on from where it, or its neighbour, was expected."""
    dt_s = max((stamp_ns - before.stamp_ns) * 1e-9, _STEP_MIN_S)
    expected = np.where(before.hits > 1, before.range_m + before.rate_mps * dt_s, before.range_m)
    origin = origins(ranges, expected)
    error = ranges - expected[origin]
    known = seen & (before.hits[origin] > 0) & (np.abs(error) <= _JUMP_M)
    twice = known & (before.hits[origin] == 1)
    often = known & ~twice
    rate = np.where(often, before.rate_mps[origin] + _BETA * error / dt_s, -speed_mps)
    rate = np.where(twice, _FIRST * error / dt_s, rate)
    ranges = np.where(often, np.maximum(expected[origin] + _ALPHA * error, 0.0), ranges)
    hits = np.where(known, before.hits[origin] + 1, seen.astype(np.int64))
    claimed = np.zeros(len(ranges), dtype=np.bool_)
    claimed[origin[known]] = True
    coasted = ~seen & ~claimed & (before.hits >= _COASTING_HITS) & ~before.coasted
    return Sightings(
        stamp_ns,
        before.size,
        range_m=np.where(coasted, np.maximum(expected, 0.0), ranges),
        # Nothing ahead drives backwards: a range closes at most at our own speed.
        rate_mps=np.clip(np.where(coasted, before.rate_mps, rate), -speed_mps, _RATE_MAX_MPS),
        hits=np.where(coasted, before.hits, hits),
        coasted=coasted,
    )


@lru_cache(maxsize=4)
def sectors(size: int) -> tuple[slice, Floats, Floats]:
    """The sectors in view, and cosine and sine [3, S] of their right edge, centre and left edge."""
    sector = 2.0 * math.pi / size
    centres = -math.pi + (np.arange(size) + 0.5) * sector
    in_view = np.flatnonzero(np.abs(centres) <= _VIEW_RAD)
    edges = centres[in_view] + np.array([[-0.5], [0.0], [0.5]]) * sector
    return slice(int(in_view[0]), int(in_view[-1]) + 1), np.cos(edges), np.sin(edges)
