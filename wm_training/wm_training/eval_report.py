"""What an evaluation says: the object of `wm eval --json` and the table of the terminal."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wm_perception.durable import write_text
from wm_sim.contract import BUILTIN, find_simulator
from wm_training.agents import model_id, plans
from wm_training.errors import TrainingError

if TYPE_CHECKING:
    from wm_training.evaluate import Episode, EvalConfig


def report_of(
    config: EvalConfig, families: list[str], episodes: list[Episode], interrupted: bool = False
) -> dict[str, Any]:
    """The object of `wm eval --json`: figures of all drives, of each family, and every drive."""
    road = {} if config.road is None else {"road": str(config.road), "traffic": config.traffic}
    return {
        "agent": config.agent,
        "suite": config.suite if config.road is None else config.road.stem,
        "seed": config.seed,
        "seeds": kind_of_seeds([episode.seed for episode in episodes]),
        **figures(episodes),
        "families": {name: figures([e for e in episodes if e.family == name]) for name in families},
        "episode_list": [episode.row() for episode in episodes],
        "model_id": model_id(config.agent),
        "commit": commit(),
        **road,
        **own_return(config.sim, episodes),
        **({} if config.blackout == "none" else {"blackout": config.blackout}),
        **({"planner": settings} if (settings := config.planner_values) else {}),
        **gate_of(config, episodes),
        **({"interrupted": True} if interrupted else {}),
    }


def gate_of(config: EvalConfig, episodes: Sequence[Episode]) -> dict[str, Any]:
    """Of an agent that plans: each reason that the gate gave, as a share of its decisions; its limits where named."""
    if not config.gate:
        return {"gate": False}
    if not plans(config.agent):
        return {}
    decisions = max(sum(episode.plan_s.size for episode in episodes), 1)
    given: Counter[str] = sum((episode.reasons for episode in episodes), Counter())
    shares = {reason: round(count / decisions, 6) for reason, count in sorted(given.items())}
    return {"gate_reasons": shares, **({} if config.limits is None else {"limits": str(config.limits)})}


def own_return(sim: str, episodes: Sequence[Episode]) -> dict[str, Any]:
    """Of another simulator: which, and the mean return of its own task with its standard error, where it has one."""
    if sim == BUILTIN:
        return {}
    score = find_simulator(sim).declaration.own_score
    if not score or not episodes:
        return {"sim": sim}
    returns = np.array([episode.own_return for episode in episodes])
    sem = float(returns.std(ddof=1) / math.sqrt(len(returns))) if len(returns) > 1 else 0.0
    return {"sim": sim, "own_score": score, "own_return_mean": float(returns.mean()), "own_return_sem": sem}


def kind_of_seeds(seeds: Sequence[int]) -> str:
    """Whether these seeds were kept for reporting, may have been trained or tuned on, or are of both kinds."""
    from wm_sim.scenarios import is_reporting_seed

    kinds = {is_reporting_seed(seed) for seed in seeds}
    return "mixed" if len(kinds) > 1 else "reporting" if True in kinds else "tuning"


def figures(episodes: Sequence[Episode]) -> dict[str, Any]:
    """Scores, rates and times of some drives."""
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
    write_whole(path, json.dumps(report, indent=1, allow_nan=False) + "\n", "json")


def write_whole(path: Path, text: str, option: str) -> None:
    """Write a file so that a reader finds the old one or the new one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text, path.with_name(f".{path.name}.{os.getpid()}"))
    except OSError as error:
        raise TrainingError(f"{path} cannot be written: {error.strerror}. Choose another --{option}.") from None


def title(report: dict[str, Any]) -> str:
    """Who drove on which seeds."""
    return f"{report['agent']}, {report['seeds']} seeds from {report['seed']}"


HEADS = ("family", "n", "success", "95 %", "score", "nuPlan", "fault", "off", "red", "comfort", "plan p99")


def cells(name: str, row: dict[str, Any]) -> list[str]:
    """A family's line in the order of HEADS: fault, off and red count drives at fault, off the road, red lights."""
    low, high = row["success_ci95"]
    return [
        name,
        str(row["episodes"]),
        f"{row['success_rate']:.2f}",
        f"{low:.2f}-{high:.2f}",
        f"{row['driving_score']:.1f}",
        f"{row['nuplan_score']:.1f}",
        str(row["at_fault_collisions"]),
        str(row["off_road"]),
        str(row["red_lights"]),
        f"{row['comfort']:.2f}",
        f"{row['plan_ms']['p99']:.1f} ms",
    ]


def rows(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The figures of each family that was driven, and of all together where there is more than one."""
    driven = {name: row for name, row in report["families"].items() if row["episodes"]}
    return driven | {"all": report} if len(driven) > 1 else driven


def table(report: dict[str, Any]) -> Any:
    """One line a family, 80 columns wide."""
    from rich.table import Table

    grid = Table(title=title(report), title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for head in HEADS:
        grid.add_column(head, justify="left" if head == "family" else "right", no_wrap=True)
    for name, row in rows(report).items():
        grid.add_row(*cells(name, row))
    return grid
