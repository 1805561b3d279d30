"""`wm replay`: a bag onto its topics, or a drive's sensors through freshly started nodes, plans beside plans."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
import yaml

from wm_bringup.domain import chosen_domain, lock_domain
from wm_bringup.drive import check_model, command_line, environment
from wm_bringup.errors import BringupError
from wm_bringup.paths import MODEL, stack_parameters
from wm_bringup.processes import ProcessGroup, describe_end
from wm_bringup.topology import Through, parameter_file, replay_topology

TOLERANCE = 1e-4  # rad, m/s²: two runs of one engine differ by less


@dataclass(frozen=True)
class ReplayConfig:
    """Play a bag with /clock. Space pauses, the right arrow steps; so do the services player_node/pause and /step."""

    bag: Annotated[Path, tyro.conf.Positional]
    """The bag."""
    rate: float = 1.0
    """Bag seconds a wall second."""
    start: float = 0.0
    """Where in the bag to start, s from its beginning."""
    loop: bool = False
    """At the end, begin again."""
    paused: bool = False
    """Begin paused."""
    delay: float = 1.0
    """Wait so long before playing, for subscribers to be found, s."""
    topics: str = ""
    """Topics to play, separated by commas; all when not named."""
    remap: str = ""
    """Other names to publish on: OLD:=NEW, separated by commas."""
    through: Literal["nothing", "planner"] = "nothing"
    """planner: feed the sensors of a drive to freshly started perception, dynamics and planner, frame by frame."""
    compare: bool = False
    """With --through: report how the new plans differ from the recorded ones; status 1 beyond the tolerance."""
    tolerance: float = TOLERANCE
    """Difference of plans that is no failure, rad and m/s²."""
    json: Path | None = None
    """File for the comparison."""
    frames: int = 0
    """With --through: replay so many frames; 0: all."""
    model: Path = Path(MODEL)
    """With --through: model folder."""
    params_file: Path | None = None
    """With --through: ROS parameter file over the stack's own, as the drive had it."""
    domain_id: int | None = None
    """ROS domain; that of the environment, or 0, when not named."""


def replay(config: ReplayConfig) -> int | None:
    """Play, or replay through the planner; then the exit status says whether the plans are the same."""
    if config.compare and config.through == "nothing":
        raise BringupError("--compare: there are no new plans to compare; add --through planner.")
    if config.through == "planner":
        return replay_through(config)
    play(config)
    return None


def play(config: ReplayConfig) -> None:
    """Publish the bag from this process."""
    from wm_training.player_node import main

    given = {
        "bag": str(config.bag.expanduser().resolve()),
        "rate": config.rate,
        "start_s": config.start,
        "delay_s": config.delay,
        "loop": config.loop,
        "paused": config.paused,
        "topics": config.topics,
        "remap": config.remap,
    }
    if config.domain_id is not None:
        import os

        os.environ["ROS_DOMAIN_ID"] = str(chosen_domain(config.domain_id))
    main(["--ros-args", *(word for name, value in given.items() for word in ("-p", f"{name}:={json.dumps(value)}"))])


def replay_through(config: ReplayConfig) -> int:
    """Start the chain, feed it, say how it went; the exit status."""
    model = check_model(config.model)
    bag = config.bag.expanduser().resolve()
    search, sim = recorded_setup(bag)
    if config.params_file is not None and not config.params_file.is_file():
        raise BringupError(f"parameter file {config.params_file}: no such file. Name a ROS parameter file.")
    domain = chosen_domain(config.domain_id)
    lock = lock_domain(domain)
    try:
        with tempfile.TemporaryDirectory(prefix="wm-replay-") as folder:
            json_file = str(config.json.expanduser().resolve()) if config.json else ""
            chosen = (config.compare, config.tolerance, json_file, config.frames)
            through = Through(str(bag), str(model), search, sim, *chosen)
            return _run(through, config, Path(folder), domain)
    finally:
        lock.close()


def recorded_setup(bag: Path) -> tuple[str, str]:
    """The planner's `search`, which recorded plans show by the number of their samples, and the simulator of a drive.

    `full` and `builtin` where the bag does not tell.
    """
    from wm_planner.planner_settings import SEARCHES
    from wm_training.bags.reader import open_bag
    from wm_training.replay import Drive

    with open_bag(bag) as reader:
        drive = Drive(reader, bag)
    samples = max((plan.samples for plan in drive.plans.values()), default=0)
    return next((name for name, sizes in SEARCHES.items() if sum(sizes) == samples), "full"), drive.simulator


def _run(through: Through, config: ReplayConfig, folder: Path, domain: int) -> int:
    processes = replay_topology(through)
    chosen = folder / "parameters.yaml"
    chosen.write_text(yaml.safe_dump(parameter_file(processes), sort_keys=False))
    files = [stack_parameters(), *([config.params_file.resolve()] if config.params_file else []), chosen]
    group = ProcessGroup(folder)
    env = environment(domain)
    for process in processes:
        group.add(process.name, command_line(process, files), env)
    group.run()
    if group.first is None:
        print("stopped.", file=sys.stderr)
        return int(group.returncode or 130)
    if group.first != "replay_node":
        print(f"{group.first} ended unexpectedly ({describe_end(group.codes[group.first])}).", file=sys.stderr)
        return 1
    return group.codes["replay_node"]
