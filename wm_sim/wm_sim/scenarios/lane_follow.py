"""lane_follow: keep the lane through curves at the limit; in two of five episodes a car drives ahead."""

from __future__ import annotations

import numpy as np

from wm_sim import traffic
from wm_sim.roads import BEFORE_START_M
from wm_sim.scenarios.scenario import Family, Options, Scenario, draw_car, draw_setting

ROUTE_S = 30.0
LEAD_SHARE = 0.4
TIME_FACTOR = 3.0


def build(rng: np.random.Generator, options: Options) -> Scenario:
    """Radius 15–200 m with curves that can be driven at the limit of 5–20 m/s, lanes of 2.9–3.9 m."""
    setting = draw_setting(rng, options, ROUTE_S)
    cars = np.zeros((0, traffic.CAR_SIZE))
    if rng.random() < LEAD_SHARE:
        desired = setting.speed_limit_mps * rng.uniform(0.8, 1.05)
        car = draw_car(rng, BEFORE_START_M, rng.uniform(20.0, 60.0), min(desired, setting.ego.speed_mps + 2.0))
        car[traffic.DESIRED] = desired
        cars = car[None]
    limit_s = options.time_limit_s or TIME_FACTOR * setting.route_length_m / setting.speed_limit_mps
    return Scenario(
        road=setting.road,
        speed_limit_mps=setting.speed_limit_mps,
        route_length_m=setting.route_length_m,
        time_limit_s=limit_s,
        ego=setting.ego,
        vehicle=setting.vehicle,
        cars=cars,
        scripts=np.zeros((len(cars), 1, 3)),
        appearance=setting.appearance,
        localisation=setting.localisation,
        noise=options.noise,
    )


FAMILY = Family("lane_follow", "keep the lane through curves at the speed limit", build)
