"""stop_go: follow a car that brakes, often to a stop, waits, and drives on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wm_sim import traffic
from wm_sim.roads import BEFORE_START_M
from wm_sim.scenarios.scenario import Family, Options, Scenario, draw_car, draw_setting

ROUTE_S = 20.0
CYCLES = 24
STANDSTILL_GAP_M = 3.0
GAP_MAX_M = 55.0
TIME_FACTOR, TIME_SLACK_S = 2.0, 30.0


def draw_script(rng: np.random.Generator, limit: float, speed: float) -> NDArray[np.float64]:
    """Speeds of the car ahead [P, 3]: cruise, brake (three of five times to a stop), wait 1–5 s, drive on."""
    rows = [(speed, 3.0, rng.uniform(0.5, 4.0))]
    for _ in range(CYCLES):
        low = 0.0 if rng.random() < 0.6 else limit * rng.uniform(0.2, 0.6)
        rows.append((low, rng.uniform(1.0, 3.0), rng.uniform(1.0, 5.0)))
        rows.append((limit * rng.uniform(0.6, 1.0), rng.uniform(1.0, 3.0), rng.uniform(2.0, 7.0)))
    return np.array(rows)


def build(rng: np.random.Generator, options: Options) -> Scenario:
    """The roads of lane_follow, two thirds as long; the lead starts .6–4 s ahead and changes speed by up to 3 m/s²."""
    setting = draw_setting(rng, options, ROUTE_S)
    limit, speed = setting.speed_limit_mps, setting.ego.speed_mps
    gap = min(STANDSTILL_GAP_M + rng.uniform(0.6, 4.0) * max(speed, 2.0), GAP_MAX_M)
    cars = draw_car(rng, BEFORE_START_M, gap, speed)[None]
    cars[0, traffic.SCRIPTED] = 1.0
    scripts = draw_script(rng, limit, speed)[None]
    finish = BEFORE_START_M + setting.route_length_m
    lead_s = traffic.time_to_reach(cars.copy(), scripts, setting.road.line, finish + 10.0)
    return Scenario(
        road=setting.road,
        speed_limit_mps=limit,
        route_length_m=setting.route_length_m,
        time_limit_s=options.time_limit_s or TIME_FACTOR * lead_s + TIME_SLACK_S,
        ego=setting.ego,
        vehicle=setting.vehicle,
        cars=cars,
        scripts=scripts,
        appearance=setting.appearance,
        localisation=setting.localisation,
        noise=options.noise,
    )


FAMILY = Family("stop_go", "follow a car that brakes, stops and drives on", build)
