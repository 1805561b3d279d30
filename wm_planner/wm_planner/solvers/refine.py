"""What the refining solvers share: draw around a mean, score, let the solver refit; seeds, deadline and memory."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wm_planner.solvers.pool import Pool
from wm_planner.solvers.protocol import Problem, Solution, SolverConfig
from wm_planner.solvers.sampling import around, seeded
from wm_planner.solvers.warm import BRAKING, Memory, initial_std, later_seeds, seeds, starting_mean

Array = NDArray[np.float32]
# Pool, mean, std, initial std -> mean, std, and sequences worth remembering; arrays [H, 2], the last [M, H, 2].
Refit = Callable[[Pool, Array, Array, Array], tuple[Array, Array, Array | None]]


class RefiningConfig(SolverConfig, Protocol):
    """What the settings of a refining solver have in common."""

    @property
    def candidates(self) -> tuple[int, ...]: ...
    @property
    def steer_std(self) -> float: ...
    @property
    def accel_std(self) -> float: ...


def refine(
    problem: Problem,
    config: RefiningConfig,
    memory: Memory,
    basis: Array,  # [H, K] noise at the knots to noise at the steps
    rng: np.random.Generator,
    refit: Refit,
    levels: Sequence[float] = BRAKING,
    kept: int = 0,
    wanted: int | None = None,
) -> Solution:
    """The best of `config.candidates` drawn around a mean that `refit` moves after each iteration; memory is updated.

    `levels`: constant accelerations looked at first. `kept`: elites that stay in the pool for the next iteration.
    `wanted`: how many of the best `refit` looks at; None: at all candidates.
    """
    mean = starting_mean(memory, problem, config.horizon)  # [H, 2]
    initial = std = initial_std(problem.bounds, config.horizon, config.steer_std, config.accel_std)  # [H, 2]
    looked_at = seeds(mean, memory, problem, levels)
    pool, others = Pool(problem, config.chunk, kept, wanted), None
    problem.deadline.start()
    complete = True
    for iteration, count in enumerate(config.candidates):
        if iteration and not pool.time_left():
            complete = False
            break
        candidates = seeded(around(mean, std, basis, count, rng), looked_at, problem.bounds)
        complete = pool.evaluate(candidates, first=len(looked_at))
        mean, std, others = refit(pool, mean, std, initial)
        if not complete:
            break
        looked_at = later_seeds(mean)
    best = pool.best(complete)
    memory.keep(best, mean, others)
    return best
