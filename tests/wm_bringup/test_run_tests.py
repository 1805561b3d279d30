"""The runner of the tests: no crash and no hang in C eats a run, and none hides a failure."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

RUNNER = Path(__file__).parents[2] / "scripts/run_tests.py"
pytestmark = pytest.mark.slow  # together: each starts pytest
PLAIN = "def test_plain(): pass"
FIRST_TIME = """
import ctypes, os, pathlib, pytest, signal, subprocess, time
first = pathlib.Path(__file__).with_name("been here")
@pytest.mark.ros
def test_rough():
    if {always} or not first.exists():
        first.touch()
        {fault}
"""
CRASH = "os.kill(os.getpid(), signal.SIGSEGV)"
HANG = "ctypes.PyDLL(None).pause()  # keeps the interpreter's lock, as a hang in C does"
LEAVE_A_CHILD = """subprocess.Popen(["sleep", "1000"], start_new_session=True, env={{"WM_LEFT_BY": "{mark}"}})"""
ENDLESS = """
import pytest, time
@pytest.mark.parametrize("number", range(1000))
def test_endless(number): time.sleep(0.5)
"""
FAIL = "assert False, 'wrong'"


def write(folder: Path, fault: str, *, always: bool, plain: str = PLAIN) -> None:
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -q -p no:cacheprovider\nmarkers = ros\n")
    (folder / "test_rough.py").write_text(FIRST_TIME.format(fault=fault, always=always))
    (folder / "test_plain.py").write_text(plain)


def start(folder: Path, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(RUNNER), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=folder, env=os.environ | {"WM_TEST_STALL_S": "6"} | settings, start_new_session=True,
    )  # fmt: skip


def run(folder: Path, fault: str, *, always: bool, plain: str = PLAIN, **settings: str) -> tuple[int, str, str]:
    """Exit code, closing line and everything that was printed."""
    write(folder, fault, always=always, plain=plain)
    runner = start(folder, **settings)
    text, _ = runner.communicate(timeout=120)
    return runner.returncode, text.strip().splitlines()[-1], text


def alive(mark: str) -> list[psutil.Process]:
    """Processes that a test left, known by their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("WM_LEFT_BY") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize(("fault", "name"), [(CRASH, "SIGSEGV"), (HANG, "SIGABRT")])
def test_a_process_that_crashes_or_hangs_is_started_once_more_and_that_is_said(tmp_path, fault: str, name: str) -> None:
    code, closing, text = run(tmp_path, fault, always=False)
    assert code == 0, text
    assert closing.startswith("2 passed in ")
    assert text.count(f"ended by {name} at test_rough.py::test_rough: STARTED ONCE MORE") == 1
    assert 'test_rough.py", line' in text  # the stacks


def test_a_process_that_crashes_twice_fails_the_run_and_names_the_test(tmp_path) -> None:
    code, closing, text = run(tmp_path, CRASH, always=True)
    assert code == 128 + 11
    assert closing.startswith("1 failed, 1 passed in ")
    assert "FAILED test_rough.py::test_rough" in text


def test_a_failed_test_is_not_run_again(tmp_path) -> None:
    code, closing, text = run(tmp_path, FAIL, always=False)
    assert code == 1
    assert closing.startswith("1 failed, 1 passed in ")
    assert "ONCE MORE" not in text


def test_the_closing_line_counts_failures_of_the_second_process_too(tmp_path) -> None:
    code, closing, _ = run(tmp_path, "pass", always=True, plain="def test_plain(): assert False")
    assert code == 1
    assert closing.startswith("1 failed, 1 passed in ")


def test_a_failure_before_the_crash_is_not_hidden_by_a_second_start(tmp_path) -> None:
    (tmp_path / "test_a.py").write_text("import pytest\n@pytest.mark.ros\ndef test_early(): assert False, 'wrong'")
    code, closing, text = run(tmp_path, CRASH, always=False)
    assert code == 128 + 11
    assert "not started again, a test had failed" in text
    assert closing.startswith("2 failed, 1 passed in ")


def test_the_tests_without_ros_are_not_started_again(tmp_path) -> None:
    code, _, text = run(tmp_path, "pass", always=True, plain=f"import os, signal\ndef test_plain(): {CRASH}")
    assert code == 128 + 11
    assert text.count("(rest) ended by SIGSEGV at test_plain.py::test_plain: not started again, given up") == 1
    assert "FAILED test_plain.py::test_plain" in text


def test_a_part_that_goes_on_and_on_is_ended(tmp_path) -> None:
    code, _, text = run(tmp_path, "pass", always=True, plain=ENDLESS, WM_TEST_LIMIT_S="8")
    assert code == 128 + 6
    assert "not done after 8 s" in text
    assert "in test_endless" in text  # the stacks


@pytest.mark.parametrize("fault", ["pass", CRASH, HANG])
def test_nothing_that_a_test_started_outlives_its_process(tmp_path, fault: str) -> None:
    mark = str(tmp_path)
    _, _, text = run(tmp_path, f"{LEAVE_A_CHILD.format(mark=mark)}\n        {fault}", always=False)
    assert not alive(mark)
    assert fault != "pass" or "left behind by a test and killed: sleep 1000" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to_all", [True, False], ids=["group", "runner"])
def test_a_signal_ends_everything(tmp_path, number: int, to_all: bool) -> None:
    mark = str(tmp_path)
    write(tmp_path, f"{LEAVE_A_CHILD.format(mark=mark)}\n        time.sleep(100)", always=True)
    runner = start(tmp_path, WM_TEST_LEAVE_S="3")
    limit = time.monotonic() + 60.0
    while not alive(mark):
        assert time.monotonic() < limit
        time.sleep(0.1)
    (os.killpg if to_all else os.kill)(runner.pid, number)
    text, _ = runner.communicate(timeout=60)
    assert runner.returncode == 128 + signal.SIGINT
    assert not alive(mark)
    assert not re.search(r"\d+ passed", text)
