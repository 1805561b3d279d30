"""How many candidates screening spares the model, and how many plans it changes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from wm_bringup.bench_planner_drive import Array, Moment, plan_while_driving, tuning_episodes
from wm_bringup.bench_planner_table import progress

if TYPE_CHECKING:
    from wm_dynamics.protocols import Engine, Outcome

MARGINS = (math.inf, 0.0, 0.5, 1.0, 2.0)  # the first leaves nothing out


class CountingEngine:
    """An engine that counts the candidates that it imagines."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self.imagined = engine, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def score(self, belief: Array, actions: Array) -> Outcome:
        self.imagined += len(actions)
        return self._engine.score(belief, actions)


class ScreeningContender:
    """The default planner with one margin, its plans and how much it imagined for each."""

    threads = 1

    def __init__(self, engine: Engine, margin: float) -> None:
        from wm_planner.planner import Planner, PlannerConfig

        self.margin, self._engine = margin, CountingEngine(engine)
        self._planner = Planner(cast("Engine", self._engine), PlannerConfig(screening_margin=margin))
        self.plans: list[Array] = []
        self.imagined: list[int] = []

    def reset(self) -> None:
        self._planner.reset()

    def plan(self, moment: Moment) -> Array:
        before = self._engine.imagined
        actions = self._planner.plan_from(moment.belief, moment.state, scan=moment.scan).actions
        self.plans.append(actions)
        self.imagined.append(self._engine.imagined - before)
        return actions[0]


def screening_rows(engine: Engine, family: str, seed: int, plans: int) -> list[dict[str, Any]]:
    """A row for each margin; all plan from the same beliefs, and the one that leaves nothing out drives."""
    contenders = [ScreeningContender(engine, margin) for margin in MARGINS]
    with progress("plans, screening", plans) as advance:
        spent = plan_while_driving(contenders, engine, tuning_episodes(family, seed), plans, advance)
    every = contenders[0]
    return [
        {
            "margin": None if math.isinf(it.margin) else it.margin,
            "plans": plans,
            "imagined_mean": round(float(np.mean(it.imagined[-plans:])), 1),
            "unlike": sum(not np.array_equal(*pair) for pair in zip(it.plans, every.plans, strict=True)),
            "p50_ms": round(float(np.median(wall_ms)), 3),
        }
        for it, (wall_ms, _) in zip(contenders, spent, strict=True)
    ]
