"""Which worlds a collection drives in: families by their weights, seeds upward in each."""

from __future__ import annotations

import math

from wm_sim.contract import BUILTIN, scenarios_of
from wm_sim.scenarios import REPORTING_SEEDS, is_reporting_seed
from wm_training.collect_report import Episode
from wm_training.errors import TrainingError


def plan_episodes(episodes: int, suite: str, weights: str, seed: int, sim: str = BUILTIN) -> list[Episode]:
    """Worlds in order. Families alternate by weight; equal weights are families in turn. TrainingError if unusable."""
    if episodes < 1:
        raise TrainingError(f"episodes: {episodes} is nothing to collect; ask for at least 1.")
    shares = {name: 1.0 for name in families_of(suite, sim)}
    for name, weight in weights_of(weights).items():
        if name not in shares:
            raise TrainingError(f"weights {weights}: {name} is not in --suite; choose {', '.join(shares)}.")
        shares[name] = weight
    seeds, worlds = dict.fromkeys(shares, seed), []
    credit, total = dict.fromkeys(shares, 0.0), sum(shares.values())
    for _ in range(episodes):
        for name, share in shares.items():
            credit[name] += share
        name = max(credit, key=lambda family: round(credit[family], 9))  # the first of equals
        credit[name] -= total
        worlds.append(Episode(name, seeds[name]))
        seeds[name] += 1
    last = max(world.seed for world in worlds)
    if seed < 0 or is_reporting_seed(last):
        raise TrainingError(
            f"seeds {seed} to {last}: collecting uses 0 to {REPORTING_SEEDS - 1}, those above are "
            "for reporting; choose another --seed."
        )
    return worlds


def families_of(suite: str, sim: str = BUILTIN) -> list[str]:
    """The simulator's scenarios that `all`, a name or a comma list of names stands for, each once."""
    known = scenarios_of(sim)
    if suite == "all":
        return list(known)
    names = list(dict.fromkeys(name.strip() for name in suite.split(",")))
    for name in names:
        if name not in known:
            raise TrainingError(f"suite {name}: no such scenario family; choose all, {', '.join(known)}.")
    return names


def weights_of(text: str) -> dict[str, float]:
    """`merge=2,cut_in=1.5` as a dictionary; empty for an empty text."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = part.partition("=")
        try:
            weight = float(number)
        except ValueError:
            weight = math.nan
        if not (math.isfinite(weight) and weight > 0.0):
            raise TrainingError(f"weights {part}: expected family=number above 0, for example merge=2,cut_in=1.5.")
        found[name.strip()] = weight
    return found
