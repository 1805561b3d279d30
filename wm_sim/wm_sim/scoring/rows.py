"""The rows of a world that the score reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wm_sim import scene

if TYPE_CHECKING:
    from wm_sim.world import World

Array = NDArray[np.float64]


def scene_rows(world: World) -> tuple[Array, Array, Array, int]:
    """Ego [EGO_STATE_SIZE], agents [K, AGENT_SIZE], path of the route [M, PATH_SIZE], its sample at the ego."""
    line, width = world.scenario.road.line, world.scenario.road.lane_width_m
    path = np.zeros((len(line), scene.PATH_SIZE))
    path[:, :6] = line
    path[:, [scene.LEFT_M, scene.RIGHT_M]] = 0.5 * width
    path[:, scene.LANE_WIDTH_M], path[:, scene.ONCOMING_LEFT] = width, 1.0
    agents = np.zeros((len(world.cars), scene.AGENT_SIZE))
    agents[:, : world.cars.shape[1]] = world.cars
    return world.ego, agents, path, world.road_index
