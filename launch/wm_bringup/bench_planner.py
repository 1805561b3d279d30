"""`wm bench planner`: what a full plan costs while driving, and where the time goes.

All planners answer the same frames of the same drives in turn, so that they see the same machine. Five parts: the
default plan over many frames; one change at a time in engine, solver and size; planners of others inside the same
model; what screening leaves out; arithmetic a second beside plain sgemm.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wm_bringup.errors import BringupError
from wm_bringup.paths import MODEL, find_model

if TYPE_CHECKING:
    from wm_bringup.bench_planner_drive import Contender, Engines, Search

SOLVERS = ("cem", "mppi", "random", "policy")  # beside icem, the default
SIZES = ((64,), (128, 64, 64), (512, 256, 128), (512,) * 6)  # the last is TD-MPC2's
HORIZONS = (6, 24)
CHUNKS = (64, 256)  # candidates of one call of the score graph, as GFLOP/s are measured
RATE_ROUNDS = 60
BUDGET = (256, 128, 64)
TARGETS = {  # figure: least value
    "× fastest peer, 1 thread": 5.0,
    "× fastest peer, 2 threads": 5.0,
    "score graph, share of the sgemm peak": 0.4,
}
LIMITS = {  # figure: greatest value
    "default plan, 2 threads, p50 ms": 20.0,
    "default plan, 2 threads, p99 ms": 40.0,
    "default plan, 1 thread, p99 ms": 60.0,
    "TensorRT, default plan, p50 ms": 3.0,
}


@dataclass(frozen=True)
class PlannerBench:
    """What a full plan costs while driving, beside pytorch_mppi and TorchRL."""

    model: Path = Path(MODEL)
    """Model folder."""
    family: str = "all"
    """Scenario family to drive, or `all` of them in turn."""
    seed: int = 500_000
    """First seed of the drives."""
    plans: int = 2000
    """Plans of the default search, on one thread and on two."""
    sweep_plans: int = 100
    """Plans of every other engine, solver and size; 0 leaves them out."""
    peer_plans: int = 100
    """Plans of every peer; 0 leaves them out."""
    screening_plans: int = 500
    """Plans of every margin of screening, to count what is left out and what it changes; 0 leaves them out."""
    curve: Path | None = None
    """Also drive with searches of several sizes and deadlines; score against plan time into this PNG."""
    curve_drives: int = 11
    """Drives of each point of the curve."""
    json: Path | None = None
    """Write the figures to this file."""


def bench_planner(config: PlannerBench) -> int:
    """Measure, print tables, write the JSON and the curve."""
    from wm_bringup.bench import write_result
    from wm_bringup.bench_planner_table import show

    check(config)
    config = replace(config, model=find_model(config.model))
    with tempfile.TemporaryDirectory(prefix="wm-bench-planner-") as scratch:
        result = measure(config, Path(scratch))
    show(result)
    write_result(config.json, result)
    return 0


def check(config: PlannerBench) -> None:
    """BringupError in one sentence where something does not fit."""
    from wm_sim.scenarios import FAMILIES

    if config.family != "all" and config.family not in FAMILIES:
        raise BringupError(f"unknown scenario {config.family}: choose all or one of {', '.join(FAMILIES)}.")
    optional = config.sweep_plans, config.peer_plans, config.screening_plans
    if min(config.plans, config.curve_drives) < 1 or min(optional) < 0:
        raise BringupError("bench planner: --plans and --curve-drives must be more than 0, the others not negative.")
    if not 0 <= config.seed < 2**31:
        raise BringupError(f"bench planner --seed {config.seed}: choose 0 to {2**31 - 1}.")


def measure(config: PlannerBench, scratch: Path) -> dict[str, Any]:
    """The object that --json writes. scratch: a folder for models of other horizons."""
    from wm_bringup.bench import machine
    from wm_bringup.bench_planner_drive import Engines, Search
    from wm_bringup.bench_planner_flops import measured_rates
    from wm_dynamics.model_files import load_world_model
    from wm_perception.model_folder import read_model_config

    here, model = machine(), read_model_config(config.model)
    engines = Engines(config.model, scratch)
    usable, missing = usable_engines(engines, model.horizon)
    on_cpu = [name for name in usable if not name.startswith("tensorrt")]
    base = Search(horizon=model.horizon, candidates=BUDGET)
    default = [replace(base, threads=threads) for threads in (1, 2)]
    rows = timed(config, engines, "default", searching(engines, default), config.plans)
    if config.sweep_plans:
        rows += timed(config, engines, "sweep", searching(engines, sweep(base, usable)), config.sweep_plans)
    if config.peer_plans:
        kinds = [replace(it, engine=name) for name in on_cpu for it in default]
        alike = [replace(it, screened=screened) for screened in (True, False) for it in kinds]
        others, absent = peers(config.model, default)
        rows += timed(config, engines, "peers", {**searching(engines, alike), **others}, config.peer_plans)
        missing += absent
    screening = []
    if config.screening_plans:
        from wm_bringup.bench_planner_screening import screening_rows

        eyes = engines.get("onnxruntime", 1, model.horizon)
        screening = screening_rows(eyes, config.family, config.seed, config.screening_plans)
    rates = measured_rates(config.model, on_cpu, CHUNKS, RATE_ROUNDS)
    result: dict[str, Any] = {
        "bench": "planner",
        "machine": here,
        "model_id": model.model_id,
        "parameters": sum(p.numel() for p in load_world_model(config.model, model).parameters()),
        "family": config.family,
        "seed": config.seed,
        "plans": rows,
        "screening": screening,
        "gflops": [{"name": name, "median": _rounded(statistics.median(them)), "high": _rounded(max(them))}
                   for name, them in rates.items()],
        "missing": missing,
    }  # fmt: skip
    if config.curve is not None:
        from wm_bringup.bench_planner_curve import curve_points, plot

        result["curve"] = curve_points(config, engines, model.horizon)
        plot(result["curve"], config.curve)
    return {**result, "figures": figures(rows, result["gflops"])}


def usable_engines(engines: Engines, horizon: int) -> tuple[list[str], list[str]]:
    """Names of the engines that run here, and a sentence for each that does not."""
    from wm_dynamics.engines import ENGINES
    from wm_dynamics.errors import ModelError

    usable, missing = [], []
    for name in ENGINES:
        try:
            engines.get(name, 1, horizon)
            usable.append(name)
        except ModelError as error:
            missing.append(f"{name} is not measured: {error}")
    return usable, missing


def sweep(base: Search, usable: Sequence[str]) -> list[Search]:
    """One change at a time from the default, each on one thread and on two; the default itself drives."""
    changed = [base, replace(base, screened=False)]
    changed += [replace(base, engine=name) for name in usable if name != base.engine]
    changed += [replace(base, solver=name) for name in SOLVERS]
    changed += [replace(base, candidates=size) for size in SIZES]
    changed += [replace(base, horizon=steps) for steps in HORIZONS if steps != base.horizon]
    return [replace(it, threads=threads) for it in changed for threads in (1, 2)]


def searching(engines: Engines, searches: Sequence[Search]) -> dict[Search, Contender]:
    """Planners of ours, by what they are."""
    from wm_bringup.bench_planner_drive import SearchContender

    return {it: SearchContender(it, engines.get(it.engine, it.threads, it.horizon)) for it in searches}


def peers(model: Path, default: Sequence[Search]) -> tuple[dict[Search, Contender], list[str]]:
    """The installed planners of others with as many rollouts a plan; a sentence for each that is not installed."""
    from wm_bringup.bench_planner_peers import PEERS, Imagination

    imagination = Imagination(model)
    found: dict[Search, Contender] = {}
    for peer, ours in itertools.product(PEERS, default):
        if peer.missing() is None:
            size = (sum(ours.candidates) // peer.iterations,) * peer.iterations
            search = replace(ours, engine="torch", solver=peer.name, candidates=size, screened=False)
            found[search] = peer.make(imagination, size, ours.threads)
    return found, [sentence for peer in PEERS if (sentence := peer.missing())]


def timed(
    config: PlannerBench, engines: Engines, part: str, contenders: Mapping[Search, Contender], plans: int
) -> list[dict[str, Any]]:
    """A row for each: how long `plans` plans took. The first drives."""
    from wm_bringup.bench_planner_drive import plan_while_driving, tuning_episodes
    from wm_bringup.bench_planner_table import progress

    first = next(iter(contenders))
    episodes = tuning_episodes(config.family, config.seed)
    with progress(f"plans, {part}", plans) as advance:
        eyes = engines.get("onnxruntime", 1, first.horizon)
        spent = plan_while_driving(list(contenders.values()), eyes, episodes, plans, advance)
    return [
        {"part": part, **asdict(search), "size": search.size, "count": plans, **spread(*ms)}
        for search, ms in zip(contenders, spent, strict=True)
    ]


def spread(wall_ms: NDArray[np.float64], cpu_ms: NDArray[np.float64]) -> dict[str, float]:
    """Median, 99th percentile and worst of the wall, and the median of the processor time that all threads took."""
    p50, p99 = np.percentile(wall_ms, [50, 99])
    found = {"p50_ms": p50, "p99_ms": p99, "max_ms": wall_ms.max(), "cpu_p50_ms": np.median(cpu_ms)}
    return {name: _rounded(value) for name, value in found.items()}


def figures(rows: Sequence[Mapping[str, Any]], gflops: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The few figures that matter, each with what is wanted of it."""
    values = {
        f"default plan, {row['threads']} thread{'s' * (row['threads'] > 1)}, {name} ms": row[f"{name}_ms"]
        for row in rows if row["part"] == "default" for name in ("p50", "p99")
    }  # fmt: skip
    values |= dict(_peer_ratios(rows))
    on_gpu = [row["p50_ms"] for row in rows if row["engine"].startswith("tensorrt")]
    if on_gpu:
        values["TensorRT, default plan, p50 ms"] = min(on_gpu)
    peak = max(row["median"] for row in gflops if row["name"].startswith("sgemm"))
    scoring = max(row["median"] for row in gflops if row["name"].endswith("onnxruntime"))
    values["score graph, share of the sgemm peak"] = scoring / peak
    found = []
    for name, value in values.items():
        wanted = TARGETS.get(name, LIMITS.get(name))
        met = wanted is None or (value >= wanted if name in TARGETS else value <= wanted)
        found.append({"name": name, "value": round(float(value), 3), "wanted": wanted, "met": bool(met)})
    return found


def _peer_ratios(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    """Median of the fastest of the others over that of each of our engines, for each number of threads.

    The others, PyTorch eager under our own solver among them, imagine every candidate; ours with and without screening.
    """
    for threads in (1, 2):
        alike = [row for row in rows if row["part"] == "peers" and row["threads"] == threads]
        others = [row["p50_ms"] for row in alike if row["engine"] == "torch" and not row["screened"]]
        for row in alike if others else ():
            if row["engine"] != "torch":
                engine = "" if row["engine"] == "onnxruntime" else f"{row['engine']}, "
                name = f"× fastest peer, {engine}{threads} thread{'s' * (threads > 1)}"
                yield name if row["screened"] else f"{name}, unscreened", min(others) / row["p50_ms"]


def _rounded(value: Any) -> float:
    return round(float(value), 3)
