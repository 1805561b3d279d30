"""`wm drive`: one drive from camera to control, over real ROS 2 processes, with a report at the end."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from wm_bringup.domain import chosen_domain, lock_domain
from wm_bringup.errors import BringupError
from wm_bringup.middleware import middleware_defaults
from wm_bringup.paths import MODEL, find_model, fresh_folder, stack_parameters
from wm_bringup.processes import ProcessGroup, describe_end
from wm_bringup.security import enclave_arguments, secured
from wm_bringup.supervision import NEVER, RespawnPolicy
from wm_bringup.topology import Process, Setup, parameter_file, topology

QUIET_ENV = {  # one thread a process: seven of them share few cores
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True)
class DriveConfig:
    """Drive a learned world model through one episode and leave a report, a picture, a video and a bag."""

    scenario: str = ""
    """Scenario of the simulator; its usual one when not named: stop_go of the built-in one."""
    road: Path | None = None
    """Drive on this road instead: a centre-line CSV, CommonRoad XML or OpenDRIVE file."""
    traffic: Literal["logged", "reactive", "none"] = "logged"
    """Recorded traffic of --road: as recorded, braking for the ego, or left out."""
    lane_width: float | None = None
    """Scale a centre-line --road so that its lane is this wide, m."""
    seed: int = 7
    """Seed of the world; below 1,000,000 worlds are for training and tuning."""
    mode: Literal["realtime", "lockstep"] = "realtime"
    """What moves the world: the wall clock, or each command (same seed, same drive)."""
    model: Path = Path(MODEL)
    """Model folder."""
    sim: str = "builtin"
    """Simulator: builtin, or another that is registered (docs/simulators.md)."""
    sim_settings: str = ""
    """The simulator's own settings, as host=10.0.0.2,port=2000."""
    record: bool = True
    """Record a bag."""
    out: Path | None = None
    """Folder for everything that the drive leaves; runs/drive-<time> when not named."""
    domain_id: int | None = None
    """ROS domain; that of the environment, or 0, when not named."""
    engage: bool = True
    """Engage by itself once the self-check passes; else wait for a call of safety/engage."""
    length_m: float | None = None
    """Length of the route, m; the family's own when not named."""
    speed: float = 1.0
    """Simulated seconds per wall second (realtime)."""
    params_file: Path | None = None
    """ROS parameter file over the stack's own."""
    namespace: str = ""
    """Namespace of every node."""
    security: Path | None = None
    """Start with DDS security, with the keys of this keystore (docs/security.md)."""
    respawn: bool = True
    """Start a node again that dies, up to three times a minute; else its death ends the drive."""
    log_level: Literal["debug", "info", "warn", "error"] = "warn"
    """Log level of every node."""


def drive(config: DriveConfig) -> int:
    """Run the stack until the drive ends; the exit code. BringupError when it cannot start."""
    scenario = check_scenario(config)
    road = check_road(config)
    model = check_model(config.model)
    if config.params_file is not None and not config.params_file.is_file():
        raise BringupError(f"parameter file {config.params_file}: no such file. Name a ROS parameter file.")
    domain = chosen_domain(config.domain_id)
    env = environment(domain) | check_security(config.security)
    lock = lock_domain(domain)
    try:
        out = fresh_folder(config.out)
        setup = Setup(
            scenario=scenario,
            road=road,
            seed=config.seed,
            mode=config.mode,
            model=str(model),
            speed=config.speed,
            route_length_m=config.length_m or 0.0,
            sim=config.sim,
            sim_settings=config.sim_settings,
            bag=str(out / "bag") if config.record else "",
            report=str(out),
            engage=config.engage,
            supervise=True,
        )
        return _run(config, topology(setup), out, env)
    finally:
        lock.close()


def check_scenario(config: DriveConfig) -> str:
    """The scenario to drive; SimError in one sentence for what the simulator does not know."""
    from wm_sim.contract import find_simulator, parse_settings

    simulator = find_simulator(config.sim).declaration
    simulator.check_settings(parse_settings(config.sim_settings))
    scenario = config.scenario or simulator.usual_scenario
    simulator.check_scenario(scenario)
    if config.road is not None:
        simulator.check_scenario(f"road:{config.road}")
    return scenario


def check_road(config: DriveConfig) -> str:
    """The road as sim_node takes it, empty without one; SimError in one sentence unless it can be driven."""
    if config.road is None:
        return ""
    from wm_sim.scenarios.from_file import named_scenario

    parts = [str(config.road.resolve()), config.traffic, *([str(config.lane_width)] if config.lane_width else [])]
    road = ",".join(parts)
    named_scenario(road, config.seed)
    return road


def check_model(model: Path) -> Path:
    """The model's folder, every file of it found and intact; ModelError or BringupError in one sentence if not."""
    from wm_perception.model_folder import read_model_config, verified_file

    folder = find_model(model)
    config = read_model_config(folder)
    for name in config.files:
        verified_file(folder, config, name)
    return folder


def check_security(keystore: Path | None) -> dict[str, str]:
    """Variables that switch DDS security on; BringupError in one sentence where it can not be had."""
    if keystore is None:
        return {}
    every = topology(Setup(bag="bag", report="report", supervise=True))
    return secured(keystore, [process.name for process in every], os.environ)


def command_line(process: Process, files: list[Path], namespace: str = "", log_level: str = "warn") -> list[str]:
    """How a process of the topology is started without ros2 run."""
    command = [sys.executable, "-m", process.module, "--ros-args", "--log-level", log_level]
    command += enclave_arguments(process.name)
    if namespace:
        command += ["-r", f"__ns:=/{namespace.strip('/')}"]
    for file in files:
        command += ["--params-file", str(file)]
    return command


def environment(domain: int) -> dict[str, str]:
    """What every process of the stack sees; values that the user set win."""
    return {**os.environ, **middleware_defaults(os.environ), **QUIET_ENV, "ROS_DOMAIN_ID": str(domain)}


def _run(config: DriveConfig, processes: tuple[Process, ...], out: Path, env: dict[str, str]) -> int:
    chosen = out / "parameters.yaml"
    chosen.write_text(yaml.safe_dump(parameter_file(processes), sort_keys=False))
    files = [stack_parameters(), *([config.params_file.resolve()] if config.params_file else []), chosen]
    logs = out / "log"
    logs.mkdir()
    group = ProcessGroup(logs)
    for process in processes:
        policy = RespawnPolicy() if config.respawn and process.respawn else NEVER
        line = command_line(process, files, config.namespace, config.log_level)
        group.add(process.name, line, env, policy, process.ends_last)
    print(
        f"{config.road or config.scenario or config.sim} seed {config.seed}, {config.mode}, "
        f"ROS domain {env['ROS_DOMAIN_ID']}; results in {out}",
        flush=True,
    )
    group.run()
    return _conclude(group, out)


def _conclude(group: ProcessGroup, out: Path) -> int:
    """Say how it ended; the exit code."""
    if group.killed:
        print(f"did not stop in time and were killed: {', '.join(group.killed)}.", file=sys.stderr)
    if group.first is not None and (group.first != "drive_node" or group.codes[group.first] < 0):
        often = f" {group.deaths(group.first)} times" if group.deaths(group.first) > 1 else ""
        print(
            f"{group.first} ended unexpectedly{often} ({describe_end(group.codes[group.first])}), so the stack was "
            f"stopped. Its log: {out / 'log' / (group.first + '.log')}",
            file=sys.stderr,
        )
        return 1
    for left in sorted(out.glob("*.partial")):
        print(f"{left.stem} was cut off; `wm info {left.with_suffix('')} --repair` makes a bag of it.", file=sys.stderr)
    report = out / "report.txt"
    if report.is_file():
        print(report.read_text(), flush=True)
    if group.first is None:
        print("stopped.", file=sys.stderr)
        return int(group.returncode or 130)
    return group.codes["drive_node"]


def main() -> int:
    """`python -m wm_bringup.drive`."""
    import tyro

    from wm_ros.errors import WmRosError

    try:
        return drive(tyro.cli(DriveConfig))
    except (BringupError, WmRosError, RuntimeError) as error:
        if not type(error).__module__.startswith("wm_"):
            raise
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
