"""What a driver is."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wm_sim.world import Frame, World


class Driver(Protocol):
    """Decides an action for each frame; `reset` once an episode, after the world's."""

    def reset(self, world: World) -> None: ...

    def act(self, frame: Frame) -> NDArray[np.float32]: ...
