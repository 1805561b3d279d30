"""junction: turn or cross without lights where others have the way."""

from __future__ import annotations

import numpy as np

from wm_sim.network.junctions import junction
from wm_sim.network.meeting import conflicts
from wm_sim.scenarios.arms import BEHIND_M, STUB_M, add_paths, add_stream, lane_path, with_route
from wm_sim.scenarios.builder import SceneBuilder
from wm_sim.scenarios.draws import draw_setting
from wm_sim.scenarios.scenario import Family, Options

LIMIT_MPS = (6.0, 14.0)
RADIUS_M = 10.0
APPROACH_M, EXIT_M = (50.0, 100.0), (40.0, 70.0)
GAP_S = (3.0, 8.0)
STREAM = (2, 6)  # cars from either side
LEAD_S = (-5.0, 2.0)  # the first comes this long after the ego could be there
TIME_FACTOR, TIME_SLACK_S = 4.0, 60.0

# Arms, the ego's route, and the routes that have the way.
CASES = (
    (("south", "east", "north", "west"), "south_north", ("west_east", "east_west")),
    (("south", "east", "north", "west"), "south_west", ("west_east", "east_west")),
    (("south", "east", "north", "west"), "south_east", ("west_east", "east_west")),
    (("south", "east", "north", "west"), "east_south", ("west_east",)),
    (("south", "east", "west"), "south_west", ("west_east", "east_west")),
    (("south", "east", "west"), "south_east", ("west_east", "east_west")),
    (("south", "east", "west"), "east_south", ("west_east",)),
)


def build(rng: np.random.Generator, options: Options) -> SceneBuilder:
    """Two-lane roads at 6–14 m/s, turns of 10 m radius, T or four arms; priority traffic with gaps of 3–8 s."""
    setting = draw_setting(rng, options, 0.0, LIMIT_MPS)
    limit, width = setting.limit_mps, setting.lane_width_m
    arms, own, first = CASES[int(rng.integers(len(CASES)))]
    approach, leave = rng.uniform(*APPROACH_M), rng.uniform(*EXIT_M)
    layout = junction(limit, width, arms, STUB_M, RADIUS_M)
    start, end = own.split("_")
    layout = with_route(rng, layout, arms, start, end, approach, leave, limit, width)
    builder = SceneBuilder(setting.conditions)
    paths = [lane_path(layout, route, limit, width) for route in (own, *first)]
    add_paths(builder, layout, paths)
    builder.conflicts = conflicts(paths)
    builder.ego = setting.ego
    builder.route_length_m = paths[0].s_of(f"{end}_out") - BEHIND_M + leave
    for k, path in enumerate(paths[1:], start=1):
        cars = round(options.density * rng.integers(STREAM[0], STREAM[1] + 1))
        if cars > 0:
            arrives_s = max(approach / (0.8 * limit) + rng.uniform(*LEAD_S), 0.0)
            gaps = rng.uniform(*GAP_S, cars - 1)
            add_stream(rng, builder, k, float(path.starts_s[1]), arrives_s, gaps.tolist(), limit)
    limit_s = TIME_FACTOR * builder.route_length_m / limit + TIME_SLACK_S
    builder.time_limit_s = options.time_limit_s or limit_s
    return builder


FAMILY = Family("junction", "turn and cross where others have the way", build)
