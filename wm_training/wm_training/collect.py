"""`wm collect`: drives of a disturbed expert in the simulator, straight into bags.

The bags hold the topics of the running stack, on its clock, with its QoS, and nothing tells a trainer which of the two wrote one.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from wm_ros import topic_table as topics
from wm_sim.drivers import make_driver
from wm_sim.scenarios import FAMILIES
from wm_sim.world import Frame, World, WorldConfig

from wm_training.bags.episode import EpisodeEncoder
from wm_training.bags.writer import PARTIAL, BagWriter
from wm_training.errors import TrainingError
from wm_training.exploration import ExplorationConfig, Explorer

REPORTING_SEED = 1_000_000  # seeds from here up are for reporting and never trained on
MANIFEST = "collect.json"
TOPICS = (
    topics.CLOCK,
    topics.CAMERA,
    topics.CAMERA_INFO,
    topics.SCAN,
    topics.ODOM,
    topics.STATUS,
    topics.ROUTE,
    topics.TRUTH,
    topics.EVENTS,
    topics.CONTROL,
)


@dataclass(frozen=True)
class CollectConfig:
    """What to collect."""

    out: Path  # a new folder; every bag is a folder in it
    episodes: int = 200
    suite: str = "all"  # a scenario family, or all of them in turn
    seed: int = 0  # worlds have this seed and those that follow
    workers: int | None = None  # processes; None: one a core
    episodes_per_bag: int = 50
    compress: bool = False  # zstd inside the bag: a third of the size, a third of the speed
    progress: bool = True
    exploration: ExplorationConfig = field(default_factory=ExplorationConfig)


@dataclass(frozen=True)
class FamilyTally:
    """What came of the episodes of one family."""

    seeds: tuple[int, int]  # first, last
    episodes: int
    frames: int
    collided: int
    off_road: int
    route_done: int
    timeout: int
    moods: dict[str, int]


@dataclass(frozen=True)
class CollectReport:
    """What was collected, and how fast."""

    out: Path
    bags: int
    episodes: int
    frames: int
    bytes: int
    wall_s: float
    core_s: float  # CPU time of all workers
    families: dict[str, FamilyTally]

    @property
    def frames_per_core_s(self) -> float:
        """Frames a second that one core writes into bags."""
        return self.frames / max(self.core_s, 1e-9)

    def __str__(self) -> str:
        lines = [
            f"{self.episodes} episodes, {self.frames} frames in {self.bags} bags ({self.bytes / 1e6:.0f} MB) in {self.out}",
            f"{self.frames / max(self.wall_s, 1e-9):.0f} frames/s, {self.frames_per_core_s:.0f} frames/s per core",
        ]
        for name, tally in self.families.items():
            shares = f"collided {tally.collided / tally.episodes:.1%}, off road {tally.off_road / tally.episodes:.1%}"
            lines.append(f"{name}: {tally.episodes} episodes, {tally.frames} frames, {shares}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Episode:
    """One world to drive in."""

    family: str
    seed: int


@dataclass(frozen=True)
class EpisodeResult:
    """How it went."""

    episode: Episode
    frames: int
    outcome: str  # collided, off_road, route_done, timeout
    mood: str


@dataclass(frozen=True)
class BagResult:
    """One finished bag."""

    name: str
    bytes: int
    core_s: float
    results: tuple[EpisodeResult, ...]


def collect(config: CollectConfig) -> CollectReport:
    """Drive all episodes and write their bags. Interrupted, it leaves whole bags only, and a manifest that names them."""
    episodes = _episodes(config)
    out = Path(config.out)
    if out.exists():
        raise TrainingError(f"{out} exists already; choose another --out or remove it.")
    try:
        out.mkdir(parents=True)
    except OSError as error:
        raise TrainingError(f"{out} cannot be made: {error.strerror}; choose another --out.") from error
    workers = min(config.workers or len(os.sched_getaffinity(0)), len(episodes))
    size = max(1, min(config.episodes_per_bag, math.ceil(len(episodes) / workers)))
    batches = [episodes[at : at + size] for at in range(0, len(episodes), size)]
    start, done = time.perf_counter(), []
    try:
        for result in _progress(_run(config, batches, workers), len(episodes), config.progress):
            done.append(result)
    finally:
        for left in out.glob(f"*{PARTIAL}"):
            shutil.rmtree(left, ignore_errors=True)
        report = _report(config, done, time.perf_counter() - start)
        if done:
            _write_manifest(config, report, done, is_whole=len(done) == len(batches))
        else:
            out.rmdir()
    return report


def drive(world: World, explorer: Explorer, episode: Episode) -> tuple[list[Frame], np.ndarray]:
    """One episode: its frames, and the actions decided at each but the last, float32[T-1, 2]."""
    frame = world.reset(episode.family, episode.seed)
    explorer.reset(world, np.random.default_rng([episode.seed, *episode.family.encode()]))
    frames, commands = [frame], []
    while not (frame.terminated or frame.truncated):
        action = explorer.act(frame)
        frame = world.step(action)
        frames.append(frame)
        commands.append(action)
    return frames, np.array(commands, np.float32).reshape(-1, 2)


def write_bag(path: Path, episodes: Iterable[Episode], config: CollectConfig) -> BagResult:
    """Drive episodes into one bag."""
    start = time.process_time()
    world = World(WorldConfig())
    explorer = Explorer(make_driver("expert", config.seed), config.exploration)
    encoder, results = EpisodeEncoder(), []
    with BagWriter(path, compress=config.compress) as writer:
        names = {topic.name: _full_name(topic.name) for topic in TOPICS}
        for topic in TOPICS:
            writer.add_topic(names[topic.name], topic.type, topics.bag_qos(topic))
        for episode in episodes:
            frames, commands = drive(world, explorer, episode)
            for stamp_ns, topic, cdr in encoder.encode(frames, commands, world.route):
                writer.write(names[topic], stamp_ns, cdr)
            results.append(EpisodeResult(episode, len(frames), _outcome(frames[-1]), explorer.mood.value))
        writer.note("source", "wm collect")
    size = sum(file.stat().st_size for file in path.iterdir())
    return BagResult(path.name, size, time.process_time() - start, tuple(results))


def _episodes(config: CollectConfig) -> list[Episode]:
    """Worlds in order: families in turn, seeds upward."""
    if config.episodes < 1:
        raise TrainingError(f"episodes: {config.episodes} is nothing to collect; ask for at least 1.")
    if config.workers is not None and config.workers < 1:
        raise TrainingError(f"workers: {config.workers} cannot work; ask for at least 1.")
    if config.suite != "all" and config.suite not in FAMILIES:
        raise TrainingError(f"suite {config.suite}: no such scenario family; choose all, {', '.join(FAMILIES)}.")
    families = list(FAMILIES) if config.suite == "all" else [config.suite]
    worlds = [Episode(families[i % len(families)], config.seed + i // len(families)) for i in range(config.episodes)]
    if config.seed < 0 or worlds[-1].seed >= REPORTING_SEED:
        raise TrainingError(
            f"seeds {config.seed} to {worlds[-1].seed}: training uses 0 to {REPORTING_SEED - 1}, those above are for reporting; "
            "choose a smaller --seed."
        )
    return worlds


def _run(config: CollectConfig, batches: list[list[Episode]], workers: int) -> Iterator[BagResult]:
    """Bags as they are finished."""
    paths = [Path(config.out) / f"bag-{index:04d}" for index in range(len(batches))]
    if workers == 1:
        yield from (write_bag(path, batch, config) for path, batch in zip(paths, batches, strict=True))
        return
    from joblib import Parallel, delayed

    run = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1, pre_dispatch=workers)
    yield from run(delayed(write_bag)(path, batch, config) for path, batch in zip(paths, batches, strict=True))


def _progress(results: Iterator[BagResult], episodes: int, show: bool) -> Iterator[BagResult]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("collecting"), BarColumn(), MofNCompleteColumn(), TextColumn("episodes {task.fields[rate]}"))
    with Progress(*columns, TimeRemainingColumn(), disable=not show) as bar:
        task = bar.add_task("", total=episodes, rate="")
        frames, core_s = 0, 0.0
        for result in results:
            frames += sum(r.frames for r in result.results)
            core_s += result.core_s
            bar.update(task, advance=len(result.results), rate=f"{frames / max(core_s, 1e-9):.0f} frames/s per core")
            yield result


def _full_name(name: str) -> str:
    return name if name.startswith("/") else f"/{name}"


def _outcome(last: Frame) -> str:
    if last.truth.collided:
        return "collided"
    if last.truth.off_road:
        return "off_road"
    return "route_done" if last.terminated else "timeout"


def _report(config: CollectConfig, done: list[BagResult], wall_s: float) -> CollectReport:
    results = [result for bag in done for result in bag.results]
    families: dict[str, FamilyTally] = {}
    for name in sorted({r.episode.family for r in results}):
        mine = [r for r in results if r.episode.family == name]
        outcomes = Counter(r.outcome for r in mine)
        seeds = [r.episode.seed for r in mine]
        families[name] = FamilyTally(
            seeds=(min(seeds), max(seeds)),
            episodes=len(mine),
            frames=sum(r.frames for r in mine),
            moods=dict(Counter(r.mood for r in mine)),
            **{outcome: outcomes[outcome] for outcome in ("collided", "off_road", "route_done", "timeout")},
        )
    return CollectReport(
        out=Path(config.out),
        bags=len(done),
        episodes=len(results),
        frames=sum(r.frames for r in results),
        bytes=sum(bag.bytes for bag in done),
        wall_s=wall_s,
        core_s=sum(bag.core_s for bag in done),
        families=families,
    )


def _write_manifest(config: CollectConfig, report: CollectReport, done: list[BagResult], is_whole: bool) -> None:
    manifest = {
        "complete": is_whole,
        "config": _plain(asdict(config)),
        "report": {**_plain(asdict(report)), "frames_per_core_s": round(report.frames_per_core_s, 1)},
        "bags": sorted(bag.name for bag in done),
    }
    partial = Path(config.out) / f".{MANIFEST}{PARTIAL}"
    partial.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf8")
    partial.rename(Path(config.out) / MANIFEST)


def _plain(value: Any) -> Any:
    """JSON's own types: enums by value, paths by name."""
    if isinstance(value, dict):
        return {str(getattr(key, "value", key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
