"""stop_go: follow a car that brakes, often to a stop, waits, and drives on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wm_sim import scene as at
from wm_sim.scenarios.builder import SceneBuilder
from wm_sim.scenarios.draws import draw_car_ahead, draw_setting, script_time
from wm_sim.scenarios.roads import two_lanes
from wm_sim.scenarios.scenario import Family, Options

ROUTE_S = 20.0
CYCLES = 24
STANDSTILL_GAP_M = 3.0
GAP_MAX_M = 55.0
TIME_FACTOR, TIME_SLACK_S = 2.0, 30.0


def draw_script(rng: np.random.Generator, limit: float, speed: float) -> NDArray[np.float64]:
    """Speeds of the car ahead [R, 3]: cruise, brake (three of five times to a stop), wait 1–5 s, drive on."""
    rows = [(speed, 3.0, rng.uniform(0.5, 4.0))]
    for _ in range(CYCLES):
        low = 0.0 if rng.random() < 0.6 else limit * rng.uniform(0.2, 0.6)
        rows.append((low, rng.uniform(1.0, 3.0), rng.uniform(1.0, 5.0)))
        rows.append((limit * rng.uniform(0.6, 1.0), rng.uniform(1.0, 3.0), rng.uniform(2.0, 7.0)))
    return np.array(rows)


def build(rng: np.random.Generator, options: Options) -> SceneBuilder:
    """The roads of lane_follow, two thirds as long; the lead starts .6–4 s ahead and changes speed by up to 3 m/s²."""
    setting = draw_setting(rng, options, ROUTE_S)
    builder = two_lanes(rng, setting)
    limit, speed = setting.limit_mps, setting.ego.speed_mps
    gap = min(STANDSTILL_GAP_M + rng.uniform(0.6, 4.0) * max(speed, 2.0), GAP_MAX_M)
    car = draw_car_ahead(rng, builder.start_s, gap, speed)
    car[at.KIND] = at.SCRIPTED
    script = draw_script(rng, limit, speed)
    builder.add_agent(car, script)
    lead_s = script_time(script, speed, builder.start_s + setting.route_length_m + 10.0 - car[at.S])
    builder.time_limit_s = options.time_limit_s or TIME_FACTOR * lead_s + TIME_SLACK_S
    return builder


FAMILY = Family("stop_go", "follow a car that brakes, stops and drives on", build)
