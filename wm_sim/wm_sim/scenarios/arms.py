"""Junctions whose arms wind: what the families that meet crossing traffic share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wm_sim import scene as at
from wm_sim.network.generate import BEFORE_START_M, Layout, road_line, straight_line
from wm_sim.network.line import line_of_points, offset
from wm_sim.network.meeting import overlaps
from wm_sim.network.paths import JUNCTION_ROOM_M, Path
from wm_sim.scenarios.builder import SceneBuilder
from wm_sim.scenarios.draws import draw_car, draw_driver
from wm_sim.scenarios.roads import path_along
from wm_sim.scene import LINE_STEP_M

HEADING_MAX_RAD = math.radians(40.0)  # so that arms never meet each other
STUB_M = 20.0  # straight before a junction
BEHIND_M = 12.0  # of road behind the ego at the start
BEYOND_M = 100.0  # of road beyond the finish
SMOOTH_M = 2.0  # of turns, so that a steering wheel can follow them at the speed that they allow
SIDE_M = 130.0  # of straight road on arms that the ego does not use


def winding(rng: np.random.Generator, length_m: float, limit_mps: float) -> NDArray[np.float64]:
    """A line [N, 6] of curves that can be driven at the limit; it begins straight."""
    line = road_line(rng, length_m, limit_mps, HEADING_MAX_RAD)
    first = round(BEFORE_START_M / LINE_STEP_M)
    return line[first : first + round(length_m / LINE_STEP_M) + 1]


def side_road() -> NDArray[np.float64]:
    """A straight arm."""
    return straight_line(SIDE_M)[:: round(10.0 / LINE_STEP_M)]


def lengthened(layout: Layout, arms: dict[str, NDArray[np.float64]], width_m: float) -> Layout:
    """The layout with its arms made longer, each along a line [N, 6] that leads away from the junction."""
    lanes = dict(layout.network.lanes)
    for arm, line in arms.items():
        into, out = lanes[f"{arm}_in"], lanes[f"{arm}_out"]
        step = into.left[0] - into.left[1]
        yaw = math.atan2(step[1], step[0]) - line[0, at.LYAW]
        turn = np.array([[math.cos(yaw), math.sin(yaw)], [-math.sin(yaw), math.cos(yaw)]])
        middle, to_left, to_right = (
            ((offset(line, d) - line[0, :2]) @ turn + into.left[0])[1:] for d in (0.0, width_m, -width_m)
        )
        left, right = np.concatenate([middle[::-1], into.left]), np.concatenate([to_left[::-1], into.right])
        lanes[f"{arm}_in"] = replace(into, left=left, right=right, centre=0.5 * (left + right))
        left, right = np.concatenate([out.left, middle]), np.concatenate([out.right, to_right])
        lanes[f"{arm}_out"] = replace(out, left=left, right=right, centre=0.5 * (left + right))
    return Layout(replace(layout.network, lanes=lanes), layout.routes)


def with_route(
    rng: np.random.Generator, layout: Layout, arms: Sequence[str], start: str, end: str, approach_m: float,
    leave_m: float, limit_mps: float, width_m: float,
) -> Layout:  # fmt: skip
    """The layout with winding arms where the ego comes from and goes to; the others are straight."""
    lines = {arm: side_road() for arm in arms}
    lines[start] = winding(rng, BEHIND_M + approach_m - STUB_M, limit_mps)
    lines[end] = winding(rng, leave_m + BEYOND_M - STUB_M, limit_mps)
    return lengthened(layout, lines, width_m)


def lane_path(layout: Layout, route: str, limit_mps: float, width_m: float, smooth_m: float = SMOOTH_M) -> Path:
    """The path of a route with half a lane of room to both sides, a little more inside the junction."""
    names = layout.routes[route]
    lanes = [layout.network.lanes[name] for name in names]
    samples = path_along(line_of_points(np.concatenate([lane.centre for lane in lanes]), smooth_m), limit_mps, width_m)
    lengths = [np.hypot(*np.diff(lane.centre, axis=0).T).sum() for lane in lanes]
    starts = np.concatenate([[0.0], np.cumsum(lengths[:-1])])
    which = np.searchsorted(starts, np.arange(len(samples)) * LINE_STEP_M + 1e-9, side="right") - 1
    junction = np.array([lane.junction for lane in lanes])[which]
    samples[junction, at.LEFT_M] += JUNCTION_ROOM_M
    samples[junction, at.RIGHT_M] += JUNCTION_ROOM_M
    return Path(samples, names, starts, np.array([lane.priority for lane in lanes])[which], junction)


def add_paths(builder: SceneBuilder, layout: Layout, paths: Sequence[Path]) -> None:
    """Make the layout the builder's, with paths of which the first is the ego's from BEHIND_M on."""
    builder.network = layout.network
    for path in paths:
        builder.add_path(path.samples)
    builder.overlaps = overlaps(paths)
    builder.start_s = BEHIND_M


def add_stream(
    rng: np.random.Generator, builder: SceneBuilder, path: int, s: float, arrives_s: float, gaps_s: Sequence[float],
    limit_mps: float,
) -> None:  # fmt: skip
    """Cars along a path; the first is at s after `arrives_s` seconds, each other so many seconds behind the one before.

    Those that would start before the path begins start on its straight continuation backwards.
    """
    speed = limit_mps * rng.uniform(0.85, 1.0)
    place = s - speed * arrives_s
    for gap in (0.0, *gaps_s):
        car = draw_car(rng)
        draw_driver(rng, car, limit_mps)
        place -= 0.5 * car[at.LENGTH] + speed * gap
        car[[at.PATH, at.S, at.V, at.DESIRED]] = path, place, speed, speed * rng.uniform(0.98, 1.05)
        builder.add_agent(car)
        place -= 0.5 * car[at.LENGTH]
