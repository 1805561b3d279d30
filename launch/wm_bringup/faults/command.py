"""`wm faults`: put faults into the running graph and report what the car did."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from wm_bringup.domain import chosen_domain, lock_domain
from wm_bringup.drive import check_model
from wm_bringup.errors import BringupError
from wm_bringup.faults.fault import Fault
from wm_bringup.faults.judge import Run
from wm_bringup.faults.report import line, markdown_table, put_between_markers, read_runs, rows_of, write_json
from wm_bringup.faults.table import all_faults, chosen_faults
from wm_bringup.middleware import middleware_defaults
from wm_bringup.paths import MODEL, fresh_folder
from wm_perception.durable import write_text


@dataclass(frozen=True)
class FaultsConfig:
    """Put faults into the running graph, one after the other, and report what the car did about each."""

    show: Annotated[bool, tyro.conf.arg(name="list")] = False
    """List the faults with their limits and end."""
    only: str = ""
    """Faults or groups by name or pattern, separated by commas: kill_planner,nan_*."""
    repeat: int = 1
    """Drives a fault."""
    json: Path | None = None
    """Write rows and runs here, anew after every run."""
    resume: bool = False
    """Keep the runs that --json's file holds already, and do those that it lacks."""
    markdown: Path | None = None
    """Write the table into this page, between its markers."""
    model: Path = Path(MODEL)
    """Model folder."""
    speed: float = 1.0
    """Simulated seconds per wall second: below 1 on a machine too busy for realtime. Times are simulated ones, so what
    the gate measures by the wall then looks quicker than it is."""
    seed: int = 100
    """Seed of the first drive's world; the next repetition takes the next."""
    out: Path | None = None
    """Folder for logs and bags; runs/drive-<time> when not named."""
    domain_id: int | None = None
    """ROS domain; that of the environment, or 0, when not named."""


def faults(config: FaultsConfig) -> int:
    """Run the chosen faults; 0 when every row is met. BringupError in one sentence when nothing can be run."""
    chosen = chosen_faults(config.only)
    if config.show:
        print(listing(chosen))
        return 0
    if config.repeat < 1:
        raise BringupError(f"--repeat {config.repeat}: at least 1 is needed.")
    if not 0.05 <= config.speed <= 1.0:
        raise BringupError(f"--speed {config.speed:g}: must be from 0.05 to 1.")
    results = read_runs(config.json) if config.resume and config.json and config.json.exists() else {}
    todo = missing(chosen, results, config.repeat)
    if config.markdown is not None:
        put_between_markers(config.markdown.read_text(), "", str(config.markdown))  # refuse now what would fail then
    if todo:
        _run(config, todo, results)
    if config.markdown is not None:
        page = config.markdown.read_text()
        table = markdown_table(all_faults(), results)
        write_text(config.markdown, put_between_markers(page, table, str(config.markdown)))
    rows = rows_of(chosen, results)
    print(f"{sum(row.met for row in rows)} of {len(rows)} met, {sum(row.recovered for row in rows)} recovered.")
    return 0 if all(row.met for row in rows) else 1


def _run(config: FaultsConfig, todo: list[tuple[Fault, int]], results: dict[str, list[Run]]) -> None:
    model = check_model(config.model)
    domain = chosen_domain(config.domain_id)
    about = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "model": str(config.model),
        "speed": config.speed,
        **machine(),
    }
    with lock_domain(domain):
        os.environ.update(middleware_defaults(os.environ))  # this process is part of the graph
        from wm_bringup.faults.runner import run_all
        from wm_bringup.faults.stack import Stack

        folder = fresh_folder(config.out)
        print(f"{len(todo)} runs, ROS domain {domain}; logs in {folder / 'log'}", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as on Ctrl-C: no node is left behind
        stack = Stack(model, domain, folder, config.speed)
        try:
            for fault, run in run_all(stack, todo, config.seed, folder):
                results.setdefault(fault.name, []).append(run)
                print(line(fault, run), flush=True)
                if config.json is not None:
                    write_json(config.json, all_faults(), results, about)
        finally:
            stack.end()


def missing(chosen: tuple[Fault, ...], results: dict[str, list[Run]], repeat: int) -> list[tuple[Fault, int]]:
    """Faults with the numbers of their repetitions that are still to be run; every fault once before any twice."""
    return [
        (fault, repetition)
        for repetition in range(repeat)
        for fault in chosen
        if repetition >= len(results.get(fault.name, ()))
    ]


def listing(chosen: tuple[Fault, ...]) -> str:
    """One line a fault: name, limit, where it comes from."""
    lines = []
    for fault in chosen:
        limit = "" if fault.limit_ms is None else f"{fault.limit_ms:.0f} ms ({fault.limit_from})"
        lines.append(f"{fault.name:<40} {fault.scenario:<12} {limit}".rstrip())
    return "\n".join(lines)


def machine() -> dict[str, object]:
    """What the figures were taken on."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {"cores": os.cpu_count(), "load_1min": round(os.getloadavg()[0], 2), "commit": commit.stdout.strip()}
