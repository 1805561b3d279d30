"""The lanes of one OpenDRIVE road: sections, widths, marks and limits as strips of ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_sim.network.lanes import Lane
from wm_sim.network.opendrive_geometry import LENGTH_MAX_M, Piece, cubics, evaluate, poses, read_pieces
from wm_sim.network.xml import Node

DRIVING = ("driving", "entry", "exit", "onRamp", "offRamp", "connectingRamp", "slipLane")
STEP_M = 1.0
WIDTH_MIN_M, WIDTH_MAX_M = 1.5, 30.0  # what is nowhere as wide as the first is no lane to drive on
LIMIT_MPS = 13.9
UNITS = {"m/s": 1.0, "km/h": 1.0 / 3.6, "mph": 0.44704}
MARKS = {"solid": "solid", "solid solid": "solid", "solid broken": "solid", "broken solid": "dashed", "edge": "solid"}
MARKS |= {"broken": "dashed", "broken broken": "dashed", "botts dots": "dashed", "curb": "kerb", "none": "none"}
NUMBER_MAX = 64


@dataclass(frozen=True)
class Section:
    """A stretch of a road on which its lanes stay the same."""

    s: float
    end_s: float
    lanes: dict[int, Node]  # by number: left of the reference line 1, 2, …; right of it -1, -2, …
    centre: Node | None


@dataclass(frozen=True)
class Road:
    """One road: its sections and its driving lanes by name."""

    id: str
    node: Node
    junction: str | None
    sections: list[Section]
    lanes: dict[str, Lane]


def lane_name(road: str, section: int, number: int) -> str:
    """How a lane is called in the network."""
    return f"{road}_{section}_{number}"


def read_road(node: Node) -> Road:
    """A road with the lanes of all its sections, links to other roads left open."""
    name = node.attribute("id")
    length = node.number("length")
    if not 0.0 < length <= LENGTH_MAX_M:
        raise node.error(f"length={length}: expected more than 0, at most {LENGTH_MAX_M:.0f}.")
    if node.attributes.get("rule", "RHT") != "RHT":
        raise node.error(f"rule={node.attributes['rule']!r}: left-hand traffic is not supported.")
    pieces = read_pieces(node, length)
    holder = node.one("lanes")
    offsets = cubics(list(holder.all("laneOffset")), "s")
    sections = _sections(holder, length)
    lanes: dict[str, Lane] = {}
    for k, section in enumerate(sections):
        if section.end_s - section.s < 0.1:
            continue
        for lane in _strips(node, name, k, section, pieces, offsets):
            lanes[lane.id] = lane
    junction = node.attributes.get("junction", "-1")
    return Road(name, node, None if junction == "-1" else junction, sections, lanes)


def _sections(holder: Node, length: float) -> list[Section]:
    nodes = list(holder.all("laneSection"))
    if not nodes:
        raise holder.error("it has no <laneSection>.")
    starts = [section.number("s") for section in nodes]
    if abs(starts[0]) > 1e-3 or any(b < a for a, b in zip([*starts, length], [*starts[1:], length], strict=False)):
        raise nodes[0].error("sections must begin at s=0 and follow in order.")
    if starts[-1] > length:
        raise nodes[-1].error(f"s={starts[-1]} lies beyond the road's length {length}.")
    found = []
    for node, s, end in zip(nodes, starts, [*starts[1:], length], strict=True):
        lanes: dict[int, Node] = {}
        for side, sign in (("left", 1), ("right", -1)):
            group = node.maybe(side)
            for lane in group.all("lane") if group is not None else ():
                number = lane.whole("id")
                if number * sign <= 0 or abs(number) > NUMBER_MAX or number in lanes:
                    raise lane.error(f"a lane number that does not belong to the {side}.")
                lanes[number] = lane
        for sign in (1, -1):
            count = sum(1 for number in lanes if number * sign > 0)
            if any(sign * k not in lanes for k in range(1, count + 1)):
                raise node.error("its lane numbers have a gap.")
        centre = node.maybe("center")
        found.append(Section(s, end, lanes, centre.maybe("lane") if centre is not None else None))
    return found


def _stations(section: Section, pieces: list[Piece]) -> NDArray[np.float64]:
    """Arc lengths at which a section is sampled: evenly, and where pieces meet."""
    count = max(3, math.ceil((section.end_s - section.s) / STEP_M) + 1)
    inner = [piece.s for piece in pieces if section.s + 0.2 < piece.s < section.end_s - 0.2]
    s = np.unique(np.concatenate([np.linspace(section.s, section.end_s, count), inner]))
    keep = np.concatenate([[True], np.diff(s) > 0.05])
    keep[-1] = True
    return s[keep]


def _strips(
    road: Node, name: str, k: int, section: Section, pieces: list[Piece], offsets: NDArray[np.float64]
) -> list[Lane]:
    """The driving lanes of a section."""
    s = _stations(section, pieces)
    x, y, heading = poses(pieces, s)
    middle, across = np.stack([x, y], axis=1), np.stack([-np.sin(heading), np.cos(heading)], axis=1)
    base = evaluate(offsets, s)
    drivable: dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    for sign in (1, -1):
        inner = base
        for number in sorted((n for n in section.lanes if n * sign > 0), key=abs):
            lane = section.lanes[number]
            width = _width(lane, s - section.s)
            outer = inner + sign * width
            if lane.attributes.get("type") in DRIVING and width.max() >= WIDTH_MIN_M:
                drivable[number] = (middle + inner[:, None] * across, middle + outer[:, None] * across)
            inner = outer
    found = []
    for number, (near, far) in drivable.items():
        sign = 1 if number > 0 else -1
        inward = number - sign or -sign  # from 1 over the reference line to -1
        outward = number + sign
        lane = section.lanes[number]
        found.append(
            Lane(
                lane_name(name, k, number),
                near if number < 0 else near[::-1],
                far if number < 0 else far[::-1],
                _limit(road, lane, section.s),
                left_mark=_mark(section.centre if abs(number) == 1 else section.lanes[inward]),
                right_mark=_mark(lane),
                left_neighbour=lane_name(name, k, inward) if inward in drivable else None,
                left_oncoming=abs(number) == 1,
                right_neighbour=lane_name(name, k, outward) if outward in drivable else None,
            )
        )
    return found


def _width(lane: Node, along: NDArray[np.float64]) -> NDArray[np.float64]:
    nodes = list(lane.all("width"))
    if not nodes and lane.maybe("border") is not None:
        raise lane.error("its <border> is not supported; give it a <width>.")
    if not nodes and lane.attributes.get("type") in DRIVING:
        raise lane.error("it needs a <width>.")
    width = evaluate(cubics(nodes, "sOffset"), along)
    if width.min(initial=0.0) < -0.05 or width.max(initial=0.0) > WIDTH_MAX_M:
        raise lane.error(
            f"its width runs from {width.min():.2f} to {width.max():.2f} m; expected 0 to {WIDTH_MAX_M:.0f}."
        )
    return np.maximum(width, 0.0)


def _mark(lane: Node | None) -> str:
    """The marking of a lane's outer edge where its section begins."""
    marks = list(lane.all("roadMark")) if lane is not None else []
    return MARKS.get(marks[0].attributes.get("type", "none"), "none") if marks else "none"


def _limit(road: Node, lane: Node, s: float) -> float:
    """The lane's own limit, else the road's where the section begins."""
    own = lane.maybe("speed")
    kinds = [kind for kind in road.all("type") if kind.number("s", 0.0) <= s + 1e-6]
    node = own or (kinds[-1].maybe("speed") if kinds else None)
    if node is None or node.attribute("max") in ("no limit", "undefined"):
        return LIMIT_MPS
    unit = node.attributes.get("unit", "m/s")
    if unit not in UNITS:
        raise node.error(f"unit={unit!r}; expected {', '.join(UNITS)}.")
    limit = node.number("max") * UNITS[unit]
    if limit <= 0.0:
        return LIMIT_MPS
    if limit >= 200.0:
        raise node.error(f"a limit of {limit:.0f} m/s; expected less than 200.")
    return limit
