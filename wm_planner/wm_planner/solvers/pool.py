"""Everything evaluated for one plan: scored in chunks, ranked by the feasibility rule, the best of it answered."""

import numpy as np
from numpy.typing import NDArray

from wm_planner.solvers.protocol import Problem, Scored, Solution
from wm_planner.solvers.screening import Screening

Array = NDArray[np.float32]

VERIFIED = 32  # best candidates whose further risk is asked for, where the problem wants that


class Pool:
    """Evaluates candidates of one plan and hands back elites and, at the end, the best.

    Values and risks that are not finite rank last. `kept` elites stand beside the next iteration's candidates.
    `wanted`: how many of the best are looked at, so that a screen may leave out what is not among them; None: all.
    """

    def __init__(self, problem: Problem, chunk: int, kept: int = 0, wanted: int | None = None) -> None:
        self._problem, self._chunk, self._kept = problem, chunk, kept
        self._samples = 0
        self._screening = Screening(problem.screen, _wanted(problem, wanted))
        self._all: list[tuple[Array, Scored]] = []
        self._actions: Array | None = None  # of these the next elites are chosen
        self._scored: Scored | None = None
        self._pieces = 1 if problem.verify is None else 2  # of work to come after a look at the deadline

    def evaluate(self, actions: Array, first: int = 0) -> bool:
        """Score candidates chunk by chunk; False when the deadline cut them short. The first chunk is always scored.

        With a screen the cheap ones come next to the `first`, and what cannot be `wanted` is left out.
        """
        screening = self._screening
        order = screening.order(actions, first)
        chunk = len(actions) if self._problem.deadline.unlimited and not screening.active else self._chunk
        kept, parts = [] if self._scored is None else [self._scored], list[Scored]()
        done, complete = 0, True
        while done < len(actions) and not (parts and screening.settled([*kept, *parts])):
            if parts and not self.time_left():
                complete = False
                break
            parts.append(_finite(self._problem.score(actions[order[done : done + chunk]])))
            screening.learn(parts[-1])
            done += len(parts[-1].value)
        back = np.argsort(order[:done])  # into their places: of equals the earlier one stays the better
        self._add(actions[order[:done][back]], _rows(_joined(parts), back))
        self._samples += len(actions) if complete else done
        return complete

    def _add(self, actions: Array, scored: Scored) -> None:
        self._all.append((actions, scored))
        if self._actions is None or self._scored is None:
            self._actions, self._scored = actions, scored
        else:
            self._actions = np.concatenate([self._actions, actions])
            self._scored = _joined([self._scored, scored])

    def time_left(self) -> bool:
        """Whether another chunk, and what is due after it, would be done by the deadline."""
        return self._problem.deadline.allows(self._pieces)

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
        self._scored = _rows(self._scored, stay)
        return actions, score

    def safe(self) -> tuple[Array, Array]:
        """This iteration's safe candidates [N, H, 2] and their values [N]; where none is, all and minus their risk."""
        assert self._actions is not None and self._scored is not None
        feasible = self._scored.risk <= 1.0
        rank = np.where(feasible, self._scored.value, np.float32(-np.inf)) if feasible.any() else -self._scored.risk
        chosen = np.isfinite(rank)
        actions, score = self._actions[chosen], rank[chosen]
        self._actions = self._scored = None
        return actions, score

    def best(self, complete: bool) -> Solution:
        """The best of all that was evaluated, earlier before later; after `verify`, where the problem has it."""
        if self._problem.watch is not None:
            self._problem.watch(*self._all[-1])
        actions = np.concatenate([part for part, _ in self._all])
        scored = _joined([part for _, part in self._all])
        if self._problem.verify is not None:
            order = preference(scored.value, scored.risk)[: VERIFIED - 1]
            order = np.append(order, int(np.argmin(scored.risk)))  # where the best are refused, the least risky remains
            actions, scored = actions[order], _rows(scored, order)
            scored = Scored(scored.value, verified_risk(self._problem, actions, scored.risk), scored.detail)
        index = int(preference(scored.value, scored.risk)[0])
        return Solution(
            actions[index].copy(),
            float(scored.value[index]),
            float(scored.risk[index]),
            scored.detail[index].copy(),
            samples=self._samples,
            complete=complete,
        )


def preference(value: Array, risk: Array) -> NDArray[np.intp]:
    """Order from best to worst: safe before unsafe, among the safe by value, among the others by risk."""
    unsafe = ~(risk <= 1.0)
    return np.lexsort((np.where(unsafe, risk, -value), unsafe))


def verified_risk(problem: Problem, actions: Array, risk: Array) -> Array:
    """The larger of a candidate's own risk [N] and the one that `verify` finds; what is not finite is infinite."""
    assert problem.verify is not None
    further = problem.verify(actions)
    worst: Array = np.maximum(risk, np.where(np.isfinite(further), further, np.float32(np.inf)))
    return worst


def _wanted(problem: Problem, wanted: int | None) -> int | None:
    """So many, and those that will be verified."""
    return wanted if wanted is None or problem.verify is None else max(wanted, VERIFIED)


def _finite(scored: Scored) -> Scored:
    finite = np.isfinite(scored.value) & np.isfinite(scored.risk)
    value = np.where(finite, scored.value, np.float32(-np.inf))
    return Scored(value, np.where(finite, scored.risk, np.float32(np.inf)), scored.detail)


def _columns(scored: Scored) -> tuple[Array, Array, Array]:
    return scored.value, scored.risk, scored.detail


def _rows(scored: Scored, index: NDArray[np.intp]) -> Scored:
    return Scored(*(column[index] for column in _columns(scored)))


def _joined(parts: list[Scored]) -> Scored:
    return Scored(*(np.concatenate(column) for column in zip(*map(_columns, parts), strict=True)))
