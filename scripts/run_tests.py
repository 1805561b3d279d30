"""python scripts/run_tests.py [TESTS AND OPTIONS OF PYTEST]: the tests in two processes, those that touch ROS apart.

The middleware can hang or crash in C, where no timeout inside pytest reaches it. So the tests that use it, marked `ros`
or `system`, run first, in a process of their own, the rest in a second one whose closing line counts both. A process
in which nothing moves for WM_TEST_STALL_S, or that is at work for WM_TEST_LIMIT_S, shows its stacks and is killed with
everything that it started. The ROS process is started once more if it hung or crashed and no test had failed until
then, and that is said; a test that fails stays failed.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

STALL_S = float(os.environ.get("WM_TEST_STALL_S", "420"))  # pytest's own timeout of a test, which comes first, is 300 s
LIMIT_S = float(os.environ.get("WM_TEST_LIMIT_S", "2100"))  # of one part, its second start included
ABORT_S = 10.0  # to write the stacks
LEAVE_S = float(os.environ.get("WM_TEST_LEAVE_S", "20"))  # to end after Ctrl-C
LINGER_S = 3.0  # for helpers that end by themselves once pytest has
PARTS = ("ros", "rest")
NO_TESTS = 5  # pytest's exit code
ON_PURPOSE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # somebody wants it to end
STOPPED = (2, 3, 4, *(128 + number for number in ON_PURPOSE))  # interrupted, internal error, wrong usage
DIED = "The process of this test died or hung; the stacks stand above."
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


class Told(Exception):  # noqa: N818
    """Somebody wants the run to end."""


class Part:
    """A pytest plugin: runs one part, writes down what happens, and counts what the earlier part wrote down."""

    def __init__(self, part: str, journal: Path, earlier: Path | None) -> None:
        self.part, self.journal, self.earlier = part, journal, earlier

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if ("ros" if touches_ros(item) else "rest") == self.part]

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self._write({"start": nodeid, "location": location})

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write({"finish": nodeid})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._write({"report": report._to_json()})

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        terminal: Any = session.config.pluginmanager.get_plugin("terminalreporter")
        if self.earlier is None or terminal is None:
            return
        for report in reports(self.earlier):
            category, _, _ = session.config.hook.pytest_report_teststatus(report=report, config=session.config)
            terminal.stats.setdefault(category, []).append(report)

    def _write(self, entry: dict[str, Any]) -> None:
        with self.journal.open("a") as file:
            file.write(json.dumps(entry, default=str) + "\n")


def touches_ros(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("ros", "system"))


def reports(journal: Path) -> list[pytest.TestReport]:
    """Every report of a journal; a test that began and did not end is one more failure."""
    found, running = [], {}
    for line in journal.read_text().splitlines():
        entry = json.loads(line)
        if "start" in entry:
            running[entry["start"]] = entry["location"]
        elif "finish" in entry:
            running.pop(entry["finish"], None)
        else:
            report = pytest.TestReport._from_json(entry["report"])
            if isinstance(report.longrepr, list):  # where and why it was skipped; JSON has no tuples
                report.longrepr = tuple(report.longrepr)
            found.append(report)
    lost = [pytest.TestReport(name, tuple(where), {}, "failed", DIED, "call") for name, where in running.items()]
    return found + lost


def run_part(part: str, journal: Path, earlier: Path | None, arguments: list[str]) -> int:
    """pytest's exit code for this part; above 128 where its process died or was killed."""
    deadline = time.monotonic() + LIMIT_S
    for last in (part != "ros", True):
        journal.write_text("")
        command = [sys.executable, __file__, "--part", part, str(journal), str(earlier or ""), *arguments]
        code = watch(command, journal, deadline)
        if code >= 0 or -code in ON_PURPOSE:
            return code if code >= 0 else 128 - code
        starts = [line for line in journal.read_text().splitlines() if line.startswith('{"start')]
        where = json.loads(starts[-1])["start"] if starts else "the start of pytest"
        failed = [report.nodeid for report in reports(journal) if report.failed and report.longreprtext != DIED]
        reasons = ((last, "given up"), (failed, "a test had failed"), (time.monotonic() > deadline, "no time is left"))
        why = next((why for holds, why in reasons if holds), "")
        name = signal.Signals(-code).name
        again = f"not started again, {why}" if why else "STARTED ONCE MORE"
        say(f"the pytest process ({part}) ended by {name} at {where}: {again}")
        if why:
            break
    return 128 - code


def watch(command: list[str], journal: Path, deadline: float) -> int:
    """Exit code of the command. One in which nothing moves for STALL_S, or that is there at the deadline, shows its
    stacks and is killed, and in any case nothing that it started is left.
    """
    process = subprocess.Popen(command)
    patient = any(word in ("--pdb", "--trace") for word in command)
    told, size, moved = 0, -1, time.monotonic()
    try:
        while True:
            try:
                process.wait(1.0)
                break
            except subprocess.TimeoutExpired:
                reap_all_but(process.pid)
            except (KeyboardInterrupt, Told) as how:
                told += 1
                if told > 1:
                    process.kill()
                    continue
                if isinstance(how, Told):  # Ctrl-C has been heard by pytest too
                    process.send_signal(signal.SIGINT)
                deadline = time.monotonic() + LEAVE_S
            now = time.monotonic()
            if journal.stat().st_size != size:
                size, moved = journal.stat().st_size, now
            if patient and not told:
                continue
            if now > deadline:
                say("told to end and did not: aborting" if told else f"not done after {LIMIT_S:.0f} s: aborting")
                abort(process)
            elif now - moved > STALL_S:
                say(f"nothing moved for {STALL_S:.0f} s: aborting")
                abort(process)
    finally:
        signal.pthread_sigmask(signal.SIG_BLOCK, ON_PURPOSE)  # nobody's impatience leaves a process behind
        process.kill()
        code = process.wait()
        kill_what_is_left(code)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ON_PURPOSE)
    return -signal.SIGINT if told else code


def abort(process: subprocess.Popen[bytes]) -> None:
    """faulthandler writes every thread's stack."""
    process.send_signal(signal.SIGABRT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(ABORT_S)
    process.kill()


def reap_all_but(pid: int) -> None:
    """Processes that pytest's dead children leave are ours to bury: until then they look alive."""
    while (dead := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and dead.si_pid != pid:
        os.waitpid(dead.si_pid, 0)


def kill_what_is_left(code: int) -> None:
    """Kill every process below this one; after an orderly end, say which had to be."""
    if code >= 0:
        psutil.wait_procs(psutil.Process().children(recursive=True), LINGER_S)
        alive = [child for child in psutil.Process().children(recursive=True) if child.is_running()]
        names = []
        for child in alive:
            with suppress(psutil.Error):
                names.append(" ".join(child.cmdline()[:4]) or child.name())
        if names:
            say(f"left behind by a test and killed: {'; '.join(names)}")
    for _ in range(10):  # while they are killed they may start others
        left = psutil.Process().children(recursive=True)
        for child in left:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(left, 1.0)


def say(sentence: str) -> None:
    print(f"\n{'!' * 100}\nrun_tests: {sentence}\n{'!' * 100}", file=sys.stderr, flush=True)


def tell(*_: object) -> None:
    raise Told


def main(arguments: list[str]) -> int:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, tell)
    with tempfile.TemporaryDirectory() as folder:
        journals = [Path(folder) / part for part in PARTS]
        codes = [run_part("ros", journals[0], None, ["--no-summary", *arguments])]
        if codes[0] in STOPPED:
            return codes[0]
        codes.append(run_part("rest", journals[1], journals[0], arguments))
        if codes[1] > 128:  # it could not tell what failed
            for report in (report for journal in journals for report in reports(journal) if report.failed):
                print(f"FAILED {report.nodeid}\n{report.longreprtext}\n", flush=True)
    ran = [code for code in codes if code != NO_TESTS]
    return max(ran, default=NO_TESTS)


def part_main(part: str, journal: str, earlier: str, *arguments: str) -> int:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)
    faulthandler.enable()  # pytest's own ends with pytest, and the interpreter may hang after it
    sys.argv = ["pytest", *arguments]
    plugin = Part(part, Path(journal), Path(earlier) if earlier else None)
    return int(pytest.main(list(arguments), plugins=[plugin]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--part"]:
        sys.exit(part_main(*sys.argv[2:]))
    try:
        code = main(sys.argv[1:])
    except (KeyboardInterrupt, Told):
        code = 128 + signal.SIGINT
    sys.exit(code)
