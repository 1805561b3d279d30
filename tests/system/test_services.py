"""The services of a running stack."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from std_srvs.srv import SetBool

from wm_msgs.msg import VehicleStatus
from wm_msgs.srv import LoadModel, Reset
from wm_ros.convert import to_ns

pytestmark = [pytest.mark.system, pytest.mark.slow]


def test_reset_begins_an_episode_with_a_fresh_belief_while_time_goes_on(loose_stack) -> None:
    loose_stack.under_way()
    last_ns = to_ns(loose_stack.statuses[-1].header.stamp)
    answer = loose_stack.call(Reset, "sim/reset", Reset.Request(scenario="stop_go", seed=21))
    assert answer.success, answer.message
    fresh = lambda: any(b.is_reset and to_ns(b.source_stamp) > last_ns for b in loose_stack.beliefs)  # noqa: E731
    loose_stack.until(fresh, "the belief starts afresh")
    again = lambda: loose_stack.statuses[-1].mode == VehicleStatus.MODE_DRIVING  # noqa: E731
    loose_stack.until(again, "the car, still engaged, drives on")
    stamps = [to_ns(status.header.stamp) for status in loose_stack.statuses]
    assert stamps == sorted(set(stamps))


def test_an_unknown_scenario_is_refused_and_the_drive_goes_on(loose_stack) -> None:
    loose_stack.under_way(2)
    answer = loose_stack.call(Reset, "sim/reset", Reset.Request(scenario="moon_landing", seed=1))
    assert not answer.success
    assert "moon_landing" in answer.message
    seen = len(loose_stack.statuses)
    loose_stack.until(lambda: len(loose_stack.statuses) > seen + 3, "frames go on")
    assert loose_stack.statuses[-1].mode != VehicleStatus.MODE_READY


def test_a_model_is_exchanged_in_every_node_while_the_car_stands(loose_stack, model: Path, tmp_path: Path) -> None:
    loose_stack.until(lambda: loose_stack.plans, "the stack plans")
    other = tmp_path / "other"
    shutil.copytree(model, other)
    answer = loose_stack.call(LoadModel, "dynamics/load_model", LoadModel.Request(path=str(other)))
    assert answer.success, answer.message
    seen = len(loose_stack.plans)
    loose_stack.until(lambda: len(loose_stack.plans) > seen + 3, "the stack plans on")
    nowhere = LoadModel.Request(path=str(tmp_path / "nowhere"))
    refused = loose_stack.call(LoadModel, "dynamics/load_model", nowhere)
    assert not refused.success
    assert "nowhere" in refused.message


def test_engage_is_refused_while_the_planner_is_gone_and_says_so(loose_stack) -> None:
    loose_stack.engage()  # the gate has heard a plan
    assert loose_stack.call(SetBool, "safety/engage", SetBool.Request(data=False)).success
    loose_stack.until(lambda: loose_stack.plans and loose_stack.statuses, "the stack plans")
    loose_stack.kill("planner_node")
    last_ns = to_ns(loose_stack.plans[-1].source_stamp)
    late = lambda: to_ns(loose_stack.statuses[-1].header.stamp) > last_ns + 1_000_000_000  # noqa: E731
    loose_stack.until(late, "the last plan is old")
    answer = loose_stack.call(SetBool, "safety/engage", SetBool.Request(data=True))
    assert not answer.success
    assert "plan missing, plan is " in answer.message
    assert "planner" in answer.message
