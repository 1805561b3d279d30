"""static_block: standing cars and barriers reach into the lane; sometimes someone comes the other way."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim import scene as at
from wm_sim.network.line import line_of_points, offset
from wm_sim.observation import EGO_FRONT_X_M
from wm_sim.scenarios.builder import EgoStart, SceneBuilder, point_on
from wm_sim.scenarios.draws import Setting, draw_barrier, draw_car, draw_driver, draw_setting
from wm_sim.scenarios.roads import path_along, two_lanes
from wm_sim.scenarios.scenario import Family, Options
from wm_sim.scene import LINE_STEP_M

ROUTE_S = 22.0
LIMIT_MPS = (5.0, 14.0)
INTRUSION_M = (0.5, 2.5)
FIRST_M = (15.0, 60.0)  # ahead of the ego's front at the start
NEXT_M = (70.0, 130.0)  # from one to the next
LAST_M = 25.0  # none nearer to the finish
ROOM_M = 45.0  # before and after, the oncoming lane may be used
COMFORT_MPS2 = 3.0  # the ego starts no faster than lets it stop before the first
ONCOMING_SHARE, ONCOMING_CARS, ONCOMING_GAP_S = 0.6, (1, 3), (1.5, 4.0)  # of blocks, and who comes there
TIME_FACTOR, TIME_SLACK_S = 4.0, 40.0


def draw_block(rng: np.random.Generator, s: float, lane_width: float) -> NDArray[np.float64]:
    """A standing car or a barrier at s that covers .5–2.5 m of the lane from its right edge."""
    block = draw_car(rng) if rng.random() < 0.6 else draw_barrier(rng)
    intrusion = rng.uniform(*INTRUSION_M)
    block[at.KIND] = at.STANDING
    block[at.S] = s + 0.5 * block[at.LENGTH]
    block[at.D] = -0.5 * lane_width + intrusion - 0.5 * block[at.WIDTH]
    return block


def add_oncoming(rng: np.random.Generator, builder: SceneBuilder, setting: Setting, blocks: list[float]) -> None:
    """Cars on the oncoming lane, so that some of them meet the ego near a block."""
    limit, width = setting.limit_mps, setting.lane_width_m
    line = line_of_points(offset(builder.paths[0], width)[::-1])
    path = builder.add_path(path_along(line, limit, width, oncoming=True))
    for s in blocks:
        if rng.random() > ONCOMING_SHARE:
            continue
        arrives_s = max((s - builder.start_s) / (0.85 * limit) + rng.uniform(-1.0, 3.0), 2.0)
        pace = limit * rng.uniform(0.8, 1.0)
        for _ in range(int(rng.integers(ONCOMING_CARS[0], ONCOMING_CARS[1] + 1))):
            car = draw_car(rng)
            draw_driver(rng, car, limit)
            there = point_on(builder.paths[0], s + pace * arrives_s)
            nearest = np.argmin((line[:, at.LX] - there[0]) ** 2 + (line[:, at.LY] - there[1]) ** 2)
            car[[at.PATH, at.S]] = path, nearest * LINE_STEP_M
            car[[at.V, at.DESIRED]] = pace, pace
            if all(abs(car[at.S] - a[at.S]) > 15.0 for a in builder.agents if a[at.PATH] == path) and nearest > 10:
                builder.add_agent(car)
            arrives_s += rng.uniform(*ONCOMING_GAP_S) + 0.5


def build(rng: np.random.Generator, options: Options) -> SceneBuilder:
    """Roads of lane_follow at 5–14 m/s; the first block 15–60 m ahead, others every 70–130 m."""
    setting = draw_setting(rng, options, ROUTE_S, LIMIT_MPS)
    builder = two_lanes(rng, setting)
    ego, width, path = setting.ego, setting.lane_width_m, builder.paths[0]
    first = rng.uniform(*FIRST_M)
    speed = min(ego.speed_mps, math.sqrt(2.0 * COMFORT_MPS2 * (first - 5.0)))
    builder.ego = EgoStart(ego.lateral_m, ego.heading_rad, speed)
    blocks: list[float] = []
    s = builder.start_s + EGO_FRONT_X_M + first
    while not blocks or s < builder.start_s + setting.route_length_m - LAST_M:
        blocks.append(s)
        block = draw_block(rng, s, width)
        builder.add_agent(block)
        rows = slice(max(0, int((s - ROOM_M) / LINE_STEP_M)), int((s + block[at.LENGTH] + ROOM_M) / LINE_STEP_M) + 1)
        path[rows, at.LEFT_M] = 1.5 * width
        s += rng.uniform(*NEXT_M)
    if options.density > 0.0:
        add_oncoming(rng, builder, setting, blocks)
    limit_s = TIME_FACTOR * setting.route_length_m / setting.limit_mps + TIME_SLACK_S
    builder.time_limit_s = options.time_limit_s or limit_s
    return builder


FAMILY = Family("static_block", "pass what stands in the lane, by the other lane where it is free", build)
