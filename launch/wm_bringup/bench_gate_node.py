"""`wm bench gate --node`: the period of the running gate, on a quiet machine and under processes that want every core.

sim_node runs beside it, so that it hears scans and a clock; nobody plans. Commands are timed by the middleware at their
publication, which does not depend on how busy this process is.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from wm_bringup.errors import BringupError

PERIOD_MS = 20.0
WANTED_RSD = 0.35
START_S = 180.0
SETTLE_S = 2.0


def measure_node(seconds: float, domain_id: int | None) -> list[dict[str, Any]]:
    """A row for each load: figures of the period in ms."""
    from wm_bringup.domain import chosen_domain, lock_domain
    from wm_bringup.drive_node import patient
    from wm_bringup.hogs import hogs
    from wm_bringup.loose_graph import LooseGraph
    from wm_bringup.topology import Setup, topology
    from wm_ros.topics import CONTROL

    domain = chosen_domain(domain_id)
    lock = lock_domain(domain)
    times: list[int] = []
    try:
        with tempfile.TemporaryDirectory(prefix="wm-bench-gate-") as folder:
            nodes = [it for it in topology(Setup()) if it.name in ("sim_node", "safety_gate_node")]
            graph = LooseGraph(nodes, domain, Path(folder))
            try:
                topic = patient(CONTROL)

                def heard(_: Any, info: dict[str, Any]) -> None:
                    times.append(int(info["source_timestamp"]))

                graph.observer.create_subscription(topic.type, topic.name, heard, topic.reader_qos)
                graph.until(lambda: len(times) > 20, "the gate publishes commands", START_S)
                rows = []
                cores = len(os.sched_getaffinity(0))
                for per_core in (0, 1, 2):
                    with hogs(per_core * cores):
                        time.sleep(SETTLE_S)
                        times.clear()
                        time.sleep(seconds)
                        graph.check()
                        rows.append({"hogs_per_core": per_core, "cores": cores, **figures(times)})
                return rows
            finally:
                graph.end()
    finally:
        lock.close()


def figures(times_ns: list[int]) -> dict[str, Any]:
    """What the times of publication say about the period; BringupError where there are too few."""
    if len(times_ns) < 10:
        raise BringupError(f"bench gate --node: the gate sent {len(times_ns)} commands in all; measure longer.")
    periods = np.diff(np.sort(np.array(times_ns, np.int64))) * 1e-6
    rsd = float(periods.std() / periods.mean())
    return {
        "commands": len(times_ns),
        "rate_hz": round(1e3 / float(periods.mean()), 3),
        "mean_ms": round(float(periods.mean()), 3),
        "rsd": round(rsd, 4),
        "p99_ms": round(float(np.percentile(periods, 99)), 3),
        "max_ms": round(float(periods.max()), 3),
        "wanted_rsd": WANTED_RSD,
        "met": rsd <= WANTED_RSD,
    }


def line(row: dict[str, Any]) -> str:
    """A row in words."""
    load = f"{row['hogs_per_core']} a core, {row['cores']} cores" if row["hogs_per_core"] else "none"
    return (
        f"busy processes: {load:<19} {row['rate_hz']:6.2f} Hz   RSD {row['rsd']:.3f} (wanted ≤ {WANTED_RSD:g})   "
        f"p99 {row['p99_ms']:.1f} ms   worst {row['max_ms']:.1f} ms   of {row['commands']:,}"
    )
