"""`wm doctor`: what is installed, whether it works, and what to do where it does not."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from wm_bringup.domain import HIGHEST, chosen_domain, is_free
from wm_bringup.paths import MODEL, find_model

Level = Literal["ok", "warn", "fail"]
OLDEST, NEWEST = (3, 10), (3, 13)
DRIVING = (
    "numpy",
    "numba",
    "onnxruntime",
    "opencv-python-headless",
    "honcho",
    "rich",
    "tyro",
    "PyYAML",
    "rosbags",
    "gymnasium",
)
TRAINING = ("torch", "safetensors", "onnx", "tensorboard", "joblib")
STACK = ("wm_msgs", "wm_ros", "wm_sim", "wm_perception", "wm_dynamics", "wm_planner", "wm_training")
LEAST_GB, GOOD_GB = 1.0, 5.0
SETUP = "Run make setup."


@dataclass(frozen=True)
class DoctorConfig:
    """Check the installation, the middleware, the model and the engines; exit code 1 when something is broken."""

    model: Path = Path(MODEL)
    """Model folder."""
    domain_id: int | None = None
    """ROS domain; that of the environment, or 0, when not named."""


@dataclass(frozen=True)
class Row:
    """One thing looked at."""

    what: str
    level: Level
    found: str
    remedy: str = ""


def doctor(config: DoctorConfig) -> int:
    """Look at everything, print a table, return the exit code."""
    rows = examine(config)
    show(rows)
    return 1 if any(row.level == "fail" for row in rows) else 0


def examine(config: DoctorConfig) -> list[Row]:
    """Every check in the order in which one depends on the other; a check that breaks is a failed row."""
    checks: list[tuple[str, Callable[[], list[Row]]]] = [
        ("Python", python),
        ("packages", packages),
        ("stack", stack),
        ("ROS domain", lambda: domain(config.domain_id)),
        ("middleware", lambda: middleware(config.domain_id)),
        ("model", lambda: model(config.model)),
        ("engines", engines),
        ("scheduling", scheduling),
        ("disk", disk),
    ]
    rows = []
    for what, check in checks:
        try:
            rows += check()
        except Exception as error:  # a doctor reports whatever breaks
            rows.append(Row(what, "fail", f"{type(error).__name__}: {error}".splitlines()[0], SETUP))
    return rows


def python() -> list[Row]:
    """The interpreter and the machine."""
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    fits = OLDEST <= sys.version_info[:2] <= NEWEST
    level: Level = "ok" if fits and (platform.system(), platform.machine()) == ("Linux", "x86_64") else "warn"
    return [Row("Python", level, found, "" if level == "ok" else "Made for Python 3.10 to 3.13 on Linux x86_64.")]


def packages() -> list[Row]:
    """Python packages: what driving needs, and what only training needs."""
    rows = []
    for title, names, level in (("packages to drive", DRIVING, "fail"), ("packages to train", TRAINING, "warn")):
        versions = {name: _version(name) for name in names}
        missing = [name for name, found in versions.items() if found is None]
        if missing:
            rows.append(Row(title, level, f"missing: {', '.join(missing)}", SETUP))  # type: ignore[arg-type]
        else:
            rows.append(Row(title, "ok", ", ".join(f"{name} {found}" for name, found in versions.items())))
    return rows


def stack() -> list[Row]:
    """ROS and the packages of the workspace."""
    try:
        importlib.import_module("rclpy")
    except ImportError as error:
        return [Row("ROS 2", "fail", f"no rclpy: {error}", "Run make setup, or source a ROS 2 installation.")]
    rows = [Row("ROS 2", "ok", f"rclpy {_version('rclpy') or ''} {os.environ.get('ROS_DISTRO', '')}".strip())]
    missing = []
    for name in STACK:
        try:
            importlib.import_module(f"{name}.msg" if name == "wm_msgs" else name)
        except ImportError:
            missing.append(name)
    found = f"not importable: {', '.join(missing)}" if missing else f"{len(STACK) + 1} packages"
    remedy = "Run make setup, then . scripts/env.sh." if missing else ""
    rows.append(Row("workspace", "fail" if missing else "ok", found, remedy))
    return rows


def domain(domain_id: int | None) -> list[Row]:
    """Is a stack driving on the domain that a drive would take?"""
    number = chosen_domain(domain_id)
    if is_free(number):
        return [Row("ROS domain", "ok", f"{number} is free")]
    free = next((other for other in range(HIGHEST + 1) if is_free(other)), None)
    return [Row("ROS domain", "warn", f"a stack drives on {number}", f"Stop it, or use --domain-id {free}.")]


def middleware(domain_id: int | None) -> list[Row]:
    """A message between two processes."""
    from wm_bringup.drive import environment
    from wm_bringup.ping import round_trip_ms

    env = environment(chosen_domain(domain_id))
    name = env["RMW_IMPLEMENTATION"]
    try:
        milliseconds = round_trip_ms(env)
    except RuntimeError as error:
        remedy = "Check that no firewall blocks the loopback interface (127.0.0.1, UDP)."
        return [Row("middleware", "fail", f"{name}: {error}", remedy)]
    return [Row("middleware", "ok", f"{name}: a message to another process and back in {milliseconds:.2f} ms")]


def model(folder: Path) -> list[Row]:
    """The model folder: there, intact, and computing what PyTorch computes."""
    from wm_bringup.drive import check_model
    from wm_dynamics.engines import load_engine
    from wm_perception.model_folder import read_model_config

    try:
        path = check_model(folder)
        load_engine(path)
    except RuntimeError as error:
        return [Row("model", "fail", str(error), "Name another model, or train one with wm train.")]
    config = read_model_config(path)
    rows = [Row("model", "ok", f"{find_model(folder)}: {config.family} {config.model_id}")]
    if find_spec("torch") is None:
        return [*rows, Row("model parity", "warn", "not checked: torch is not installed", SETUP)]
    from wm_dynamics.parity import check_parity

    try:
        rows.append(Row("model parity", "ok", f"onnxruntime and PyTorch differ by {check_parity(path):.1e} at most"))
    except RuntimeError as error:
        rows.append(Row("model parity", "fail", str(error), "Export the model again with wm export."))
    return rows


def engines() -> list[Row]:
    """What can run a model here."""
    rows = []
    for name, package in (("onnxruntime", "onnxruntime"), ("torch", "torch")):
        version_found = _version(package)
        missing: Level = "fail" if name == "onnxruntime" else "warn"
        rows.append(
            Row(
                f"engine {name}",
                "ok" if version_found else missing,
                version_found or "absent",
                "" if version_found else SETUP,
            )
        )
    rows.append(Row("engine openvino", "ok", _version("openvino") or "absent; optional, requirements-openvino.txt"))
    from wm_dynamics.engines.tensorrt_library import find_cuda, find_gpu, find_library

    try:
        library, gpu = find_library(), find_gpu(find_cuda())
        found = f"{library.name} {library.version}; {gpu.name if gpu else 'no NVIDIA GPU, so not used'}"
    except RuntimeError:
        found = "absent; not needed without an NVIDIA GPU"
    rows.append(Row("engine tensorrt", "ok", found))
    return rows


def scheduling() -> list[Row]:
    """Whether the nodes may go before other processes."""
    from wm_ros.scheduling import permits_realtime

    if permits_realtime():
        return [Row("scheduling", "ok", "SCHED_FIFO is permitted: the nodes keep their periods on a busy machine")]
    remedy = "For shorter and steadier answers let this user have `rtprio 20` in /etc/security/limits.conf."
    return [Row("scheduling", "warn", "SCHED_FIFO is not permitted: other processes delay the nodes", remedy)]


def disk() -> list[Row]:
    """Room for runs and bags; a bag of a drive takes about 10 MB a minute."""
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    level: Level = "ok" if free >= GOOD_GB else "warn" if free >= LEAST_GB else "fail"
    remedy = "" if level == "ok" else "Make room for bags and runs."
    return [Row("disk", level, f"{free:.1f} GB free in {Path.cwd()}", remedy)]


def show(rows: list[Row]) -> None:
    """The table for people."""
    from rich.console import Console
    from rich.table import Table

    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    grid = Table(show_lines=False)
    for title in ("what", "", "found", "what to do"):
        grid.add_column(title, overflow="fold")
    for row in rows:
        grid.add_row(row.what, f"[{colours[row.level]}]{row.level}[/]", row.found, row.remedy)
    Console().print(grid)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
