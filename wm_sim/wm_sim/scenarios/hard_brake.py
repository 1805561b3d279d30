"""hard_brake: the car ahead brakes as hard as it can, without warning, again and again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wm_sim import scene as at
from wm_sim.scenarios.builder import SceneBuilder
from wm_sim.scenarios.draws import draw_car_ahead, draw_driver, draw_setting, script_time
from wm_sim.scenarios.roads import two_lanes
from wm_sim.scenarios.scenario import Family, Options

ROUTE_S = 20.0
LIMIT_MPS = (6.0, 18.0)
SPEED_SHARE = (0.85, 1.0)  # of the limit, at the start
CYCLES = 8
BRAKING_MPS2 = (4.0, 8.0)
HEADWAY_S = (1.2, 2.5)  # at the start
FIRST_S = (2.0, 8.0)  # the first braking comes after this time …
CLOSE_S = (2.5, 4.0)  # … and once the ego is this near
TIME_FACTOR, TIME_SLACK_S = 2.0, 30.0


def draw_script(rng: np.random.Generator, limit: float) -> NDArray[np.float64]:
    """Speeds of the car ahead [R, 3]: brake at 4–8 m/s², mostly to a stop, wait up to 4 s, drive on 3–8 s."""
    rows = []
    for _ in range(CYCLES):
        low = 0.0 if rng.random() < 0.7 else limit * rng.uniform(0.1, 0.4)
        rows.append((low, rng.uniform(*BRAKING_MPS2), rng.uniform(0.5, 4.0)))
        rows.append((limit * rng.uniform(0.6, 1.0), rng.uniform(1.2, 2.5), rng.uniform(3.0, 8.0)))
    return np.array(rows)


def build(rng: np.random.Generator, options: Options) -> SceneBuilder:
    """Roads of lane_follow at 6–18 m/s; the lead starts 1.2–2.5 s ahead."""
    setting = draw_setting(rng, options, ROUTE_S, LIMIT_MPS, SPEED_SHARE, standing_share=0.0)
    builder = two_lanes(rng, setting)
    speed = setting.ego.speed_mps
    car = draw_car_ahead(rng, builder.start_s, 3.0 + rng.uniform(*HEADWAY_S) * speed, speed)
    draw_driver(rng, car, setting.limit_mps)
    car[at.DESIRED] = setting.limit_mps * rng.uniform(0.75, 0.95)
    car[at.KIND] = at.BRAKING
    car[at.TRIGGER_S], car[at.TRIGGER_VALUE] = rng.uniform(*FIRST_S), rng.uniform(*CLOSE_S)
    script = draw_script(rng, setting.limit_mps)
    builder.add_agent(car, script)
    lead_s = car[at.TRIGGER_S] + script_time(script, speed, setting.route_length_m)
    builder.time_limit_s = options.time_limit_s or TIME_FACTOR * lead_s + TIME_SLACK_S
    return builder


FAMILY = Family("hard_brake", "follow a car that brakes hard without warning", build)
