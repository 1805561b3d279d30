"""OpenDRIVE 1.x: roads whose driving lanes, links and junctions make a network. Flat; right-hand traffic."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from wm_sim.errors import SimError
from wm_sim.network.crossing_lanes import with_junctions
from wm_sim.network.lanes import RoadNetwork
from wm_sim.network.opendrive_lanes import Road, lane_name, read_road
from wm_sim.network.road_file import RoadFile
from wm_sim.network.xml import Node, read_xml

JOIN_M = 5.0  # a lane must begin this near to the end of the one that leads to it
SMOOTH_M = 0.5
POINTS_MAX = 4_000_000


@dataclass(frozen=True)
class Link:
    """Where a road's end leads: the lanes of another road, by this road's lane."""

    road: str
    contact: str
    lanes: dict[int, int] | None  # None: as the lanes' own links say
    node: Node


def load_opendrive(path: Path) -> RoadFile:
    """Driving lanes of all roads. Signals are left out: OpenDRIVE states no cycles."""
    root = read_xml(path, "OpenDRIVE")
    header = root.one("header")
    if header.whole("revMajor") != 1:
        raise header.error(f"revMajor={header.attribute('revMajor')}; version 1 is supported.")
    roads: dict[str, Road] = {}
    points = 0
    for node in root.all("road"):
        road = read_road(node)
        if road.id in roads:
            raise node.error("this id was given to a road before.")
        roads[road.id] = road
        points += sum(len(lane.centre) for lane in road.lanes.values())
        if points > POINTS_MAX:
            raise SimError(f"{path}: the map is too large; cut it down.")
    lanes = {name: lane for road in roads.values() for name, lane in road.lanes.items()}
    if not lanes:
        raise root.error("it has no driving lane.")
    junctions = _junctions(root, roads)
    for road in roads.values():
        for name, following in _successors(road, roads, junctions).items():
            for other in following:
                gap = math.dist(lanes[name].centre[-1], lanes[other].centre[0])
                if gap > JOIN_M:
                    raise road.node.error(f"lane {name} leads to lane {other}, which begins {gap:.1f} m from its end.")
            lanes[name] = replace(lanes[name], successors=tuple(dict.fromkeys(following)))
    inside = {name for road in roads.values() if road.junction is not None for name in road.lanes}
    return RoadFile(path.name, RoadNetwork(with_junctions(lanes, inside), smooth_m=SMOOTH_M))


def _junctions(root: Node, roads: dict[str, Road]) -> dict[str, dict[str, list[Link]]]:
    """For every junction, by incoming road, where its connections lead."""
    found: dict[str, dict[str, list[Link]]] = {}
    for junction in root.all("junction"):
        ways: dict[str, list[Link]] = {}
        for connection in junction.all("connection"):
            if "incomingRoad" not in connection.attributes:
                continue  # virtual connections say nothing about lanes
            incoming = connection.attribute("incomingRoad")
            kind = "connectingRoad" if "connectingRoad" in connection.attributes else "linkedRoad"
            target = connection.attribute(kind)
            for name in (incoming, target):
                if name not in roads:
                    raise connection.error(f"road {name} is not in the file.")
            pairs = {link.whole("from"): link.whole("to") for link in connection.all("laneLink")}
            ways.setdefault(incoming, []).append(Link(target, _contact(connection), pairs, connection))
        found[junction.attribute("id")] = ways
    return found


def _contact(node: Node) -> str:
    contact = node.attribute("contactPoint")
    if contact not in ("start", "end"):
        raise node.error(f"contactPoint={contact!r}; expected start or end.")
    return contact


def _links(road: Road, end: str, roads: dict[str, Road], junctions: dict[str, dict[str, list[Link]]]) -> list[Link]:
    """Where the road's start or end leads."""
    link = road.node.maybe("link")
    node = link.maybe("successor" if end == "end" else "predecessor") if link is not None else None
    if node is None:
        return []
    target = node.attribute("elementId")
    kind = node.attributes.get("elementType", "road")
    if kind == "road":
        if target not in roads:
            raise node.error(f"road {target}, to which road {road.id} leads, is not in the file.")
        return [Link(target, _contact(node), None, node)]
    if kind != "junction":
        raise node.error(f"elementType={kind!r}; expected road or junction.")
    if target not in junctions:
        raise node.error(f"junction {target}, to which road {road.id} leads, is not in the file.")
    return junctions[target].get(road.id, [])


def _successors(
    road: Road, roads: dict[str, Road], junctions: dict[str, dict[str, list[Link]]]
) -> dict[str, list[str]]:
    """Names of the lanes that follow each lane of a road."""
    found: dict[str, list[str]] = {}
    ends = {end: _links(road, end, roads, junctions) for end in ("start", "end")}
    last = len(road.sections) - 1
    for k, section in enumerate(road.sections):
        for number, lane in section.lanes.items():
            name = lane_name(road.id, k, number)
            if name not in road.lanes:
                continue
            onward = found.setdefault(name, [])
            forward = number < 0
            own = _own_links(lane, "successor" if forward else "predecessor")
            if (forward and k < last) or (not forward and k > 0):
                onward += [_checked(road, road, k + 1 if forward else k - 1, to, lane) for to in own]
                continue
            for link in ends["end" if forward else "start"]:
                other = roads[link.road]
                section_at = 0 if link.contact == "start" else len(other.sections) - 1
                reached = own if link.lanes is None else [to for fro, to in link.lanes.items() if fro == number]
                onward += [_checked(road, other, section_at, to, link.node) for to in reached]
            found[name] = onward
    return {name: [other for other in onward if _drivable(other, roads)] for name, onward in found.items()}


def _drivable(name: str, roads: dict[str, Road]) -> bool:
    return name in roads[name.rsplit("_", 2)[0]].lanes


def _own_links(lane: Node, tag: str) -> list[int]:
    link = lane.maybe("link")
    return [node.whole("id") for node in link.all(tag)] if link is not None else []


def _checked(road: Road, other: Road, section: int, number: int, node: Node) -> str:
    """The name of a lane that a link leads to, which has to be there."""
    if number != 0 and number not in other.sections[section].lanes:
        raise node.error(f"road {road.id} leads to lane {number} of road {other.id}, which has no such lane there.")
    return lane_name(other.id, section, number)
