"""Drive an agent through many scenarios in process and score it: `wm eval`.

Seeds below 1,000,000 are for training and tuning; from there up they are for reporting. Episode i of a family is the
world of seed + i, each with an agent of its own, so that the figures do not depend on the number of workers.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro

from wm_sim.contract import (
    BUILTIN,
    Simulator,
    SimulatorConfig,
    find_simulator,
    make_simulator,
    parse_settings,
    scenarios_of,
)
from wm_training import eval_pool
from wm_training.agents import blind, check_agent, gate_says, make_agent, model_path, plans, shared_engine
from wm_training.errors import TrainingError
from wm_training.eval_report import report_of, table, write_json

if TYPE_CHECKING:
    from wm_sim.frame import Frame
    from wm_sim.scoring import EpisodeScore

EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class EvalConfig:
    """What to drive, how often, and where the figures go."""

    agent: str = "model"
    """expert, idm, pdm, constant, random, model (the shipped one) or model:PATH; policy or policy:PATH: the model's
    policy alone, without search."""
    sim: str = BUILTIN
    """Simulator: builtin, or another that is registered (docs/simulators.md)."""
    sim_settings: str = ""
    """The simulator's own settings, as host=10.0.0.2,port=2000."""
    suite: str = ""
    """A scenario, or `all` with the episodes spread evenly over every one; lane_follow, or another simulator's usual
    one, when not named."""
    seed: int = 1_000_000
    """First seed; from 1,000,000 up for reporting, below for tuning."""
    episodes: int = 50
    """Number of drives in all."""
    per_family: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Number of drives of each family; takes the place of --episodes."""
    road: Path | None = None
    """Drive on this road instead of a family's: a centre-line CSV, CommonRoad XML or OpenDRIVE file."""
    traffic: Literal["logged", "reactive", "none"] = "logged"
    """Recorded traffic of --road: as recorded, braking for the ego, or left out."""
    lane_width: Annotated[float | None, tyro.conf.arg(metavar="M")] = None
    """Scale the road of a centre-line CSV to lanes of this width in m."""
    json: Path | None = None
    """Write the figures to this file."""
    pictures: Path | None = None
    """Write a contact sheet of the worst drives into this folder."""
    report: Path | None = None
    """Write a page with bars, a table and pictures of the worst drives to this HTML file."""
    resume: bool = False
    """Go on with the drives that lie beside the --json file, and leave them there: the evaluation can grow."""
    workers: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Processes; one per core unless given. The figures do not depend on it."""
    backend: eval_pool.Backend = "loky"
    """Where they run: loky (processes), threading, or an installed Dask or Ray cluster."""
    blackout: Literal["none", "camera", "scan"] = "none"
    """Take this sensor away from the agent: camera black, or scan empty."""
    solver: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Search by this solver: icem, cem, mppi, random or policy."""
    constraints: Literal["fixed", "conformal", "off"] | None = None
    """What limits the risk of a plan: fixed probabilities, the model's conformal ones, or nothing."""
    settings: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(name="set", metavar="NAME=VALUE")
    ] = ()
    """A setting of the planner by planner_node's parameters, as objective.policy_weight=2; repeat it for more."""
    gate: bool = True
    """The safety gate stands between planner and car."""
    limits: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """YAML file of the gate's and the planner's limits, over those shipped; what it leaves out stays."""

    @property
    def planner_values(self) -> dict[str, Any]:
        """The planner's settings that were asked for, by name; the short options come over --set."""
        from wm_planner.planner_settings import parse_settings

        short = {"solver": self.solver, "objective.constraints": self.constraints}
        return parse_settings((*self.settings, *(f"{name}={value}" for name, value in short.items() if value)))


@dataclass(frozen=True)
class Episode:
    """One drive and its score."""

    family: str
    seed: int
    score: EpisodeScore
    plan_s: np.ndarray  # [T] wall time of each decision
    env_s: float  # wall time inside the simulator
    own_return: float = 0.0  # of the simulator's own task, where it has one
    reasons: Counter[str] = field(default_factory=Counter)  # decisions of the gate by what it gave as reason

    def row(self) -> dict[str, Any]:
        """The drive as one line of `episode_list`."""
        return {"family": self.family, "seed": self.seed, **asdict(self.score), "own_return": self.own_return}


def evaluate(config: EvalConfig) -> dict[str, Any]:
    """Drive `config.episodes` scenarios; the figures as one JSON-ready object.

    Ctrl-C ends the driving; the figures are then those of the drives that had finished, and with --json --resume drives
    the others. KeyboardInterrupt if none had finished.
    """
    from wm_training.eval_journal import open_journal

    config = replace(config, suite=config.suite or usual_suite(config.sim))
    families = _check(config)
    tasks = _tasks(config, families)
    journal = open_journal(config)
    episodes = {} if journal is None else dict(journal.done)
    still = [task for task in tasks if task not in episodes]
    interrupted = False
    with _progress(config, len(tasks), len(tasks) - len(still)) as advance:
        drives = eval_pool.in_any_order(partial(_drive, config), still, config.workers, config.backend)
        try:
            with closing(drives):
                for index, episode in drives:
                    episodes[still[index]] = episode
                    if journal is not None:
                        journal.add(episode)
                    advance(episode)
        except KeyboardInterrupt:
            interrupted = True
    done = [episodes[task] for task in tasks if task in episodes]
    if interrupted and not done:
        raise KeyboardInterrupt
    report = report_of(config, families, done, interrupted)
    if journal is not None and len(journal.commits) > 1:
        report["commits"] = sorted(map(str, journal.commits))
    if config.json is not None:
        write_json(config.json, report)
    if journal is not None and not interrupted and not config.resume:
        journal.remove()
    if config.report is not None:
        from wm_training.eval_page import write_page

        write_page(config.report, config, report, done)
    if config.pictures is not None:
        from wm_training.pictures import contact_sheet

        contact_sheet(config, done)
    return report


def run(config: EvalConfig) -> int | None:
    """`wm eval`: evaluate and print one line a family; the exit status of an interrupted run is 130."""
    from rich.console import Console

    report = evaluate(config)
    Console().print(table(report))
    if not report.get("interrupted"):
        return None
    on = "" if config.json is None else " --resume drives the others."
    Console(stderr=True).print(f"interrupted: these are the {report['episodes']} drives that had finished.{on}")
    return EXIT_INTERRUPTED


def drive_episode(
    config: EvalConfig, family: str, seed: int, keep: list[Frame] | None = None, world: Any = None
) -> Episode:
    """One drive to its end; `keep` collects the frames. world: the simulator; None: one for this drive."""
    if world is not None:
        return _drive_in(config, world, family, seed, keep)
    with closing(new_simulator(config)) as simulator:
        return _drive_in(config, simulator, family, seed, keep)


def new_simulator(config: EvalConfig) -> Simulator:
    """A simulator of the kind that was asked for."""
    return make_simulator(config.sim, SimulatorConfig(settings=parse_settings(config.sim_settings)))


def usual_suite(sim: str) -> str:
    """What is driven in a simulator where no suite is named."""
    return "lane_follow" if sim == BUILTIN else find_simulator(sim).declaration.usual_scenario


def _drive_in(config: EvalConfig, world: Any, family: str, seed: int, keep: list[Frame] | None) -> Episode:
    from wm_sim.scoring import Scorer
    from wm_sim.world import World

    limits_file = "" if config.limits is None else str(config.limits)
    agent = make_agent(config.agent, seed, config.planner_values, config.gate, config.sim, limits_file)
    scorer, judged = Scorer(), world if isinstance(world, World) else None
    plan_s: list[float] = []
    reasons: Counter[str] = Counter()
    started = time.perf_counter()
    frame = _reset(config, world, family, seed)
    env_s = time.perf_counter() - started
    agent.reset(world)
    scorer.add_frame(frame, judged)
    own_return = frame.own_reward
    while not (frame.terminated or frame.truncated):
        if keep is not None:
            keep.append(frame)
        asked = time.perf_counter()
        action = agent.act(blind(frame, config.blackout))
        answered = time.perf_counter()
        reasons.update(gate_says(agent))
        frame = world.step(action)
        env_s += time.perf_counter() - answered
        plan_s.append(answered - asked)
        scorer.add_frame(frame, judged)
        own_return += frame.own_reward
    if keep is not None:
        keep.append(frame)
    return Episode(family, seed, scorer.result(), np.array(plan_s), env_s, own_return, reasons)


def replay(
    config: EvalConfig, family: str, seed: int, size_px: int, metres: float = 80.0
) -> tuple[list[Frame], np.ndarray]:
    """Drive one episode again: its frames, and the view from above at its end, [size, size, 3], so many metres wide."""
    frames: list[Frame] = []
    with closing(new_simulator(config)) as world:
        drive_episode(config, family, seed, frames, world)
        view: Any = world  # every simulator of this package draws itself from above
    return frames, view.top_view(size_px, np.array([frame.true_pose[:2] for frame in frames]), metres)


def _reset(config: EvalConfig, world: Any, family: str, seed: int) -> Frame:
    if config.road is None:
        return world.reset(family, seed)
    from wm_sim.scenarios.from_file import scenario_from_file

    return world.reset_to(
        scenario_from_file(config.road, seed, world.config.options, config.traffic, config.lane_width)
    )


def _drive(config: EvalConfig, task: tuple[str, int]) -> Episode:
    return drive_episode(config, *task)


def _tasks(config: EvalConfig, families: list[str]) -> list[tuple[str, int]]:
    """(family, seed) of every drive."""
    count = config.episodes if config.per_family is None else config.per_family * len(families)
    return [(families[i % len(families)], config.seed + i // len(families)) for i in range(count)]


def _check(config: EvalConfig) -> list[str]:
    """Refuse what cannot be driven before anything is driven; the families of the suite."""
    simulator = find_simulator(config.sim)
    simulator.declaration.check_settings(parse_settings(config.sim_settings))
    families = scenarios_of(config.sim)
    if config.suite != "all" and config.suite not in families:
        raise TrainingError(f"suite {config.suite!r}: eval knows {', '.join(families)} and all.")
    if config.road is not None and config.sim != BUILTIN:
        raise TrainingError(f"road {config.road}: only the simulator {BUILTIN} drives on map files; leave --sim out.")
    if config.road is not None and not config.road.is_file():
        raise TrainingError(f"{config.road}: no such file; --road takes a CSV, CommonRoad or OpenDRIVE file.")
    if config.lane_width is not None and not 2.0 <= config.lane_width <= 8.0:
        raise TrainingError(f"lane-width {config.lane_width} m: expected 2 to 8.")
    for name in ("episodes", "per_family", "workers"):
        value = getattr(config, name)
        if value is not None and value < 1:
            hint = "; leave it out for one per core." if name == "workers" else "."
            raise TrainingError(f"{name.replace('_', '-')} {value}: at least 1 is needed{hint}")
    if not 0 <= config.seed <= 2**32 - max(config.episodes, config.per_family or 0):
        raise TrainingError(f"seed {config.seed}: every seed of the run must lie in 0..4294967295.")
    for name in ("json", "report"):
        path = getattr(config, name)
        if path is not None and path.is_dir():
            raise TrainingError(f"{path} is a folder: --{name} takes the name of a file.")
    if config.pictures is not None and config.pictures.exists() and not config.pictures.is_dir():
        raise TrainingError(f"{config.pictures} is a file: --pictures takes the name of a folder.")
    eval_pool.check(config.backend)
    check_agent(config.agent, tuple(simulator.drivers), "eval")
    _check_planner(config)
    if config.road is not None:
        return [config.road.stem]
    return list(families) if config.suite == "all" else [config.suite]


def _check_planner(config: EvalConfig) -> None:
    """Refuse settings that do not fit, and say where the model lacks the limits that were asked for."""
    from wm_planner.objective import risk_limits
    from wm_planner.planner_settings import planner_config
    from wm_planner.safety import load_limits

    values = config.planner_values
    if not plans(config.agent):
        if values or not config.gate or config.limits is not None:
            raise TrainingError(f"agent {config.agent}: it has no planner and no gate; --solver, --constraints, --set, "
                                "--limits and --no-gate are for model and model:PATH.")  # fmt: skip
        return
    if config.limits is not None:
        load_limits(config.limits)  # refuses what is wrong with it before anything is driven
    planner = planner_config(values)
    lacking = risk_limits(planner.objective, shared_engine(model_path(config.agent)).config).lacking
    if lacking:
        print(lacking, file=sys.stderr)


@contextmanager
def _progress(config: EvalConfig, total: int, done: int) -> Iterator[Callable[[Episode], None]]:
    """A bar on stderr with the drives done and the failures so far; nothing where stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    name = f"{config.agent} {config.road.stem if config.road else config.suite}"
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=total, completed=done)
        failed = 0

        def advance(episode: Episode) -> None:
            nonlocal failed
            failed += not episode.score.success
            bar.update(task, advance=1, description=f"{name}, {failed} failed")

        yield advance
