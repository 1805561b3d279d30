"""Recording and replaying real drives: what a kill costs, and that plans come out again as they were."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wm_ros.convert import to_ns
from wm_training.bags.info import bag_info
from wm_training.bags.repair import repair

pytestmark = [pytest.mark.system, pytest.mark.slow]
PATIENCE_S = 200.0


def replay(*words: str, domain: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wm_bringup.cli", "replay", *words, "--domain-id", str(domain)]
    environment = os.environ | {"WM_TEST_STACK": str(domain)}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S, env=environment)


def test_a_replayed_lockstep_drive_plans_what_was_recorded(start_drive, free_domain, model, tmp_path: Path) -> None:
    drive = start_drive(
        tmp_path / "drive", "--scenario", "lane_follow", "--seed", "3", "--mode", "lockstep", "--length-m", "40"
    )
    code, text = drive.wait()
    assert code == 0, text
    words = [str(drive.out / "bag"), "--through", "planner", "--compare", "--model", str(model)]
    done = replay(*words, "--json", str(tmp_path / "c.json"), domain=free_domain())
    assert done.returncode == 0, done.stdout + done.stderr
    comparison = json.loads((tmp_path / "c.json").read_text())
    assert comparison["frames"] > 20 and not comparison["unanswered"]
    assert max(comparison["steering_angle"]["max"], comparison["acceleration"]["max"]) <= 1e-4


def test_a_killed_recorder_loses_at_most_a_second(loose_stack, tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    command = [sys.executable, "-m", "wm_training.recorder_node", "--ros-args", "-p", f"out:={bag}"]
    domain = str(loose_stack.context.get_domain_id())
    with subprocess.Popen(command, env=os.environ | {"ROS_DOMAIN_ID": domain, "WM_TEST_STACK": domain}) as recorder:
        try:
            loose_stack.under_way()
            loose_stack.until(lambda: loose_stack.observer.count_subscribers("/truth"), "the recorder listens")
            until = time.monotonic() + 4.0
            loose_stack.until(lambda: time.monotonic() > until, "some seconds are recorded")
        finally:
            last_ns = to_ns(loose_stack.statuses[-1].header.stamp)
            recorder.send_signal(signal.SIGKILL)
    done = repair(bag)
    info = bag_info(bag)
    assert done is not None and info.messages > 100
    assert last_ns * 1e-9 - (info.start_s + info.duration_s) <= 1.0


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["{}/none", "--through", "planner"], "no such bag"),
        (["{}", "--through", "planner"], "not a bag"),
        (["{}/none"], "no such bag"),
        (["{}/none", "--compare"], "--through planner"),
    ],
)
def test_what_cannot_be_replayed_is_told_in_a_sentence(words, sentence, free_domain, tmp_path: Path) -> None:
    done = replay(*(word.format(tmp_path) for word in words), domain=free_domain())
    assert done.returncode == 1 and sentence in done.stderr
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1
