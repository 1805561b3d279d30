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
    ground = carriageways(network)
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
    rows, edges, count = [], [], 0
    for surface, edge in strips:
        first = 0
        while first < len(edge) - 1:
            last = int(np.searchsorted(edge[:, EDGE_S], edge[first, EDGE_S] + CHUNK_M, side="right")) - 1
            last = min(max(last, first + 1), len(edge) - 1)
            piece = edge[first : last + 1]
            corners = piece[:, :4].reshape(-1, 2)
            middle = 0.5 * (corners.min(axis=0) + corners.max(axis=0))
            row = np.zeros(RIBBON_SIZE)
            row[:] = count, count + len(piece), surface, *middle, np.hypot(*(corners - middle).T).max()
            rows.append(row)
            edges.append(piece)
            count += len(piece)
            first = last
    return np.array(rows).reshape(-1, RIBBON_SIZE), np.concatenate(edges) if edges else np.zeros((0, EDGE_SIZE))


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


def _widened(left: NDArray[np.float64], right: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """The strip between two edges made wider by `margin` on both sides and longer by JOINT_M at both ends."""
    across = left - right
    across /= np.maximum(np.hypot(*across.T), 0.1)[:, None]
    left, right = left + margin * across, right - margin * across
    middle = 0.5 * (left + right)
    back, on = _unit(middle[0] - middle[1]) * JOINT_M, _unit(middle[-1] - middle[-2]) * JOINT_M
    left = np.concatenate([[left[0] + back], left, [left[-1] + on]])
    right = np.concatenate([[right[0] + back], right, [right[-1] + on]])
    return strip(left, right)


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
        across = _across(edge)
        surface = {"solid": PAINT, "dashed": PAINT_DASHED, "kerb": KERB}[mark]
        found.append((surface, strip(edge + half * across, edge - half * across, start_s)))
    return found


def _across(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors to the left of a polyline at its points [n, 2]."""
    step = np.gradient(points, axis=0)
    step /= np.maximum(np.hypot(*step.T), 1e-9)[:, None]
    return np.stack([-step[:, 1], step[:, 0]], axis=1)


def _stop_line(lane: Lane) -> NDArray[np.float64]:
    """A line across the end of a lane."""
    back = -STOP_LINE_M * _unit(lane.centre[-1] - lane.centre[-2])
    return strip(np.array([lane.left[-1] + back, lane.left[-1]]), np.array([lane.right[-1] + back, lane.right[-1]]))


def _crosswalk(crossing: Crosswalk) -> NDArray[np.float64]:
    """A strip along the walking direction; its dashes are the zebra's stripes."""
    points = np.array([crossing.start, crossing.end])
    aside = 0.5 * crossing.width_m * _across(points)
    return strip(points + aside, points - aside)
