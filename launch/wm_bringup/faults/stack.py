"""The graph that faults are put into: the stack's processes with the interposer between them, each under our hand."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import rclpy
import yaml
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import SetBool

from wm_bringup.drive import command_line, environment
from wm_bringup.errors import BringupError
from wm_bringup.faults.interposer_node import Interposer, raw_name
from wm_bringup.faults.table import PUBLISHED
from wm_bringup.faults.watch import Watcher
from wm_bringup.paths import stack_parameters
from wm_bringup.processes import start_alone
from wm_bringup.topology import Process, Setup, parameter_file, topology
from wm_msgs.srv import Reset
from wm_perception.model_folder import read_model_config
from wm_training.bags.writer import growing

START_S = 240.0  # for the whole graph to be ready on a slow machine
ANSWER_S = 5.0  # for a service
LEAVE_S = 8.0  # for a process to end on SIGTERM
LOOK_S = 0.02


class Stack:
    """Starts, signals, restarts and ends the nodes; talks to them. What dies stays dead until `start_dead`."""

    def __init__(self, model: Path, domain: int, folder: Path, speed: float = 1.0) -> None:
        """`folder`: for logs and parameters, made by the caller. `speed`: simulated s a wall s."""
        self.folder = folder
        self.speed = speed
        self._env = environment(domain)
        processes = topology(Setup(model=str(model), speed=speed))
        self._processes = {process.name: _watching_surprise(process, model) for process in processes}
        self.recorder_folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._logs = folder / "log"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self.interposer = Interposer(self._context)
        self.watcher = Watcher(self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        for node in (self.interposer, self.watcher):
            self._executor.add_node(node)
        self._engage = self.watcher.create_client(SetBool, "safety/engage")
        self._reset = self.watcher.create_client(Reset, "sim/reset")
        self._thread = threading.Thread(target=self._spin, name="faults", daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    # Processes.

    def start_dead(self) -> None:
        """Start every node of the stack that does not run."""
        for name in self._processes:
            if not self.runs(name):
                self.start(self._processes[name])

    def start(self, process: Process) -> None:
        """Start one node, its topics led through the interposer."""
        chosen = self.folder / f"{process.name}.yaml"
        chosen.write_text(yaml.safe_dump(parameter_file((process,))))
        command = command_line(process, [stack_parameters(), chosen])
        for topic in PUBLISHED.get(process.name, ()):
            command += ["-r", f"{topic.name}:={raw_name(topic)}"]
        log = self._logs / f"{process.name}.log"
        self._running[process.name] = start_alone(command, self._env, log, own_session=True)

    def start_recorder(self, bag: Path, min_free_mb: float) -> None:
        """Record the graph into `bag`, begun when this returns, with the room on the disk that a recorder demands."""
        self.recorder_folder = bag.parent
        process = Process("wm_training", "recorder_node", {"out": str(bag), "min_free_mb": min_free_mb})
        self.start(process)
        self.wait(lambda: any(growing(bag).glob("*")), START_S)

    def runs(self, name: str) -> bool:
        process = self._running.get(name)
        return process is not None and process.poll() is None

    def dead(self) -> set[str]:
        """Nodes that were started and do not run any more."""
        return {name for name in self._running if not self.runs(name)}

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def signal(self, name: str, number: int) -> None:
        if self.runs(name):
            self._running[name].send_signal(number)
            if number == signal.SIGKILL:
                self._running[name].wait()

    def end_node(self, name: str) -> None:
        """End one node politely, else by force, and forget it."""
        process = self._running.pop(name, None)
        if process is not None:
            process.terminate()
            process.send_signal(signal.SIGCONT)
            _leave(process)

    def end_nodes(self) -> None:
        """End all nodes together."""
        for process in self._running.values():
            process.terminate()
            process.send_signal(signal.SIGCONT)
        for process in self._running.values():
            _leave(process)
        self._running.clear()

    def end(self) -> None:
        """End everything: the nodes, then our own part of the graph."""
        self.end_nodes()
        self._executor.shutdown(timeout_sec=LEAVE_S)
        self._thread.join(LEAVE_S)
        self.interposer.destroy_node()
        self.watcher.destroy_node()
        self._context.try_shutdown()

    # Talking.

    def wait(self, done: Callable[[], object], patience_s: float) -> bool:
        """Whether it came true in time."""
        limit = time.monotonic() + patience_s
        while not done():
            if time.monotonic() > limit:
                return False
            time.sleep(LOOK_S)
        return True

    def wait_driving(self, done: Callable[[], object], patience_s: float) -> bool:
        """As `wait`, with a patience in simulated s."""
        return self.wait(done, patience_s / self.speed)

    def driven_s(self, since_ns: int) -> float:
        """Simulated s since a wall time."""
        return self.speed * (time.time_ns() - since_ns) * 1e-9

    def call(self, client: Any, request: Any) -> Any:
        """The answer of a service; None when there is none in time."""
        if not self.wait(client.service_is_ready, ANSWER_S):
            return None
        asked = client.call_async(request)
        if not self.wait(asked.done, ANSWER_S):
            client.remove_pending_request(asked)
            return None
        return asked.result()

    def engage(self, wanted: bool = True) -> str:
        """Empty when the gate did so, else why not."""
        answer = self.call(self._engage, SetBool.Request(data=wanted))
        return "safety/engage does not answer" if answer is None else ("" if answer.success else answer.message)

    def reset(self, scenario: str, seed: int) -> None:
        """Begin an episode; BringupError when the simulator refuses."""
        answer = self.call(self._reset, Reset.Request(scenario=scenario, seed=seed))
        if answer is None or not answer.success:
            dead = f" ({', '.join(sorted(self.dead()))} ended)" if self.dead() else ""
            why = "no answer" if answer is None else answer.message
            raise BringupError(f"sim/reset: {why}{dead}. See the logs in {self._logs}.")


def _watching_surprise(process: Process, model: Path) -> Process:
    """The gate watches the model's surprise here, by the model's own p99.9."""
    if process.name != "safety_gate_node":
        return process
    watch = {"surprise_max_nats": read_model_config(model).surprise_p999}
    return replace(process, parameters=process.parameters | watch)


def _leave(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(LEAVE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
