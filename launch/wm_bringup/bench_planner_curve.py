"""How well the planner drives for the time that it takes: searches of several sizes, and full ones under a deadline."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wm_bringup.errors import BringupError

if TYPE_CHECKING:
    from wm_bringup.bench_planner import PlannerBench
    from wm_bringup.bench_planner_drive import Engines
    from wm_planner.agent import Agent
    from wm_sim.world import World


@dataclass(frozen=True)
class Point:
    """One way to search. candidates: of each iteration, none: the policy alone. deadline_ms: None, unhurried."""

    candidates: tuple[int, ...]
    deadline_ms: float | None = None

    @property
    def name(self) -> str:
        if not self.candidates:
            return "policy"
        size = ", ".join(map(str, self.candidates))
        return size if self.deadline_ms is None else f"{size} in {self.deadline_ms:g} ms"


_TICKS_MS = (1, 2, 5, 10, 20, 50, 100)
FULL = (256, 128, 64)
POINTS = (
    Point(()), Point((64,)), Point((64, 64, 64)), Point((128, 64, 64)), Point(FULL), Point((512, 256, 128)),
    Point(FULL, 10.0), Point(FULL, 25.0), Point(FULL, 50.0),
)  # fmt: skip


@dataclass
class Drives:
    """What the drives of one point gave."""

    plan_ms: list[float] = field(default_factory=list)
    score: list[float] = field(default_factory=list)  # driving score of each drive, 0..100
    reward: list[float] = field(default_factory=list)  # mean reward a step of each drive
    success: list[bool] = field(default_factory=list)

    def row(self, point: Point) -> dict[str, Any]:
        """The point as --json writes it; sem: standard error of the mean."""
        p50, p99 = np.percentile(self.plan_ms, [50, 99])
        root = max(len(self.score) - 1, 1) ** 0.5
        return {
            "name": point.name, "candidates": point.candidates, "deadline_ms": point.deadline_ms,
            "drives": len(self.score), "p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3),
            "score": round(float(np.mean(self.score)), 2), "score_sem": round(float(np.std(self.score)) / root, 2),
            "reward": round(float(np.mean(self.reward)), 4), "reward_sem": round(float(np.std(self.reward)) / root, 4),
            "success": round(float(np.mean(self.success)), 3),
        }  # fmt: skip


def curve_points(config: PlannerBench, engines: Engines, horizon: int) -> list[dict[str, Any]]:
    """Every point on the same drives, in turn, so that all see the same machine. On one thread, gate included."""
    import torch

    from wm_bringup.bench_planner_drive import tuning_episodes
    from wm_bringup.bench_planner_table import progress
    from wm_sim.world import World

    torch.set_num_threads(1)
    engine, world = engines.get("onnxruntime", 1, horizon), World()
    drives = {point: (_agent(engine, point), Drives()) for point in POINTS}
    episodes = itertools.islice(tuning_episodes(config.family, config.seed), config.curve_drives)
    with progress("drives of the curve", config.curve_drives * len(POINTS)) as advance:
        for family, seed in episodes:
            for agent, gathered in drives.values():
                _drive(world, family, seed, agent, gathered)
                advance()
    return [gathered.row(point) for point, (_, gathered) in drives.items()]


def _agent(engine: Any, point: Point) -> Agent:
    from wm_planner.agent import Agent, AgentConfig
    from wm_planner.planner import PlannerConfig
    from wm_planner.solvers import solver_config

    deadline_s = None if point.deadline_ms is None else 1e-3 * point.deadline_ms
    if not point.candidates:
        return Agent(engine, AgentConfig(policy_only=True))
    planner = PlannerConfig(search=solver_config("icem", point.candidates))
    return Agent(engine, AgentConfig(planner=planner, deadline_s=deadline_s))


def _drive(world: World, family: str, seed: int, agent: Agent, gathered: Drives) -> None:
    from wm_sim.scoring import Scorer

    frame, scorer = world.reset(family, seed), Scorer()
    agent.reset(world.route)
    scorer.add_frame(frame, world)
    while not (frame.terminated or frame.truncated):
        observation = {"camera": frame.camera, "scan": frame.scan, "state": frame.state}
        frame = world.step(agent.act(observation, frame.pose))
        gathered.plan_ms.append(agent.timings.plan_ms)
        scorer.add_frame(frame, world)
    score = scorer.result()
    gathered.score.append(score.driving_score)
    gathered.reward.append(score.total_reward / max(score.steps, 1))
    gathered.success.append(score.success)


def plot(points: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Score and reward over plan time, with standard errors, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 4.0), layout="constrained")
    series = {"whole search": [row for row in points if row["deadline_ms"] is None],
              "under a deadline": [row for row in points if row["deadline_ms"] is not None]}  # fmt: skip
    for axes, key, title in zip(
        figure.subplots(1, 2), ("score", "reward"), ("driving score", "reward a step"), strict=True
    ):
        for label, rows in series.items():
            times = [row["p50_ms"] for row in rows]
            means, errors = [row[key] for row in rows], [row[f"{key}_sem"] for row in rows]
            axes.errorbar(times, means, errors, marker="o", capsize=3, label=label)
            for row in rows:
                above = row["deadline_ms"] is None
                text = row["name"] if above else f"{row['deadline_ms']:g} ms"
                place = (3, 5) if above else (-4, -6)
                axes.annotate(
                    text, (row["p50_ms"], row[key]), place, textcoords="offset points", fontsize=7, rotation=55,
                    rotation_mode="anchor", ha="left" if above else "right",
                )  # fmt: skip
        axes.set_xscale("log")
        axes.set_xticks(_TICKS_MS, labels=[f"{tick:g}" for tick in _TICKS_MS])
        axes.minorticks_off()
        axes.set_xlim(0.6 * min(row["p50_ms"] for row in points), 2.0 * max(row["p50_ms"] for row in points))
        axes.set_xlabel("plan, median ms")
        axes.set_ylabel(title)
        axes.grid(alpha=0.3)
    figure.axes[0].legend(loc="upper right", fontsize=8)
    try:
        figure.savefig(path, dpi=140)
    except OSError as error:
        raise BringupError(f"{path}: {error.strerror}. Name another file with --curve.") from error
