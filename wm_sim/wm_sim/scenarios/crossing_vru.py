"""crossing_vru: pedestrians and cyclists cross the road, some from behind a parked car."""

from __future__ import annotations

import math

import numpy as np

from wm_sim import scene as at
from wm_sim.network.lanes import Crosswalk
from wm_sim.network.line import line_of_curvature
from wm_sim.scenarios.builder import SceneBuilder, point_on
from wm_sim.scenarios.draws import Setting, draw_car, draw_cyclist, draw_pedestrian, draw_setting
from wm_sim.scenarios.roads import path_along, two_lanes
from wm_sim.scenarios.scenario import Family, Options
from wm_sim.scene import LINE_STEP_M

ROUTE_S = 22.0
LIMIT_MPS = (5.0, 14.0)
FIRST_M, NEXT_M, LAST_M = (50.0, 80.0), (55.0, 100.0), 20.0
TRIGGER_S = (2.0, 4.0)
FAIR_S, FAIR_BRAKING_MPS2 = 0.9, 3.5  # no sooner than a driver can stop who reacts that fast and brakes that hard
CYCLIST_SHARE, LEFT_SHARE, PARKED_SHARE, CROSSWALK_SHARE = 0.35, 0.4, 0.5, 0.4
WALK_ON_M = 5.0  # beyond the road
KERB_M = 0.8  # how far from the lanes they wait at least
TIME_FACTOR, TIME_SLACK_S = 4.0, 40.0


def add_crossing(rng: np.random.Generator, builder: SceneBuilder, setting: Setting, s: float) -> None:
    """Someone who crosses the route at s so that an ego which drives on at its speed would be met."""
    width = setting.lane_width_m
    agent = draw_cyclist(rng) if rng.random() < CYCLIST_SHARE else draw_pedestrian(rng)
    trigger = max(rng.uniform(*TRIGGER_S), FAIR_S + setting.limit_mps / (2.0 * FAIR_BRAKING_MPS2))
    from_left = rng.random() < LEFT_SHARE
    parked = not from_left and rng.random() < PARKED_SHARE
    kerb = (1.5 if from_left else 0.5) * width + KERB_M
    if parked:
        car = draw_car(rng)
        car[at.KIND] = at.STANDING
        car[at.D] = -(0.5 * width + rng.uniform(0.1, 0.5) + 0.5 * car[at.WIDTH])
        car[at.S] = s - 0.5 * car[at.LENGTH] - 0.5 * agent[at.WIDTH] - rng.uniform(0.4, 1.5)
        builder.add_agent(car)
        kerb = abs(car[at.D]) + 0.3
    away = max(kerb, agent[at.DESIRED] * trigger * rng.uniform(0.75, 1.05))
    far = (0.5 if from_left else 1.5) * width + WALK_ON_M
    side = 1.0 if from_left else -1.0
    x, y, yaw = point_on(builder.paths[0], s, side * away)
    count = int((0.5 * agent[at.LENGTH] + away + far) / LINE_STEP_M) + 2
    line = line_of_curvature(np.zeros(count), yaw - side * 0.5 * math.pi)
    back = 0.5 * agent[at.LENGTH]
    line[:, at.LX] += x - back * line[0, at.LCOS]
    line[:, at.LY] += y - back * line[0, at.LSIN]
    agent[at.PATH] = builder.add_path(path_along(line, agent[at.DESIRED], 1.0))
    agent[at.S] = back
    agent[at.TRIGGER_S], agent[at.TRIGGER_VALUE] = s, trigger
    builder.add_agent(agent)
    if not parked and rng.random() < CROSSWALK_SHARE:
        ends = [point_on(builder.paths[0], s, d)[:2] for d in (-0.5 * width, 1.5 * width)]
        builder.add_crosswalk(Crosswalk(ends[0], ends[1]))


def build(rng: np.random.Generator, options: Options) -> SceneBuilder:
    """Roads of lane_follow at 5–14 m/s; someone every 55–100 m, off when the ego is 2–4 s away."""
    setting = draw_setting(rng, options, ROUTE_S, LIMIT_MPS)
    builder = two_lanes(rng, setting)
    finish = builder.start_s + setting.route_length_m
    s = builder.start_s + rng.uniform(*FIRST_M)
    s = min(s, finish - LAST_M)
    while s <= finish - LAST_M:
        add_crossing(rng, builder, setting, s)
        s += rng.uniform(*NEXT_M)
    limit_s = TIME_FACTOR * setting.route_length_m / setting.limit_mps + TIME_SLACK_S
    builder.time_limit_s = options.time_limit_s or limit_s
    return builder


FAMILY = Family("crossing_vru", "stop for pedestrians and cyclists who cross", build)
