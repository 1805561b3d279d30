"""Runs a set of processes until the first one ends: honcho's manager with names, logs and a bounded end."""

from __future__ import annotations

import ctypes
import functools
import shlex
import signal
import sys
import threading
from pathlib import Path
from typing import IO, Any

from honcho import process as honcho_process
from honcho.manager import Manager
from honcho.printer import Message, Printer

STOP_S = 4.0  # from the polite signal to the impolite one
_PR_SET_PDEATHSIG = 1


def _die_with_parent(number: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


class _Process(honcho_process.Process):
    """A process that does not outlive whoever started it, even if that one is killed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        orphan = functools.partial(_die_with_parent, signal.SIGTERM)
        self._child_ctor = functools.partial(honcho_process.Popen, preexec_fn=orphan)

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        _die_with_parent(signal.SIGKILL)
        super().run(events, ignore_signals)


class _Log(Printer):
    """Every line into the log of its process; on the screen with the name before it."""

    def __init__(self, folder: Path, output: IO[str]) -> None:
        super().__init__(output)
        self._folder = folder
        self._files: dict[str, IO[str]] = {}

    def write(self, message: Message) -> None:
        if message.name == "system":
            return
        text = message.data.decode("utf-8", "replace") if isinstance(message.data, bytes) else message.data
        if message.name not in self._files:
            self._files[message.name] = (self._folder / f"{message.name}.log").open("a", buffering=1)
        self._files[message.name].write(text if text.endswith("\n") else text + "\n")
        super().write(message)

    def close(self) -> None:
        for file in self._files.values():
            file.close()


class ProcessGroup(Manager):
    """Starts processes together and ends them together: when one ends, or on SIGINT or SIGTERM.

    After `run`, `first` names the process that ended first (None: a signal to us came before); `codes` holds every
    exit code.
    """

    def __init__(self, log_folder: Path, output: IO[str] | None = None) -> None:
        self._log = _Log(log_folder, sys.stdout if output is None else output)
        super().__init__(self._log)
        self._process_ctor = _Process
        self.first: str | None = None
        self.killed: list[str] = []  # had to be killed because they did not stop

    def add(self, name: str, command: list[str], env: dict[str, str]) -> None:
        self.add_process(name, "exec " + shlex.join(command), env=env)

    def run(self) -> None:
        try:
            self.loop()
        finally:
            self._log.close()

    @property
    def codes(self) -> dict[str, int]:
        return {name: state.get("returncode", -1) for name, state in self._processes.items()}

    def terminate(self) -> None:
        if not self._terminating:
            ended = [name for name, state in self._processes.items() if "returncode" in state]
            self.first = ended[0] if ended else None
            timer = threading.Timer(STOP_S, self.kill)
            timer.daemon = True
            timer.start()
        super().terminate()

    def kill(self) -> None:
        self.killed = [name for name, state in self._processes.items() if "returncode" not in state]
        super().kill()

    def _killall(self, force: bool = False) -> None:
        for state in self._processes.values():
            if "pid" in state and "returncode" not in state:
                (self._procmgr.kill if force else self._procmgr.terminate)(state["pid"])


def describe_end(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
