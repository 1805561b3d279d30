"""Roads that families share: the ego's path on them, and the network that is drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wm_sim import scene as at
from wm_sim.network.generate import BEFORE_START_M, road_line, two_lane_road
from wm_sim.scenarios.builder import SceneBuilder
from wm_sim.scenarios.draws import Setting
from wm_sim.scene import PATH_SIZE


def path_along(
    line: NDArray[np.float64], limit_mps: float, lane_width_m: float, lanes_left: float = 0.0, oncoming: bool = False
) -> NDArray[np.float64]:
    """A path [m, PATH_SIZE] along the middle of a lane; the ego may use `lanes_left` more lanes to its left."""
    path = np.zeros((len(line), PATH_SIZE))
    path[:, :6] = line
    path[:, at.LEFT_M] = (0.5 + lanes_left) * lane_width_m
    path[:, at.RIGHT_M] = 0.5 * lane_width_m
    path[:, at.LANE_WIDTH_M], path[:, at.LIMIT_MPS], path[:, at.ONCOMING_LEFT] = lane_width_m, limit_mps, oncoming
    return path


def two_lanes(rng: np.random.Generator, setting: Setting) -> SceneBuilder:
    """A random two-lane road; the ego keeps to the right lane, which is path 0."""
    line = road_line(rng, setting.route_length_m, setting.limit_mps)
    return on_two_lanes(setting, line)


def on_two_lanes(setting: Setting, line: NDArray[np.float64]) -> SceneBuilder:
    """A two-lane road along `line`, the middle of the ego's lane."""
    builder = SceneBuilder(setting.conditions)
    builder.network = two_lane_road(line, setting.limit_mps, setting.lane_width_m).network
    builder.add_path(path_along(line, setting.limit_mps, setting.lane_width_m, oncoming=True))
    builder.start_s, builder.route_length_m = BEFORE_START_M, setting.route_length_m
    builder.ego = setting.ego
    return builder
