"""What a driver is."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wm_sim.frame import Frame


class Driver(Protocol):
    """Decides an action for each frame; `reset` once an episode, after the world's. `world`: the simulator."""

    def reset(self, world: Any) -> None: ...

    def act(self, frame: Frame) -> NDArray[np.float32]: ...
