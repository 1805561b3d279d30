"""What a solver is given and what it answers. No model, no car: a score of action sequences and bounds on them."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wm_planner.solvers.deadline import Deadline

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Scored:
    """What the score says about N action sequences. Not finite counts as worst."""

    value: Array  # [N] larger is better
    risk: Array  # [N] in units of what is allowed: feasible up to 1
    detail: Array  # [N, D] columns handed through to the caller


class Score(Protocol):
    """Judges action sequences [N, H, 2]."""

    def __call__(self, actions: Array) -> Scored: ...


class Watch(Protocol):
    """Shown what the last iteration evaluated: sequences [N, H, 2] and what the score said."""

    def __call__(self, actions: Array, scored: Scored) -> None: ...


class Verify(Protocol):
    """Further risk [N] of sequences [N, H, 2], in units of what is allowed; asked for the best few at the end."""

    def __call__(self, actions: Array) -> Array: ...


class Cost(Protocol):
    """What sequences [N, H, 2] lose for certain [N]: known without a score, and already taken off the score's value.

    Infinite where the score's risk is sure to be above the limit.
    """

    def __call__(self, actions: Array) -> Array: ...


@dataclass(frozen=True, eq=False)
class Screen:
    """Lets a solver leave sequences out that cannot be among the best."""

    cost: Cost
    margin: float  # of value: what one may promise, its cost aside, beyond the best so far before it is left out


@dataclass(frozen=True, eq=False)
class Bounds:
    """What an action may be, and how far it may move from one step to the next, per action dimension."""

    low: Array  # [2]
    high: Array  # [2]
    fall: Array  # [2] largest decrease a step, positive
    rise: Array  # [2] largest increase a step, positive
    before: Array  # [2] action in force now


@dataclass(frozen=True, eq=False)
class Problem:
    """One plan to make."""

    score: Score
    bounds: Bounds
    proposals: Array  # [P, H, 2] sequences worth looking at, the first the best guess; P may be 0
    deadline: Deadline = field(default_factory=Deadline)
    verify: Verify | None = None  # None: the score's own risk is all
    watch: Watch | None = None  # None: nobody looks on
    screen: Screen | None = None  # None: every candidate is scored


@dataclass(frozen=True, eq=False)
class Solution:
    """The best sequence that was evaluated."""

    actions: Array  # [H, 2]
    value: float
    risk: float
    detail: Array  # [D]
    samples: int  # candidates scored, or left out by the screen
    complete: bool  # False: the deadline cut the search

    @property
    def feasible(self) -> bool:
        return self.risk <= 1.0

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.value) and np.isfinite(self.risk) and np.isfinite(self.actions).all())


class SolverConfig(Protocol):
    """What every solver's settings tell."""

    @property
    def horizon(self) -> int: ...  # steps of a sequence
    @property
    def chunk(self) -> int: ...  # sequences scored at once


class Solver(Protocol):
    """Searches; remembers from plan to plan until reset."""

    def reset(self) -> None:
        """Forget earlier plans."""
        ...

    def solve(self, problem: Problem) -> Solution:
        """Best evaluated sequence within the deadline."""
        ...
