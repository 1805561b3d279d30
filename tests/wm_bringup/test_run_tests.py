"""The runner of the tests: no crash and no hang in C eats a run, and none hides a failure."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUNNER = Path(__file__).parents[2] / "scripts/run_tests.py"
PLAIN = "def test_plain(): pass"
FIRST_TIME = """
import ctypes, os, pathlib, pytest, signal
first = pathlib.Path(__file__).with_name("been here")
@pytest.mark.ros
def test_rough():
    if {always} or not first.exists():
        first.touch()
        {fault}
"""
CRASH = "os.kill(os.getpid(), signal.SIGSEGV)"
HANG = "ctypes.PyDLL(None).pause()  # keeps the interpreter's lock, as a hang in C does"
FAIL = "assert False, 'wrong'"


def run(folder: Path, fault: str, *, always: bool, plain: str = PLAIN) -> tuple[int, str, str]:
    """Exit code, closing line and everything that was printed."""
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -q -p no:cacheprovider\nmarkers = ros\n")
    (folder / "test_rough.py").write_text(FIRST_TIME.format(fault=fault, always=always))
    (folder / "test_plain.py").write_text(plain)
    done = subprocess.run(
        [sys.executable, str(RUNNER), str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False, cwd=folder,
        env=os.environ | {"WM_TEST_STALL_S": "6"},
    )  # fmt: skip
    return done.returncode, done.stdout.strip().splitlines()[-1], done.stdout


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
