"""Leaves candidates out that cannot be among the best, before the model has imagined anything for them.

A candidate's value is what the score promises less what it costs for certain: discomfort, departure from the policy.
Promises of one plan's candidates lie close together, costs far apart. So the cheap ones are scored first, and as soon
as the next cheapest would have to promise clearly more than any before to come among the best, no other is scored: the
bounding step of branch and bound (Land and Doig 1960), with a bound that is found while searching.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wm_planner.solvers.protocol import Scored, Screen

Array = NDArray[np.float32]


class Screening:
    """One plan's. Without a screen, or where all candidates are `wanted`, it leaves none out."""

    def __init__(self, screen: Screen | None, wanted: int | None) -> None:
        """`wanted`: how many of the best have to be the same as if every candidate were scored; None: all count."""
        self._screen, self._wanted = (screen, wanted) if wanted is not None else (None, 0)
        self._best_promise = -math.inf
        self._left: Array = np.zeros(0, np.float32)  # [M] costs of those that are not scored yet

    @property
    def active(self) -> bool:
        """Whether it may leave candidates out."""
        return self._screen is not None

    def order(self, actions: Array, first: int) -> NDArray[np.intp]:
        """How to score an iteration's candidates [N, H, 2]: the `first` in their places, then what costs least [N]."""
        places = np.arange(len(actions))
        if self._screen is None:
            return places
        cost = self._screen.cost(actions)
        order = np.concatenate([places[:first], np.argsort(cost[first:], kind="stable") + first])
        self._left = cost[order]
        return order

    def learn(self, scored: Scored) -> None:
        """What the next so many candidates have got."""
        if self._screen is not None:
            cost, self._left = np.split(self._left, [len(scored.value)])
            hopeful = np.isfinite(cost)
            promise = scored.value[hopeful] + cost[hopeful]
            self._best_promise = max(self._best_promise, float(promise.max(initial=-np.inf)))

    def settled(self, scored: Sequence[Scored]) -> bool:
        """Whether no candidate that is left can come among the best of those scored, by the feasibility rule."""
        if self._screen is None:
            return False
        safe = np.concatenate([part.value[part.risk <= 1.0] for part in scored])
        if len(safe) < self._wanted:
            return False  # risk ranks then, of which nothing is known before
        last = np.partition(safe, -self._wanted)[-self._wanted]
        return bool(last >= self._best_promise + self._screen.margin - self._left.min())
