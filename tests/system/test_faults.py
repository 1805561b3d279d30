"""Faults put into the running graph by `wm faults`. Times are simulated, a slow machine will do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.system, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
SPEED = "0.4"


def start(model: Path, domain: int, folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "wm_bringup.cli", "faults", "--model", str(model), "--domain-id", str(domain)]
    command += ["--out", str(folder / "out"), "--json", str(folder / "faults.json"), "--speed", SPEED, *options]
    env = os.environ | {"WM_TEST_STACK": str(domain)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=ROOT)


def test_the_car_stops_without_a_planner_and_with_plans_that_are_no_numbers(model, free_domain, tmp_path) -> None:
    process = start(model, free_domain(), tmp_path, "--only", "kill_planner,nan_plan.acceleration")
    text, _ = process.communicate(timeout=280)
    rows = {row["fault"]: row for row in json.loads((tmp_path / "faults.json").read_text())["rows"]}
    assert set(rows) == {"kill_planner", "nan_plan.acceleration"}, text
    for row in rows.values():
        assert row["reaction_ms"] is not None, text
        assert not (row["collision"] or row["throttle"] or row["wrong_output"] or row["died"]), text
        assert row["recovered"], text
    assert rows["kill_planner"]["stop_m"] is not None, text


def test_an_interrupt_leaves_no_node_behind(model, free_domain, tmp_path) -> None:
    process = start(model, free_domain(), tmp_path, "--only", "kill_planner", "--repeat", "50")
    limit = time.monotonic() + 200
    while not (tmp_path / "faults.json").exists():
        assert process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.2)
    nodes = psutil.Process(process.pid).children(recursive=True)
    assert nodes
    process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 130, text
    assert not psutil.wait_procs(nodes, timeout=10)[1]
    assert json.loads((tmp_path / "faults.json").read_text())["rows"]
