"""Lanes as strips of ground to draw: shoulders, asphalt, paint, stop lines, crossings, kerbs."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import kernel
from wm_sim.network.lanes import Crosswalk, Lane, RoadNetwork
from wm_sim.network.line import length_along
from wm_sim.scene import (
    ASPHALT,
    CROSSWALK,
    EDGE_S,
    EDGE_SIZE,
    KERB,
    PAINT,
    PAINT_DASHED,
    RIBBON_SIZE,
    SHOULDER,
    STOP_LINE,
)

ASPHALT_MARGIN_M = 0.3  # beyond the edge lines
SHOULDER_M = 1.2
PAINT_M = 0.15
KERB_M = 0.25
STOP_LINE_M = 0.4
JOINT_M = 0.3  # ground goes on this far beyond a lane's ends, so that no grass shows between lanes
CHUNK_M = 40.0
SAG_M = 0.02  # how far a drawn edge may be from the true one
SPACING_MAX_M = 20.0
TOUCH_M = 0.5  # lanes whose edges are nowhere farther apart are drawn as one strip

Strip = tuple[int, NDArray[np.float64]]  # surface, edges [e, EDGE_SIZE]


def ribbons(network: RoadNetwork, paint_m: float = PAINT_M) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Everything to draw, in drawing order: ribbons [B, RIBBON_SIZE] and their edges [E, EDGE_SIZE].

    paint_m: width of the lines; scenarios pass the appearance's.
    """
    ground = [(np.ascontiguousarray(left), np.ascontiguousarray(right)) for left, right in carriageways(network)]
    strips: list[Strip] = []
    for surface, margin in ((SHOULDER, SHOULDER_M), (ASPHALT, ASPHALT_MARGIN_M)):
        strips += [(surface, _widened(left, right, margin)) for left, right in ground]
    starts = _starts(network)
    for lane in network.lanes.values():
        strips += _paint(network, lane, starts[lane.id], paint_m)
    strips += [(STOP_LINE, _stop_line(lane)) for lane in network.lanes.values() if lane.stop_line]
    strips += [(CROSSWALK, _crosswalk(crossing)) for crossing in network.crosswalks]
    return pack(strips)


def pack(strips: list[Strip]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cut strips into pieces no longer than CHUNK_M and list them with the circle around each."""
    if not strips:
        return np.zeros((0, RIBBON_SIZE)), np.zeros((0, EDGE_SIZE))
    ends = np.cumsum([len(edge) for _, edge in strips])
    return _cut(np.concatenate([edge for _, edge in strips]), ends, np.array([surface for surface, _ in strips]))


@kernel
def _cut(
    edges: NDArray[np.float64], ends: NDArray[np.int64], surfaces: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ribbons [B, RIBBON_SIZE] and edges [E, EDGE_SIZE] of strips that end before rows `ends`; cuts repeat a row."""
    rows, cut = np.empty((len(edges), RIBBON_SIZE)), np.empty((2 * len(edges), EDGE_SIZE))
    ribbon, count, first = 0, 0, 0
    for k in range(len(ends)):
        while first < ends[k] - 1:
            last = first + 1
            while last < ends[k] - 1 and edges[last + 1, EDGE_S] <= edges[first, EDGE_S] + CHUNK_M:
                last += 1
            low_x = high_x = edges[first, 0]
            low_y = high_y = edges[first, 1]
            for i in range(first, last + 1):
                for c in (0, 2):
                    low_x, high_x = min(low_x, edges[i, c]), max(high_x, edges[i, c])
                    low_y, high_y = min(low_y, edges[i, c + 1]), max(high_y, edges[i, c + 1])
            x, y, squared = 0.5 * (low_x + high_x), 0.5 * (low_y + high_y), 0.0
            rows[ribbon, 0], rows[ribbon, 2], rows[ribbon, 3], rows[ribbon, 4] = count, surfaces[k], x, y
            for i in range(first, last + 1):
                cut[count] = edges[i]
                count += 1
                for c in (0, 2):
                    squared = max(squared, (edges[i, c] - x) ** 2 + (edges[i, c + 1] - y) ** 2)
            rows[ribbon, 1], rows[ribbon, 5] = count, math.sqrt(squared)
            ribbon += 1
            first = last
        first = ends[k]
    return rows[:ribbon].copy(), cut[:count].copy()


def strip(left: NDArray[np.float64], right: NDArray[np.float64], start_s: float = 0.0) -> NDArray[np.float64]:
    """Edges [e, EDGE_SIZE] of the strip between two polylines [n, 2], dense in bends and sparse on straights."""
    return _strip(np.ascontiguousarray(left), np.ascontiguousarray(right), float(start_s))


@kernel
def _strip(left: NDArray[np.float64], right: NDArray[np.float64], start_s: float) -> NDArray[np.float64]:
    """Rows go as far as the chord stays within SAG_M of the bend that both edges have taken since the row before."""
    count = len(left)
    edges = np.empty((count, EDGE_SIZE))
    rows, s, since, bent = 0, start_s, 0.0, 0.0
    for i in range(count):
        if i > 0:
            step = _middle_step(left, right, i)
            s += step
            since += step
        if 0 < i < count - 1:
            bent += max(_bend(left, i), _bend(right, i))
            # An arc of length `since` that turns by `bent` strays since * bent / 8 from its chord.
            onward = since + _middle_step(left, right, i + 1)
            if onward * bent < 8.0 * SAG_M and onward < SPACING_MAX_M:
                continue
        edges[rows, 0], edges[rows, 1] = left[i, 0], left[i, 1]
        edges[rows, 2], edges[rows, 3], edges[rows, 4] = right[i, 0], right[i, 1], s
        rows += 1
        since, bent = 0.0, 0.0
    return edges[:rows]


@kernel
def _middle_step(left: NDArray[np.float64], right: NDArray[np.float64], i: int) -> float:
    """Distance from middle i - 1 to middle i."""
    dx = left[i, 0] + right[i, 0] - left[i - 1, 0] - right[i - 1, 0]
    dy = left[i, 1] + right[i, 1] - left[i - 1, 1] - right[i - 1, 1]
    return 0.5 * math.sqrt(dx * dx + dy * dy)


@kernel
def _bend(points: NDArray[np.float64], i: int) -> float:
    """Angle (rad) by which a polyline turns at point i."""
    ax, ay = points[i, 0] - points[i - 1, 0], points[i, 1] - points[i - 1, 1]
    bx, by = points[i + 1, 0] - points[i, 0], points[i + 1, 1] - points[i, 1]
    return abs(math.atan2(ax * by - ay * bx, ax * bx + ay * by))


def carriageways(network: RoadNetwork) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Outer left and right edges [n, 2] of every group of lanes that lie edge to edge."""
    drawn: set[str] = set()
    found = []
    for lane in network.lanes.values():
        if lane.id in drawn:
            continue
        drawn.add(lane.id)
        edges = {True: lane.left, False: lane.right}
        for on_left in (True, False):
            for other, _ in network.beside(lane.id, on_left):
                beyond = None if other.id in drawn else _far_edge(edges[on_left], other)
                if beyond is None:
                    break
                edges[on_left] = beyond
                drawn.add(other.id)
        found.append((edges[True], edges[False]))
    return found


def _far_edge(edge: NDArray[np.float64], lane: Lane) -> NDArray[np.float64] | None:
    """The other edge of a lane one of whose edges is `edge`, turned the same way; None where none is."""
    if len(lane.left) != len(edge):
        return None
    for near, far in ((lane.left, lane.right), (lane.right, lane.left)):
        if np.abs(near - edge).max() < TOUCH_M:
            return far
        if np.abs(near[::-1] - edge).max() < TOUCH_M:
            return far[::-1]
    return None


@kernel
def _widened(left: NDArray[np.float64], right: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """The strip between two edges made wider by `margin` on both sides and longer by JOINT_M at both ends."""
    count = len(left)
    wide_left, wide_right = np.empty((count + 2, 2)), np.empty((count + 2, 2))
    for i in range(count):
        x, y = left[i, 0] - right[i, 0], left[i, 1] - right[i, 1]
        share = margin / max(math.sqrt(x * x + y * y), 0.1)
        wide_left[i + 1, 0], wide_left[i + 1, 1] = left[i, 0] + share * x, left[i, 1] + share * y
        wide_right[i + 1, 0], wide_right[i + 1, 1] = right[i, 0] - share * x, right[i, 1] - share * y
    for end, inner, beyond in ((1, 2, 0), (count, count - 1, count + 1)):
        x = 0.5 * (wide_left[end, 0] + wide_right[end, 0] - wide_left[inner, 0] - wide_right[inner, 0])
        y = 0.5 * (wide_left[end, 1] + wide_right[end, 1] - wide_left[inner, 1] - wide_right[inner, 1])
        share = JOINT_M / max(math.sqrt(x * x + y * y), 1e-9)
        wide_left[beyond, 0], wide_left[beyond, 1] = wide_left[end, 0] + share * x, wide_left[end, 1] + share * y
        wide_right[beyond, 0], wide_right[beyond, 1] = wide_right[end, 0] + share * x, wide_right[end, 1] + share * y
    return _strip(wide_left, wide_right, 0.0)


def _unit(v: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = v / max(math.hypot(v[0], v[1]), 1e-9)
    return unit


def _starts(network: RoadNetwork) -> dict[str, float]:
    """Metres along the road at which each lane begins, so that dashes run on from lane to lane."""
    starts: dict[str, float] = {}
    for lane in network.lanes.values():
        chain = [lane]
        while chain[-1].id not in starts and len(chain[-1].predecessors) == 1:
            before = network.lanes[chain[-1].predecessors[0]]
            if before in chain:
                break
            chain.append(before)
        s = starts.get(chain[-1].id, 0.0)
        for link in reversed(chain):
            starts.setdefault(link.id, s)
            s = starts[link.id] + float(length_along(link.centre)[-1])
    return starts


def _paint(network: RoadNetwork, lane: Lane, start_s: float, paint_m: float) -> list[Strip]:
    """A lane's own lines; a line shared with a neighbour is drawn by one of them."""
    found: list[Strip] = []
    for edge, mark, neighbour in (
        (lane.left, lane.left_mark, lane.left_neighbour),
        (lane.right, lane.right_mark, lane.right_neighbour),
    ):
        if mark == "none" or (neighbour is not None and neighbour < lane.id):
            continue
        half = 0.5 * (KERB_M if mark == "kerb" else paint_m)
        across = _across(np.ascontiguousarray(edge))
        surface = {"solid": PAINT, "dashed": PAINT_DASHED, "kerb": KERB}[mark]
        found.append((surface, strip(edge + half * across, edge - half * across, start_s)))
    return found


@kernel
def _across(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors to the left of a polyline at its points [n, 2]."""
    left = np.empty((len(points), 2))
    for i in range(len(points)):
        before, after = max(i - 1, 0), min(i + 1, len(points) - 1)
        x, y = points[after, 0] - points[before, 0], points[after, 1] - points[before, 1]
        length = max(math.sqrt(x * x + y * y), 1e-9)
        left[i, 0], left[i, 1] = -y / length, x / length
    return left


def _stop_line(lane: Lane) -> NDArray[np.float64]:
    """A line across the end of a lane."""
    back = -STOP_LINE_M * _unit(lane.centre[-1] - lane.centre[-2])
    return strip(np.array([lane.left[-1] + back, lane.left[-1]]), np.array([lane.right[-1] + back, lane.right[-1]]))


def _crosswalk(crossing: Crosswalk) -> NDArray[np.float64]:
    """A strip along the walking direction; its dashes are the zebra's stripes."""
    points = np.array([crossing.start, crossing.end])
    aside = 0.5 * crossing.width_m * _across(points)
    return strip(points + aside, points - aside)
