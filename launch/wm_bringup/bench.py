"""`wm bench`: what this machine makes of the stack. `wm bench sim`: the simulator beside other environments.

Every case runs once a round, and the rounds are repeated, so that all cases see the same machine; figures are medians.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Protocol

import tyro

from wm_bringup.bench_adversary import AdversaryBench
from wm_bringup.bench_anytime import AnytimeBench
from wm_bringup.bench_latency import LatencyBench
from wm_bringup.bench_memory import MemoryBench
from wm_bringup.bench_peers import PEERS, PeerCase
from wm_bringup.bench_planner import PlannerBench
from wm_bringup.bench_soak import SoakBench
from wm_bringup.errors import BringupError

SWEEP = (16, 64, 256, 1024)
FULL = "+ camera"
TARGETS = {  # figure: least value
    "one environment, camera, steps/s": 10_000.0,
    "batch, state only, steps/s": 1_000_000.0,
    "batch, camera, steps/s": 50_000.0,
    "× CarRacing-v3": 250.0,
    "× highway-env": 40.0,
}
LIMITS = {  # figure: greatest value
    "MiB a world": 2.0,
    "state: cost over N, ± share of its mean": 0.2,
    "+ camera: cost over N, ± share of its mean": 0.2,
}


@dataclass(frozen=True)
class SimBench:
    """The simulator's rates beside other environments."""

    family: str = "all"
    """A scenario family, or `all` of them in turn."""
    worlds: int = 256
    """Worlds in a batch."""
    threads: int = 2
    """Threads of the cases with more than one."""
    seconds: float = 0.5
    """How long each case runs in each round."""
    repeats: int = 5
    """Rounds; figures are the medians over them."""
    peers: bool = True
    """Measure CarRacing-v3 and highway-env too, where they are installed."""
    json: Path | None = None
    """Write the figures to this file."""


@dataclass(frozen=True)
class BagsBench:
    """What happens to bags: recording, reading, feeding the trainer; beside rosbags' plain reader."""

    threads: int = 2
    """Threads of a training step."""
    seconds: float = 0.5
    """How long batches are drawn in each round."""
    repeats: int = 5
    """Rounds; figures are the medians over them."""
    json: Path | None = None
    """Write the figures to this file."""


@dataclass(frozen=True)
class GateBench:
    """How long one decision of the safety gate takes; how evenly its node ticks on a busy machine."""

    seconds: float = 0.5
    """How long each case runs in each round."""
    repeats: int = 5
    """Rounds; figures are taken over all of them."""
    node: bool = False
    """Start the gate's node too, and measure its period with and without processes that want every core."""
    node_seconds: float = 20.0
    """How long the node is measured under each load."""
    domain_id: int | None = None
    """ROS domain of the node; that of the environment, or 0, when not named."""
    json: Path | None = None
    """Write the figures to this file."""


What = (
    Annotated[SimBench, tyro.conf.subcommand("sim")]
    | Annotated[BagsBench, tyro.conf.subcommand("bags")]
    | Annotated[GateBench, tyro.conf.subcommand("gate")]
    | Annotated[AdversaryBench, tyro.conf.subcommand("adversary")]
    | Annotated[PlannerBench, tyro.conf.subcommand("planner")]
    | Annotated[AnytimeBench, tyro.conf.subcommand("anytime")]
    | Annotated[LatencyBench, tyro.conf.subcommand("latency")]
    | Annotated[MemoryBench, tyro.conf.subcommand("memory")]
    | Annotated[SoakBench, tyro.conf.subcommand("soak")]
)


@dataclass(frozen=True)
class BenchConfig:
    """What to measure; each has options of its own: `wm bench planner --help`."""

    what: tyro.conf.OmitSubcommandPrefixes[tyro.conf.OmitArgPrefixes[What]] = field(default_factory=SimBench)


class Case(Protocol):
    """Something whose rate can be measured again and again."""

    def run(self, seconds: float) -> float:
        """Steps per second over at least that long."""

    def close(self) -> None:
        """Free what it holds."""


def interleaved(cases: Mapping[str, Case], seconds: float, repeats: int) -> dict[str, list[float]]:
    """Rates of every case: each runs once a round, in turn."""
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats):
        for name, case in cases.items():
            rates[name].append(case.run(seconds))
    return rates


def bench(config: BenchConfig) -> int:
    """Measure, print a table, write the JSON."""
    what: Any = config.what
    for name in ("seconds", "repeats", "worlds", "threads"):
        if getattr(what, name, 1) <= 0:
            raise BringupError(f"bench: --{name} must be more than 0.")
    module, function = RUNS[type(what)]
    run: Callable[[Any], int] = getattr(importlib.import_module(module), function)
    return run(what)


RUNS = {  # imported when asked for
    SimBench: ("wm_bringup.bench", "bench_sim"),
    BagsBench: ("wm_bringup.bench_bags", "bench_bags"),
    GateBench: ("wm_bringup.bench_gate", "bench_gate"),
    AdversaryBench: ("wm_bringup.bench_adversary", "bench_adversary"),
    PlannerBench: ("wm_bringup.bench_planner", "bench_planner"),
    AnytimeBench: ("wm_bringup.bench_anytime", "bench_anytime"),
    LatencyBench: ("wm_bringup.bench_latency", "bench_latency"),
    MemoryBench: ("wm_bringup.bench_memory", "bench_memory"),
    SoakBench: ("wm_bringup.bench_soak", "bench_soak"),
}


def bench_sim(config: SimBench) -> int:
    """Measure the simulator, print a table, write the JSON."""
    result = measure(config)
    show(result)
    write_result(config.json, result)
    return 0


def write_result(path: Path | None, result: Mapping[str, Any]) -> None:
    """Write the figures, where they are wanted; BringupError where that fails."""
    if path is None:
        return
    from wm_perception.durable import write_text

    try:
        write_text(path, json.dumps(result, indent=1) + "\n")
    except OSError as error:
        raise BringupError(f"{path}: {error.strerror}. Name another file with --json.") from error


def measure(config: SimBench) -> dict[str, Any]:
    """The object that --json writes."""
    from wm_bringup import bench_sim as sim

    setups = [sim.Setup("single", name, family=config.family) for name in sim.SENSORS]
    setups.append(sim.Setup("single", FULL, fresh=True, family=config.family))
    for api in ("vector", "kernel"):
        setups += [sim.Setup(api, name, config.worlds, family=config.family) for name in sim.SENSORS]
    setups.append(sim.Setup("vector", FULL, config.worlds, fresh=True, family=config.family))
    if config.threads > 1:
        for name in ("state", FULL):
            setups.append(sim.Setup("kernel", name, config.worlds, config.threads, family=config.family))
    missing = [sentence for peer in PEERS if config.peers and (sentence := peer.missing())]
    peers = [peer for peer in PEERS if config.peers and peer.missing() is None]
    if config.family == "all":  # like beside like: a lone car on a track is not compared with a junction full of them
        setups += [sim.Setup("vector", FULL, config.worlds, family=peer.counterpart) for peer in peers]
    makers: dict[str, Callable[[], Case]] = {peer.name: partial(PeerCase, peer) for peer in peers}
    makers |= {str(k): partial(sim.CASES[setup.api], setup) for k, setup in enumerate(setups)}
    rates = _rates(makers, config)
    rows = [{"name": peer.name, "sensors": peer.image, "api": "single", "worlds": 1, "threads": 1, "fresh": True,
             "counterpart": peer.counterpart, **_spread(rates[peer.name])} for peer in peers]  # fmt: skip
    rows += [{"name": setup.name, **asdict(setup), **_spread(rates[str(k)])} for k, setup in enumerate(setups)]
    cost = _cost(config)
    memory = sim.memory_mib(config.worlds, config.family)
    return {
        "bench": "sim",
        "machine": machine(),
        "family": config.family,
        "seconds": config.seconds,
        "repeats": config.repeats,
        "rates": rows,
        "cost": cost,
        "memory_mib_per_world": round(memory, 3),
        "missing": missing,
        "figures": figures(rows, cost, memory),
    }


def _rates(makers: Mapping[str, Callable[[], Case]], config: SimBench) -> dict[str, list[float]]:
    cases = {name: make() for name, make in makers.items()}
    try:
        return interleaved(cases, config.seconds, config.repeats)
    finally:
        for case in cases.values():
            case.close()


def _spread(rates: Sequence[float]) -> dict[str, float]:
    return {
        "steps_per_s": round(statistics.median(rates), 1), "low": round(min(rates), 1), "high": round(max(rates), 1)
    }  # fmt: skip


def _cost(config: SimBench) -> list[dict[str, Any]]:
    """Microseconds of a world's step at several sizes of the batch."""
    from wm_bringup import bench_sim as sim

    rows = []
    for sensors in ("state", FULL):
        setups = [sim.Setup("kernel", sensors, count, family=config.family) for count in SWEEP]
        makers: dict[str, Callable[[], Case]] = {str(it.worlds): partial(sim.KernelCase, it) for it in setups}
        for count, rates in _rates(makers, config).items():
            rows.append(
                {"sensors": sensors, "worlds": int(count), "us_per_step": round(1e6 / statistics.median(rates), 3)}
            )
    return rows


def figures(
    rows: Sequence[Mapping[str, Any]], cost: Sequence[Mapping[str, Any]], memory: float
) -> list[dict[str, Any]]:
    """The few figures that matter, each with what is wanted of it."""

    def rate(api: str, sensors: str) -> float:
        found = (
            r for r in rows if r["api"] == api and r["sensors"] == sensors and r["threads"] == 1 and not r["fresh"]
        )
        return float(next(found)["steps_per_s"])

    values = {
        "one environment, camera, steps/s": rate("single", FULL),
        "batch, state only, steps/s": rate("kernel", "state"),
        "batch, camera, steps/s": rate("kernel", FULL),
    }
    values |= {
        f"× {row['name']}": _alike(rows, row, rate("vector", FULL)) / row["steps_per_s"]
        for row in rows
        if f"× {row['name']}" in TARGETS
    }
    values["MiB a world"] = memory
    for sensors in dict.fromkeys(row["sensors"] for row in cost):
        spent = [row["us_per_step"] for row in cost if row["sensors"] == sensors]
        mean = statistics.mean(spent)
        values[f"{sensors}: cost over N, ± share of its mean"] = max(max(spent) - mean, mean - min(spent)) / mean
    found = []
    for name, value in values.items():
        wanted = TARGETS.get(name, LIMITS.get(name, 0.0))
        met = value >= wanted if name in TARGETS else value <= wanted
        found.append({"name": name, "value": round(value, 3), "wanted": wanted, "met": bool(met)})
    return found


def _alike(rows: Sequence[Mapping[str, Any]], peer: Mapping[str, Any], otherwise: float) -> float:
    """Rate of the batch on the family that asks for what the peer does; that of all families where it was not run."""
    found = (r for r in rows if r["api"] == "vector" and r.get("family") == peer["counterpart"] and not r["fresh"])
    return float(next((r["steps_per_s"] for r in found if r["sensors"] == FULL), otherwise))


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    import numba
    import numpy as np

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


def _called(row: Mapping[str, Any], family: str) -> str:
    """Name of a row, with its family where that is not the one of the whole table."""
    return f"{row['name']} {row['family']}" if row.get("family", family) != family else str(row["name"])


def show(result: Mapping[str, Any]) -> None:
    """Print the tables."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console()
    here = result["machine"]
    peers = [row for row in result["rates"] if "counterpart" in row]
    table = Table(
        title=f"{here['processor']}, {here['cores']} cores: median of {result['repeats']}",
        box=SIMPLE_HEAD,
        padding=(0, 0),
    )
    for name in ("environment", "sensors"):
        table.add_column(name, no_wrap=True)
    for name in ("N", "threads", "steps/s", *(f"× {peer['name'].split('-')[0]}" for peer in peers)):
        table.add_column(name, justify="right", no_wrap=True)
    for row in result["rates"]:
        times = [row["steps_per_s"] / peer["steps_per_s"] for peer in peers]
        table.add_row(
            _called(row, result["family"]), row["sensors"], str(row["worlds"]), str(row["threads"]),
            f"{row['steps_per_s']:,.0f}",
            *(f"{ratio:,.0f}" if ratio > 10.0 else f"{ratio:.2g}" for ratio in times),
        )  # fmt: skip
    console.print(table)
    sizes = Table(title="µs of a world's step over the size of the batch", box=SIMPLE_HEAD)
    sizes.add_column("sensors")
    counts = sorted({row["worlds"] for row in result["cost"]})
    for count in counts:
        sizes.add_column(f"N = {count}", justify="right")
    for sensors in dict.fromkeys(row["sensors"] for row in result["cost"]):
        spent = {row["worlds"]: row["us_per_step"] for row in result["cost"] if row["sensors"] == sensors}
        sizes.add_row(sensors, *(f"{spent[count]:.2f}" for count in counts))
    console.print(sizes)
    last = Table("figure", "value", "wanted", "met", box=SIMPLE_HEAD)
    for row in result["figures"]:
        sign = "≥" if row["name"] in TARGETS else "≤"
        last.add_row(
            row["name"], f"{row['value']:,.2f}", f"{sign} {row['wanted']:,.10g}", "yes" if row["met"] else "no"
        )
    console.print(last)
    for sentence in result["missing"]:
        console.print(sentence)
