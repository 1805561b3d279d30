"""`wm bench soak`: the whole stack drives for an hour; do memory and file handles of its nodes stay where they are?

Realtime, recording, one scenario after the other; when one ends, the next begins at once.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wm_bringup.errors import BringupError
from wm_bringup.paths import MODEL, find_model

START_S = 180.0
WARM_UP_SHARE = 0.1  # of the time: pools fill, the first episodes compile what is left
GROWTH_MAX = 0.05  # of resident memory, from the first third after that to the last
HANDLES_MAX = 3  # more open files at the end than then: files come and go, so one reading says little
MIB = 2.0**20


@dataclass(frozen=True)
class SoakBench:
    """Memory and file handles of every node while the whole stack drives for long."""

    minutes: float = 60.0
    """How long to drive."""
    families: tuple[str, ...] = ()
    """Scenario families, in turn; every one unless named."""
    seed: int = 1_000_000
    """Seed of the first round of families; each round takes the next. From 1,000,000 up for reporting."""
    model: Path = Path(MODEL)
    """Model folder."""
    record: bool = True
    """Record a bag meanwhile, as `wm drive` does; it is removed in the end."""
    every_s: float = 5.0
    """Seconds from reading to reading."""
    domain_id: int | None = None
    """ROS domain; that of the environment, or 0, when not named."""
    json: Path | None = None
    """Write the figures to this file."""


def bench_soak(config: SoakBench) -> int:
    """Drive, print a table, write the JSON; 1 where something grew or a node ended."""
    from wm_bringup.bench import machine, write_result
    from wm_bringup.domain import chosen_domain, lock_domain
    from wm_sim.scenarios import FAMILIES

    for family in config.families:
        if family not in FAMILIES:
            raise BringupError(f"unknown scenario {family}: choose of {', '.join(FAMILIES)}.")
    if config.minutes < 1.0 or config.every_s < 0.5:
        raise BringupError("bench soak: --minutes must be 1 or more, --every-s 0.5 or more.")
    domain = chosen_domain(config.domain_id)
    lock = lock_domain(domain)
    here = machine()
    try:
        with tempfile.TemporaryDirectory(prefix="wm-bench-soak-") as folder:
            readings, ends = _drive(config, list(config.families or FAMILIES), Path(folder), domain)
    finally:
        lock.close()
    rows = [
        {"node": name, **figures(taken), "memory": [round(mib, 1) for mib, _ in taken]}
        for name, taken in readings.items()
    ]
    flat = all(row["flat"] for row in rows)
    result = {"bench": "soak", "machine": here, "minutes": config.minutes, "seed": config.seed, "ends": ends,
              "flat": flat, "nodes": rows}  # fmt: skip
    show(result)
    write_result(config.json, result)
    return 0 if flat else 1


def _drive(
    config: SoakBench, families: Sequence[str], folder: Path, domain: int
) -> tuple[dict[str, list[tuple[float, int]]], dict[str, int]]:
    """Memory in MiB and open files of each node, reading by reading; how many episodes ended how."""
    import psutil
    from std_srvs.srv import SetBool

    from wm_bringup.drive_node import OUTCOMES, patient
    from wm_bringup.loose_graph import LooseGraph
    from wm_bringup.topology import Setup, topology
    from wm_msgs.srv import Reset
    from wm_ros.topics import EVENTS

    setup = Setup(scenario=families[0], seed=config.seed, model=str(find_model(config.model)),
                  bag=str(folder / "bag") if config.record else "")  # fmt: skip
    graph = LooseGraph(topology(setup), domain, folder)
    try:
        ended, ends = threading.Event(), dict[str, int]()

        def on_event(msg: Any) -> None:
            if msg.type in OUTCOMES:
                ends[OUTCOMES[msg.type]] = ends.get(OUTCOMES[msg.type], 0) + 1
                ended.set()

        topic = patient(EVENTS)
        graph.observer.create_subscription(topic.type, topic.name, on_event, topic.reader_qos)
        engage = graph.observer.create_client(SetBool, "safety/engage")
        reset = graph.observer.create_client(Reset, "sim/reset")
        graph.until(
            lambda: graph.call(engage, SetBool.Request(data=True), START_S).success, "the gate engages", START_S
        )
        watched = {name: psutil.Process(process.pid) for name, process in graph.running.items()}
        readings: dict[str, list[tuple[float, int]]] = {name: [] for name in watched}
        end_s, number, due_s = time.monotonic() + 60.0 * config.minutes, 0, time.monotonic()
        while time.monotonic() < end_s:
            graph.check()
            for name, process in watched.items():
                readings[name].append((process.memory_info().rss / MIB, process.num_fds()))
            due_s += config.every_s
            while (left_s := due_s - time.monotonic()) > 0.0:
                if ended.wait(left_s):
                    number += 1
                    family, seed = families[number % len(families)], config.seed + number // len(families)
                    ended.clear()
                    graph.call(reset, Reset.Request(scenario=family, seed=seed))
        return readings, ends
    finally:
        graph.end()


def figures(readings: Sequence[tuple[float, int]]) -> dict[str, Any]:
    """What a node's readings say: from the first third after warming up to the last third."""
    taken = np.array(readings, np.float64)
    kept = taken[int(WARM_UP_SHARE * len(taken)) :]
    third = max(1, len(kept) // 3)
    first, last = kept[:third].mean(axis=0), kept[-third:].mean(axis=0)
    growth = float(last[0] / first[0]) - 1.0
    handles = float(last[1] - first[1])
    return {
        "readings": len(taken),
        "memory_mib": round(float(last[0]), 1),
        "memory_growth": round(growth, 4),
        "handles": round(float(last[1]), 1),
        "handles_more": round(handles, 1),
        "handles_most": int(taken[:, 1].max()),
        "flat": growth <= GROWTH_MAX and handles <= HANDLES_MAX,
    }


def show(result: Mapping[str, Any]) -> None:
    """Print the table."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    ends = ", ".join(f"{end} {count}" for end, count in sorted(result["ends"].items())) or "none ended"
    table = Table(title=f"{result['minutes']:g} min, episodes: {ends}", box=SIMPLE_HEAD)
    table.add_column("node")
    for name in ("memory, MiB", "growth", "open files", "more", "flat"):
        table.add_column(name, justify="right")
    for row in result["nodes"]:
        table.add_row(
            row["node"], f"{row['memory_mib']:.1f}", f"{100 * row['memory_growth']:+.2f} %", f"{row['handles']:.1f}",
            f"{row['handles_more']:+.1f}", "yes" if row["flat"] else "no",
        )  # fmt: skip
    Console().print(table)
