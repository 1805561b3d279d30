"""How a drive ends when it does not end by itself."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from wm_msgs.msg import ControlCommand, VehicleStatus
from wm_training.sequences import load_sequences

pytestmark = [pytest.mark.system, pytest.mark.slow]

STOP_S = 60.0  # the promise is 5 s; a loaded machine may need longer to be scheduled


def last_speed(bag: Path) -> float:
    """Speed at the last frame of a bag, m/s."""
    with next(bag.glob("*.mcap")).open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        return [message.speed for _, _, _, message in reader.iter_decoded_messages(["/vehicle/status"])][-1]


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
    assert last_speed(driving_stack.out / "bag") < 0.1
    assert not list(driving_stack.out.glob("*.partial"))


def test_a_simulator_that_dies_ends_the_drive_and_is_named(driving_stack) -> None:
    children = stack_processes(driving_stack)
    time.sleep(2.0)
    driving_stack.node("sim_node").send_signal(signal.SIGKILL)
    code, text = driving_stack.wait(STOP_S)
    assert code == 1
    assert "sim_node ended unexpectedly (killed by SIGKILL)" in text
    assert not [process for process in children if process.is_running()]
    assert len(load_sequences([driving_stack.out / "bag"]).camera) > 0


def test_without_respawn_any_node_that_dies_ends_the_drive(start_drive, tmp_path: Path) -> None:
    drive = start_drive(tmp_path / "drive", "--scenario", "lane_follow", "--seed", "3", "--no-respawn")
    drive.until_said("drive_node", "engaged")
    drive.node("dynamics_node").send_signal(signal.SIGKILL)
    code, text = drive.wait(STOP_S)
    assert code == 1
    assert "dynamics_node ended unexpectedly (killed by SIGKILL)" in text


def test_a_simulator_that_is_asked_to_end_brakes_to_a_stand_first(driving_stack) -> None:
    time.sleep(2.0)
    driving_stack.node("sim_node").send_signal(signal.SIGTERM)
    code, text = driving_stack.wait(STOP_S)
    assert code == 1
    assert "sim_node ended unexpectedly (exit code 0)" in text
    assert last_speed(driving_stack.out / "bag") < 0.1


def test_nothing_moves_before_somebody_engages(loose_stack) -> None:
    loose_stack.until(lambda: len(loose_stack.plans) > 10 and loose_stack.statuses, "the stack plans, the car is heard")
    assert {status.mode for status in loose_stack.statuses} == {VehicleStatus.MODE_READY}
    assert len({status.speed for status in loose_stack.statuses}) == 1
    assert all(command.source == ControlCommand.SOURCE_STOPPED for command in loose_stack.commands)
    assert all(command.acceleration <= 0.0 for command in loose_stack.commands)


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
