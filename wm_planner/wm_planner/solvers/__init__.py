"""Solvers: each searches action sequences through a score it knows nothing about. One file each, and a line here."""

from collections.abc import Callable

import numpy as np

from wm_planner.errors import PlannerError
from wm_planner.solvers.icem import ICem, ICemConfig
from wm_planner.solvers.policy import PolicySolver
from wm_planner.solvers.protocol import Bounds, Problem, Score, Scored, Solution, Solver

SOLVERS: dict[str, Callable[[ICemConfig, np.random.Generator], Solver]] = {
    "icem": ICem,
    "policy": PolicySolver,
}


def make_solver(name: str, config: ICemConfig, rng: np.random.Generator) -> Solver:
    """The solver of that name."""
    if name not in SOLVERS:
        raise PlannerError(f"solver '{name}' is unknown; choose one of {', '.join(SOLVERS)}.")
    return SOLVERS[name](config, rng)


__all__ = [
    "SOLVERS",
    "Bounds",
    "ICem",
    "ICemConfig",
    "PolicySolver",
    "Problem",
    "Score",
    "Scored",
    "Solution",
    "Solver",
    "make_solver",
]
