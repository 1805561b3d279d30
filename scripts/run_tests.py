"""python scripts/run_tests.py [TESTS AND OPTIONS OF PYTEST]: the tests in two processes, those that touch ROS apart.

The middleware can hang or crash in C, where no timeout inside pytest reaches it. So the tests that use it, marked `ros`
or `system`, run first, in a process of their own, the rest in a second one whose closing line counts both. A process
that crashes, or in which nothing moves for WM_TEST_STALL_S, shows its stacks and is started once more, and that is
said; a test that fails stays failed.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

STALL_S = float(os.environ.get("WM_TEST_STALL_S", "420"))  # pytest's own timeout of a test, which comes first, is 300 s
ABORT_S = 10.0  # to write the stacks
PARTS = ("ros", "rest")
NO_TESTS = 5  # pytest's exit code
ON_PURPOSE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # somebody wants it to end
STOPPED = (2, 3, 4, *(128 + number for number in ON_PURPOSE))  # interrupted, internal error, wrong usage
PR_SET_CHILD_SUBREAPER = 36


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
    died = "The process of this test died or hung, twice; the stacks stand above."
    lost = [pytest.TestReport(name, tuple(where), {}, "failed", died, "call") for name, where in running.items()]
    return found + lost


def run_part(part: str, journal: Path, earlier: Path | None, arguments: list[str]) -> int:
    """pytest's exit code for this part; above 128 where the process died twice."""
    for attempt in (1, 2):
        journal.write_text("")
        code = watch([sys.executable, __file__, "--part", part, str(journal), str(earlier or ""), *arguments], journal)
        if code >= 0 or -code in ON_PURPOSE:
            return code if code >= 0 else 128 - code
        last = next((line for line in reversed(journal.read_text().splitlines()) if line.startswith('{"start')), "{}")
        where = json.loads(last).get("start", "start or end of pytest")
        name = signal.Signals(-code).name
        again = "STARTED ONCE MORE" if attempt == 1 else "given up"
        say(f"the pytest process ({part}) ended by {name} at {where}: {again}")
    return 128 - code


def watch(command: list[str], journal: Path) -> int:
    """Exit code of the command; one in which nothing moves for STALL_S is aborted, which shows its stacks."""
    process = subprocess.Popen(command)
    patient = any(word in ("--pdb", "--trace") for word in command)
    while True:
        try:
            process.wait(1.0)
            break
        except KeyboardInterrupt:
            continue  # pytest has heard it too and ends
        except subprocess.TimeoutExpired:
            pass
        if not patient and time.time() - journal.stat().st_mtime > STALL_S:
            say(f"nothing moved for {STALL_S:.0f} s: aborting")
            process.send_signal(signal.SIGABRT)  # faulthandler writes every thread's stack
            try:
                process.wait(ABORT_S)
            except subprocess.TimeoutExpired:
                process.kill()
            break
    code = process.wait()
    for orphan in psutil.Process().children(recursive=True):  # nodes that a dead pytest left
        orphan.kill()
    return code


def say(sentence: str) -> None:
    print(f"\n{'!' * 100}\nrun_tests: {sentence}\n{'!' * 100}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    with tempfile.TemporaryDirectory() as folder:
        journals = [Path(folder) / part for part in PARTS]
        codes = [run_part("ros", journals[0], None, ["--no-summary", *arguments])]
        if codes[0] in STOPPED:
            return codes[0]
        codes.append(run_part("rest", journals[1], journals[0], arguments))
    ran = [code for code in codes if code != NO_TESTS]
    return max(ran, default=NO_TESTS)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--part"]:
        part, journal, earlier, *rest = sys.argv[2:]
        sys.argv = ["pytest", *rest]
        sys.exit(pytest.main(rest, plugins=[Part(part, Path(journal), Path(earlier) if earlier else None)]))
    sys.exit(main(sys.argv[1:]))
