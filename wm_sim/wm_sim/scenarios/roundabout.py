"""roundabout: give way at the entry, follow the ring, leave by the right exit."""

from __future__ import annotations

import math

import numpy as np

from wm_sim import scene as at
from wm_sim.network.meeting import conflicts
from wm_sim.network.roundabouts import roundabout
from wm_sim.scenarios.arms import BEHIND_M, STUB_M, add_paths, lane_path, with_route
from wm_sim.scenarios.builder import SceneBuilder, point_on
from wm_sim.scenarios.draws import draw_car, draw_driver, draw_setting
from wm_sim.scenarios.scenario import Family, Options

LIMIT_MPS = (6.0, 14.0)
INNER_M = (15.0, 45.0)
APPROACH_M, EXIT_M = (40.0, 80.0), (30.0, 60.0)
SMOOTH_M = 3.0  # of the turns into the ring and out of it
CARS = (2, 7)
SPACING_M = 12.0  # between cars on one path at least
LATERAL_ACCEL_MPS2 = 2.2  # at which others drive round
TIME_FACTOR, TIME_SLACK_S = 4.0, 60.0


def build(rng: np.random.Generator, options: Options) -> SceneBuilder:
    """An island of radius 15–45 m with three or four arms, two to seven cars that pass the ego's entry."""
    setting = draw_setting(rng, options, 0.0, LIMIT_MPS)
    limit, width = setting.limit_mps, setting.lane_width_m
    inner = rng.uniform(*INNER_M)
    arms = int(rng.integers(3, 5))
    end = int(rng.integers(1, arms))
    approach, leave = rng.uniform(*APPROACH_M), rng.uniform(*EXIT_M)
    layout = roundabout(limit, width, inner, arms, STUB_M)
    names = [str(arm) for arm in range(arms)]
    layout = with_route(rng, layout, names, "0", str(end), approach, leave, limit, width)
    builder = SceneBuilder(setting.conditions)
    # Those who pass the ego's entry come from the other arms and leave by the first exit after it, or the second.
    others = [f"{arm}_{1 + int(rng.integers(0, arm - 1)) if arm > 1 else 1}" for arm in range(arms - 1, 0, -1)]
    routes = [f"0_{end}", *(route for route in others if route[0] != route[-1])]
    paths = [lane_path(layout, route, limit, width, SMOOTH_M) for route in routes]
    add_paths(builder, layout, paths)
    builder.conflicts = conflicts(paths)
    builder.ego = setting.ego
    builder.route_length_m = paths[0].s_of(f"{end}_out") - BEHIND_M + leave
    pace = min(limit, math.sqrt(LATERAL_ACCEL_MPS2 * inner))
    for _ in range(round(options.density * rng.integers(CARS[0], CARS[1] + 1))):
        k = 1 + int(rng.integers(len(paths) - 1))
        path = paths[k]
        car = draw_car(rng)
        draw_driver(rng, car, pace)
        car[[at.PATH, at.V]] = k, 0.8 * pace
        car[at.S] = rng.uniform(STUB_M, path.s_of("0_across"))
        place = point_on(path.samples, car[at.S])[:2]
        if all(math.dist(other[[at.CX, at.CY]], place) > SPACING_M for other in builder.agents):
            builder.add_agent(car)
    limit_s = TIME_FACTOR * builder.route_length_m / limit + TIME_SLACK_S
    builder.time_limit_s = options.time_limit_s or limit_s
    return builder


FAMILY = Family("roundabout", "give way at the entry, follow the ring, leave by the exit", build)
