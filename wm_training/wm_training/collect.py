"""`wm collect`: drives of a disturbed driver in the simulator, straight into bags.

The driver is the expert unless another one, or a model, is named. The bags hold the topics of the running stack, on
its clock and with its QoS; a trainer cannot tell the two apart.
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from wm_ros import topic_table as topics
from wm_sim.contract import (
    BUILTIN,
    Simulator,
    SimulatorConfig,
    SimulatorSpec,
    find_simulator,
    make_simulator,
    parse_settings,
)
from wm_sim.frame import Frame
from wm_sim.observation import STEP_S
from wm_training.agents import check_agent, make_agent, model_id
from wm_training.bags.episode import EpisodeEncoder
from wm_training.bags.writer import BagWriter
from wm_training.clips import ClipAt, check_clips, dissent_of, stretch
from wm_training.collect_plan import plan_episodes
from wm_training.collect_report import BagResult, CollectReport, Episode, EpisodeResult, tally, write_manifest
from wm_training.collect_watch import Watch
from wm_training.errors import TrainingError
from wm_training.exploration import Driver, Explorer
from wm_training.moods import ExplorationConfig, mild, undisturbed

MANIFEST = "collect.json"
STANDS_MPS = 0.1  # slower, a car stands
ADVISER = "expert"  # says at every frame what it would do
TOPICS = (
    topics.CLOCK,
    topics.CAMERA,
    topics.CAMERA_INFO,
    topics.SCAN,
    topics.ODOM,
    topics.STATUS,
    topics.ROUTE,
    topics.SIMULATOR,
    topics.TRUTH,
    topics.EVENTS,
    topics.CONTROL,
    topics.ADVICE,
)


@dataclass(frozen=True)
class CollectConfig:
    """What to collect."""

    out: Path  # a new folder; every bag is a folder in it
    agent: str = "expert"  # expert, idm, pdm, model (the shipped one) or model:PATH; policy: without search
    disturb: bool = True  # noise, wrong manoeuvres and carelessness on top of the driver; milder on top of a model
    episodes: int = 200
    sim: str = BUILTIN  # simulator, or another that is registered (docs/simulators.md)
    sim_settings: str = ""  # the simulator's own settings, as host=10.0.0.2,port=2000
    suite: str = "all"  # a scenario family, some separated by commas, or all of them in turn
    weights: str = ""  # families with more or fewer episodes than the others, as merge=2,cut_in=1.5
    seed: int = 0  # worlds have this seed and those that follow
    workers: int | None = None  # processes; None: one a core
    clip_s: float | None = None  # keep of every drive a stretch of so many seconds: more worlds in as many frames
    clip_at: ClipAt = "anywhere"  # dissent: where driver and expert differ, the likelier
    give_up_s: float | None = None  # end a drive that has stood so long where the expert would drive on
    episodes_per_bag: int = 50
    compress: bool = False  # zstd inside the bag: a third smaller, a sixth slower
    progress: bool = True
    exploration: Annotated[ExplorationConfig | None, tyro.conf.Fixed, tyro.conf.Suppress] = None  # in place of usual


def collect(config: CollectConfig) -> CollectReport:
    """Drive all episodes and write their bags. Interrupted, it leaves whole bags only, and a manifest of them."""
    simulator = find_simulator(config.sim)
    simulator.declaration.check_settings(parse_settings(config.sim_settings))
    episodes = plan_episodes(config.episodes, config.suite, config.weights, config.seed, config.sim)
    check_clips(config.clip_s, config.clip_at)
    if config.give_up_s is not None and not 0.0 < config.give_up_s < math.inf:
        raise TrainingError(
            f"give-up-s: {config.give_up_s:g} is no time to wait; give seconds above 0, or leave it out."
        )
    check_adviser(config, simulator)
    if config.workers is not None and config.workers < 1:
        raise TrainingError(f"workers: {config.workers} cannot work; ask for at least 1.")
    check_agent(config.agent, simulator.teachers, "collect")
    new_simulator(config).close()  # what is absent is said before anything is written
    config = replace(config, exploration=exploration_of(config))
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
            whole = len(done) == len(batches)
            write_manifest(out / MANIFEST, config, report, done, is_whole=whole, model_id=model_id(config.agent))
        else:
            out.rmdir()
    return report


def check_adviser(config: CollectConfig, simulator: SimulatorSpec) -> None:
    """Refuse what compares the driver with an expert where the simulator has none. Raises TrainingError."""
    if ADVISER not in simulator.drivers and (config.clip_at == "dissent" or config.give_up_s is not None):
        raise TrainingError(
            f"simulator {config.sim}: it has no expert to compare the driver with; "
            "leave --clip-at dissent and --give-up-s out."
        )


def exploration_of(config: CollectConfig) -> ExplorationConfig:
    """How the driver is disturbed: as given, or as usual for such a driver."""
    if config.exploration is not None:
        return config.exploration
    if not config.disturb:
        return undisturbed()
    return ExplorationConfig() if is_teacher(config) else mild()


def is_teacher(config: CollectConfig) -> bool:
    """Whether the driver sees the simulator's truth."""
    return config.agent in find_simulator(config.sim).teachers


def new_simulator(config: CollectConfig) -> Simulator:
    """A simulator of the kind that was asked for."""
    return make_simulator(config.sim, SimulatorConfig(settings=parse_settings(config.sim_settings)))


def drive(
    world: Simulator,
    explorer: Explorer,
    episode: Episode,
    watch: Watch | None = None,
    adviser: Driver | None = None,
    give_up_s: float | None = None,
) -> tuple[list[Frame], np.ndarray, np.ndarray]:
    """One episode: its frames; the actions decided at each but the last, and those advised there, float32[T-1, 2].

    `watch` sees each frame. `adviser` is asked at each what it would do, and never drives: what an expert does in a
    place that somebody else got into (Ross et al. 2011, DAgger); without one nothing is advised. A drive that has stood
    for `give_up_s` while the adviser would have driven is over: more frames of it would show the same.
    """
    frame = world.reset(episode.family, episode.seed)
    explorer.reset(world, np.random.default_rng([episode.seed, *episode.family.encode()]))
    if adviser is not None:
        adviser.reset(world)
    frames, commands, advice, stood = [frame], [], [], 0
    patience_s = math.inf if give_up_s is None else give_up_s
    while not (frame.terminated or frame.truncated or stood * STEP_S >= patience_s):
        if watch is not None:
            watch.see(frame, world)
        if adviser is not None:
            advice.append(adviser.act(frame))
            stood = stood + 1 if frame.speed_mps < STANDS_MPS and advice[-1][1] > 0.0 else 0
        action = explorer.act(frame)
        frame = world.step(action)
        frames.append(frame)
        commands.append(action)
    return frames, _actions(commands), _actions(advice)


def write_bag(path: Path, episodes: Iterable[Episode], config: CollectConfig) -> BagResult:
    """Drive episodes into one bag."""
    start = time.process_time()
    simulator = find_simulator(config.sim)
    encoder, results = EpisodeEncoder(simulator.declaration), []
    with closing(new_simulator(config)) as world, BagWriter(path, compress=config.compress) as writer:
        names = {topic.name: _full_name(topic.name) for topic in TOPICS}
        for topic in TOPICS:
            writer.add_topic(names[topic.name], topic.type, topics.bag_qos(topic))
        for episode in episodes:
            # Fresh ones: drives do not depend on each other.
            driver = make_agent(config.agent, episode.seed, sim=config.sim)
            adviser = make_agent(ADVISER, episode.seed, sim=config.sim) if ADVISER in simulator.drivers else None
            explorer, watch = Explorer(driver, exploration_of(config), is_teacher(config)), Watch()
            frames, commands, advice = drive(world, explorer, episode, watch, adviser, config.give_up_s)
            apart = dissent_of(commands, advice) if config.clip_at == "dissent" else None
            a, b = stretch(len(frames), config.clip_s, episode, apart)
            said = advice[a : b - 1] if adviser is not None else None
            kept = frames[a:b], commands[a : b - 1], world.route, explorer.taught[a : b - 1], said
            for stamp_ns, name, cdr in encoder.encode(*kept):
                writer.write(names[name], stamp_ns, cdr)
            results.append(_result(episode, frames, (a, b), explorer, watch))
        writer.note("source", "wm collect")
    size = sum(file.stat().st_size for file in path.iterdir())
    return BagResult(path.name, size, time.process_time() - start, tuple(results))


def _actions(each: list[np.ndarray]) -> np.ndarray:
    return np.array(each, np.float32).reshape(-1, 2)


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


def _result(
    episode: Episode, frames: list[Frame], kept: tuple[int, int], explorer: Explorer, watch: Watch
) -> EpisodeResult:
    last = frames[-1]
    return EpisodeResult(
        episode,
        frames=kept[1] - kept[0],
        outcome=_outcome(last),
        mood=explorer.mood.value,
        near_crash=watch.near_crash and not last.truth.collided,
        red_lights=last.truth.red_lights,
        taught=sum(explorer.taught[kept[0] : kept[1] - 1]),
    )


def _outcome(last: Frame) -> str:
    if last.truth.collided:
        return "collided"
    if last.truth.off_road:
        return "off_road"
    return "route_done" if last.terminated else "timeout"
