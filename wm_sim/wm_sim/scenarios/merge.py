"""merge: from a ramp into the traffic of a carriageway."""

from __future__ import annotations

import numpy as np

from wm_sim import scene as at
from wm_sim.network.generate import BEFORE_START_M, road_line
from wm_sim.network.meeting import conflicts, overlaps
from wm_sim.network.ramps import RAMP_M, ramp_merge
from wm_sim.scenarios.arms import lane_path
from wm_sim.scenarios.builder import SceneBuilder
from wm_sim.scenarios.draws import draw_car, draw_driver, draw_setting
from wm_sim.scenarios.scenario import Family, Options
from wm_sim.scene import LINE_STEP_M

LIMIT_MPS = (8.0, 18.0)
SPEED_SHARE = (0.5, 0.9)
JOIN_M = 110.0  # along the carriageway
BESIDE_M = (20.0, 40.0)
TAPER_M = 35.0
EXIT_M = (60.0, 120.0)
GAP_S = (1.0, 4.0)
STREAM = (4, 8)  # cars on the right lane
LEFT_CARS = (0, 4)
TIME_FACTOR, TIME_SLACK_S = 4.0, 60.0


def build(rng: np.random.Generator, options: Options) -> SceneBuilder:
    """A ramp whose lane runs 20–40 m beside two or three lanes; cars on the right lane follow 1–4 s apart."""
    setting = draw_setting(rng, options, 0.0, LIMIT_MPS, SPEED_SHARE, standing_share=0.0)
    limit, width = setting.limit_mps, setting.lane_width_m
    beside, leave = rng.uniform(*BESIDE_M), rng.uniform(*EXIT_M)
    lanes = int(rng.integers(2, 4))
    joined = JOIN_M + beside + TAPER_M
    line = road_line(rng, joined + leave - BEFORE_START_M, limit)
    layout = ramp_merge(line, limit, width, lanes, JOIN_M, beside, TAPER_M)
    builder = SceneBuilder(setting.conditions)
    builder.network = layout.network
    paths = [lane_path(layout, route, limit, width) for route in ("ego", "main0")]
    ramp, main = paths
    taper = round(ramp.s_of("beside") / LINE_STEP_M)
    ramp.samples[taper:, at.LEFT_M] = (lanes - 0.5) * width
    main.samples[:, at.LEFT_M] = (lanes - 0.5) * width
    for path in paths:
        builder.add_path(path.samples)
    builder.overlaps, builder.conflicts = overlaps(paths), conflicts(paths)
    builder.start_s, builder.ego = 5.0, setting.ego
    builder.route_length_m = ramp.s_of("main0_c") - builder.start_s + leave

    reach_s = (RAMP_M + beside) / (0.5 * (setting.ego.speed_mps + limit))
    pace = limit * rng.uniform(0.75, 1.0)
    places = [(0, JOIN_M + beside + 0.5 * TAPER_M - pace * (reach_s + rng.uniform(-6.0, 0.0)))]
    for _ in range(round(options.density * rng.integers(STREAM[0], STREAM[1] + 1))):
        places.append((0, places[-1][1] - pace * rng.uniform(*GAP_S) - 5.0))
    if options.density == 0.0:
        places = []
    for _ in range(round(options.density * rng.integers(LEFT_CARS[0], LEFT_CARS[1] + 1))):
        places.append((int(rng.integers(1, lanes)), rng.uniform(0.0, JOIN_M)))
    for lane, s in places:
        car = draw_car(rng)
        draw_driver(rng, car, limit)
        car[[at.PATH, at.S, at.V]] = 1, s, pace
        car[at.DESIRED] = pace * rng.uniform(0.95, 1.1)
        car[at.D] += lane * width
        car[[at.LANES_LEFT, at.LANES_RIGHT, at.LANE_M]] = lanes - 1, 0.0, width
        free = [abs(s - a[at.S]) > 0.5 * (a[at.LENGTH] + car[at.LENGTH]) + 0.8 * pace for a in builder.agents]
        if all(ok or abs(car[at.D] - a[at.D]) > 0.5 * width for ok, a in zip(free, builder.agents, strict=True)):
            builder.add_agent(car)
    limit_s = TIME_FACTOR * builder.route_length_m / limit + TIME_SLACK_S
    builder.time_limit_s = options.time_limit_s or limit_s
    return builder


FAMILY = Family("merge", "join the traffic of a carriageway from a ramp", build)
