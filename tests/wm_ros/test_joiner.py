"""Messages that belong to one moment."""

import pytest

from wm_ros.joiner import RESTART_NS, StampJoiner


def test_a_moment_is_complete_with_its_last_part_in_any_order() -> None:
    joiner = StampJoiner("a", "b", "c")
    assert joiner.add("c", 5, "C") is None
    assert joiner.add("a", 5, "A") is None
    assert joiner.add("b", 5, "B") == {"a": "A", "b": "B", "c": "C"}


def test_parts_of_different_moments_are_never_mixed() -> None:
    joiner = StampJoiner("a", "b")
    joiner.add("a", 1, 1)
    assert joiner.add("b", 2, 2) is None
    assert joiner.add("a", 2, 2) == {"a": 2, "b": 2}


def test_answers_never_go_back_in_time() -> None:
    joiner = StampJoiner("a", "b")
    joiner.add("a", 1, 1)
    joiner.add("a", 2, 2)
    assert joiner.add("b", 2, 2) is not None
    assert joiner.add("b", 1, 1) is None


def test_a_moment_sent_again_is_handed_out_again() -> None:
    joiner = StampJoiner("a", "b")
    for _ in range(3):
        assert joiner.add("a", 1, 1) is None
        assert joiner.add("b", 1, 1) == {"a": 1, "b": 1}


def test_a_silent_topic_costs_bounded_memory() -> None:
    joiner = StampJoiner("a", "b", depth=3)
    for stamp in range(100):
        joiner.add("a", stamp, stamp)
    assert joiner.add("b", 96, 0) is None
    assert joiner.add("b", 98, 0) == {"a": 98, "b": 0}


def test_a_name_that_nobody_waits_for_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="waits for"):
        StampJoiner("a").add("b", 0, 0)


def test_stamps_from_a_wrong_future_do_not_keep_the_present_out() -> None:
    joiner = StampJoiner("a", "b", depth=2)
    for stamp in (10**18, 10**18 + 1):
        assert joiner.add("a", stamp, "lost") is None
    assert joiner.add("a", 5, 1) is None
    assert joiner.add("b", 5, 2) == {"a": 1, "b": 2}


def test_a_whole_moment_from_long_ago_is_time_that_began_anew() -> None:
    joiner, late = StampJoiner("a", "b"), 2 * RESTART_NS
    joiner.add("a", late, 1)
    assert joiner.add("b", late, 1) is not None
    assert joiner.add("a", late - RESTART_NS, 1) is None and joiner.add("b", late - RESTART_NS, 1) is None
    assert joiner.add("a", 5, 2) is None
    assert joiner.add("b", 5, 2) == {"a": 2, "b": 2}
    assert joiner.add("a", 6, 3) is None
    assert joiner.add("b", 6, 3) == {"a": 3, "b": 3}
    assert joiner.add("a", 5, 4) is None and joiner.add("b", 5, 4) is None


def test_one_stamp_from_long_ago_changes_nothing() -> None:
    joiner, late = StampJoiner("a", "b"), 2 * RESTART_NS
    joiner.add("a", late, 1)
    joiner.add("b", late, 1)
    joiner.add("a", 5, "lost")
    assert joiner.add("a", late - 1, 1) is None and joiner.add("b", late - 1, 1) is None
    joiner.add("a", late + 1, 2)
    assert joiner.add("b", late + 1, 2) == {"a": 2, "b": 2}
