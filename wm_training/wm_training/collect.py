"""`wm collect`: drives of a disturbed expert in the simulator, straight into bags.

The bags hold the topics of the running stack, on its clock and with its QoS; a trainer cannot tell the two apart.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wm_ros import topic_table as topics
from wm_sim.drivers import ExpertDriver
from wm_sim.scenarios import FAMILIES, REPORTING_SEEDS, is_reporting_seed
from wm_sim.world import Frame, World, WorldConfig
from wm_training.bags.episode import EpisodeEncoder
from wm_training.bags.writer import BagWriter
from wm_training.collect_report import BagResult, CollectReport, Episode, EpisodeResult, tally, write_manifest
from wm_training.errors import TrainingError
from wm_training.exploration import ExplorationConfig, Explorer

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
    compress: bool = False  # zstd inside the bag: a third smaller, a sixth slower
    progress: bool = True
    exploration: ExplorationConfig = field(default_factory=ExplorationConfig)


def collect(config: CollectConfig) -> CollectReport:
    """Drive all episodes and write their bags. Interrupted, it leaves whole bags only, and a manifest of them."""
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
        with closing(_run(config, batches, workers)) as results:  # closed: no worker is left
            for result in _progress(results, len(episodes), config.progress):
                done.append(result)
    finally:
        counted = {bag.name for bag in done}
        for left in (path for path in out.iterdir() if path.name not in counted):
            shutil.rmtree(left, ignore_errors=True)  # half a bag, or one whose worker could not report any more
        report = tally(out, done, time.perf_counter() - start)
        if done:
            write_manifest(out / MANIFEST, config, report, done, is_whole=len(done) == len(batches))
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
    explorer = Explorer(ExpertDriver(), config.exploration)
    encoder, results = EpisodeEncoder(), []
    with BagWriter(path, compress=config.compress) as writer:
        names = {topic.name: _full_name(topic.name) for topic in TOPICS}
        for topic in TOPICS:
            writer.add_topic(names[topic.name], topic.type, topics.bag_qos(topic))
        for episode in episodes:
            frames, commands = drive(world, explorer, episode)
            for stamp_ns, name, cdr in encoder.encode(frames, commands, world.route, explorer.taught):
                writer.write(names[name], stamp_ns, cdr)
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
    if config.seed < 0 or is_reporting_seed(worlds[-1].seed):
        raise TrainingError(
            f"seeds {config.seed} to {worlds[-1].seed}: collecting uses 0 to {REPORTING_SEEDS - 1}, those above are "
            "for reporting; choose another --seed."
        )
    return worlds


def _run(config: CollectConfig, batches: list[list[Episode]], workers: int) -> Generator[BagResult, None, None]:
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
