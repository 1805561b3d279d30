"""How topics and the clock are judged: on the right clock, at any simulation speed, and while ROS time stands still."""

import pytest

from wm_ros.liveness import ClockWatch, Expectation, Level, Liveness, Now, expectation
from wm_ros.topic_table import CAMERA, CONTROL, EVENTS, SAFETY


def fed(expected: Expectation, hz: float, seconds: float, speed: float = 1.0, start_s: float = 10.0) -> Liveness:
    """A topic that came at `hz` of wall time for so many wall seconds, ROS time at `speed` x wall time."""
    liveness = Liveness(expected)
    for number in range(round(hz * seconds) + 1):
        wall = number / hz
        liveness.saw(Now(start_s + wall * speed, 100.0 + wall))
    return liveness


def at(wall: float, speed: float = 1.0, start_s: float = 10.0, still: bool = False) -> Now:
    return Now(start_s + wall * speed, 100.0 + wall, still)


@pytest.mark.parametrize(
    ("hz", "level"), [(10.0, Level.OK), (9.5, Level.OK), (8.0, Level.WARN), (4.0, Level.ERROR)]
)
def test_the_level_follows_the_share_of_the_expected_rate(hz: float, level: Level) -> None:
    verdict = fed(Expectation(10.0), hz, 8.0).judge(at(8.0))
    assert verdict.level == level
    assert verdict.rate_hz == pytest.approx(hz, rel=0.08)
    assert "of 10 Hz" in verdict.words


@pytest.mark.parametrize("speed", [0.05, 0.25, 4.0])
def test_a_camera_is_on_time_by_ros_time_at_any_simulation_speed(speed: float) -> None:
    seconds = 8.0 / speed
    verdict = fed(Expectation(10.0), 10.0 * speed, seconds, speed).judge(at(seconds, speed))
    assert (verdict.level, round(verdict.rate_hz, 1)) == (Level.OK, 10.0)


def test_a_steady_topic_is_on_time_by_the_wall_at_any_simulation_speed() -> None:
    verdict = fed(Expectation(50.0, steady=True), 50.0, 8.0, speed=0.1).judge(at(8.0, 0.1))
    assert verdict.level == Level.OK
    assert verdict.rate_hz == pytest.approx(50.0, rel=0.02)


def test_silence_is_stale_after_ten_periods_and_says_for_how_long() -> None:
    liveness = fed(Expectation(10.0), 10.0, 5.0)
    assert liveness.judge(at(5.9)).level != Level.STALE
    verdict = liveness.judge(at(7.5))
    assert (verdict.level, verdict.words, verdict.age_s) == (Level.STALE, "silent for 2.5 s", pytest.approx(2.5))


def test_while_ros_time_stands_still_only_the_wall_tells_silence() -> None:
    liveness = fed(Expectation(10.0), 10.0, 5.0)
    stopped = Now(15.0, 107.5, clock_still=True)
    assert liveness.judge(stopped).level == Level.OK
    later = liveness.judge(Now(15.0, 109.0, clock_still=True))
    assert (later.level, later.words) == (Level.STALE, "silent for 4.0 s, ROS time stands still")


def test_a_topic_that_just_began_is_not_called_slow() -> None:
    assert fed(Expectation(10.0), 10.0, 0.3).judge(at(0.3)).level == Level.OK


def test_a_topic_that_never_came_is_stale_unless_it_comes_on_events() -> None:
    assert Liveness(Expectation(10.0)).judge(at(1.0)).level == Level.STALE
    assert Liveness(Expectation(None)).judge(at(1.0)).level == Level.OK
    rare = fed(Expectation(None), 1.0, 2.0).judge(at(500.0))
    assert (rare.level, rare.words) == (Level.OK, "on event, 3 so far")


def test_ros_time_that_goes_back_begins_anew() -> None:
    liveness = fed(Expectation(10.0), 10.0, 5.0)
    for number in range(41):
        liveness.saw(Now(1.0 + number / 10, 106.0 + number / 10))
    verdict = liveness.judge(Now(5.0, 110.0))
    assert (verdict.level, round(verdict.rate_hz)) == (Level.OK, 10)


def test_the_table_says_which_rates_count_wall_time_and_lockstep_makes_the_gate_answer_plans() -> None:
    assert expectation(CAMERA, lockstep=False) == Expectation(10)
    assert expectation(CONTROL, lockstep=False) == Expectation(50, steady=True)
    assert expectation(CONTROL, lockstep=True) == Expectation(10)
    assert expectation(SAFETY, lockstep=True) == Expectation(2, steady=True)
    assert expectation(EVENTS, lockstep=False) == Expectation(None)


def clock(lockstep: bool, speed: float, seconds: float) -> ClockWatch:
    watch = ClockWatch(lockstep)
    for number in range(round(seconds * 20) + 1):
        watch.saw(1.0 + number / 20 * speed, 100.0 + number / 20)
    return watch


def test_the_clock_tells_its_pace() -> None:
    watch = clock(False, 0.25, 10.0)
    assert watch.judge(110.0).words == "0.25 x wall time"
    assert not watch.now(110.0).clock_still


@pytest.mark.parametrize(("lockstep", "level"), [(False, Level.WARN), (True, Level.OK)])
def test_a_clock_that_stands_still_is_wrong_unless_it_waits_for_the_stack(lockstep: bool, level: Level) -> None:
    watch = clock(lockstep, 1.0, 4.0)
    for number in range(1, 10):
        watch.saw(5.0, 104.0 + number * 0.5)  # the same moment again and again
    verdict = watch.judge(108.5)
    assert (verdict.level, verdict.words) == (level, "stands still for 4.5 s")
    assert watch.now(108.5).clock_still


def test_a_clock_that_nobody_publishes_is_stale() -> None:
    assert ClockWatch(False).judge(5.0).level == Level.STALE
    assert clock(True, 1.0, 2.0).judge(106.0).level == Level.STALE
