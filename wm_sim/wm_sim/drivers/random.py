"""The driver that draws each action anew."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wm_sim.world import Frame, World


class RandomDriver:
    """Uniform in [-1, 1]², the same for the same seed and episode."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._rng = np.random.default_rng(seed)

    def reset(self, world: World) -> None:
        self._rng = np.random.default_rng((self._seed, world.seed))

    def act(self, frame: Frame) -> NDArray[np.float32]:
        del frame
        return self._rng.uniform(-1.0, 1.0, 2).astype(np.float32)
