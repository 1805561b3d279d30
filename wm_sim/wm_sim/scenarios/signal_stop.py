"""signal_stop: stop at the line while the light is red, drive on when it is green."""

from __future__ import annotations

import numpy as np

from wm_sim import scene as at
from wm_sim.network.junctions import ARMS, junction
from wm_sim.network.signals import signal_rows
from wm_sim.scenarios.arms import BEHIND_M, STUB_M, add_paths, add_stream, lane_path, with_route
from wm_sim.scenarios.builder import SceneBuilder
from wm_sim.scenarios.draws import draw_setting
from wm_sim.scenarios.scenario import Family, Options

LIMIT_MPS = (6.0, 16.0)
RADIUS_M = 10.0
APPROACH_M, EXIT_M = (50.0, 120.0), (40.0, 80.0)
GREEN_S, YELLOW_S, CLEARING_S = (6.0, 12.0), 3.0, 1.5  # CLEARING_S: all lights are red
TURN_SHARE = 0.3  # of episodes turn right
GAP_S = (1.5, 5.0)
STREAM = (0, 3)  # cars on each of the other arms
TIME_FACTOR, TIME_SLACK_S, CYCLES = 3.0, 25.0, 3.0


def build(rng: np.random.Generator, options: Options) -> SceneBuilder:
    """A crossing with lights at 6–16 m/s; green for 6–12 s, red for 12–18 s, at any phase; some crossing traffic."""
    setting = draw_setting(rng, options, 0.0, LIMIT_MPS)
    limit, width = setting.limit_mps, setting.lane_width_m
    green = rng.uniform(*GREEN_S)
    red = green + YELLOW_S + 2.0 * CLEARING_S
    cycle_s = green + YELLOW_S + red
    end = "east" if rng.random() < TURN_SHARE else "north"
    approach, leave = rng.uniform(*APPROACH_M), rng.uniform(*EXIT_M)
    layout = junction(limit, width, ARMS, STUB_M, RADIUS_M, (), (green, YELLOW_S, red))
    layout = with_route(rng, layout, ARMS, "south", end, approach, leave, limit, width)
    builder = SceneBuilder(setting.conditions)
    routes = (f"south_{end}", "west_east", "east_west", "north_south")
    paths = [lane_path(layout, route, limit, width) for route in routes]
    add_paths(builder, layout, paths)
    signals = signal_rows(layout.network, paths)
    signals[:, at.OFFSET_S] = (signals[:, at.OFFSET_S] + rng.uniform(0.0, cycle_s)) % cycle_s
    builder.signals = list(signals)
    builder.ego = setting.ego
    builder.route_length_m = paths[0].s_of(f"{end}_out") - BEHIND_M + leave
    for k, path in enumerate(paths[1:], start=1):
        cars = round(options.density * rng.integers(STREAM[0], STREAM[1] + 1))
        if cars > 0:
            arrives_s = rng.uniform(3.0, 3.0 + approach / (0.5 * limit))
            gaps = rng.uniform(*GAP_S, cars - 1)
            add_stream(rng, builder, k, float(path.starts_s[1]), arrives_s, gaps.tolist(), limit)
    limit_s = TIME_FACTOR * builder.route_length_m / limit + CYCLES * cycle_s + TIME_SLACK_S
    builder.time_limit_s = options.time_limit_s or limit_s
    return builder


FAMILY = Family("signal_stop", "stop at red lights and go on at green", build)
