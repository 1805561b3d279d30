"""How a drive ends when it does not end by itself."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from wm_training.sequences import load_sequences

pytestmark = [pytest.mark.system, pytest.mark.slow]

STOP_S = 15.0  # the promise is 5 s; a loaded machine may need longer to be scheduled


def stack_processes(drive) -> list[psutil.Process]:
    """Every process of the drive, its own one included."""
    return [process for process in psutil.Process(drive.process.pid).children(recursive=True) if process.is_running()]


def test_ctrl_c_stops_every_process_and_the_bag_reads(driving_stack, interrupt) -> None:
    children = stack_processes(driving_stack)
    assert len(children) >= 7
    time.sleep(2.0)
    interrupt(driving_stack)
    code, text = driving_stack.wait(STOP_S)
    assert code == 130
    assert "killed" not in text
    assert not [process for process in children if process.is_running()]
    sequences = load_sequences([driving_stack.out / "bag"])
    assert len(sequences.camera) > 5
    assert not list(driving_stack.out.glob("*.partial"))


def test_a_node_that_dies_ends_the_stack_and_is_named(driving_stack) -> None:
    children = stack_processes(driving_stack)
    time.sleep(2.0)
    driving_stack.node("dynamics_node").send_signal(signal.SIGKILL)
    code, text = driving_stack.wait(STOP_S)
    assert code != 0
    assert "dynamics_node ended unexpectedly (killed by SIGKILL)" in text
    assert not [process for process in children if process.is_running()]
    assert len(load_sequences([driving_stack.out / "bag"]).camera) > 0


def test_nobody_outlives_a_drive_that_is_killed(driving_stack) -> None:
    children = stack_processes(driving_stack)
    driving_stack.process.kill()
    _, alive = psutil.wait_procs(children, timeout=STOP_S)
    assert not alive


def test_a_second_stack_on_the_same_domain_is_refused_and_the_first_drives_on(
    driving_stack, start_drive, tmp_path: Path
) -> None:
    second = start_drive(tmp_path / "second", domain=driving_stack.domain)
    code, text = second.wait(60.0)
    assert code == 1
    assert f"ROS domain {driving_stack.domain}" in text
    assert str(driving_stack.process.pid) in text
    assert text.count("\n") == 1
    assert not (tmp_path / "second").exists()
    assert driving_stack.process.poll() is None
