"""Model-predictive path integral control (Williams et al. 2017, algorithm 2): the mean follows exponential weights."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_planner.settings import check_settings, setting
from wm_planner.solvers.checks import check_budget, check_knots
from wm_planner.solvers.pool import Pool
from wm_planner.solvers.protocol import Problem, Solution
from wm_planner.solvers.refine import refine
from wm_planner.solvers.sampling import noise_basis
from wm_planner.solvers.warm import Memory
from wm_planner.solvers.weights import exponential_weights, moments

Array = NDArray[np.float32]


@dataclass(frozen=True)
class MppiConfig:
    """Size and temper of the search. Actions are in [-1, 1]."""

    horizon: int = 12  # steps
    candidates: tuple[int, ...] = (256, 128, 64)  # an iteration each, seeds included
    chunk: int = 64  # candidates scored at once; the deadline is looked at in between
    temperature: float = setting(0.05, "Weights, in units of the gap from the best to the median value.", 1e-4)
    anneal: float = setting(0.5, "Spread of an iteration over that of the one before; 1: always the same.", 0.05, 1.0)
    knots: int = setting(5, "Knots of the noise, linear in between; the horizon: every step by itself.", 2, 64)
    noise_exponent: float = setting(2.0, "Colour of the noise: 0 white, 2 brown.", 0.0, 10.0)
    steer_std: float = setting(0.5, "Spread of the first steering, of half the allowed range.", 1e-3, 10.0)
    accel_std: float = setting(0.5, "Spread of the first acceleration, of half the allowed range.", 1e-3, 10.0)

    def __post_init__(self) -> None:
        check_settings(self, "mppi solver")
        check_budget("mppi", self.horizon, self.candidates, self.chunk)
        check_knots("mppi", self.knots, self.horizon)


class Mppi:
    """Weights over all safe candidates; spread given, smaller with each iteration (Xue et al. 2024, DIAL-MPC)."""

    def __init__(self, config: MppiConfig, rng: np.random.Generator) -> None:
        self.config = config
        self._rng = rng
        self._basis = noise_basis(config.horizon, config.knots, config.noise_exponent)  # [H, K]
        self.reset()

    def reset(self) -> None:
        self._memory = Memory()

    def solve(self, problem: Problem) -> Solution:
        return refine(problem, self.config, self._memory, self._basis, self._rng, self._refit)

    def _refit(self, pool: Pool, mean: Array, std: Array, initial: Array) -> tuple[Array, Array, None]:
        """Mean of all safe candidates by exponential weights; the std of the next iteration is given."""
        safe, score = pool.safe()
        if len(safe):
            gap = float(score.max() - np.median(score))
            weights = exponential_weights(score, self.config.temperature * gap if gap else 1.0)
            mean = moments(weights, safe)[0]
        return mean, std * np.float32(self.config.anneal), None
