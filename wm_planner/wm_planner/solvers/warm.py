"""Where a search begins: what is kept from the last plan, and sequences that are looked at whatever the noise."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wm_planner.solvers.protocol import Bounds, Problem, Solution
from wm_planner.solvers.sampling import shifted

Array = NDArray[np.float32]

BRAKING = (-1.0,)  # the constant accelerations that every solver looks at


class Memory:
    """What a solver keeps from plan to plan, always one step on."""

    def __init__(self) -> None:
        self.mean: Array | None = None  # [H, 2]
        self.plans: Array | None = None  # [M, H, 2] the best plan, then other good ones

    def keep(self, solution: Solution, mean: Array, others: Array | None = None) -> None:
        """Remember a plan [H, 2] with the mean [H, 2] and other sequences [M, H, 2]; nothing finite, nothing kept."""
        if solution.finite:
            self.mean = shifted(mean)
            plans = solution.actions[None] if others is None else np.concatenate([solution.actions[None], others])
            self.plans = shifted(plans)
        else:
            self.mean = self.plans = None


def starting_mean(memory: Memory, problem: Problem, horizon: int) -> Array:
    """Mean to search around [H, 2]: the last plan's, else the best proposal, else going on as now."""
    if memory.mean is not None:
        return memory.mean
    if len(problem.proposals):
        return problem.proposals[0]
    held = np.zeros((horizon, 2), np.float32)
    held[:, 0] = problem.bounds.before[0]
    return held


def initial_std(bounds: Bounds, horizon: int, steer: float, accel: float) -> Array:
    """Spread of the first candidates [H, 2]: parts of half the allowed range."""
    half_range = 0.5 * (bounds.high - bounds.low)
    std = half_range * np.array([steer, accel], np.float32)
    return np.broadcast_to(std, (horizon, 2)).astype(np.float32)


def seeds(mean: Array, memory: Memory, problem: Problem, levels: Sequence[float]) -> Array:
    """Sequences [S, H, 2]: constant accelerations on the mean, the last plans, the mean, the action held, proposals."""
    held = np.broadcast_to(problem.bounds.before, mean.shape)
    parts = [at_levels(mean, levels), mean[None], held[None], problem.proposals]
    if memory.plans is not None:
        parts.insert(1, memory.plans)
    return np.concatenate(parts).astype(np.float32)


def later_seeds(mean: Array) -> Array:
    """Sequences [2, H, 2] for every iteration but the first: full braking on the new mean, and that mean."""
    return np.concatenate([at_levels(mean, BRAKING), mean[None]])


def at_levels(mean: Array, levels: Sequence[float]) -> Array:
    """The mean's steering with constant accelerations [len(levels), H, 2]."""
    sequences = np.repeat(mean[None], len(levels), axis=0)
    sequences[:, :, 1] = np.asarray(levels, np.float32)[:, None]
    return sequences
