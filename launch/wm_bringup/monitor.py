"""Listens to every topic of the table on behalf of whoever wants to know how the topics do."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node

from wm_ros.convert import to_ns
from wm_ros.liveness import ClockWatch, Level, Liveness, Verdict, expectation
from wm_ros.node import publishers
from wm_ros.topics import CLOCK, TOPICS, Topic

# Those that are recorded: a path or a dream that nobody looks at need not be made for the monitor's sake.
WATCHED: tuple[Topic, ...] = tuple(topic for topic in TOPICS if topic.recorded and topic is not CLOCK)
SHARED = ("/diagnostics",)  # which many nodes publish


class TopicMonitor:
    """One Liveness a topic, fed with serialised messages; ROS time as /clock says it."""

    def __init__(
        self, node: Node, lockstep: bool, hook: Callable[[Topic, bytes, float], None] = lambda *_: None
    ) -> None:
        """hook: is handed every message as it came, with the steady time, s."""
        self._node, self._hook = node, hook
        self._lockstep = lockstep
        self.clock = ClockWatch(lockstep)
        self.topics = {topic.name: Liveness(expectation(topic.spec, lockstep)) for topic in WATCHED}
        node.create_subscription(CLOCK.type, CLOCK.name, self._on_clock, CLOCK.reader_qos)
        for topic in WATCHED:
            callback: Callable[[Any], None] = partial(self._on_message, topic)
            node.create_subscription(topic.type, topic.name, callback, topic.reader_qos, raw=True)

    def follow(self, lockstep: bool) -> None:
        """Judge by the promises of this mode from now on, for who learns only by listening which it is."""
        if lockstep != self._lockstep:
            self._lockstep, self.clock.lockstep = lockstep, lockstep
            for topic in WATCHED:
                if self.topics[topic.name].expected != expectation(topic.spec, lockstep):
                    self.topics[topic.name] = Liveness(expectation(topic.spec, lockstep))

    def _on_clock(self, msg: Any) -> None:
        self.clock.saw(to_ns(msg.clock) * 1e-9, time.monotonic())

    def _on_message(self, topic: Topic, cdr: bytes) -> None:
        steady_s = time.monotonic()
        self.topics[topic.name].saw(self.clock.now(steady_s))
        self._hook(topic, cdr, steady_s)

    @property
    def heard(self) -> bool:
        """Whether anything came at all."""
        return bool(self.clock.count) or any(liveness.count for liveness in self.topics.values())

    def verdicts(self) -> dict[str, Verdict]:
        """How every topic does now, /clock first."""
        steady_s = time.monotonic()
        now = self.clock.now(steady_s)
        found = {CLOCK.name: self.clock.judge(steady_s)}
        for name, liveness in self.topics.items():
            found[name] = self._with_rivals(name, liveness.judge(now))
        return found

    def _with_rivals(self, name: str, verdict: Verdict) -> Verdict:
        """A topic that two nodes publish is an error whatever its rate."""
        rivals = publishers(self._node, name)
        if len(rivals) < 2 or name in SHARED:
            return verdict
        words = f"{len(rivals)} publishers: {', '.join(rivals)}"
        return Verdict(max(Level.ERROR, verdict.level), words, verdict.rate_hz, verdict.age_s)
