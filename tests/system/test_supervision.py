"""Who dies is started again: the car stands meanwhile, then drives on. Who dies too often ends the drive."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory

from wm_bringup.supervision import RespawnPolicy
from wm_ros.topic_table import RECORDED
from wm_training.bags.repair import repair

pytestmark = [pytest.mark.system, pytest.mark.slow]
STOP_S = 60.0
SET_OFF_S = 4.0  # of the wall: so long the car drives before something happens to it


def speeds(bag: Path) -> np.ndarray:
    """Speed at each frame of a bag [T], m/s."""
    with next(bag.glob("*.mcap")).open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        return np.array([message.speed for _, _, _, message in reader.iter_decoded_messages(["/vehicle/status"])])


@pytest.mark.parametrize(
    ("node", "number"),
    [("planner_node", signal.SIGKILL), ("safety_gate_node", signal.SIGKILL), ("perception_node", signal.SIGTERM)],
)
def test_the_car_stands_while_a_node_is_gone_and_drives_on_with_the_new_one(
    slow_drive, interrupt, node: str, number: int
) -> None:
    time.sleep(SET_OFF_S)
    slow_drive.node(node).send_signal(number)
    slow_drive.until_said("drive_node", "drives on after a new start")
    time.sleep(SET_OFF_S)
    interrupt(slow_drive)
    code, text = slow_drive.wait(STOP_S)
    assert code == 130
    assert "it is started again in 0.5 s" in text
    assert json.loads((slow_drive.out / "report.json").read_text())["restarts"] == {node: 1}
    driven = speeds(slow_drive.out / "bag")
    stood = np.flatnonzero(driven[10:-10] < 0.1) + 10  # neither the start nor the end
    assert len(stood) and driven[: stood[0]].max() > 2.0 and driven[stood[-1] :].max() > 1.0
    assert driven[-1] < 0.1


def test_the_recorder_goes_on_in_a_second_bag_and_the_first_one_can_be_repaired(slow_drive, interrupt) -> None:
    time.sleep(SET_OFF_S)
    slow_drive.node("recorder_node").send_signal(signal.SIGKILL)
    slow_drive.until_said("recorder_node", "it is started again")
    slow_drive.until_said("drive_node", "drives on after a new start")
    time.sleep(SET_OFF_S)
    interrupt(slow_drive)
    code, text = slow_drive.wait(STOP_S)
    assert code == 130
    assert "bag was cut off; `wm info" in text
    repaired = repair(slow_drive.out / "bag")
    assert repaired is not None and len(speeds(repaired.bag)) > 5
    second = speeds(slow_drive.out / "bag-2")
    assert second.min() < 0.1 < second.max()  # driving on, then stopped at the end
    assert second[-1] < 0.1


def test_a_node_that_dies_too_often_ends_the_drive_with_the_car_stopped_and_the_bag_closed(slow_drive) -> None:
    time.sleep(SET_OFF_S)
    tries = RespawnPolicy().tries
    for death in range(tries + 1):
        slow_drive.node("dynamics_node").send_signal(signal.SIGKILL)
        if death < tries:
            slow_drive.until_said("dynamics_node", "it is started again", death + 1)
            while not slow_drive.runs("dynamics_node"):
                time.sleep(0.05)
    code, text = slow_drive.wait(STOP_S)
    assert code == 1
    assert f"dynamics_node ended unexpectedly {tries + 1} times (killed by SIGKILL)" in text
    assert speeds(slow_drive.out / "bag")[-1] < 0.1
    assert not list(slow_drive.out.glob("*.partial"))


def test_wm_top_shows_a_running_stack_and_leaves_it_alone(slow_drive) -> None:
    command = [sys.executable, "-m", "wm_bringup.cli", "top", "--domain-id", str(slow_drive.domain)]
    once = subprocess.run([*command, "--once"], capture_output=True, text=True, timeout=120, check=False)
    assert once.returncode == 0, once.stderr
    for words in ("gate", "ACTIVE", "camera/image_raw", "planner_node", "the whole way", "of 10 Hz"):
        assert words in once.stdout, words
    live = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not psutil.Process(live.pid).net_connections():  # it has joined the middleware
        time.sleep(0.1)
    time.sleep(1.0)
    live.send_signal(signal.SIGINT)
    assert live.communicate(timeout=60)[1] == ""
    assert live.returncode == 0
    assert slow_drive.process.poll() is None


def test_the_supervisor_reports_every_topic_and_every_node(slow_drive, interrupt) -> None:
    time.sleep(SET_OFF_S)
    interrupt(slow_drive)
    slow_drive.wait(STOP_S)
    with next((slow_drive.out / "bag").glob("*.mcap")).open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        found = {
            status.name
            for _, _, _, message in reader.iter_decoded_messages(["/diagnostics"])
            for status in message.status
        }
    for topic in RECORDED:
        assert f"supervisor_node: {topic.name}" in found
    assert {"supervisor_node: planner_node", "supervisor_node: recorder_node"} <= found
