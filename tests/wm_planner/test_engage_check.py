"""Why engaging is refused, in words."""

import pytest

from wm_planner.engage_check import LATCHED, Surroundings, may_engage, refusal
from wm_planner.safety.reasons import Reason, Source, State
from wm_planner.safety.types import Clock, Command, Decision, GateState

NOW = Clock(10_000_000_000, 0)
FRESH = {name: 9_900_000_000 for name in ("scan", "odom", "vehicle/status", "plan")}
COMMAND = Command(0.0, 0.0, 0.0, 0.0, Source.STOPPED, False)


def decision(reasons: Reason, state: State = State.STOPPED) -> Decision:
    return Decision(COMMAND, state, int(reasons), 0.0, 0.0, GateState())


def said(reasons: Reason, around: Surroundings) -> str:
    return refusal(decision(reasons), False, NOW, around)


def test_a_topic_that_never_came_or_is_old_is_named_with_its_age() -> None:
    around = Surroundings(FRESH | {"vehicle/status": 7_500_000_000, "scan": None})
    text = said(Reason.SCAN_STALE | Reason.ODOM_STALE, around)
    assert "scan never came (is the simulator or lidar running?)" in text
    assert "odom is 0.1 s old, vehicle/status is 2.5 s old" in text


def test_a_missing_plan_names_the_nodes_that_are_not_active() -> None:
    around = Surroundings(FRESH | {"plan": None}, ["dynamics_node is inactive", "planner_node is silent for 4 s"])
    text = said(Reason.PLAN_LOST, around)
    assert text == "plan missing, plan never came (dynamics_node is inactive, planner_node is silent for 4 s)"


def test_a_missing_plan_of_an_unknown_chain_asks_for_it() -> None:
    assert "(are perception, dynamics and planner running?)" in said(Reason.PLAN_LOST, Surroundings(FRESH))


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in (Reason.NOT_ENGAGED, Reason.LIMITED)])
def test_every_reason_has_words(reason: Reason) -> None:
    assert len(said(reason, Surroundings(FRESH))) > 8
    assert "the gate is in state" not in said(reason, Surroundings(FRESH))


def test_a_second_publisher_keeps_the_car_from_being_engaged_and_is_named() -> None:
    around = Surroundings(FRESH, rivals={"control_cmd": ["/rogue", "/safety_gate_node"]})
    assert not may_engage(decision(Reason.NONE, State.ACTIVE), around)
    assert said(Reason.NONE, around) == "control_cmd has 2 publishers, /rogue, /safety_gate_node: stop one"


def test_a_surprised_model_keeps_the_car_from_being_engaged() -> None:
    assert may_engage(decision(Reason.NONE, State.ACTIVE), Surroundings(FRESH))
    assert not may_engage(decision(Reason.SURPRISE, State.ACTIVE), Surroundings(FRESH))
    assert "world model surprised" in said(Reason.SURPRISE, Surroundings(FRESH))


def test_a_latched_emergency_says_how_to_leave_it() -> None:
    assert refusal(decision(Reason.PLAN_LOST), True, NOW, Surroundings(FRESH)) == LATCHED
