"""Cross-entropy method (Rubinstein 1999; for planning, Chua et al. 2018, PETS), with SafeDreamer's feasibility rule."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_planner.settings import check_settings, setting
from wm_planner.solvers.checks import check_budget, check_elites
from wm_planner.solvers.pool import Pool
from wm_planner.solvers.protocol import Problem, Solution
from wm_planner.solvers.refine import refine
from wm_planner.solvers.warm import Memory
from wm_planner.solvers.weights import blend, moments

Array = NDArray[np.float32]


@dataclass(frozen=True)
class CemConfig:
    """Size and temper of the search. Actions are in [-1, 1]."""

    horizon: int = 12  # steps
    candidates: tuple[int, ...] = (256, 128, 64)  # an iteration each, seeds included
    chunk: int = 64  # candidates scored at once; the deadline is looked at in between
    elites: int = setting(32, "Best candidates that the mean is refitted to.", 2, 1024)
    steer_std: float = setting(0.5, "Spread of the first steering, of half the allowed range.", 1e-3, 10.0)
    accel_std: float = setting(0.5, "Spread of the first acceleration, of half the allowed range.", 1e-3, 10.0)
    std_min: float = setting(0.1, "Floor of the spread, of the first one.", 0.0, 1.0)
    momentum: float = setting(0.1, "Part of the old mean and variance kept (PETS: alpha).", 0.0, 0.99)

    def __post_init__(self) -> None:
        check_settings(self, "cem solver")
        check_budget("cem", self.horizon, self.candidates, self.chunk)
        check_elites("cem", self.elites, self.candidates)


class Cem:
    """A Gaussian without correlation between steps, refitted to the elites of each iteration alone."""

    def __init__(self, config: CemConfig, rng: np.random.Generator) -> None:
        self.config = config
        self._rng = rng
        self._basis = np.eye(config.horizon, dtype=np.float32)
        self.reset()

    def reset(self) -> None:
        self._memory = Memory()

    def solve(self, problem: Problem) -> Solution:
        return refine(
            problem, self.config, self._memory, self._basis, self._rng, self._refit, wanted=self.config.elites
        )

    def _refit(self, pool: Pool, mean: Array, std: Array, initial: Array) -> tuple[Array, Array, None]:
        """Mean and std of the elites, all alike, with momentum and a floor."""
        config = self.config
        elites, _ = pool.elites(config.elites)
        if not len(elites):
            return mean, std, None
        centre, variance = moments(np.full(len(elites), 1.0 / len(elites), np.float32), elites)
        std = np.sqrt(blend(np.square(std), variance, config.momentum))
        return blend(mean, centre, config.momentum), np.maximum(std, np.float32(config.std_min) * initial), None
