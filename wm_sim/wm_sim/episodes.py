"""Which episode an environment drives next, drawn in the same way for one world and for many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wm_sim.errors import SimError
from wm_sim.scenarios import FAMILIES, REPORTING_SEEDS, ROAD, Options, Scenario, build_scenario

ALL = "all"


def families_of(family: str | Sequence[str]) -> tuple[str, ...]:
    """The families that a name, a list of names or "all" stands for; `road:FILE` is a map file."""
    if family == ALL:
        return tuple(FAMILIES)
    names = (family,) if isinstance(family, str) else tuple(family)
    if not names:
        raise SimError(f"scenario families: none given. Known are {', '.join(FAMILIES)}, and {ALL!r} for all of them.")
    for name in names:
        if name not in FAMILIES and not name.startswith(ROAD):
            known = f"{', '.join(FAMILIES)}, {ALL!r} for all of them, and {ROAD}FILE for a map file"
            raise SimError(f"scenario {name!r}: unknown. Known are {known}.")
    return names


class Episodes:
    """Draws (family, seed) and builds its scenario.

    pool: draw only seeds below it and keep the scenarios, so that resets cost next to nothing; None draws a fresh
    training seed every time.
    """

    def __init__(self, family: str | Sequence[str], options: Options, pool: int | None = None) -> None:
        if pool is not None and not 1 <= pool <= REPORTING_SEEDS:
            raise SimError(f"pool {pool}: expected None or 1 to {REPORTING_SEEDS} seeds.")
        self.families = families_of(family)
        self._options, self._pool = options, pool
        self._kept: dict[tuple[str, int], Scenario] = {}

    def draw(self, rng: np.random.Generator, family: str | None = None, seed: int | None = None) -> Scenario:
        """The next episode: a family and a training seed drawn from `rng` unless they are given."""
        if family is None:
            family = (
                self.families[int(rng.integers(len(self.families)))] if len(self.families) > 1 else self.families[0]
            )
        if seed is None:
            seed = int(rng.integers(self._pool or REPORTING_SEEDS))
        return self.build(family, seed)

    def fill(self) -> None:
        """Build every scenario of the pool now rather than when it is first drawn."""
        for family in self.families:
            for seed in range(self._pool or 0):
                self.build(family, seed)

    def build(self, family: str, seed: int) -> Scenario:
        """The scenario of (family, seed)."""
        if self._pool is None or not 0 <= seed < self._pool:
            return build_scenario(family, seed, self._options)
        scenario = self._kept.get((family, seed))
        if scenario is None:
            scenario = self._kept[family, seed] = build_scenario(family, seed, self._options)
        return scenario
