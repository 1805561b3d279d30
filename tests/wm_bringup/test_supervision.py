"""Whom a supervisor starts again and when, and in which order nodes come up."""

from wm_bringup.supervision import NEVER, RespawnPolicy, due_transitions
from wm_ros.exit_codes import EXIT_CONFIG

ORDER = ["sim_node", "perception_node", "planner_node"]
POLICY = RespawnPolicy(tries=3, window_s=60.0, delay_s=0.5)


def test_the_delay_doubles_with_each_death_in_the_window_and_then_it_gives_up() -> None:
    deaths = [10.0, 20.0, 30.0, 40.0]
    assert [POLICY.delay_after(deaths[: n + 1], -9) for n in range(4)] == [0.5, 1.0, 2.0, None]


def test_deaths_before_the_window_are_forgiven() -> None:
    assert POLICY.delay_after([1.0, 2.0, 3.0, 90.0], -9) == 0.5


def test_a_process_whose_settings_are_wrong_is_not_started_again() -> None:
    assert POLICY.delay_after([1.0], EXIT_CONFIG) is None


def test_a_process_that_has_to_stay_is_never_started_again() -> None:
    assert NEVER.delay_after([1.0], 0) is None


def states(*found: str) -> dict[str, str]:
    return dict(zip(ORDER, found, strict=True))


def test_all_configure_at_once_and_the_first_activates_alone() -> None:
    assert due_transitions(ORDER, states("unconfigured", "unconfigured", "unconfigured")) == dict.fromkeys(
        ORDER, "configure"
    )
    assert due_transitions(ORDER, states("inactive", "inactive", "inactive")) == {"sim_node": "activate"}
    assert due_transitions(ORDER, states("active", "inactive", "inactive")) == {"perception_node": "activate"}


def test_nobody_activates_before_who_stands_before_it_is_active() -> None:
    assert due_transitions(ORDER, states("not heard", "inactive", "inactive")) == {}
    assert due_transitions(ORDER, states("active", "silent for 4 s", "inactive")) == {}


def test_a_node_that_came_back_is_brought_up_while_the_others_stay_as_they_are() -> None:
    assert due_transitions(ORDER, states("active", "unconfigured", "active")) == {"perception_node": "configure"}
    assert due_transitions(ORDER, states("active", "inactive", "active")) == {"perception_node": "activate"}
    assert due_transitions(ORDER, states("active", "active", "active")) == {}
