"""lane_follow: keep the lane through curves at the limit; in two of five episodes a car drives ahead."""

from __future__ import annotations

import numpy as np

from wm_sim import scene as at
from wm_sim.scenarios.builder import SceneBuilder
from wm_sim.scenarios.draws import draw_car_ahead, draw_setting
from wm_sim.scenarios.roads import two_lanes
from wm_sim.scenarios.scenario import Family, Options

ROUTE_S = 30.0
LEAD_SHARE = 0.4
TIME_FACTOR = 3.0


def build(rng: np.random.Generator, options: Options) -> SceneBuilder:
    """Radius 15–200 m with curves that can be driven at the limit of 5–20 m/s, lanes of 2.9–3.9 m."""
    setting = draw_setting(rng, options, ROUTE_S)
    builder = two_lanes(rng, setting)
    if rng.random() < LEAD_SHARE:
        desired = setting.limit_mps * rng.uniform(0.8, 1.05)
        speed = min(desired, setting.ego.speed_mps + 2.0)
        car = draw_car_ahead(rng, builder.start_s, rng.uniform(20.0, 60.0), speed)
        car[at.DESIRED] = desired
        builder.add_agent(car)
    builder.time_limit_s = options.time_limit_s or TIME_FACTOR * setting.route_length_m / setting.limit_mps
    return builder


FAMILY = Family("lane_follow", "keep the lane through curves at the speed limit", build)
