"""Whether a topic is alive and keeps its rate. Pure: moments on ROS time and on a steady clock go in. No ROS import."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from wm_ros.topic_table import CONTROL, PLAN, TopicSpec

WINDOW_S = 3.0  # over which a rate is taken, longer for topics slower than 3 Hz
STALE_PERIODS, STALE_S = 10.0, 1.0  # silence is stale after so many periods, and no sooner than after so long
LOW, MISSING = 0.9, 0.5  # shares of the expected rate below which a topic is slow, and far too slow
CLOCK_STILL_S = 2.0  # wall time without progress: ROS time stands still (the slowest simulation ticks once a second)
STANDSTILL_STALE_S = 3.0  # wall time of silence that is stale while ROS time stands still
_KEPT = 2048


class Level(IntEnum):
    """As diagnostic_msgs/DiagnosticStatus.level."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True)
class Now:
    """One moment on both clocks, s."""

    ros_s: float
    steady_s: float
    clock_still: bool = False  # ROS time does not run, so ages on it say nothing


@dataclass(frozen=True)
class Expectation:
    """What is expected of a topic."""

    rate_hz: float | None  # None: on event, so nothing can be late
    steady: bool = False  # the rate counts wall time


def expectation(spec: TopicSpec, lockstep: bool) -> Expectation:
    """What the topic table promises. In lockstep the gate answers each plan once instead of beating steadily."""
    if lockstep and spec.name == CONTROL.name:
        return Expectation(PLAN.rate_hz)
    return Expectation(spec.rate_hz, spec.steady)


@dataclass(frozen=True)
class Verdict:
    """How a topic does."""

    level: Level
    words: str
    rate_hz: float | None = None  # on the topic's own clock; None: not known
    age_s: float | None = None  # since the last message, on the topic's own clock; None: nothing came


class Liveness:
    """Arrivals of one topic, judged against what is expected of it."""

    def __init__(self, expected: Expectation) -> None:
        self.expected = expected
        self.count = 0
        self._arrivals: deque[Now] = deque(maxlen=_KEPT)
        self._since: Now | None = None  # begin of what the rate may be taken over
        period_s = 1.0 / expected.rate_hz if expected.rate_hz else 0.0
        self._window_s = max(WINDOW_S, 10.0 * period_s)
        self._stale_s = max(STALE_PERIODS * period_s, STALE_S)

    def saw(self, now: Now) -> None:
        """A message arrived. ROS time that went back begins anew."""
        self.count += 1
        if self._arrivals and now.ros_s < self._arrivals[-1].ros_s:
            self._arrivals.clear()
            self._since = None
        self._since = self._since or now
        self._arrivals.append(now)

    def judge(self, now: Now) -> Verdict:
        """How the topic does at this moment."""
        if not self._arrivals:
            if self.expected.rate_hz is None:
                return Verdict(Level.OK, "on event, none so far")
            return Verdict(Level.STALE, "nothing heard yet")
        last = self._arrivals[-1]
        age_s = self._between(last, now)
        if self.expected.rate_hz is None:
            return Verdict(Level.OK, f"on event, {self.count} so far", age_s=age_s)
        if now.clock_still and not self.expected.steady:
            silent_s = now.steady_s - last.steady_s
            if silent_s > STANDSTILL_STALE_S:
                return Verdict(Level.STALE, f"silent for {silent_s:.1f} s, ROS time stands still", age_s=silent_s)
            return Verdict(Level.OK, "ROS time stands still", age_s=silent_s)
        if age_s > self._stale_s:
            return Verdict(Level.STALE, f"silent for {age_s:.1f} s", 0.0, age_s)
        return self._judge_rate(now, age_s, self.expected.rate_hz)

    def _judge_rate(self, now: Now, age_s: float, expected_hz: float) -> Verdict:
        count, span_s = self._counted(now)
        if span_s < self._window_s / 2:
            return Verdict(Level.OK, "has begun", age_s=age_s)
        rate_hz, best_hz = count / span_s, (count + 1) / span_s  # one may be on its way
        words = f"{rate_hz:.1f} of {expected_hz:g} Hz"
        if best_hz < MISSING * expected_hz:
            return Verdict(Level.ERROR, f"far too slow: {words}", rate_hz, age_s)
        if best_hz < LOW * expected_hz:
            return Verdict(Level.WARN, f"slow: {words}", rate_hz, age_s)
        return Verdict(Level.OK, words, rate_hz, age_s)

    def _counted(self, now: Now) -> tuple[int, float]:
        """Messages within the window, and how much of it has passed, s; the first message of all opens it."""
        assert self._since is not None
        span_s = min(self._between(self._since, now), self._window_s)
        return sum(self._between(arrival, now) < span_s for arrival in self._arrivals), span_s

    def _between(self, earlier: Now, later: Now) -> float:
        """Time between two moments on the topic's own clock, >= 0, s."""
        if self.expected.steady:
            return max(later.steady_s - earlier.steady_s, 0.0)
        return max(later.ros_s - earlier.ros_s, 0.0)


class ClockWatch:
    """/clock: whether it runs, and how fast beside the wall."""

    def __init__(self, lockstep: bool) -> None:
        self.lockstep = lockstep
        self.count = 0
        self.ros_s = 0.0
        self._advanced_s = 0.0  # steady
        self._heard_s = 0.0  # steady
        self._marks: deque[tuple[float, float]] = deque(maxlen=_KEPT)  # (ros, steady) of each step of the clock

    def saw(self, ros_s: float, steady_s: float) -> None:
        """A /clock message arrived."""
        self.count += 1
        self._heard_s = steady_s
        if ros_s == self.ros_s:
            return
        if ros_s < self.ros_s:
            self._marks.clear()
        self.ros_s, self._advanced_s = ros_s, steady_s
        self._marks.append((ros_s, steady_s))
        while self._marks[0][1] < steady_s - WINDOW_S and len(self._marks) > 2:
            self._marks.popleft()

    def now(self, steady_s: float) -> Now:
        """This moment on both clocks."""
        return Now(self.ros_s, steady_s, steady_s - self._advanced_s > CLOCK_STILL_S)

    def judge(self, steady_s: float) -> Verdict:
        """How the clock does. In lockstep it rightly waits for the stack."""
        if not self.count:
            return Verdict(Level.STALE, "nothing heard yet")
        silent_s, still_s = steady_s - self._heard_s, steady_s - self._advanced_s
        if silent_s > STANDSTILL_STALE_S:
            return Verdict(Level.STALE, f"silent for {silent_s:.1f} s", age_s=silent_s)
        if still_s > CLOCK_STILL_S:
            level = Level.OK if self.lockstep else Level.WARN
            return Verdict(level, f"stands still for {still_s:.1f} s", age_s=silent_s)
        return Verdict(Level.OK, self._pace(), age_s=silent_s)

    def _pace(self) -> str:
        (first_ros, first), (last_ros, last) = self._marks[0], self._marks[-1]
        return f"{(last_ros - first_ros) / (last - first):.2f} x wall time" if last > first else "has begun"
