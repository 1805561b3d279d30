"""`wm bench anytime`: what a deadline costs. The plans of a hurried search beside those of an unhurried one.

An unhurried planner drives; the beliefs that it met are then planned from again, in the same order and with the
planner's own warm start, under each deadline. Both plans are judged by the same objective from the same belief, so that
their difference is what the deadline cost. Once as the machine is, and once with every core kept busy besides.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wm_bringup.errors import BringupError
from wm_bringup.hogs import hogs
from wm_bringup.paths import MODEL, find_model

if TYPE_CHECKING:
    from wm_dynamics.protocols import Engine
    from wm_planner.plan_result import PlanResult

UNHURRIED = (1024, 512, 256)  # candidates of each iteration, without a deadline
PER_DRIVE = 60  # plans of one drive at most, so that few plans still see many scenes
QUIET, BUSY = "as it is", "every core busy"


@dataclass(frozen=True)
class AnytimeBench:
    """How good plans are that had to be made in so many milliseconds."""

    model: Path = Path(MODEL)
    """Model folder."""
    family: str = "all"
    """Scenario family to drive, or `all` of them in turn."""
    seed: int = 500_000
    """First seed of the drives."""
    plans: int = 300
    """Beliefs to plan from."""
    solver: str = "icem"
    """icem, cem, mppi or random; policy has nothing to hurry."""
    search: str = "full"
    """Candidates of the hurried search where time allows, as planner_node's: full or half."""
    deadlines_ms: tuple[float, ...] = (10.0, 25.0, 50.0)
    """Deadlines of a plan, ms of wall time."""
    threads: int = 1
    """CPU threads of the score."""
    busy: bool = True
    """Measure with every core kept busy too."""
    json: Path | None = None
    """Write the figures to this file."""


@dataclass(frozen=True, eq=False)
class Moment:
    """A belief that was met on a drive, and the unhurried plan from it."""

    belief: np.ndarray  # [L]
    state: np.ndarray  # [15]
    scan: np.ndarray  # [72] m
    is_reset: bool  # the first of a drive
    unhurried: PlanResult


def bench_anytime(config: AnytimeBench) -> int:
    """Measure, print a line a deadline, write the JSON."""
    from wm_bringup.bench import machine, write_result
    from wm_dynamics.engines import load_engine

    if config.plans < 1 or not config.deadlines_ms or min(config.deadlines_ms) <= 0.0:
        raise BringupError("bench anytime: --plans and every one of --deadlines-ms must be more than 0.")
    engine = load_engine(find_model(str(config.model)), threads=config.threads)
    moments = meet(engine, config)
    rows = []
    for load in (QUIET, BUSY) if config.busy else (QUIET,):
        with busy_cores(load == BUSY):
            rows += [{"load": load, **judge(engine, config, moments, ms)} for ms in config.deadlines_ms]
    for row in rows:
        print(
            f"{row['deadline_ms']:5g} ms, {row['load']:<16} regret {row['regret_mean']:6.3f} mean "
            f"{row['regret_p95']:6.3f} p95 of {row['return_mean']:.2f}   {row['samples']:4.0f} candidates   "
            f"solve p50 {row['solve_ms']['p50']:5.1f} p99 {row['solve_ms']['p99']:5.1f} ms   "
            f"late {100 * row['late']:.1f} %   infeasible {100 * row['infeasible']:.1f} % "
            f"(unhurried {100 * row['infeasible_unhurried']:.1f} %)"
        )
    result = {
        "bench": "anytime", "machine": machine(), "model_id": engine.config.model_id, "solver": config.solver,
        "search": config.search, "unhurried": list(UNHURRIED), "threads": config.threads, "rows": rows,
    }  # fmt: skip
    write_result(config.json, result)
    return 0


def meet(engine: Engine, config: AnytimeBench) -> list[Moment]:
    """Beliefs on drives under the unhurried planner."""
    from wm_bringup.bench_planner_drive import tuning_episodes
    from wm_perception.scan_memory import ScanMemory
    from wm_planner.planner import PREVIOUS, Planner, PlannerConfig
    from wm_planner.solvers import solver_config
    from wm_sim.world import World

    search = solver_config(config.solver, UNHURRIED)
    planner = Planner(engine, PlannerConfig(config.solver, search))
    episodes = tuning_episodes(config.family, config.seed)
    world, frame, belief, scans = World(), None, engine.initial_belief(), ScanMemory()
    moments: list[Moment] = []
    while len(moments) < config.plans:
        begins = frame is None or frame.terminated or frame.truncated or len(moments) % PER_DRIVE == 0
        if begins or frame is None:
            frame, belief = world.reset(*next(episodes)), engine.initial_belief()
            scans.clear()
            planner.reset()
        embedding = engine.encode(frame.camera, scans.step(frame.scan), frame.state)
        belief, _ = engine.observe(belief, frame.state[PREVIOUS : PREVIOUS + 2], embedding)
        plan = planner.plan_from(belief, frame.state, scan=frame.scan)
        moments.append(Moment(belief, frame.state.copy(), frame.scan.copy(), begins, plan))
        frame = world.step(plan.actions[0])
    return moments


def judge(engine: Engine, config: AnytimeBench, moments: list[Moment], deadline_ms: float) -> dict[str, Any]:
    """The same moments under a deadline. Regrets are of moments where both plans are safe."""
    from wm_planner.plan_result import Status
    from wm_planner.planner import Planner
    from wm_planner.planner_settings import planner_config

    planner = Planner(engine, planner_config({"solver": config.solver, "search": config.search}))
    plans = []
    for moment in moments:
        if moment.is_reset:
            planner.reset()
        plans.append(planner.plan_from(moment.belief, moment.state, 1e-3 * deadline_ms, scan=moment.scan))
    unsafe = (Status.INFEASIBLE, Status.FALLBACK)
    safe = [
        (moment.unhurried, plan)
        for moment, plan in zip(moments, plans, strict=True)
        if plan.status not in unsafe and moment.unhurried.status not in unsafe
    ]
    regret = np.array([best.value - plan.value for best, plan in safe] or [np.nan])
    spent = np.array([plan.solve_ms for plan in plans])
    return {
        "deadline_ms": deadline_ms,
        "plans": len(plans),
        "regret_mean": _rounded(regret.mean()),
        "regret_p95": _rounded(np.percentile(regret, 95)),
        "return_regret_mean": _rounded(np.mean([b.expected_return - p.expected_return for b, p in safe] or [np.nan])),
        "return_mean": _rounded(np.mean([best.expected_return for best, _ in safe] or [np.nan])),
        "samples": _rounded(np.mean([plan.samples for plan in plans])),
        "solve_ms": {"p50": _rounded(np.percentile(spent, 50)), "p99": _rounded(np.percentile(spent, 99))},
        "late": float((spent > deadline_ms).mean()),
        "infeasible": float(np.mean([plan.status in unsafe for plan in plans])),
        "infeasible_unhurried": float(np.mean([moment.unhurried.status in unsafe for moment in moments])),
    }


def _rounded(value: Any) -> float:
    return round(float(value), 4)


def busy_cores(wanted: bool) -> AbstractContextManager[None]:
    """Every core of this process kept busy by another process, of the same priority, while the block runs."""
    return hogs(len(os.sched_getaffinity(0)) if wanted else 0)
