"""Paths: what agents follow, and where paths run together or meet.

A path is a line along a route with, at every sample, the room beside it and the rules there. `overlaps` and
`conflicts` look only at geometry, so they hold for generated and measured roads alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wm_sim.errors import SimError
from wm_sim.network.lanes import Lane, RoadNetwork
from wm_sim.network.line import distinct, even, length_along, line_of_points, project
from wm_sim.scene import (
    LANE_WIDTH_M,
    LCOS,
    LCURVATURE,
    LEFT_M,
    LIMIT_MPS,
    LINE_STEP_M,
    LSIN,
    LX,
    LY,
    ONCOMING_LEFT,
    PATH_SIZE,
    RIGHT_M,
)

CHANGE_S = 4.0  # a route changes lanes over this long at the limit …
CHANGE_M = (20.0, 100.0)  # … but over no less and no more than this
JUNCTION_ROOM_M = 0.75  # beside the lanes of a junction, where corners are rounded


@dataclass(frozen=True)
class Path:
    """A route as samples every LINE_STEP_M."""

    samples: NDArray[np.float64] = field(repr=False)  # [m, PATH_SIZE], columns in scene.py
    lanes: tuple[str, ...]
    starts_s: NDArray[np.float64] = field(repr=False)  # [len(lanes)] where each lane begins
    priority: NDArray[np.int64] = field(repr=False)  # [m] of the lane there
    junction: NDArray[np.bool_] = field(repr=False)  # [m] whether the lane there is inside a junction

    @property
    def length_m(self) -> float:
        """Distance from the first sample to the last."""
        return (len(self.samples) - 1) * LINE_STEP_M

    def s_of(self, lane: str) -> float:
        """Where a lane of the route begins."""
        return float(self.starts_s[self.lanes.index(lane)])

    def s_at(self, x: float, y: float) -> float:
        """Arc length of the place nearest to a point."""
        return float(project(np.array([[x, y]]), self.samples, math.inf)[0, 0]) * LINE_STEP_M


def route_path(network: RoadNetwork, lanes: Sequence[str], smooth_m: float | None = None) -> Path:
    """The path along lanes of which each is the successor or the neighbour of the one before."""
    smooth = network.smooth_m if smooth_m is None else smooth_m
    points, ends = _join([network.lane(name) for name in lanes])
    line = line_of_points(points, smooth)
    samples = np.zeros((len(line), PATH_SIZE))
    samples[:, : line.shape[1]] = line
    at = np.arange(len(line)) * LINE_STEP_M
    if len(lanes) > 1:
        starts = np.concatenate([[0.0], project(np.array(ends), line, math.inf)[:, 0] * LINE_STEP_M])
    else:
        starts = np.zeros(1)
    starts = np.maximum.accumulate(starts)
    which = np.clip(np.searchsorted(starts, at + 1e-9, side="right") - 1, 0, len(lanes) - 1)
    for k, name in enumerate(lanes):
        rows = np.flatnonzero(which == k)
        if len(rows):
            _fill(network, network.lanes[name], samples, rows)
    priority = np.array([network.lanes[name].priority for name in lanes])[which]
    junction = np.array([network.lanes[name].junction for name in lanes])[which]
    return Path(samples, tuple(lanes), starts, priority, junction)


def _join(lanes: list[Lane]) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
    """Centre points of a route [n, 2], and the point where each lane but the last hands over to the next."""
    pieces: list[NDArray[np.float64]] = []
    ends: list[NDArray[np.float64]] = []
    abreast = [lanes[0]]  # the lane reached, and those that the route leaves for its neighbour right there
    for before, lane in pairwise(lanes):
        if lane.id in before.successors:
            pieces.append(_changing(abreast, ends))
            ends.append(pieces[-1][-1])
            abreast = [lane]
        elif lane.id in (before.left_neighbour, before.right_neighbour):
            abreast.append(lane)
        else:
            raise SimError(f"lane {lane.id} neither follows lane {before.id} nor lies beside it: not a route.")
    pieces.append(_changing(abreast, ends))
    return distinct(np.concatenate(pieces)), ends


def _changing(abreast: list[Lane], ends: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Points [n, 2] that begin along the first of lanes that lie side by side and end along the last.

    The middle of each change is added to `ends`.
    """
    first, changes = abreast[0].centre, len(abreast) - 1
    if changes == 0:
        return first
    base = even(first, 1.0)
    if len(base) < 2:
        base = first
    s = length_along(base)
    points = base.copy()
    here = base
    for q, lane in enumerate(abreast[1:]):
        place = project(base, lane.centre, math.inf)[:, 0]
        index = np.arange(len(lane.centre))
        there = np.stack([np.interp(place, index, lane.centre[:, k]) for k in range(2)], axis=1)
        slot = s[-1] / changes
        need = min(max(CHANGE_S * lane.limit_mps, CHANGE_M[0]), CHANGE_M[1], 0.9 * slot)
        share = np.clip((s - q * slot - 0.1 * (slot - need)) / need, 0.0, 1.0)
        points += (share**2 * (3.0 - 2.0 * share))[:, None] * (there - here)
        ends.append(points[np.searchsorted(share, 0.5)])
        here = there
    return np.concatenate([points, lane.centre[math.floor(place[-1]) + 1 :]])


def _fill(network: RoadNetwork, lane: Lane, samples: NDArray[np.float64], rows: NDArray[np.int64]) -> None:
    """Room, width and limit at the samples that lie on `lane`."""
    xy = np.ascontiguousarray(samples[rows, LX : LY + 1])
    place = project(xy, lane.centre, math.inf)[:, 0]
    width = np.interp(place, np.arange(len(lane.centre)), lane.width_m)
    samples[rows, LANE_WIDTH_M] = width
    samples[rows, LIMIT_MPS] = lane.limit_mps
    samples[rows, ONCOMING_LEFT] = float(lane.left_neighbour is not None and lane.left_oncoming)
    for column, left, own in ((LEFT_M, True, lane.left), (RIGHT_M, False, lane.right)):
        room = project(xy, own, math.inf)[:, 1] + (JUNCTION_ROOM_M if lane.junction else 0.0)
        for beside, oncoming in network.beside(lane.id, left):
            found = project(xy, beside.left if left != oncoming else beside.right, math.inf)
            room = np.where(found[:, 2] > 0.0, np.maximum(room, found[:, 1]), room)
        samples[rows, column] = room


def extended(path: Path, before_m: float, after_m: float) -> Path:
    """The path with straight pieces at its ends, under the rules that hold there."""
    before, after = (max(0, math.ceil(length / LINE_STEP_M)) for length in (before_m, after_m))
    if before + after == 0:
        return path
    samples = np.concatenate(
        [np.repeat(path.samples[:1], before, 0), path.samples, np.repeat(path.samples[-1:], after, 0)]
    )
    for rows, end, steps in (
        (slice(0, before), path.samples[0], np.arange(-before, 0)),
        (slice(len(samples) - after, len(samples)), path.samples[-1], np.arange(1, after + 1)),
    ):
        samples[rows, LX] = end[LX] + steps * LINE_STEP_M * end[LCOS]
        samples[rows, LY] = end[LY] + steps * LINE_STEP_M * end[LSIN]
        samples[rows, LCURVATURE] = 0.0
    starts = np.where(np.arange(len(path.starts_s)) > 0, path.starts_s + before * LINE_STEP_M, 0.0)
    priority = np.pad(path.priority, (before, after), mode="edge")
    return Path(samples, path.lanes, starts, priority, np.pad(path.junction, (before, after), mode="edge"))


def with_curve_limits(path: Path, lateral_mps2: float = 2.2, braking_mps2: float = 1.5, least_mps: float = 3.0) -> Path:
    """The path with limits at which its bends can be driven, lowered in time before them."""
    samples = path.samples.copy()
    wide = np.abs(samples[:, LCURVATURE])
    safe = np.sqrt(lateral_mps2 / np.maximum(wide, 1e-6))
    limit = np.maximum(np.minimum(samples[:, LIMIT_MPS], safe), least_mps)
    squared = limit**2
    at = 2.0 * braking_mps2 * LINE_STEP_M * np.arange(len(squared))
    # The speed from which braking reaches every later limit: the least of v² + 2 b (s' - s).
    squared = np.minimum.accumulate((squared + at)[::-1])[::-1] - at
    samples[:, LIMIT_MPS] = np.minimum(np.sqrt(squared), samples[:, LIMIT_MPS])
    return Path(samples, path.lanes, path.starts_s, path.priority, path.junction)
