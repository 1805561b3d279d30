"""The driver that does nothing but a little throttle: the floor of every score."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wm_sim.world import Frame, World


class ConstantDriver:
    """Always the same action."""

    def __init__(self, steer: float = 0.0, accel: float = 0.2) -> None:
        self._action = np.array([steer, accel], dtype=np.float32)

    def reset(self, world: World) -> None:
        del world

    def act(self, frame: Frame) -> NDArray[np.float32]:
        del frame
        return self._action.copy()
