"""Drives by the policy's own proposal: no search. For diagnosis, and where a plan has to cost one evaluation."""

from dataclasses import dataclass

import numpy as np

from wm_planner.solvers.checks import check_budget
from wm_planner.solvers.pool import verified_risk
from wm_planner.solvers.protocol import Problem, Scored, Solution
from wm_planner.solvers.sampling import restrict


@dataclass(frozen=True)
class PolicyConfig:
    """Size of what is scored."""

    horizon: int = 12  # steps
    chunk: int = 64  # sequences scored at once

    def __post_init__(self) -> None:
        check_budget("policy", self.horizon, (self.chunk,), self.chunk)


class PolicySolver:
    """The first proposal inside the bounds, scored once with the others so that its risk is known."""

    def __init__(self, config: PolicyConfig, rng: np.random.Generator) -> None:
        self.config = config

    def reset(self) -> None:
        """Nothing is remembered."""

    def solve(self, problem: Problem) -> Solution:
        actions = np.zeros((self.config.chunk, self.config.horizon, 2), np.float32)
        actions[:, :, 0] = problem.bounds.before[0]
        actions[:, :, 1] = -1.0  # braking where the policy proposes nothing
        proposals = problem.proposals[: self.config.chunk]
        actions[: len(proposals)] = proposals
        restrict(actions, problem.bounds)
        scored = problem.score(actions)
        if problem.watch is not None:
            shown = slice(0, max(1, len(proposals)))
            problem.watch(actions[shown], Scored(scored.value[shown], scored.risk[shown], scored.detail[shown]))
        risk = scored.risk[:1]
        if problem.verify is not None:
            risk = verified_risk(problem, actions[:1], risk)
        return Solution(
            actions[0].copy(),
            float(scored.value[0]),
            float(risk[0]),
            scored.detail[0].copy(),
            samples=len(actions),
            complete=True,
        )
