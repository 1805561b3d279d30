"""Drives by the policy's own proposal: no search. For diagnosis, and where a plan has to cost one evaluation."""

import numpy as np

from wm_planner.solvers.icem import ICemConfig
from wm_planner.solvers.protocol import Problem, Solution
from wm_planner.solvers.sampling import restrict


class PolicySolver:
    """The first proposal inside the bounds, scored once with the others so that its risk is known."""

    def __init__(self, config: ICemConfig, rng: np.random.Generator) -> None:
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
        value, risk, detail = float(scored.value[0]), float(scored.risk[0]), scored.detail[0]
        return Solution(actions[0].copy(), value, risk, detail.copy(), samples=len(actions), complete=True)
