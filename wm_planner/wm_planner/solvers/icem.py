"""Improved cross-entropy method (Pinneri et al. 2020, algorithm 1) with the feasibility rule of SafeDreamer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_planner.settings import check_settings, setting
from wm_planner.solvers.checks import check_budget, check_elites, check_knots, check_levels
from wm_planner.solvers.pool import Pool
from wm_planner.solvers.protocol import Problem, Solution
from wm_planner.solvers.refine import refine
from wm_planner.solvers.sampling import noise_basis
from wm_planner.solvers.warm import Memory
from wm_planner.solvers.weights import blend, exponential_weights, moments

Array = NDArray[np.float32]


@dataclass(frozen=True)
class ICemConfig:
    """Size and temper of the search. Actions are in [-1, 1]."""

    horizon: int = 12  # steps
    candidates: tuple[int, ...] = (256, 128, 64)  # an iteration each, seeds included
    chunk: int = 64  # candidates scored at once; the deadline is looked at in between
    elites: int = setting(32, "Best candidates that the mean is refitted to.", 2, 1024)
    knots: int = setting(5, "Knots of the noise, linear in between; the horizon: every step by itself.", 2, 64)
    noise_exponent: float = setting(2.0, "Colour of the noise: 0 white, 2 brown.", 0.0, 10.0)
    steer_std: float = setting(0.5, "Spread of the first steering, of half the allowed range.", 1e-3, 10.0)
    accel_std: float = setting(0.5, "Spread of the first acceleration, of half the allowed range.", 1e-3, 10.0)
    std_min: float = setting(0.1, "Floor of the spread, of the first one.", 0.0, 1.0)
    momentum: float = setting(0.1, "Part of the old mean and spread kept.", 0.0, 0.99)
    temperature: float = setting(0.5, "MPPI weights over the elites, in units of their spread; inf: plain mean.", 1e-3)
    keep: float = setting(0.3, "Part of the elites kept to the next iteration and the next plan.", 0.0, 1.0)
    levels: tuple[float, ...] = (-1.0, -0.4, 0.0, 0.4)  # constant accelerations tried on the mean steering

    def __post_init__(self) -> None:
        check_settings(self, "icem solver")
        check_budget("icem", self.horizon, self.candidates, self.chunk)
        check_knots("icem", self.knots, self.horizon)
        check_elites("icem", self.elites, self.candidates)
        check_levels("icem", self.levels)


class ICem:
    """Constrained iCEM. Executes the best sequence it evaluated; warm-starts from its last plan, one step on."""

    def __init__(self, config: ICemConfig, rng: np.random.Generator) -> None:
        self.config = config
        self._rng = rng
        self._basis = noise_basis(config.horizon, config.knots, config.noise_exponent)  # [H, K]
        self._kept = max(1, round(config.keep * config.elites))
        self.reset()

    def reset(self) -> None:
        self._memory = Memory()

    def solve(self, problem: Problem) -> Solution:
        config = self.config
        return refine(
            problem, config, self._memory, self._basis, self._rng, self._refit, config.levels, self._kept, config.elites
        )

    def _refit(self, pool: Pool, mean: Array, std: Array, initial: Array) -> tuple[Array, Array, Array]:
        """Mean and std of the elites under MPPI weights, with momentum and a floor; and the elites that are kept."""
        elites, score = pool.elites(self.config.elites)
        if not len(elites):
            return mean, std, elites
        spread = float(score[0] - score[-1])
        weights = exponential_weights(score, self.config.temperature * spread if spread else 1.0)
        centre, variance = moments(weights, elites)
        floor = np.float32(self.config.std_min) * initial
        momentum = self.config.momentum
        std = np.maximum(blend(std, np.sqrt(variance), momentum), floor)
        return blend(mean, centre, momentum), std, elites[: self._kept]
