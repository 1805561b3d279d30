"""The road users and the planning problem of a CommonRoad file."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wm_sim.network.road_file import RoadUser, Start
from wm_sim.network.xml import Node
from wm_sim.scene import BARRIER, CAR, CYCLIST, PEDESTRIAN, TRACK_STEP_S

TIME_MAX_S = 3600.0
SIZE_MAX_M = 60.0
BODIES = {"bicycle": CYCLIST, "motorcycle": CYCLIST, "pedestrian": PEDESTRIAN}
BARRIERS = ("roadBoundary", "constructionZone", "building", "pillar", "median_strip", "unknown")
HEIGHTS_M = {"truck": 3.2, "bus": 3.1, "train": 3.5, "bicycle": 1.7, "motorcycle": 1.5, "pedestrian": 1.75}
HEIGHT_ELSE_M = 1.5
LONG_M, LONG_HEIGHT_M = 6.5, 2.6  # a car longer than this is a van or truck, whatever it is called

Problem = tuple[Start | None, tuple[str, ...], tuple[float, float] | None, float | None]


def exact(node: Node) -> float:
    """A value, or the middle of an interval."""
    value = node.maybe("exact")
    if value is not None:
        return value.value()
    return 0.5 * (node.one("intervalStart").value() + node.one("intervalEnd").value())


def _centre(shape: Node) -> tuple[float, float]:
    """The middle of a rectangle, circle or polygon."""
    middle = shape.maybe("center")
    if middle is not None:
        return middle.one("x").value(), middle.one("y").value()
    points = [(p.one("x").value(), p.one("y").value()) for p in shape.all("point")]
    if points:
        return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    if shape.tag == "polygon":
        raise shape.error("it has no points.")
    return 0.0, 0.0


def position(node: Node) -> tuple[float, float] | None:
    """The place that a <position> stands for; None where it names lanelets."""
    point = node.maybe("point")
    if point is not None:
        return point.one("x").value(), point.one("y").value()
    shape = next(node.all("rectangle", "circle", "polygon"), None)
    if shape is not None:
        return _centre(shape)
    if node.maybe("lanelet") is None:
        raise node.error("expected a point, a rectangle, a circle, a polygon or lanelets.")
    return None


def _state(node: Node, step_s: float) -> tuple[float, float, float, float, float]:
    """Time, x, y, yaw, speed of a state; NaN where yaw or speed are not given."""
    place = position(node.one("position"))
    if place is None:
        raise node.error("its position is a lanelet; a road user needs a point.")
    yaw, speed = node.maybe("orientation"), node.maybe("velocity")
    time = exact(node.one("time")) * step_s
    if not 0.0 <= time <= TIME_MAX_S:
        raise node.error(f"a time of {time:.1f} s; expected 0 to {TIME_MAX_S:.0f}.")
    return time, *place, exact(yaw) if yaw else math.nan, exact(speed) if speed else math.nan


def read_user(node: Node, step_s: float) -> RoadUser:
    """A dynamic or static obstacle with its track every TRACK_STEP_S."""
    kind_node = node.maybe("type")
    kind = kind_node.text.strip() if kind_node else "unknown"
    length, width = _size(node)
    states = [_state(node.one("initialState"), step_s)]
    trajectory = node.maybe("trajectory")
    if trajectory is not None:
        states += [_state(state, step_s) for state in trajectory.all("state")]
    elif node.maybe("occupancySet") is not None:
        raise node.error("an occupancy set says where it may be, not where it was; only trajectories are supported.")
    role = node.maybe("role")
    fixed = node.tag == "staticObstacle" or (role is not None and role.text.strip() == "static")
    body = BODIES.get(kind, BARRIER if fixed and kind in BARRIERS else CAR)
    height = HEIGHTS_M.get(kind, LONG_HEIGHT_M if length > LONG_M and body == CAR else HEIGHT_ELSE_M)
    return RoadUser(node.attribute("id"), _track(node, states, fixed), length, width, height, body)


def _size(node: Node) -> tuple[float, float]:
    """Length and width of the box around a shape."""
    shape = node.one("shape")
    box, circle, polygon = shape.maybe("rectangle"), shape.maybe("circle"), shape.maybe("polygon")
    if box is not None:
        size = box.one("length").value(), box.one("width").value()
    elif circle is not None:
        size = (2.0 * circle.one("radius").value(),) * 2
    elif polygon is not None:
        points = np.array([(p.one("x").value(), p.one("y").value()) for p in polygon.all("point")]).reshape(-1, 2)
        if len(points) < 3:
            raise polygon.error("it needs at least three points.")
        size = tuple(2.0 * np.abs(points).max(axis=0))
    else:
        raise shape.error("expected a rectangle, a circle or a polygon.")
    if not (min(size) >= 0.1 and max(size) <= SIZE_MAX_M):
        raise shape.error(f"a size of {size[0]:.2f} × {size[1]:.2f} m; expected 0.1 to {SIZE_MAX_M:.0f} m.")
    return float(size[0]), float(size[1])


def _track(node: Node, states: Sequence[tuple[float, ...]], fixed: bool) -> NDArray[np.float64]:
    """States as a track [T, 4], NaN before the first; a thing that stands has one sample."""
    table = np.array(states)
    times = table[:, 0]
    if len(times) > 1 and np.diff(times).min() <= 0.0:
        raise node.error("the times of its states do not grow.")
    if fixed:
        return np.array([[*table[0, 1:3], np.nan_to_num(table[0, 3]), 0.0]])
    if len(times) == 1:
        return np.array([[*table[0, 1:3], np.nan_to_num(table[0, 3]), np.nan_to_num(table[0, 4])]])
    move = np.diff(table[:, 1:3], axis=0)
    pace = np.hypot(*move.T)
    course = np.arctan2(move[:, 1], move[:, 0])
    yaw = np.where(np.isnan(table[:, 3]), np.append(course, course[-1]), table[:, 3])
    speed = np.where(np.isnan(table[:, 4]), np.append(pace, pace[-1]) / np.append(np.diff(times), 1.0), table[:, 4])
    at = np.arange(round(times[-1] / TRACK_STEP_S) + 1) * TRACK_STEP_S
    columns = [np.interp(at, times, column) for column in (table[:, 1], table[:, 2], np.unwrap(yaw), speed)]
    track = np.stack(columns, axis=1)
    track[at < times[0] - 1e-6] = math.nan
    return track


def read_problem(node: Node, step_s: float) -> Problem:
    """Start, goal lanelets or a goal point, and the time by which the goal is to be reached."""
    initial = node.one("initialState")
    time, x, y, yaw, speed = _state(initial, step_s)
    if math.isnan(yaw) or math.isnan(speed):
        raise initial.error("a start needs an orientation and a velocity.")
    if not 0.0 <= speed <= 60.0:
        raise initial.error(f"a speed of {speed} m/s; expected 0 to 60.")
    if time > 0.0:
        raise initial.error("a start later than time 0 is not supported.")
    goal = node.maybe("goalState")
    lanes: tuple[str, ...] = ()
    point, until = None, None
    if goal is not None:
        where, when = goal.maybe("position"), goal.maybe("time")
        if where is not None:
            point = position(where)
            lanes = tuple(lane.attribute("ref") for lane in where.all("lanelet"))
        if when is not None:
            last = when.maybe("intervalEnd") or when.one("exact")
            until = last.value() * step_s
            if not 0.0 < until <= TIME_MAX_S:
                raise when.error(f"{until:.1f} s; expected more than 0, at most {TIME_MAX_S:.0f}.")
    return Start(x, y, yaw, speed), lanes, point, until
