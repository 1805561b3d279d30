"""Runs a set of processes: honcho's manager with names and logs, new starts after a death, and an end in order."""

from __future__ import annotations

import ctypes
import functools
import multiprocessing
import queue
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from honcho import process as honcho_process
from honcho.manager import SIGNALS, Manager
from honcho.printer import Message, Printer

from wm_bringup.supervision import NEVER, RespawnPolicy

STOP_S = 8.0  # from the polite signal to the impolite one; an idle machine needs one second
LOOK_S = 0.1
_PR_SET_PDEATHSIG = 1


def _die_with_parent(number: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)


def start_alone(
    command: list[str], env: dict[str, str], log: Path, *, own_session: bool = False
) -> subprocess.Popen[bytes]:
    """A process outside any group, which ends with whoever started it. `log`: gets what it says, at its end."""
    with log.open("ab") as said:
        return subprocess.Popen(
            command,
            env=env,
            stdout=said,
            stderr=said,
            start_new_session=own_session,
            preexec_fn=functools.partial(_die_with_parent, signal.SIGTERM),  # noqa: PLW1509
        )


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


@dataclass
class _Life:
    """What became of one process so far."""

    policy: RespawnPolicy
    ends_last: bool
    deaths_s: list[float] = field(default_factory=list)  # steady clock
    again_s: float | None = None  # when it is due to be started again


class ProcessGroup(Manager):
    """Starts processes together, starts again who dies as far as its policy goes, and ends all of them together.

    The end comes when a process ends for good, or on SIGINT or SIGTERM: everybody is asked at once, save who
    `ends_last`; they are asked when the others are gone. After `run`, `first` names the process that ended first for
    good (None: a signal to us came before); `codes` holds every exit code, `restarts` how often each was started again.
    """

    def __init__(self, log_folder: Path, output: IO[str] | None = None) -> None:
        self._log = _Log(log_folder, sys.stdout if output is None else output)
        super().__init__(self._log)
        self._process_ctor = _Process
        self._terminating = False
        self.returncode: int | None = None
        self._lives: dict[str, _Life] = {}
        self._asked_s: float | None = None  # when the present stage of the end began
        self.first: str | None = None
        self.killed: list[str] = []  # had to be killed because they did not stop
        self.restarts: dict[str, int] = {}

    def add(
        self, name: str, command: list[str], env: dict[str, str], policy: RespawnPolicy = NEVER, ends_last: bool = False
    ) -> None:
        self.add_process(name, "exec " + shlex.join(command), env=env)
        self._lives[name] = _Life(policy, ends_last)

    def run(self) -> None:
        try:
            self.loop()
        finally:
            self._log.close()

    @property
    def codes(self) -> dict[str, int]:
        return {name: state.get("returncode", -1) for name, state in self._processes.items()}

    def deaths(self, name: str) -> int:
        """How often a process ended."""
        return len(self._lives[name].deaths_s)

    def loop(self) -> None:
        for number in SIGNALS:
            signal.signal(number, self._on_signal)
        for name in self._processes:
            self._launch(name)
        while True:
            try:
                self._on_message(self.events.get(timeout=LOOK_S))
            except queue.Empty:
                if not self._running():
                    return
            self._on_time(time.monotonic())

    def _launch(self, name: str) -> None:
        state = self._processes[name]
        state.pop("returncode", None)
        state["process"] = multiprocessing.Process(name=name, target=state["obj"].run, args=(self.events, True))
        state["process"].start()

    def _running(self) -> list[str]:
        """Processes that run or are due to start again."""
        return [name for name, state in self._processes.items() if "returncode" not in state]

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.returncode is None:
            self.returncode = SIGNALS[number]["rc"]
        self.terminate()

    def _on_message(self, message: Message) -> None:
        if message.type == "line":
            self._printer.write(message)
        elif message.type == "start":
            self._processes[message.name]["pid"] = message.data["pid"]
            if self._terminating:  # it was on its way when everybody was asked
                self._ask(message.name)
        elif message.type == "stop":
            self._on_death(message.name, message.data["returncode"])

    def _on_death(self, name: str, code: int) -> None:
        state, life = self._processes[name], self._lives[name]
        state.pop("pid")
        life.deaths_s.append(time.monotonic())
        delay_s = None if self._terminating else life.policy.delay_after(life.deaths_s, code)
        if delay_s is not None:
            life.again_s = life.deaths_s[-1] + delay_s
            self._say(name, f"ended ({describe_end(code)}); it is started again in {delay_s:g} s.")
            return
        state["returncode"] = code
        if self.returncode is None:
            self.returncode = code
        if not self._terminating:
            self.first = name
            self.terminate()

    def _say(self, name: str, sentence: str) -> None:
        now = self._clock.now()
        self._printer.write(Message("line", f"{name} {sentence}\n", now, name, self._processes[name]["obj"].colour))

    def _on_time(self, now_s: float) -> None:
        if self._asked_s is not None:
            running = self._running()
            if running and all(self._lives[name].ends_last for name in running):
                self._end_the_last(running, now_s)
            if now_s - self._asked_s > STOP_S:
                self._asked_s = now_s
                self.kill()
            return
        for name, life in self._lives.items():
            if life.again_s is not None and now_s >= life.again_s:
                life.again_s = None
                self.restarts[name] = self.restarts.get(name, 0) + 1
                self._launch(name)

    def terminate(self) -> None:
        """Ask everybody to end; may run inside a signal handler."""
        if self._terminating:
            return
        self._terminating = True
        self._asked_s = time.monotonic()
        for name, life in self._lives.items():
            if life.again_s is not None:  # it is not there, and will not be
                life.again_s = None
                self._processes[name]["returncode"] = -1
            elif not life.ends_last:
                self._ask(name)

    def _end_the_last(self, names: list[str], now_s: float) -> None:
        for name in names:
            if not self._processes[name].get("asked"):
                self._ask(name)
                self._asked_s = now_s

    def _ask(self, name: str) -> None:
        state = self._processes[name]
        if "pid" in state and "returncode" not in state:
            state["asked"] = True
            self._procmgr.terminate(state["pid"])

    def kill(self) -> None:
        """End who did not when asked."""
        late = [name for name in self._running() if self._processes[name].get("asked")]
        self.killed += [name for name in late if name not in self.killed]
        for name in late:
            if "pid" in self._processes[name]:
                self._procmgr.kill(self._processes[name]["pid"])


def describe_end(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
