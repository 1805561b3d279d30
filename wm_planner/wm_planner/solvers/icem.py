"""Improved cross-entropy method (Pinneri et al. 2020, algorithm 1) with the feasibility rule of SafeDreamer."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_planner.solvers.checks import (
    check_budget,
    check_elites,
    check_knots,
    check_levels,
    check_range,
    check_spread,
)
from wm_planner.solvers.pool import Pool
from wm_planner.solvers.protocol import Problem, Solution
from wm_planner.solvers.sampling import around, noise_basis, seeded
from wm_planner.solvers.warm import Memory, initial_std, later_seeds, seeds, starting_mean
from wm_planner.solvers.weights import blend, exponential_weights, moments

Array = NDArray[np.float32]


@dataclass(frozen=True)
class ICemConfig:
    """Size and temper of the search. Actions are in [-1, 1]."""

    horizon: int = 12  # steps
    candidates: tuple[int, ...] = (256, 128, 64)  # an iteration each, seeds included
    chunk: int = 64  # candidates scored at once; the deadline is looked at in between
    elites: int = 32
    knots: int = 5
    noise_exponent: float = 2.0  # 0 white, 2 brown
    steer_std: float = 0.5  # of half the allowed steering range
    accel_std: float = 0.5
    std_min: float = 0.1  # of the initial std
    momentum: float = 0.1  # part of the old mean and std kept
    temperature: float = 0.5  # MPPI weights over the elites, in units of their spread; inf: plain mean
    keep: float = 0.3  # part of the elites kept to the next iteration and the next plan
    levels: tuple[float, ...] = (-1.0, -0.4, 0.0, 0.4)  # constant accelerations tried on the mean steering

    def __post_init__(self) -> None:
        check_budget("icem", self.horizon, self.candidates, self.chunk)
        check_knots("icem", self.knots, self.horizon)
        check_elites("icem", self.elites, self.candidates)
        check_levels("icem", self.levels)
        check_spread("icem", self.steer_std, self.accel_std)
        check_range("icem", "noise_exponent", self.noise_exponent, 0.0, 10.0)
        check_range("icem", "std_min", self.std_min, 0.0, 1.0)
        check_range("icem", "momentum", self.momentum, 0.0, 0.99)
        check_range("icem", "temperature", self.temperature, 1e-3, math.inf)
        check_range("icem", "keep", self.keep, 0.0, 1.0)


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
        config, bounds = self.config, problem.bounds
        mean = starting_mean(self._memory, problem, config.horizon)  # [H, 2]
        initial = std = initial_std(bounds, config.horizon, config.steer_std, config.accel_std)  # [H, 2]
        looked_at = seeds(mean, self._memory, problem, config.levels)
        pool = Pool(problem, config.chunk, self._kept)
        problem.deadline.start()
        complete = True
        for iteration, count in enumerate(config.candidates):
            if iteration and not pool.time_left():
                complete = False
                break
            complete = pool.evaluate(seeded(around(mean, std, self._basis, count, self._rng), looked_at, bounds))
            elites, score = pool.elites(config.elites)
            mean, std = self._refit(elites, score, mean, std, initial)
            if not complete:
                break
            looked_at = later_seeds(mean)
        best = pool.best(complete)
        self._memory.keep(best, mean, elites[: self._kept])
        return best

    def _refit(self, elites: Array, score: Array, mean: Array, std: Array, initial: Array) -> tuple[Array, Array]:
        """Mean and std of the elites under MPPI weights, with momentum and a floor."""
        if not len(elites):
            return mean, std
        spread = float(score[0] - score[-1])
        weights = exponential_weights(score, self.config.temperature * spread if spread else 1.0)
        centre, variance = moments(weights, elites)
        floor = np.float32(self.config.std_min) * initial
        momentum = self.config.momentum
        return blend(mean, centre, momentum), np.maximum(blend(std, np.sqrt(variance), momentum), floor)
