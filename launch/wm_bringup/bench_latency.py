"""`wm bench latency`: from the camera to the command through the running graph, hop by hop.

The whole stack drives in realtime, episode after episode, while a watcher notes when each message of a frame was
published, by the middleware's clock.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from wm_bringup.errors import BringupError
from wm_bringup.paths import MODEL, find_model, stack_parameters

CHAIN = ("camera", "observation", "belief", "plan", "control_cmd")
FRAME_HZ = 10.0  # of simulated time
RECORDED = "frames.json"
LIMITS = {  # figure: greatest value
    "camera to control, p99 ms": 60.0,
    "ROS share, p99 ms": 10.0,
    "missed deadlines, share": 0.001,
}


@dataclass(frozen=True)
class LatencyBench:
    """From the camera to the command through the running graph, by hop."""

    seconds: float = 300.0
    """How long to drive, wall time."""
    rate: float = 10.0
    """Frames a second of wall time; the simulator runs at a tenth of it times real speed."""
    scenario: str = "lane_follow"
    """Scenario family."""
    seed: int = 500_000
    """Seed of the first episode; the next ones follow."""
    model: Path = Path(MODEL)
    """Model folder."""
    record: bool = True
    """Record a bag meanwhile, as `wm drive` does; it is removed in the end."""
    params_file: Path | None = None
    """ROS parameter file over the stack's own."""
    domain_id: int | None = None
    """ROS domain; that of the environment, or 0, when not named."""
    json: Path | None = None
    """Write the figures to this file."""


def bench_latency(config: LatencyBench) -> int:
    """Drive, print a table, write the JSON."""
    from wm_bringup.bench import machine, write_result
    from wm_bringup.domain import chosen_domain, lock_domain

    check(config)
    domain = chosen_domain(config.domain_id)
    lock = lock_domain(domain)
    here = machine()
    try:
        with tempfile.TemporaryDirectory(prefix="wm-bench-latency-") as folder:
            recorded = _drive(config, Path(folder), domain)
    finally:
        lock.close()
    result = {"bench": "latency", "machine": here, "scenario": config.scenario, "seed": config.seed,
              "recording": config.record, **summarise(recorded, config.rate)}  # fmt: skip
    show(result)
    write_result(config.json, result)
    return 0


def check(config: LatencyBench) -> None:
    """BringupError in one sentence where something does not fit."""
    from wm_sim.scenarios import FAMILIES

    if config.scenario not in FAMILIES:
        raise BringupError(f"unknown scenario {config.scenario}: choose one of {', '.join(FAMILIES)}.")
    find_model(config.model)
    if not 1.0 <= config.seconds <= 86_400.0:
        raise BringupError(f"bench latency --seconds {config.seconds:g}: choose 1 to 86400.")
    if not 1.0 <= config.rate <= 50.0:
        raise BringupError(f"bench latency --rate {config.rate:g}: choose 1 to 50 frames a second.")
    if config.params_file is not None and not config.params_file.is_file():
        raise BringupError(f"parameter file {config.params_file}: no such file. Name a ROS parameter file.")


def _drive(config: LatencyBench, folder: Path, domain: int) -> dict[str, Any]:
    """Run the stack with its watcher; what the watcher saw."""
    from wm_bringup.drive import command_line, environment
    from wm_bringup.processes import ProcessGroup, describe_end
    from wm_bringup.topology import Process, Setup, parameter_file, topology

    setup = Setup(scenario=config.scenario, seed=config.seed, model=str(find_model(config.model)),
                  speed=config.rate / FRAME_HZ, bag=str(folder / "bag") if config.record else "")  # fmt: skip
    simulator, *others = topology(setup)
    processes = [replace(simulator, parameters=simulator.parameters | {"when_done": "again"}), *others]
    watcher = {"out": str(folder / RECORDED), "seconds": config.seconds}
    processes.append(Process("wm_bringup", "bench_latency_node", watcher))
    chosen = folder / "parameters.yaml"
    chosen.write_text(yaml.safe_dump(parameter_file(tuple(processes)), sort_keys=False))
    files = [stack_parameters(), *([config.params_file.resolve()] if config.params_file else []), chosen]
    logs = folder / "log"
    logs.mkdir()
    group = ProcessGroup(logs)
    for process in processes:
        group.add(process.name, command_line(process, files), environment(domain))
    group.run()
    if group.first is None:
        raise KeyboardInterrupt
    if group.first != "bench_latency_node" or group.codes[group.first]:
        code = group.codes[group.first]
        raise BringupError(f"bench latency: {group.first} ended ({describe_end(code)}); what it said stands above.")
    recorded: dict[str, Any] = json.loads((folder / RECORDED).read_text())
    return recorded


def summarise(recorded: Mapping[str, Any], rate: float) -> dict[str, Any]:
    """What --json writes about the frames that the watcher saw.

    recorded: "frames", each with the times of publication of CHAIN (ns, None where there was none) and the milliseconds
    of computing that the messages report; "ticks" and "missed_ticks" of the simulator. A deadline is missed where no
    planned command came within the period.
    """
    frames, period_ms = recorded["frames"], 1e3 / rate
    whole = [frame for frame in frames if all(frame[name] is not None for name in CHAIN)]
    if not whole:
        raise BringupError("bench latency: not one frame was answered by a plan; drive longer with --seconds.")
    times = np.array([[frame[name] for name in CHAIN] for frame in whole], np.int64)
    compute = np.array([frame["compute_ms"] for frame in whole], np.float64)
    hops = np.diff(times, axis=1) * 1e-6
    total = (times[:, -1] - times[:, 0]) * 1e-6
    in_time = int(np.count_nonzero(total <= period_ms))
    rows: list[tuple[str, np.ndarray]] = [
        (f"{a} → {b}", hops[:, k]) for k, (a, b) in enumerate(itertools.pairwise(CHAIN))
    ]
    rows += [("camera to control", total)]
    rows += [(name, compute[:, k]) for k, name in enumerate(("encode", "filter", "plan"))]
    rows += [("ROS share", total - compute.sum(axis=1))]
    hop_rows = [{"name": name, **_spread(ms)} for name, ms in rows]
    p99 = {name: float(np.percentile(ms, 99)) for name, ms in rows}
    values = {
        "camera to control, p99 ms": p99["camera to control"],
        "ROS share, p99 ms": p99["ROS share"],
        "missed deadlines, share": 1.0 - in_time / len(frames),
    }
    return {
        "rate_hz": rate,
        "frames": len(frames),
        "episodes": recorded["episodes"],
        "missed": len(frames) - in_time,
        "simulator_ticks": recorded["ticks"],
        "simulator_ticks_missed": recorded["missed_ticks"],
        "hops": hop_rows,
        "figures": [
            {"name": name, "value": round(value, 5), "wanted": LIMITS[name], "met": bool(value <= LIMITS[name])}
            for name, value in values.items()
        ],
    }


def _spread(ms: np.ndarray) -> dict[str, float]:
    p50, p99 = np.percentile(ms, [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "max_ms": round(float(ms.max()), 3)}


def show(result: Mapping[str, Any]) -> None:
    """Print the tables."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from wm_bringup.bench_planner_table import busy, figure_table, wide_console

    here = result["machine"]
    title = f"{here['processor']}, {here['cores']} cores, load {here['load']}: {result['frames']:,} frames at "
    title += f"{result['rate_hz']:g} Hz, {result['episodes']} episodes of {result['scenario']}"
    table = Table(box=SIMPLE_HEAD)
    table.add_column("hop")
    for name in ("p50 ms", "p99 ms", "worst ms"):
        table.add_column(name, justify="right")
    for row in result["hops"]:
        table.add_row(row["name"], *(f"{row[k]:.2f}" for k in ("p50_ms", "p99_ms", "max_ms")))
    console = wide_console()
    console.print(title)
    console.print(table)
    ticks = f"{result['simulator_ticks_missed']} of {result['simulator_ticks']:,}"
    console.print(f"Frames without a command in time: {result['missed']}. Simulator ticks missed: {ticks}.")
    console.print(figure_table(result["figures"]))
    if busy(here):
        console.print(busy(here))
