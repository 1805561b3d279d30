"""Random shooting: the best of many sequences drawn at once. The yardstick that every other solver has to beat."""

from dataclasses import dataclass

import numpy as np

from wm_planner.settings import check_settings, setting
from wm_planner.solvers.checks import check_budget, check_knots
from wm_planner.solvers.pool import Pool
from wm_planner.solvers.protocol import Problem, Solution
from wm_planner.solvers.sampling import interpolation, seeded
from wm_planner.solvers.warm import BRAKING, Memory, seeds, starting_mean


@dataclass(frozen=True)
class RandomConfig:
    """Size of the search."""

    horizon: int = 12  # steps
    candidates: tuple[int, ...] = (256, 128, 64)  # their sum is drawn at once, seeds included
    chunk: int = 64  # candidates scored at once; the deadline is looked at in between
    knots: int = setting(5, "Knots that are drawn, linear in between; the horizon: every step by itself.", 2, 64)

    def __post_init__(self) -> None:
        check_settings(self, "random solver")
        check_budget("random", self.horizon, self.candidates, self.chunk)
        check_knots("random", self.knots, self.horizon)


class RandomShooting:
    """Uniform in the allowed range at the knots, linear in between; nothing is refitted."""

    def __init__(self, config: RandomConfig, rng: np.random.Generator) -> None:
        self.config = config
        self._rng = rng
        self._basis = interpolation(config.horizon, config.knots)  # [H, K]
        self.reset()

    def reset(self) -> None:
        self._memory = Memory()

    def solve(self, problem: Problem) -> Solution:
        config, bounds = self.config, problem.bounds
        mean = starting_mean(self._memory, problem, config.horizon)  # [H, 2]
        drawn = self._rng.random((sum(config.candidates), config.knots, 2), dtype=np.float32)
        at_knots = bounds.low + (bounds.high - bounds.low) * drawn
        pool = Pool(problem, config.chunk, wanted=1)
        looked_at = seeds(mean, self._memory, problem, BRAKING)
        problem.deadline.start()
        complete = pool.evaluate(seeded(self._basis @ at_knots, looked_at, bounds), first=len(looked_at))
        best = pool.best(complete)
        self._memory.keep(best, best.actions)
        return best
