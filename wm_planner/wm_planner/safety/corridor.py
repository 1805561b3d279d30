"""Which sightings lie in the corridor that the car would sweep along an arc, and how far ahead of its bumper.

A sighting is an arc at its range that spans its sector; it counts when a good part of that arc lies in the corridor.
"""

import numpy as np

from wm_planner.safety.limits import Limits
from wm_planner.safety.sightings import FAR_M, Bools, Floats, Sightings, sectors

BESIDE_M = 0.5  # so far behind the bumper a thing still counts as ahead
NEAR_M = 12.0  # up to here a sector is narrow enough to tell beside from before
_SHARED_OVERLAP = 0.15  # least part of each of two neighbouring sectors that see one thing
_SHARED_RANGE_M = 1.5
_STRAIGHT_1PM = 1e-5


def in_corridor(sightings: Sightings, age_s: float, curvatures: Floats, limits: Limits) -> tuple[Bools, Floats]:
    """Which sightings lie in the corridors along K arcs from base_link, and their gap to the front bumper, each [K, S].

    curvatures [K] 1/m; age_s: how long ago the scan was taken, ranges go on changing at their rates.
    """
    _, cosines, sines = sectors(sightings.size)
    seen = np.flatnonzero(sightings.hits > 0)  # [S'] all that is computed below
    ranges = np.maximum(sightings.range_m[seen] + sightings.rate_mps[seen] * age_s, 0.0)
    x = limits.lidar_x_m + ranges * cosines[:, seen]  # [3, S']: right edge, centre, left edge of each arc
    y = ranges * sines[:, seen]
    bend = bend_of(curvatures)[:, None, None]  # [K, 1, 1]
    lateral, along = along_arc(x, y, bend)  # [K, 3, S']
    gap = along.min(axis=1) - limits.front_bumper_m
    # What is far ahead has time to come into the path by a path that is not quite this arc.
    half = limits.half_width_m + limits.corridor_margin_m + limits.corridor_widening * np.maximum(gap, 0.0)  # [K, S']
    # In a turn the front corner sweeps wider than the rear axle.
    radius = 1.0 / np.abs(bend[:, 0])  # [K, 1]
    outer = np.hypot(radius + half, limits.front_bumper_m) - radius
    to_left = np.where(bend[:, 0] > 0.0, half, outer)
    to_right = np.where(bend[:, 0] > 0.0, outer, half)
    low, high = np.minimum(lateral[:, 0], lateral[:, 2]), np.maximum(lateral[:, 0], lateral[:, 2])
    inside = np.clip(np.minimum(high, to_left) - np.maximum(low, -to_right), 0.0, None)  # m of the arc in the corridor
    part = inside / np.maximum(high - low, 1e-6)
    ahead = (gap > -BESIDE_M) & (bend[:, 0] * y[1] < 1.0)
    counts = part >= np.where(gap <= NEAR_M, limits.corridor_overlap_near, limits.corridor_overlap)
    # A car dead ahead and far away sits on the border of two sectors and fills neither.
    partly = (part >= _SHARED_OVERLAP) & ahead
    neighbours = (np.diff(seen) == 1) & (np.abs(np.diff(ranges)) < _SHARED_RANGE_M)
    pair = partly[:, :-1] & partly[:, 1:] & neighbours
    pair &= inside[:, :-1] + inside[:, 1:] >= half[:, :-1]
    counts[:, :-1] |= pair
    counts[:, 1:] |= pair
    shape = len(bend), len(sightings.hits)
    counted, gap_m = np.zeros(shape, dtype=np.bool_), np.full(shape, FAR_M)
    counted[:, seen], gap_m[:, seen] = counts & ahead, np.maximum(gap, 0.0)
    return counted, gap_m


def bend_of(curvature_1pm: Floats | float) -> Floats:
    """The same, hardly bent where it is straight, so that it can be divided by."""
    return np.where(np.abs(curvature_1pm) < _STRAIGHT_1PM, _STRAIGHT_1PM, curvature_1pm)


def along_arc(x: Floats, y: Floats, bend_1pm: Floats) -> tuple[Floats, Floats]:
    """Places in base_link, seen from an arc that leaves it: left of the arc positive, and how far along it, m."""
    along, beside = bend_1pm * x, 1.0 - bend_1pm * y
    return (1.0 - np.hypot(along, beside)) / bend_1pm, np.arctan2(along, beside) / bend_1pm
