"""faults: drive on with a late, frozen or gappy camera, on slippery roads, with a steering that pulls to a side."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from wm_sim import scene as at
from wm_sim.scenarios.builder import SceneBuilder
from wm_sim.scenarios.draws import draw_car_ahead, draw_setting, script_time
from wm_sim.scenarios.roads import two_lanes
from wm_sim.scenarios.scenario import Family, Options
from wm_sim.scenarios.stop_go import draw_script

ROUTE_S = 22.0
LEAD_SHARE = 0.5
LEAD_HEADWAY_S = (1.0, 4.0)
DELAY_STEPS_MAX = 2  # of 0.1 s
FREEZE_EVERY_S, FREEZE_S = (4.0, 12.0), (0.3, 1.0)
DROP_SHARE = (0.05, 0.3)
FRICTION = (0.4, 1.0)
STEER_BIAS_RAD = math.radians(2.0)
FREEZE_SHARE, DROPPING_SHARE, SLIPPERY_SHARE, PULLING_SHARE = 0.4, 0.4, 0.6, 0.5
TIME_FACTOR, TIME_SLACK_S = 3.0, 10.0


def build(rng: np.random.Generator, options: Options) -> SceneBuilder:
    """lane_follow or, every second time, stop_go with 0–200 ms delay, freezes, lost frames, μ .4–1.0, ±2° bias."""
    setting = draw_setting(rng, options, ROUTE_S)
    limit, speed = setting.limit_mps, setting.ego.speed_mps
    delay = float(rng.integers(0, DELAY_STEPS_MAX + 1))
    every, frozen = (
        (rng.uniform(*FREEZE_EVERY_S), rng.uniform(*FREEZE_S)) if rng.random() < FREEZE_SHARE else (0.0, 0.0)
    )
    drop = rng.uniform(*DROP_SHARE) if rng.random() < DROPPING_SHARE else 0.0
    friction = rng.uniform(*FRICTION) if rng.random() < SLIPPERY_SHARE else 1.0
    bias = rng.uniform(-STEER_BIAS_RAD, STEER_BIAS_RAD) if rng.random() < PULLING_SHARE else 0.0

    builder = two_lanes(rng, setting)
    car = setting.conditions.vehicle
    car = replace(car, friction=friction, steer_bias_rad=car.steer_bias_rad + bias)
    builder.conditions = replace(setting.conditions, vehicle=car)
    builder.faults[:] = delay, every, frozen, drop
    time_s = TIME_FACTOR * setting.route_length_m / limit + TIME_SLACK_S
    if rng.random() < LEAD_SHARE:
        lead = draw_car_ahead(rng, builder.start_s, 3.0 + rng.uniform(*LEAD_HEADWAY_S) * max(speed, 2.0), speed)
        lead[at.KIND] = at.SCRIPTED
        script = draw_script(rng, limit, speed)
        builder.add_agent(lead, script)
        time_s += 2.0 * script_time(script, speed, setting.route_length_m)
    builder.time_limit_s = options.time_limit_s or time_s
    return builder


FAMILY = Family("faults", "keep driving with a failing camera, slippery roads and a steering that pulls", build)
