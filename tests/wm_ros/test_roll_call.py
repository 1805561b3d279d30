"""Who is there, by their reports."""

from wm_ros.roll_call import RollCall


def hear(roll: RollCall, name: str, state: str, pid: int, now_s: float) -> None:
    roll.hear(name, 0, state, {"state": state, "pid": str(pid)}, now_s)


def test_a_node_is_active_while_it_says_so_and_not_once_it_falls_silent() -> None:
    roll = RollCall()
    assert roll.state("planner_node", 0.0) == "not heard"
    hear(roll, "planner_node", "active", 7, 1.0)
    assert roll.is_active("planner_node", 3.5)
    assert roll.state("planner_node", 6.0) == "silent for 5 s"
    assert not roll.is_active("planner_node", 6.0)


def test_those_that_are_not_active_are_named_with_their_state() -> None:
    roll = RollCall()
    hear(roll, "a_node", "active", 1, 1.0)
    hear(roll, "b_node", "inactive", 2, 1.0)
    assert roll.absent(["a_node", "b_node", "c_node"], 2.0) == ["b_node is inactive", "c_node is not heard"]


def test_another_process_under_the_same_name_is_a_new_start() -> None:
    roll = RollCall()
    for pid in (1, 1, 2, 2, 3):
        hear(roll, "planner_node", "active", pid, 1.0)
    assert roll.restarts == {"planner_node": 2}


def test_what_is_not_a_nodes_own_report_is_passed_over() -> None:
    roll = RollCall()
    roll.hear("supervisor_node: scan", 3, "silent", {"rate_hz": "0.00"}, 1.0)
    assert not roll.reports
