"""Stacks of real processes, each on a ROS domain of its own, none left behind."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
MODEL = Path(os.environ.get("WM_TEST_MODEL", ROOT / "models/default"))
PATIENCE_S = 120.0
_domains = itertools.count(101, -1)


def wait_until(done: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    limit = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < limit, f"waited {patience_s:.0f} s in vain until {what}"
        time.sleep(0.05)


def processes_on(domain: int) -> list[psutil.Process]:
    """Living processes of a stack on this ROS domain, this one aside."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.environ().get("WM_TEST_STACK") == str(domain)
            if ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@dataclass
class Drive:
    """A `wm drive` under way."""

    domain: int
    out: Path
    process: subprocess.Popen[str]
    children: list[psutil.Process] = field(default_factory=list)

    def node(self, name: str) -> psutil.Process:
        """The process of a node."""
        for process in processes_on(self.domain):
            line = process.cmdline()
            if "-m" in line and line[line.index("-m") + 1].endswith(f".{name}"):
                return process
        raise AssertionError(f"{name} does not run")

    def wait(self, patience_s: float = PATIENCE_S) -> tuple[int, str]:
        """Exit code and everything printed."""
        text, _ = self.process.communicate(timeout=patience_s)
        return self.process.returncode, text


@pytest.fixture(scope="session")
def model() -> Path:
    if not MODEL.is_dir():
        pytest.skip(f"no model in {MODEL}")
    return MODEL


def _free_domain() -> int:
    from wm_bringup.domain import is_free

    return next(number for number in _domains if is_free(number))


@pytest.fixture(scope="session")
def free_domain() -> Callable[[], int]:
    return _free_domain


def _start(model: Path, out: Path, domain: int, *options: str) -> Drive:
    command = [sys.executable, "-m", "wm_bringup.drive", "--model", str(model), "--out", str(out)]
    command += ["--domain-id", str(domain), *options]
    environment = os.environ | {"WM_TEST_STACK": str(domain)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=ROOT
    )
    return Drive(domain, out, process)


@pytest.fixture(scope="session")
def start_drive(model: Path) -> Iterator[Callable[..., Drive]]:
    """Start `wm drive OPTIONS`; whatever still runs at the end is killed."""
    drives: list[Drive] = []

    def start(out: Path, *options: str, domain: int | None = None) -> Drive:
        drives.append(_start(model, out, _free_domain() if domain is None else domain, *options))
        return drives[-1]

    yield start
    for drive in drives:
        if drive.process.poll() is None:
            drive.process.kill()
        for process in processes_on(drive.domain):
            process.kill()


@pytest.fixture
def driving_stack(start_drive, tmp_path) -> Drive:
    """A realtime drive with a bag that is under way."""
    drive = start_drive(tmp_path / "drive", "--scenario", "lane_follow", "--seed", "3", "--mode", "realtime")
    log = drive.out / "log/drive_node.log"

    def engaged() -> bool:
        return drive.process.poll() is not None or (log.exists() and "engaged" in log.read_text())

    wait_until(engaged, "the stack drives")
    assert drive.process.poll() is None, drive.wait()
    return drive


@pytest.fixture
def interrupt() -> Callable[[Drive], None]:
    return lambda drive: drive.process.send_signal(signal.SIGINT)
