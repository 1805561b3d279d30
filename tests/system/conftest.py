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
from typing import Any

import psutil
import pytest
import rclpy
import yaml
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import SetBool

from wm_bringup.domain import is_free, lock_domain
from wm_bringup.drive import command_line, environment
from wm_bringup.paths import stack_parameters
from wm_bringup.topology import Setup, parameter_file, topology
from wm_msgs.msg import Belief, ControlCommand, Plan, VehicleStatus
from wm_ros.topics import BELIEF, CONTROL, PLAN, STATUS

ROOT = Path(__file__).resolve().parents[2]
MODEL = Path(os.environ.get("WM_TEST_MODEL", ROOT / "models/default"))
PATIENCE_S = 120.0
_LOWEST = 60 + 3 * (int(os.environ["ROS_DOMAIN_ID"]) % 14)  # three domains that no other run of the tests uses
_domains = itertools.cycle(range(_LOWEST, _LOWEST + 3))


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
        found = self._find(name)
        assert found is not None, f"{name} does not run"
        return found

    def runs(self, name: str) -> bool:
        return self._find(name) is not None

    def _find(self, name: str) -> psutil.Process | None:
        for process in processes_on(self.domain):
            line = process.cmdline()
            if "-m" in line and line[line.index("-m") + 1].endswith(f".{name}"):
                return process
        return None

    def until_said(self, name: str, words: str, times: int = 1) -> None:
        """Wait until the log of a node holds some words."""
        log = self.out / "log" / f"{name}.log"

        def said() -> bool:
            return log.exists() and log.read_text().count(words) >= times

        wait_until(lambda: said() or self.process.poll() is not None, f"{name} says: {words}")
        assert said(), self.wait()

    def until_frames(self, count: int) -> None:
        """Wait until so many frames were driven, or the drive has ended."""
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=self.domain)
        observer, seen = rclpy.create_node("observer", context=context), set()
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(observer)

        def hear(status: VehicleStatus) -> None:
            if status.mode == VehicleStatus.MODE_DRIVING:
                seen.add((status.header.stamp.sec, status.header.stamp.nanosec))

        observer.create_subscription(STATUS.type, STATUS.name, hear, STATUS.reader_qos)
        try:
            limit = time.monotonic() + PATIENCE_S
            while len(seen) < count and self.process.poll() is None:
                assert time.monotonic() < limit, f"waited {PATIENCE_S:.0f} s in vain until {count} frames were driven"
                executor.spin_once(timeout_sec=0.1)
        finally:
            executor.shutdown()
            observer.destroy_node()
            context.try_shutdown()

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
    found: list[int] = []

    def one_is_free() -> bool:
        number = next(_domains)
        if is_free(number):
            found.append(number)
        return bool(found)

    wait_until(one_is_free, "a ROS domain is free")
    return found[0]


@pytest.fixture(scope="session", autouse=True)
def compiled_kernels() -> None:
    """The simulator's kernels on disk: in a fresh checkout a stack would compile them while a test waits for it."""
    from wm_sim.world import World

    World().prepare()


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
    drive.until_said("drive_node", "engaged")
    return drive


@pytest.fixture
def slow_drive(start_drive, tmp_path) -> Drive:
    """The same at half the pace: a loaded machine keeps what has to be in time, a quick one is not back at once."""
    drive = start_drive(tmp_path / "drive", "--scenario", "lane_follow", "--seed", "3", "--speed", "0.5")
    drive.until_said("drive_node", "engaged")
    return drive


@pytest.fixture
def interrupt() -> Callable[[Drive], None]:
    return lambda drive: drive.process.send_signal(signal.SIGINT)


class LooseStack:
    """The five driving nodes without a manager: what dies stays dead, and the rest goes on."""

    def __init__(self, model: Path, folder: Path, domain: int) -> None:
        processes = topology(Setup(scenario="lane_follow", seed=3, model=str(model)))
        chosen = folder / "parameters.yaml"
        content = parameter_file(processes)
        content["/**/sim_node"]["ros__parameters"]["when_done"] = "again"  # the world goes on whatever the model does
        chosen.write_text(yaml.safe_dump(content))
        files, env = [stack_parameters(), chosen], environment(domain)
        self.nodes = {process.name: subprocess.Popen(command_line(process, files), env=env) for process in processes}
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.observer = rclpy.create_node("observer", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.observer)
        self.statuses: list[VehicleStatus] = []
        self.commands: list[ControlCommand] = []
        self.plans: list[Plan] = []
        self.beliefs: list[Belief] = []
        heard = ((STATUS, self.statuses), (CONTROL, self.commands), (PLAN, self.plans), (BELIEF, self.beliefs))
        for topic, kept in heard:
            self.observer.create_subscription(topic.type, topic.name, kept.append, topic.reader_qos)

    def until(self, done: Callable[[], object], what: str) -> None:
        limit = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < limit, f"waited in vain until {what}"
            self.executor.spin_once(timeout_sec=0.02)

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """The answer of a service."""
        client = self.observer.create_client(kind, name)
        self.until(client.service_is_ready, f"{name} is there")
        asked = client.call_async(request)
        self.until(asked.done, f"{name} answers")
        return asked.result()

    def engage(self) -> None:
        while not self.call(SetBool, "safety/engage", SetBool.Request(data=True)).success:
            time.sleep(0.1)

    def under_way(self, frames: int = 8) -> None:
        """Engage and drive for some frames."""
        self.engage()

        def driving() -> bool:
            moving = sum(status.mode == VehicleStatus.MODE_DRIVING for status in self.statuses)
            heard = self.commands and self.plans and self.beliefs  # discovery is done topic by topic
            return bool(heard) and moving >= frames and self.commands[-1].source == ControlCommand.SOURCE_PLAN

        self.until(driving, "the car drives")

    def kill(self, name: str) -> None:
        self.nodes[name].send_signal(signal.SIGKILL)
        self.nodes[name].wait()

    def end(self) -> None:
        for process in self.nodes.values():
            process.terminate()
        for process in self.nodes.values():
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
        self.executor.shutdown()
        self.observer.destroy_node()
        self.context.try_shutdown()

    def stands(self) -> bool:
        return bool(self.statuses) and self.statuses[-1].speed < 0.1


@pytest.fixture
def loose_stack(model: Path, free_domain, tmp_path: Path, monkeypatch) -> Iterator[LooseStack]:
    domain = free_domain()
    monkeypatch.setenv("WM_TEST_STACK", str(domain))
    with lock_domain(domain):
        stack = LooseStack(model, tmp_path, domain)
        yield stack
        stack.end()
