"""The rows of a world that the score reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from wm_sim.world import World

Array = NDArray[np.float64]


def scene_rows(world: World) -> tuple[Array, Array, Array, int]:
    """Ego [EGO_STATE_SIZE], agents [K, AGENT_SIZE], path of the route [M, PATH_SIZE], its sample at the ego."""
    scene = world.scenario.scene
    return world.ego, world.cars, scene.paths[: scene.first[1]], world.road_index
