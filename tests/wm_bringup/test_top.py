"""What `wm top` makes of what it hears, and how it shows it."""

import io

import pytest
from rich.console import Console

from wm_bringup.errors import BringupError
from wm_bringup.top_state import TROUBLES, HopTimes, Seen, Troubles
from wm_bringup.top_view import frame
from wm_planner.safety.reasons import Reason, Source, State
from wm_ros.liveness import Expectation, Level, Verdict

FRAME_NS = 5_000_000_000


def shown(seen: Seen, verdicts=None, expected=None, now_s: float = 10.0) -> str:
    console = Console(file=io.StringIO(), width=160, force_terminal=False)
    console.print(frame(seen, verdicts or {}, expected or {}, "ROS domain 3", now_s))
    return console.file.getvalue()


def test_hops_are_timed_from_message_to_message_of_one_frame() -> None:
    hops = HopTimes()
    ways = (
        ("camera/image_raw", 0.0),
        ("observation", 0.002),
        ("belief", 0.005),
        ("plan", 0.045),
        ("control_cmd", 0.046),
    )
    for topic, after_s in ways:
        hops.saw(topic, FRAME_NS, 1.0 + after_s)
    assert hops.hops["plan"].of(50) == [pytest.approx(40.0)]
    assert hops.whole.of(50, 99) == [pytest.approx(46.0), pytest.approx(46.0)]


def test_a_command_that_repeats_a_frame_and_one_of_an_unseen_frame_are_not_timed() -> None:
    hops = HopTimes()
    for topic, at_s in (("camera/image_raw", 1.0), ("observation", 1.1), ("observation", 1.5), ("control_cmd", 1.6)):
        hops.saw(topic, FRAME_NS, at_s)
    hops.saw("plan", FRAME_NS + 1, 1.7)
    assert hops.hops["observation"].of(50) == [pytest.approx(100.0)]
    assert hops.hops["plan"].of(50) is None
    assert hops.whole.of(50) is None


def test_a_trouble_that_is_said_again_counts_and_moves_up() -> None:
    troubles = Troubles()
    troubles.add(1.0, 1, "plan", "silent for 2.0 s")
    troubles.add(2.0, 2, "gate", "fault")
    troubles.add(3.0, 1, "plan", "silent for 12.5 s")
    assert [(found.who, found.text, found.times) for found in troubles.newest()] == [
        ("plan", "silent for 12.5 s", 2),
        ("gate", "fault", 1),
    ]
    for number in range(20):
        troubles.add(4.0, 1, f"node {chr(97 + number)}", "late")
    assert len(troubles.newest()) == TROUBLES


def test_the_frame_says_state_reasons_rates_nodes_and_troubles_in_words() -> None:
    seen = Seen(gate_state=State.SOFT_STOP, gate_reasons=int(Reason.PLAN_LATE | Reason.LIMITED), command_age_s=0.31)
    seen.source, seen.speed_mps, seen.surprise_nats, seen.plan_status = Source.SOFT_STOP, 8.4, 1.2, 3
    seen.solve_ms.add(41.0)
    values = {"state": "active", "pid": "7", "plan.p50_ms": "40.1", "plan.max_ms": "66.0"}
    seen.hear_status("planner_node", 0, "active", values.items(), 9.0)
    seen.hear_status("supervisor_node: plan", 2, "far too slow: 2.1 of 10 Hz", (), 9.0)
    verdicts = {"plan": Verdict(Level.ERROR, "far too slow: 2.1 of 10 Hz", 2.1, 0.4)}
    text = shown(seen, verdicts, {"plan": Expectation(10.0)})
    for words in (
        "SOFT_STOP plan late, command limited; commands by soft stop; plan 0.31 s old",
        "p50 41 ms, p99 41 ms",
        "8.4 m/s",
        "surprise 1.2 nats",
        "far too slow: 2.1 of 10 Hz",
        "plan 40.1, 66.0",
        "cut by its deadline",
    ):
        assert words in text, words


def test_a_node_that_fell_silent_is_shown_as_such() -> None:
    seen = Seen()
    seen.hear_status("planner_node", 0, "active", {"state": "active", "pid": "7"}.items(), 1.0)
    assert "silent for 9 s" in shown(seen, now_s=10.0)


def test_the_mode_is_what_the_supervisor_says() -> None:
    seen = Seen()
    assert seen.mode == "realtime"
    values = {"state": "active", "pid": "7", "mode": "lockstep"}
    seen.hear_status("supervisor_node", 0, "active", values.items(), 1.0)
    assert seen.mode == "lockstep"
    assert "ROS domain 3, lockstep" in shown(seen)


@pytest.mark.ros
def test_where_nothing_runs_it_says_so_in_a_sentence() -> None:
    from wm_bringup.top import TopConfig, top

    with pytest.raises(BringupError, match="no stack is heard on ROS domain"):
        top(TopConfig(once=True, wait_s=0.3))
