"""Improved cross-entropy method (Pinneri et al. 2020, algorithm 1) with the feasibility rule of SafeDreamer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_planner.errors import PlannerError
from wm_planner.solvers.protocol import Bounds, Problem, Scored, Solution
from wm_planner.solvers.sampling import coloured_mixing, interpolation, restrict, shifted

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
        if any(count <= 0 or count % self.chunk for count in self.candidates) or not self.candidates:
            raise PlannerError(f"solver candidates {self.candidates}: make each a multiple of the chunk, {self.chunk}.")
        if not 2 <= self.knots <= self.horizon:
            raise PlannerError(f"solver knots {self.knots}: choose 2 to the horizon, {self.horizon}.")
        most = min(self.candidates)
        if not 2 <= self.elites <= most:
            raise PlannerError(f"solver elites {self.elites}: choose 2 to the fewest candidates, {most}.")
        if -1.0 not in self.levels:
            raise PlannerError(f"solver levels {self.levels}: full braking (-1) has to be among them; add it.")


class ICem:
    """Constrained iCEM. Executes the best sequence it evaluated; warm-starts from its last plan, one step on."""

    def __init__(self, config: ICemConfig, rng: np.random.Generator) -> None:
        self.config = config
        self._rng = rng
        self._weights = interpolation(config.horizon, config.knots)  # [H, K]
        self._colour = self._weights @ coloured_mixing(config.horizon, config.knots, config.noise_exponent)  # [H, K]
        self._kept = max(1, round(config.keep * config.elites))
        self.reset()

    def reset(self) -> None:
        self._mean: Array | None = None  # [H, 2]
        self._memory: Array | None = None  # [M, H, 2] best plan and kept elites of the last plan

    def solve(self, problem: Problem) -> Solution:
        mean = self._start(problem)  # [H, 2]
        initial = std = self._initial_std(problem.bounds)  # [H, 2]
        seeds = self._seeds(mean, problem)
        pool = _Pool(self._kept)
        problem.deadline.start()
        complete = True
        for iteration, count in enumerate(self.config.candidates):
            actions = self._sample(mean, std, count, seeds, problem.bounds)
            complete = pool.evaluate(actions, problem, self.config.chunk)
            elites, score = pool.elites(self.config.elites)
            mean, std = self._refit(elites, score, mean, std, initial)
            last = iteration + 1 == len(self.config.candidates)
            if not complete or (not last and not problem.deadline.allows()):
                complete = complete and last
                break
            seeds = np.concatenate([self._levels(mean, self.config.levels[:1]), mean[None]])
        best = pool.best(complete)
        if best.finite:
            self._mean = shifted(mean)
            self._memory = shifted(np.concatenate([best.actions[None], elites[: self._kept]]))
        else:
            self.reset()
        return best

    def _start(self, problem: Problem) -> Array:
        """Mean to search around: the last plan's, else the best proposal, else going on as now."""
        if self._mean is not None:
            return self._mean
        if len(problem.proposals):
            return problem.proposals[0]
        held = np.zeros((self.config.horizon, 2), np.float32)
        held[:, 0] = problem.bounds.before[0]
        return held

    def _initial_std(self, bounds: Bounds) -> Array:
        half_range = 0.5 * (bounds.high - bounds.low)
        std = half_range * np.array([self.config.steer_std, self.config.accel_std], np.float32)
        return np.broadcast_to(std, (self.config.horizon, 2)).astype(np.float32)

    def _seeds(self, mean: Array, problem: Problem) -> Array:
        """Sequences that are looked at whatever the noise: braking and other speeds on the mean, memory, proposals."""
        held = np.broadcast_to(problem.bounds.before, mean.shape)
        parts = [self._levels(mean, self.config.levels), mean[None], held[None], problem.proposals]
        if self._memory is not None:
            parts.insert(1, self._memory)
        return np.concatenate(parts).astype(np.float32)

    def _levels(self, mean: Array, levels: tuple[float, ...]) -> Array:
        """The mean's steering with constant accelerations [len(levels), H, 2]."""
        sequences = np.repeat(mean[None], len(levels), axis=0)
        sequences[:, :, 1] = np.asarray(levels, np.float32)[:, None]
        return sequences

    def _sample(self, mean: Array, std: Array, count: int, seeds: Array, bounds: Bounds) -> Array:
        """Candidates [count, H, 2], seeds first, all inside the bounds."""
        drawn = self._rng.standard_normal((2, self.config.knots, count), dtype=np.float32)
        noise = self._colour @ drawn  # [2, H, count]
        actions = mean + std * noise.transpose(2, 1, 0)
        seeds = seeds[:count]
        actions[: len(seeds)] = seeds
        return restrict(np.ascontiguousarray(actions), bounds)

    def _refit(self, elites: Array, score: Array, mean: Array, std: Array, initial: Array) -> tuple[Array, Array]:
        """Mean and std of the elites under MPPI weights, with momentum and a floor."""
        if not len(elites):
            return mean, std
        spread = score.max() - score.min()
        weights = np.exp((score - score.max()) / (self.config.temperature * spread + 1e-6))
        weights = (weights / weights.sum()).astype(np.float32)
        centre = np.tensordot(weights, elites, axes=1)  # [H, 2]
        variance = np.tensordot(weights, np.square(elites - centre), axes=1)
        old = np.float32(self.config.momentum)
        new_mean: Array = (old * mean + (1 - old) * centre).astype(np.float32)
        new_std: Array = (old * std + (1 - old) * np.sqrt(variance)).astype(np.float32)
        return new_mean, np.maximum(new_std, np.float32(self.config.std_min) * initial)


class _Pool:
    """Everything evaluated for one plan, and what of it is still worth refitting to."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._samples = 0
        self._best: tuple[Array, float, float, Array] | None = None
        self._actions: Array | None = None
        self._scored: Scored | None = None

    def evaluate(self, actions: Array, problem: Problem, chunk: int) -> bool:
        """Score candidates chunk by chunk; False when the deadline cut them short. The first chunk is always scored."""
        if problem.deadline.unlimited:
            chunk = len(actions)
        parts: list[Scored] = []
        for start in range(0, len(actions), chunk):
            if start and not problem.deadline.allows():
                break
            parts.append(problem.score(actions[start : start + chunk]))
        scored = Scored(*(np.concatenate(column) for column in zip(*map(_columns, parts), strict=True)))
        done = len(scored.value)
        self._samples += done
        self._add(actions[:done], scored)
        return done == len(actions)

    def _add(self, actions: Array, scored: Scored) -> None:
        finite = np.isfinite(scored.value) & np.isfinite(scored.risk)
        value = np.where(finite, scored.value, np.float32(-np.inf))
        risk = np.where(finite, scored.risk, np.float32(np.inf))
        feasible = risk <= 1.0
        index = int(np.argmax(np.where(feasible, value, -np.inf))) if feasible.any() else int(np.argmin(risk))
        found = (actions[index].copy(), float(value[index]), float(risk[index]), scored.detail[index].copy())
        if self._best is None or _better(found, self._best):
            self._best = found
        scored = Scored(value, risk, scored.detail)
        if self._actions is not None and self._scored is not None:
            actions = np.concatenate([self._actions, actions])
            kept = zip(_columns(self._scored), _columns(scored), strict=True)
            scored = Scored(*(np.concatenate(pair) for pair in kept))
        self._actions, self._scored = actions, scored

    def elites(self, count: int) -> tuple[Array, Array]:
        """The elites [E, H, 2], best first, and what ranked them [E].

        SafeDreamer (constrained CEM): while fewer candidates than elites are safe, rank by risk; then by value among
        the safe ones. Only a part of the elites stays in the pool beside the next iteration's candidates.
        """
        assert self._actions is not None and self._scored is not None
        feasible = self._scored.risk <= 1.0
        if np.count_nonzero(feasible) >= count:
            rank = np.where(feasible, self._scored.value, np.float32(-np.inf))
        else:
            rank = -self._scored.risk
        order = np.argsort(-rank, kind="stable")[:count]
        order = order[np.isfinite(rank[order])]
        actions, score = self._actions[order], rank[order]
        stay = order[: self._kept]
        self._actions = self._actions[stay]
        self._scored = Scored(*(column[stay] for column in _columns(self._scored)))
        return actions, score

    def best(self, complete: bool) -> Solution:
        assert self._best is not None
        return Solution(*self._best, samples=self._samples, complete=complete)


def _columns(scored: Scored) -> tuple[Array, Array, Array]:
    return scored.value, scored.risk, scored.detail


def _better(found: tuple[Array, float, float, Array], held: tuple[Array, float, float, Array]) -> bool:
    """Safe before unsafe; among the safe the higher value, among the others the lower risk."""
    if (found[2] <= 1.0) != (held[2] <= 1.0):
        return found[2] <= 1.0
    return found[1] > held[1] if found[2] <= 1.0 else found[2] < held[2]
