"""Scenarios on roads from files: the file's own task and recorded traffic where it has them, else random routes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np

from wm_sim import scene as at
from wm_sim.errors import SimError
from wm_sim.network.files import load_road
from wm_sim.network.line import length_along
from wm_sim.network.meeting import overlaps
from wm_sim.network.paths import Path as LanePath
from wm_sim.network.paths import extended, route_path, with_curve_limits
from wm_sim.network.road_file import RoadFile, lanes_at
from wm_sim.network.routes import shortest_route, straight_on
from wm_sim.network.signals import signal_rows
from wm_sim.observation import EGO_CENTRE_X_M
from wm_sim.scenarios.builder import ROUTE_BEYOND_M, Conditions, EgoStart, SceneBuilder
from wm_sim.scenarios.recorded import add_users
from wm_sim.scenarios.scenario import Localisation, Options, Scenario, generator
from wm_sim.scene import LINE_STEP_M
from wm_sim.sensors.appearance import nominal_appearance, random_appearance
from wm_sim.vehicle import VehicleParameters

Traffic = Literal["logged", "reactive", "none"]
TRAFFIC: tuple[Traffic, ...] = ("logged", "reactive", "none")
BEFORE_M, AFTER_M = 30.0, ROUTE_BEYOND_M + 40.0  # path before the start and beyond the finish
ROUTE_M = 500.0  # of routes drawn at random
ROUTE_MIN_M = 15.0
TRIES, GOOD_SHARE = 20, 0.5  # a drawn route is at least this share of the longest of so many
START_MAX_MPS = 8.0
DEFAULTS = Options()


def scenario_from_file(
    path: Path | str,
    seed: int,
    options: Options = DEFAULTS,
    traffic: Traffic = "logged",
    lane_width_m: float | None = None,
) -> Scenario:
    """The episode that a file and a seed stand for.

    A CommonRoad file with a planning problem gives start and goal, and the seed draws car, look and receiver only.
    Otherwise the seed draws the route too. `traffic`: recorded road users as recorded, braking for what is ahead of
    them, or left out. SimError where the file cannot be read or driven.
    """
    if traffic not in TRAFFIC:
        raise SimError(f"traffic {traffic!r}: expected {', '.join(TRAFFIC)}.")
    road = load_road(path, lane_width_m)
    try:
        return _scenario(road, seed, options, traffic)
    except SimError as error:
        raise SimError(f"{path}: {error}") from None


def _scenario(road: RoadFile, seed: int, options: Options, traffic: Traffic) -> Scenario:
    rng = generator(f"file {road.name}", seed)
    builder = SceneBuilder(_conditions(rng, options))
    builder.network = road.network
    lane_path = _task(builder, road, rng, options) if road.start else _drawn(builder, road, rng, options)
    builder.add_path(lane_path.samples)
    for row in signal_rows(road.network, [lane_path]):
        builder.signals.append(row)
    limit = float(lane_path.samples[round(builder.start_s / LINE_STEP_M), at.LIMIT_MPS])
    patience = 3.0 * builder.route_length_m / limit + 10.0
    builder.time_limit_s = options.time_limit_s or max(patience, 2.0 * (road.goal_time_s or 0.0) + 10.0)
    paths = [lane_path]
    if traffic != "none":
        paths += add_users(builder, road.users, lane_path, rng, reactive=traffic == "reactive")
    if len(paths) > 1:
        builder.overlaps = overlaps(paths, same_ground_m=1.2, same_shift_m=1.5)
    return builder.build(f"road:{road.name}", seed)


def named_scenario(name: str, seed: int, options: Options = DEFAULTS) -> Scenario:
    """The scenario of a name like road:FILE, with ,logged ,reactive or ,none and ,LANE_WIDTH after it where wanted."""
    file, *wishes = name.removeprefix("road:").split(",")
    traffic: Traffic = "logged"
    width: float | None = None
    for wish in wishes:
        known = next((kind for kind in TRAFFIC if kind == wish), None)
        try:
            width = float(wish) if known is None else width
        except ValueError:
            raise SimError(f"{name}: after the file come {', '.join(TRAFFIC)} or a lane width, not {wish!r}.") from None
        traffic = known or traffic
    return scenario_from_file(file, seed, options, traffic, width)


def _conditions(rng: np.random.Generator, options: Options) -> Conditions:
    vehicle, look, receiver = VehicleParameters.random(rng), random_appearance(rng), Localisation.random(rng)
    if not options.noise:
        vehicle, look, receiver = VehicleParameters(), nominal_appearance(), Localisation()
    return Conditions(options.vehicle or vehicle, look, receiver, options.noise)


def _task(builder: SceneBuilder, road: RoadFile, rng: np.random.Generator, options: Options) -> LanePath:
    """The file's own start and goal; the path leads on beyond."""
    start, network = road.start, road.network
    assert start is not None
    lanes = lanes_at(network, start.x_m, start.y_m, start.yaw_rad)
    if not lanes:
        raise SimError(f"its start ({start.x_m}, {start.y_m}) lies on no lane that heads its way.")
    goals = road.goal_lanes
    if road.goal_point is not None:
        goals = tuple(lane.id for lane in lanes_at(network, *road.goal_point))
        if not goals:
            raise SimError(f"its goal {road.goal_point} lies on no lane.")
    route: tuple[str, ...] = ()
    problem: SimError | None = None
    for lane in lanes:
        try:
            route = shortest_route(network, lane.id, goals) if goals else straight_on(network, lane.id)
            break
        except SimError as error:
            problem = problem or error
    if not route:
        raise problem or SimError("its start has no route.")
    goal_lane = route[-1]
    path = with_curve_limits(extended(route_path(network, _both_ways(road, route)), BEFORE_M, 0.0))
    rear_x = start.x_m - EGO_CENTRE_X_M * math.cos(start.yaw_rad)
    rear_y = start.y_m - EGO_CENTRE_X_M * math.sin(start.yaw_rad)
    builder.start_s = path.s_at(rear_x, rear_y)
    if road.goal_point is not None:
        finish = path.s_at(*road.goal_point) - EGO_CENTRE_X_M
    elif goals and goal_lane != route[0]:
        finish = path.s_of(goal_lane)
    else:  # the goal is the lane it starts on, or only a time
        finish = builder.start_s + max(start.speed_mps, 5.0) * (road.goal_time_s or 10.0)
    builder.route_length_m = max(finish - builder.start_s, ROUTE_MIN_M)
    builder.ego = _pose_on(path, builder.start_s, rear_x, rear_y, start.yaw_rad, start.speed_mps)
    return extended(path, 0.0, builder.start_s + builder.route_length_m + AFTER_M - path.length_m)


def _pose_on(path: LanePath, s: float, x: float, y: float, yaw: float, speed: float) -> EgoStart:
    """A pose relative to the path at arc length s."""
    row = path.samples[min(round(s / LINE_STEP_M), len(path.samples) - 1)]
    d = (y - row[at.LY]) * row[at.LCOS] - (x - row[at.LX]) * row[at.LSIN]
    ahead = row[at.LYAW] + row[at.LCURVATURE] * (s - round(s / LINE_STEP_M) * LINE_STEP_M)
    return EgoStart(float(d), math.remainder(yaw - ahead, 2.0 * math.pi), speed)


def _both_ways(road: RoadFile, route: tuple[str, ...]) -> tuple[str, ...]:
    """A route with lanes before its start and after its end, as far as it takes and the map goes."""
    network = road.network
    before: list[str] = []
    room = 0.0
    while room < BEFORE_M:
        behind = [
            name for name in network.lanes[(*before[:1], *route)[0]].predecessors if name not in {*before, *route}
        ]
        if not behind:
            break
        before.insert(0, behind[0])
        room += float(length_along(network.lanes[behind[0]].centre)[-1])
    onward = straight_on(network, route[-1], avoid={*before, *route})
    return (*before, *route, *onward[1:])


def _drawn(builder: SceneBuilder, road: RoadFile, rng: np.random.Generator, options: Options) -> LanePath:
    """A route from a random lane on, taking random turns; a circuit is driven once around."""
    network = road.network
    length = options.route_length_m
    if road.circuit:
        lap = float(length_along(network.lanes["lane"].centre)[-1])
        length = length or lap
        laps = math.ceil((BEFORE_M + length + AFTER_M) / lap) + 1
        path = with_curve_limits(route_path(network, ("lane",) * laps))
        builder.start_s = BEFORE_M
    else:
        want = length or ROUTE_M
        names = [lane.id for lane in network.lanes.values() if not lane.junction] or list(network.lanes)
        tried = [_wander(road, names[rng.integers(len(names))], rng, want + AFTER_M) for _ in range(TRIES)]
        enough = min(want, GOOD_SHARE * max(reach for _, reach in tried))
        path = with_curve_limits(route_path(network, next(route for route, reach in tried if reach >= enough)))
        builder.start_s = min(BEFORE_M, 0.1 * path.length_m)
        room = path.length_m - builder.start_s - 2.0
        if room < ROUTE_MIN_M:
            raise SimError(f"no route in it is longer than {max(room, 0.0):.0f} m.")
        length = min(length or ROUTE_M, room)
    builder.route_length_m = length
    limit = float(path.samples[round(builder.start_s / LINE_STEP_M) :][:40, at.LIMIT_MPS].min())
    builder.ego = EgoStart(
        rng.uniform(-0.3, 0.3), math.radians(rng.uniform(-2.0, 2.0)), min(limit, START_MAX_MPS) * rng.uniform(0.4, 1.0)
    )
    return extended(path, 0.0, builder.start_s + length + AFTER_M - path.length_m)


def _wander(road: RoadFile, start: str, rng: np.random.Generator, length: float) -> tuple[tuple[str, ...], float]:
    """Lanes from `start` on, taking a random successor each time, until `length` m are reached; no lane twice."""
    lanes = road.network.lanes
    route = [start]
    reach = float(length_along(lanes[start].centre)[-1])
    while reach < length:
        onward = [name for name in lanes[route[-1]].successors if name not in route]
        if not onward:
            break
        route.append(onward[rng.integers(len(onward))])
        reach += float(length_along(lanes[route[-1]].centre)[-1])
    return tuple(route), reach


__all__ = ["TRAFFIC", "Traffic", "named_scenario", "scenario_from_file"]
