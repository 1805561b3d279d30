"""cut_in: a car from the neighbouring lane moves in front of the ego."""

from __future__ import annotations

import numpy as np

from wm_sim import scene as at
from wm_sim.network.generate import BEFORE_START_M, carriageway, road_line
from wm_sim.scenarios.builder import SceneBuilder
from wm_sim.scenarios.draws import draw_car, draw_car_ahead, draw_driver, draw_setting
from wm_sim.scenarios.roads import path_along
from wm_sim.scenarios.scenario import Family, Options

ROUTE_S = 20.0
LIMIT_MPS = (7.0, 20.0)
SPEED_SHARE = (0.7, 1.0)
GAP_M = (5.0, 25.0)
SPEED_DIFFERENCE_MPS = (-5.0, 5.0)
WHEN_S = (2.0, 5.0)
LASTS_S = (1.5, 4.0)  # from lane to lane
FAIR_S = 1.4  # a slower car leaves this long until it would be touched: half a change of lanes or less
LEAD_SHARE, LEAD_GAP_M = 0.5, (60.0, 95.0)
TIME_FACTOR, TIME_SLACK_S = 3.0, 15.0


def build(rng: np.random.Generator, options: Options) -> SceneBuilder:
    """Carriageway of two or three lanes; after 2–5 s a car 5–25 m ahead changes over, up to 5 m/s slower or faster."""
    setting = draw_setting(rng, options, ROUTE_S, LIMIT_MPS, SPEED_SHARE, standing_share=0.0)
    limit, width, speed = setting.limit_mps, setting.lane_width_m, setting.ego.speed_mps
    lanes = int(rng.integers(2, 4))
    own = int(rng.integers(lanes))
    line = road_line(rng, setting.route_length_m, limit)
    builder = SceneBuilder(setting.conditions)
    builder.network = carriageway(line, limit, width, lanes, own).network
    path = path_along(line, limit, width, lanes_left=lanes - 1 - own)
    path[:, at.RIGHT_M] += own * width
    builder.add_path(path)
    builder.start_s, builder.route_length_m, builder.ego = BEFORE_START_M, setting.route_length_m, setting.ego

    sides = [side for side, there in ((1, own < lanes - 1), (-1, own > 0)) if there]
    side = sides[int(rng.integers(len(sides)))]
    low, high = SPEED_DIFFERENCE_MPS
    difference = low + (high - low) * rng.random() ** 2  # more often slower than faster
    least = max(GAP_M[0], GAP_M[0] - FAIR_S * difference)
    gap = least + (GAP_M[1] - least) * rng.random() ** 2  # more often near than far
    car = draw_car_ahead(rng, builder.start_s, gap, speed)
    draw_driver(rng, car, limit)
    car[[at.KIND, at.DESIRED]] = at.STATION, difference
    car[[at.TRIGGER_S, at.TRIGGER_VALUE]] = rng.uniform(*WHEN_S), gap
    car[at.SHIFT_TO], car[at.SHIFT_RATE] = car[at.D], width / rng.uniform(*LASTS_S)
    car[at.D] += side * width
    builder.add_agent(car)

    if rng.random() < LEAD_SHARE:
        lead = draw_car_ahead(rng, builder.start_s, rng.uniform(*LEAD_GAP_M), speed)
        draw_driver(rng, lead, limit)
        builder.add_agent(lead)
    for _ in range(round(options.density * rng.integers(0, 4))):  # followers in the lanes beside
        other = draw_car(rng)
        draw_driver(rng, other, limit)
        beside = sides[int(rng.integers(len(sides)))]
        behind = 12.0 * sum(agent[at.D] * beside > 0.5 * width for agent in builder.agents)
        other[at.S] = max(builder.start_s - behind - rng.uniform(0.0, 6.0), 0.5 * other[at.LENGTH])
        other[at.D] += beside * width
        other[at.V] = speed * rng.uniform(0.8, 1.0)
        if all(abs(other[at.S] - a[at.S]) > 12.0 or abs(other[at.D] - a[at.D]) > 0.5 * width for a in builder.agents):
            builder.add_agent(other)
    limit_s = TIME_FACTOR * setting.route_length_m / limit + TIME_SLACK_S
    builder.time_limit_s = options.time_limit_s or limit_s
    return builder


FAMILY = Family("cut_in", "make room for a car that changes into the lane", build)
