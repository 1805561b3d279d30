"""Drive an agent through many scenarios in process and score it: `wm eval`.

Seeds below 1,000,000 are for training and tuning; from there up they are for reporting. Episode i of a family is the
world of seed + i, each with an agent of its own, so that the figures do not depend on the number of workers.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro

from wm_training.agents import DRIVERS, blind, make_agent, model_path, shared_engine
from wm_training.errors import TrainingError

if TYPE_CHECKING:
    from wm_sim.scoring import EpisodeScore
    from wm_sim.world import Frame, World

REPORT_SEED = 1_000_000  # seeds from here up are never trained on


@dataclass(frozen=True)
class EvalConfig:
    """What to drive, how often, and where the figures go."""

    agent: str = "model"
    """expert, idm, constant, random, model (the shipped one) or model:PATH."""
    suite: str = "lane_follow"
    """A scenario family, or `all` with the episodes spread evenly over every family."""
    seed: int = REPORT_SEED
    """First seed; from 1,000,000 up for reporting, below for tuning."""
    episodes: int = 50
    """Number of drives."""
    json: Path | None = None
    """Write the figures to this file."""
    workers: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Processes; one per core unless given. The figures do not depend on it."""
    blackout: Literal["none", "camera", "scan"] = "none"
    """Take this sensor away from the agent: camera black, or scan empty."""
    pictures: Path | None = None
    """Write a contact sheet of the worst drives into this folder."""


@dataclass(frozen=True)
class Episode:
    """One drive and its score."""

    family: str
    seed: int
    score: EpisodeScore
    plan_s: np.ndarray  # [T] wall time of each decision
    env_s: float  # wall time inside the simulator

    def row(self) -> dict[str, Any]:
        """The reproducible part, for `episode_list`."""
        return {"family": self.family, "seed": self.seed, **asdict(self.score)}


def evaluate(config: EvalConfig) -> dict[str, Any]:
    """Drive `config.episodes` scenarios; the figures as one JSON-ready object."""
    families = _check(config)
    tasks = [(families[i % len(families)], config.seed + i // len(families)) for i in range(config.episodes)]
    workers = min(config.workers or _cores(), len(tasks))
    episodes: list[Episode | None] = [None] * len(tasks)
    with _progress(config, len(tasks)) as advance:
        for index, episode in _drive_all(config, tasks, workers):
            episodes[index] = episode
            advance(episode)
    done = [episode for episode in episodes if episode is not None]
    report = _report(config, families, done)
    if config.json is not None:
        write_json(config.json, report)
    if config.pictures is not None:
        from wm_training.pictures import contact_sheet

        contact_sheet(config, done)
    return report


def run(config: EvalConfig) -> None:
    """`wm eval`: evaluate and print one line a family."""
    from rich.console import Console

    report = evaluate(config)
    Console().print(_table(report))


def drive_episode(
    config: EvalConfig, family: str, seed: int, keep: list[Frame] | None = None, world: World | None = None
) -> Episode:
    """One drive to its end; `keep` collects the frames."""
    from wm_sim.scoring import Scorer
    from wm_sim.world import World

    world = world or World()
    agent = make_agent(config.agent, seed)
    scorer = Scorer()
    plan_s: list[float] = []
    started = time.perf_counter()
    frame = world.reset(family, seed)
    env_s = time.perf_counter() - started
    agent.reset(world)
    scorer.add_frame(frame, world)
    while not (frame.terminated or frame.truncated):
        if keep is not None:
            keep.append(frame)
        asked = time.perf_counter()
        action = agent.act(blind(frame, config.blackout))
        answered = time.perf_counter()
        frame = world.step(action)
        env_s += time.perf_counter() - answered
        plan_s.append(answered - asked)
        scorer.add_frame(frame, world)
    if keep is not None:
        keep.append(frame)
    return Episode(family, seed, scorer.result(), np.array(plan_s), env_s)


def replay(config: EvalConfig, family: str, seed: int, size_px: int) -> tuple[list[Frame], np.ndarray]:
    """Drive one episode again: its frames, and the view from above at its end, [size, size, 3]."""
    from wm_sim.world import World

    world = World()
    frames: list[Frame] = []
    drive_episode(config, family, seed, frames, world)
    return frames, world.top_view(size_px, trail=np.array([frame.true_pose[:2] for frame in frames]))


def _check(config: EvalConfig) -> list[str]:
    """Refuse what cannot be driven before anything is driven; the families of the suite."""
    from wm_sim.scenarios import FAMILIES

    if config.agent not in (*DRIVERS, "model") and not config.agent.startswith("model:"):
        raise TrainingError(f"agent {config.agent!r}: eval knows {', '.join(DRIVERS)}, model and model:PATH.")
    if config.suite != "all" and config.suite not in FAMILIES:
        raise TrainingError(f"suite {config.suite!r}: eval knows {', '.join(FAMILIES)} and all.")
    if config.episodes < 1:
        raise TrainingError(f"episodes {config.episodes}: at least 1 is needed.")
    if config.workers is not None and config.workers < 1:
        raise TrainingError(f"workers {config.workers}: at least 1 is needed; leave it out for one per core.")
    if not 0 <= config.seed <= 2**32 - config.episodes:
        raise TrainingError(f"seed {config.seed}: every seed of the run must lie in 0..4294967295.")
    if config.json is not None and config.json.is_dir():
        raise TrainingError(f"{config.json} is a folder: --json takes the name of a file.")
    if config.pictures is not None and config.pictures.exists() and not config.pictures.is_dir():
        raise TrainingError(f"{config.pictures} is a file: --pictures takes the name of a folder.")
    if config.agent not in DRIVERS:
        shared_engine(model_path(config.agent))  # a damaged model is said once, here, and not by every worker
    return list(FAMILIES) if config.suite == "all" else [config.suite]


def _drive_all(config: EvalConfig, tasks: list[tuple[str, int]], workers: int) -> Iterator[tuple[int, Episode]]:
    """Every task with its index, in the order in which they finish."""
    if workers == 1:
        for index, (family, seed) in enumerate(tasks):
            yield index, drive_episode(config, family, seed)
        return
    import joblib

    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        pool = joblib.Parallel(n_jobs=workers, return_as="generator_unordered")
        with _deaf_to_interrupts():
            results = pool(joblib.delayed(_indexed)(config, i, *task) for i, task in enumerate(tasks))
        yield from results


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started inside inherit that Ctrl-C is not for them: this one ends them, without their tracebacks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _indexed(config: EvalConfig, index: int, family: str, seed: int) -> tuple[int, Episode]:
    return index, drive_episode(config, family, seed)


def _report(config: EvalConfig, families: list[str], episodes: list[Episode]) -> dict[str, Any]:
    """The object of `wm eval --json`."""
    return {
        "agent": config.agent,
        "suite": config.suite,
        "seed": config.seed,
        **_figures(episodes),
        "families": {name: _figures([e for e in episodes if e.family == name]) for name in families},
        "episode_list": [episode.row() for episode in episodes],
        "model_id": None if config.agent in DRIVERS else shared_engine(model_path(config.agent)).config.model_id,
        "commit": commit(),
        **({} if config.blackout == "none" else {"blackout": config.blackout}),
    }


def _figures(episodes: list[Episode]) -> dict[str, Any]:
    from wm_sim.scoring import summarise

    plan_ms = 1e3 * np.concatenate([e.plan_s for e in episodes]) if episodes else np.zeros(0)
    p50, p99 = (float(v) for v in np.percentile(plan_ms, (50, 99))) if plan_ms.size else (0.0, 0.0)
    env_s = sum(e.env_s for e in episodes)
    return {
        **summarise([e.score for e in episodes]),
        "plan_ms": {"p50": p50, "p99": p99},
        "env_steps_per_s": plan_ms.size / env_s if env_s else 0.0,
    }


def commit() -> str | None:
    """The commit of the source tree, `-dirty` behind it if files differ; None outside a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, check=False, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def write_json(path: Path, report: dict[str, Any]) -> None:
    """Write the whole file or none of it."""
    text = json.dumps(report, indent=1, allow_nan=False) + "\n"
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise TrainingError(f"{path} cannot be written: {error.strerror}. Choose another --json.") from None


def _cores() -> int:
    return len(os.sched_getaffinity(0))


@contextmanager
def _progress(config: EvalConfig, total: int) -> Iterator[Callable[[Episode], None]]:
    """A bar on stderr with the drives done and the failures so far; nothing where stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{config.agent} {config.suite}", total=total)
        failed = 0

        def advance(episode: Episode) -> None:
            nonlocal failed
            failed += not episode.score.success
            bar.update(task, advance=1, description=f"{config.agent} {config.suite}, {failed} failed")

        yield advance


def _table(report: dict[str, Any]) -> Any:
    """One line a family, 80 columns wide."""
    from rich.table import Table

    title = f"{report['agent']}, seeds from {report['seed']}"
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for head in ("family", "drives", "success", "95 %", "score", "at fault", "off road", "comfort", "plan p99"):
        table.add_column(head, justify="left" if head == "family" else "right", no_wrap=True)
    rows = dict(report["families"])
    if len(rows) > 1:
        rows["all"] = report
    for name, row in rows.items():
        low, high = row["success_ci95"]
        table.add_row(
            name,
            str(row["episodes"]),
            f"{row['success_rate']:.2f}",
            f"{low:.2f}-{high:.2f}",
            f"{row['driving_score']:.1f}",
            str(row["at_fault_collisions"]),
            str(row["off_road"]),
            f"{row['comfort']:.2f}",
            f"{row['plan_ms']['p99']:.1f} ms",
        )
    return table
