"""Nodes that are started, looked at from outside and ended by a bench, with an observer of its own in the graph."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import rclpy
import yaml
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from wm_bringup.drive import command_line, environment
from wm_bringup.errors import BringupError
from wm_bringup.paths import stack_parameters
from wm_bringup.processes import describe_end, start_alone
from wm_bringup.topology import Process, parameter_file

LEAVE_S = 8.0  # for a process to end on SIGTERM
LOOK_S = 0.05


class LooseGraph:
    """The processes of a graph without a manager: who ends is noticed by `check`."""

    def __init__(self, processes: Iterable[Process], domain: int, folder: Path, **parameters: dict[str, Any]) -> None:
        """`folder`: for logs, made by the caller. `parameters`: of a node by its name, over the topology's."""
        self._logs = folder
        chosen = folder / "parameters.yaml"
        processes = tuple(processes)
        content = parameter_file(processes)
        for name, given in parameters.items():
            content[f"/**/{name}"]["ros__parameters"].update(given)
        chosen.write_text(yaml.safe_dump(content))
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self.observer: Node = rclpy.create_node("observer", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.observer)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        for process in processes:
            command = command_line(process, [stack_parameters(), chosen])
            log = folder / f"{process.name}.log"
            self.running[process.name] = start_alone(command, environment(domain), log)
        self._thread = threading.Thread(target=self._spin, name="observer", daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        with suppress(ExternalShutdownException):
            self._executor.spin()

    def check(self) -> None:
        """BringupError if a node has ended."""
        for name, process in self.running.items():
            if process.poll() is not None:
                log = self._logs / f"{name}.log"
                said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
                raise BringupError(f"{name} ended ({describe_end(process.returncode)}): {said[0]}")

    def until(self, done: Callable[[], object], what: str, patience_s: float) -> None:
        """Wait; BringupError if a node ends or it does not come true in time."""
        limit = time.monotonic() + patience_s
        while not done():
            self.check()
            if time.monotonic() > limit:
                raise BringupError(f"waited {patience_s:g} s in vain until {what}.")
            time.sleep(LOOK_S)

    def call(self, client: Any, request: Any, patience_s: float = 30.0) -> Any:
        """The answer of a service."""
        self.until(client.service_is_ready, f"{client.srv_name} is there", patience_s)
        asked = client.call_async(request)
        self.until(asked.done, f"{client.srv_name} answers", patience_s)
        return asked.result()

    def end(self) -> None:
        """End the nodes, then the observer."""
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(LEAVE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._executor.shutdown(timeout_sec=LEAVE_S)
        self._thread.join(LEAVE_S)
        self.observer.destroy_node()
        self._context.try_shutdown()
