"""Solvers: each searches action sequences through a score it knows nothing about. One file each, and a line here."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np

from wm_planner.errors import PlannerError
from wm_planner.solvers.cem import Cem, CemConfig
from wm_planner.solvers.icem import ICem, ICemConfig
from wm_planner.solvers.mppi import Mppi, MppiConfig
from wm_planner.solvers.policy import PolicyConfig, PolicySolver
from wm_planner.solvers.protocol import (
    Bounds,
    Problem,
    Score,
    Scored,
    Screen,
    Solution,
    Solver,
    SolverConfig,
    Verify,
    Watch,
)
from wm_planner.solvers.random import RandomConfig, RandomShooting


class Kind(NamedTuple):
    """A solver and its settings."""

    config: type[Any]
    make: Callable[[Any, np.random.Generator], Solver]


SOLVERS = {
    "icem": Kind(ICemConfig, ICem),
    "cem": Kind(CemConfig, Cem),
    "mppi": Kind(MppiConfig, Mppi),
    "random": Kind(RandomConfig, RandomShooting),
    "policy": Kind(PolicyConfig, PolicySolver),
}


def solver_config(name: str, candidates: tuple[int, ...] | None = None, **settings: Any) -> SolverConfig:
    """That solver's settings, its own but for those given, with so many candidates an iteration if it searches."""
    kind = _kind(name).config
    if candidates is not None and "candidates" in {item.name for item in fields(kind)}:
        settings["candidates"] = candidates
    config: SolverConfig = kind(**settings)
    return config


def make_solver(name: str, config: SolverConfig | None, rng: np.random.Generator) -> Solver:
    """The solver of that name; without `config`, with its own settings."""
    kind = _kind(name)
    config = config or solver_config(name)
    if not isinstance(config, kind.config):
        wanted, given = kind.config.__name__, type(config).__name__
        raise PlannerError(f"solver '{name}': {given} is not for it; give a {wanted}, or none for its defaults.")
    return kind.make(config, rng)


def _kind(name: str) -> Kind:
    if name not in SOLVERS:
        raise PlannerError(f"solver '{name}' is unknown; choose one of {', '.join(SOLVERS)}.")
    return SOLVERS[name]


__all__ = [
    "SOLVERS",
    "Bounds",
    "Cem",
    "CemConfig",
    "ICem",
    "ICemConfig",
    "Mppi",
    "MppiConfig",
    "PolicyConfig",
    "PolicySolver",
    "Problem",
    "RandomConfig",
    "RandomShooting",
    "Score",
    "Scored",
    "Screen",
    "Solution",
    "Solver",
    "SolverConfig",
    "Verify",
    "Watch",
    "make_solver",
    "solver_config",
]
