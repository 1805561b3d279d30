"""The node between publishers and subscribers: passes every message on as bytes, or lets a fault have it.

Publishers are started with their topics remapped to `raw_name`; subscribers notice nothing.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from wm_bringup.faults.stream import Disturbance, Lane
from wm_bringup.faults.table import INTERPOSED
from wm_ros.topics import Topic


def raw_name(topic: Topic) -> str:
    """Where a publisher of the stack sends what the interposer passes on."""
    return f"faults/{topic.name.lstrip('/')}"


class Interposer(Node):
    """One lane a topic. `disturb` may be called from any thread."""

    def __init__(self, context: Any) -> None:
        super().__init__("fault_interposer", context=context)
        self._lock = threading.Lock()
        self._began_ns: dict[str, int] = {}
        self._lanes = {topic.name: Lane() for topic in INTERPOSED}
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._ways = {}
        for topic in INTERPOSED:
            self._ways[topic.name] = self.create_publisher(topic.type, topic.name, topic.qos)
            self.create_subscription(
                topic.type, raw_name(topic), partial(self._on_message, topic.name), topic.reader_qos, raw=True
            )

    def disturb(self, name: str, disturbance: Disturbance | None) -> None:
        """Begin a fault on the topic of this name, or end it (None)."""
        with self._lock:
            self._began_ns.pop(name, None)
            self._lanes[name].disturb(disturbance)

    def began_ns(self, name: str) -> int | None:
        """Wall time at which the present fault met its first message; None: none came yet."""
        with self._lock:
            return self._began_ns.get(name)

    def _on_message(self, name: str, message: bytes) -> None:
        with self._lock:
            deliveries = self._lanes[name].passes(message)
            if self._lanes[name].touched == 1:
                self._began_ns[name] = time.time_ns()
        for wait_s, content in deliveries:
            if wait_s > 0.0:
                self._send_later(name, wait_s, content)
            else:
                self._ways[name].publish(content)

    def _send_later(self, name: str, wait_s: float, content: bytes) -> None:
        def send() -> None:
            self.destroy_timer(timer)
            self._ways[name].publish(content)

        timer = self.create_timer(wait_s, send, clock=self._steady)
