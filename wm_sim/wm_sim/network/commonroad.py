"""CommonRoad XML (2018b, 2020a): lanelets, lights, limits, and the recorded road users (commonroad_users.py)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wm_sim.network.commonroad_users import read_problem, read_user
from wm_sim.network.crossing_lanes import crossing, with_junctions
from wm_sim.network.lanes import Lane, RoadNetwork, Signal
from wm_sim.network.road_file import RoadFile
from wm_sim.network.xml import Node, read_xml

VERSIONS = ("2018b", "2020a")
SPEED_SIGNS = ("R2-1", "274", "MAX_SPEED")
FAST_MPS, RURAL_MPS, URBAN_MPS = 29.0, 22.0, 13.9  # where no sign stands, by what the lanelet or the file is tagged
FAST = {"interstate", "highway"}
SMOOTH_M, SMOOTH_FAST_M = 2.0, 6.0  # bounds are traced by hand from pictures; fast roads do not turn sharply
HEAD_HEIGHT_M = 4.0
WIDTH_MAX_M = 30.0
MARKS = {"solid": "solid", "broad_solid": "solid", "dashed": "dashed", "broad_dashed": "dashed", "curb": "kerb"}
USERS = ("obstacle", "dynamicObstacle", "staticObstacle")
CYCLE = ("green", "yellow", "red")


def load_commonroad(path: Path) -> RoadFile:
    """The lanelets, road users and the first planning problem of a file."""
    root = read_xml(path, "commonRoad")
    version = root.attribute("commonRoadVersion")
    if version not in VERSIONS:
        raise root.error(f"version {version!r} is not supported; {' and '.join(VERSIONS)} are.")
    step_s = root.number("timeStepSize")
    if not 0.01 <= step_s <= 1.0:
        raise root.error(f"a time step of {step_s} s; expected 0.01 to 1.")
    nodes = list(root.all("lanelet"))
    if not nodes:
        raise root.error("it has no <lanelet>: there is no road.")
    limits = {sign.attribute("id"): _sign_limit(sign) for sign in root.all("trafficSign")}
    tags = set(root.attributes.get("tags", "").split()) | {
        tag.tag for group in root.all("scenarioTags") for tag in group.children
    }
    painted = any(edge.maybe("lineMarking") for node in nodes for edge in node.all("leftBound", "rightBound"))
    lanes: dict[str, Lane] = {}
    for node in nodes:
        lane = _lane(node, limits, tags, painted)
        if lane.id in lanes:
            raise node.error("this id was given to a lanelet before.")
        lanes[lane.id] = lane
    for node in nodes:
        _check_links(node, lanes)
    inside = {
        reference.attribute("ref")
        for place in root.all("intersection")
        for incoming in place.all("incoming")
        for reference in incoming.all("successorsLeft", "successorsRight", "successorsStraight")
    } | crossing(lanes)
    lanes = with_junctions(lanes, inside)
    network = RoadNetwork(
        lanes, tuple(_signals(root, nodes, lanes, step_s)), smooth_m=SMOOTH_FAST_M if tags & FAST else SMOOTH_M
    )
    users = tuple(read_user(node, step_s) for node in root.all(*USERS))
    problem = root.maybe("planningProblem")
    start, goal_lanes, goal_point, goal_time = read_problem(problem, step_s) if problem else (None, (), None, None)
    for name in goal_lanes:
        if problem and name not in lanes:
            raise problem.error(f"its goal lanelet {name} is not in the file.")
    return RoadFile(path.name, network, users, start, goal_lanes, goal_point, goal_time)


def _points(edge: Node) -> NDArray[np.float64]:
    """The points of a bound [n, 2]."""
    return np.array([(p.one("x").value(), p.one("y").value()) for p in edge.all("point")]).reshape(-1, 2)


def _mark(edge: Node, neighbour: Node | None, painted: bool) -> str:
    """What is painted along a bound; files without any marking get the usual ones."""
    node = edge.maybe("lineMarking")
    if painted:
        return MARKS.get(node.text.strip(), "none") if node else "none"
    return "dashed" if neighbour is not None and neighbour.attributes.get("drivingDir") == "same" else "solid"


def _lane(node: Node, limits: dict[str, float | None], tags: set[str], painted: bool) -> Lane:
    left_edge, right_edge = node.one("leftBound"), node.one("rightBound")
    left, right = _points(left_edge), _points(right_edge)
    if len(left) != len(right):
        raise node.error(f"its left bound has {len(left)} points, its right one {len(right)}; they go in pairs.")
    if len(left) < 2:
        raise node.error("a bound needs at least two points.")
    centre = 0.5 * (left + right)
    if np.hypot(*np.diff(centre, axis=0).T).sum() < 0.1:
        raise node.error("it has no length.")
    if np.hypot(*(left - right).T).max() > WIDTH_MAX_M:
        raise node.error(f"it is wider than {WIDTH_MAX_M:.0f} m.")
    beside_left, beside_right = node.maybe("adjacentLeft"), node.maybe("adjacentRight")
    stop = node.maybe("stopLine")
    return Lane(
        node.attribute("id"),
        left,
        right,
        _limit(node, limits, tags),
        left_mark=_mark(left_edge, beside_left, painted),
        right_mark=_mark(right_edge, beside_right, painted),
        successors=tuple(dict.fromkeys(following.attribute("ref") for following in node.all("successor"))),
        left_neighbour=beside_left.attribute("ref") if beside_left else None,
        left_oncoming=beside_left is not None and _oncoming(beside_left),
        right_neighbour=beside_right.attribute("ref") if beside_right else None,
        right_oncoming=beside_right is not None and _oncoming(beside_right),
        stop_line=stop is not None and stop.maybe("point") is None,
    )


def _oncoming(adjacent: Node) -> bool:
    direction = adjacent.attribute("drivingDir")
    if direction not in ("same", "opposite"):
        raise adjacent.error(f"drivingDir={direction!r}; expected same or opposite.")
    return direction == "opposite"


def _check_links(node: Node, lanes: dict[str, Lane]) -> None:
    for link in node.all("successor", "predecessor", "adjacentLeft", "adjacentRight"):
        name = link.attribute("ref")
        if name not in lanes or name == node.attribute("id"):
            raise link.error(f"lanelet {node.attribute('id')} refers to lanelet {name}, which is not another one here.")


def _sign_limit(sign: Node) -> float | None:
    """The speed limit that a sign gives, None for other signs."""
    for element in sign.all("trafficSignElement"):
        if element.one("trafficSignID").text.strip() in SPEED_SIGNS:
            return _positive(element.one("additionalValue"))
    return None


def _positive(node: Node) -> float:
    if not 0.0 < node.value() < 200.0:
        raise node.error(f"a limit of {node.value()} m/s; expected more than 0, less than 200.")
    return node.value()


def _limit(node: Node, limits: dict[str, float | None], tags: set[str]) -> float:
    own = node.maybe("speedLimit")
    if own is not None:
        return _positive(own)
    for reference in node.all("trafficSignRef"):
        limit = limits.get(reference.attribute("ref"))
        if limit is not None:
            return limit
    kinds = tags | {kind.text.strip() for kind in node.all("laneletType")}
    return FAST_MPS if kinds & FAST else RURAL_MPS if "country" in kinds else URBAN_MPS


def _signals(root: Node, nodes: list[Node], lanes: dict[str, Lane], step_s: float) -> list[Signal]:
    """Lights that work in a cycle of green, yellow and red; for each lane that has one a head over its end."""
    found = []
    lights = {light.attribute("id"): light for light in root.all("trafficLight")}
    for node in nodes:
        for reference in node.all("trafficLightRef"):
            light = lights.get(reference.attribute("ref"))
            if light is None:
                raise reference.error(f"traffic light {reference.attribute('ref')} is not in the file.")
            active, cycle = light.maybe("active"), light.maybe("cycle")
            if cycle is None or (active is not None and active.text.strip() == "false"):
                continue
            lane = lanes[node.attribute("id")]
            ahead = lane.centre[-1] - lane.centre[-2]
            yaw = float(np.arctan2(ahead[1], ahead[0]))
            x, y = (lane.right[-1] + 1.2 * np.array([np.sin(yaw), -np.cos(yaw)])).tolist()
            name = f"{light.attribute('id')}/{lane.id}"
            found.append(Signal(name, (lane.id,), x, y, HEAD_HEIGHT_M, yaw, *_cycle(cycle, step_s)))
    return found


def _cycle(cycle: Node, step_s: float) -> tuple[float, float, float, float]:
    """Seconds of green, yellow and red, and how far into the green time 0 is."""
    colours, durations = [], []
    for element in cycle.all("cycleElement"):
        colour, duration = element.one("color").text.strip(), element.one("duration").value() * step_s
        if duration <= 0.0:
            raise element.error("its duration must be more than 0.")
        colours.append("red" if colour == "redYellow" else colour)
        durations.append(duration)
    length = {name: sum(d for c, d in zip(colours, durations, strict=True) if c == name) for name in CYCLE}
    if not colours or set(colours) - set(CYCLE) or min(length["green"], length["red"]) <= 0.0:
        raise cycle.error(f"a cycle of {', '.join(colours) or 'nothing'}; expected green, yellow and red.")
    total = sum(durations)
    begin = sum(durations[: colours.index("green")])
    offset = cycle.maybe("timeOffset")
    shift = offset.value() * step_s if offset is not None else 0.0
    return length["green"], max(length["yellow"], 0.1), length["red"], (-shift - begin) % total
