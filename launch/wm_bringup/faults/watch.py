"""What is noted of a run, and the node that notes it: everything from the publishers themselves, before any fault."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from rclpy.node import Node

from wm_bringup.faults.interposer_node import raw_name
from wm_msgs.msg import ControlCommand, DriveEvent, SafetyState, Truth, VehicleStatus
from wm_ros.convert import to_ns
from wm_ros.topics import CONTROL, EVENTS, SAFETY, STATUS, TRUTH, Topic

QUEUE = 200  # messages a topic: who watches must not miss any
Info = dict[str, Any]


@dataclass(frozen=True)
class Order:
    """A command of the gate."""

    time_ns: int  # wall time at which it was published
    source: int
    steering_rad: float
    acceleration_mps2: float
    frame_ns: int  # stamp of the camera frame it descends from, ROS time


@dataclass(frozen=True)
class Motion:
    """What the vehicle did at a frame."""

    time_ns: int
    speed_mps: float
    commanded_mps2: float
    mode: int


@dataclass(frozen=True)
class Place:
    """Where the car was at a frame, from the simulator's truth."""

    time_ns: int
    progress_m: float
    gap_ahead_m: float


@dataclass
class Record:
    """Everything seen since the last reset."""

    orders: list[Order] = field(default_factory=list)
    motions: list[Motion] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    events: list[tuple[int, int, str]] = field(default_factory=list)  # wall ns, DriveEvent type, detail
    states: list[tuple[int, int, int]] = field(default_factory=list)  # wall ns, state, reasons


class Watcher(Node):
    """Fills a `Record`."""

    def __init__(self, context: Any) -> None:
        super().__init__("fault_watcher", context=context)
        self._lock = threading.Lock()
        self._record = Record()
        self._hear(CONTROL, raw_name(CONTROL), self._on_order)
        self._hear(STATUS, raw_name(STATUS), self._on_motion)
        self._hear(TRUTH, TRUTH.name, self._on_place)
        self._hear(EVENTS, EVENTS.name, self._on_event)
        self._hear(SAFETY, SAFETY.name, self._on_state)

    def fresh(self) -> None:
        """Forget everything: a new run begins."""
        with self._lock:
            self._record = Record()

    def so_far(self) -> Record:
        """A copy of what was noted, safe to read."""
        with self._lock:
            held = self._record
            return Record(
                list(held.orders), list(held.motions), list(held.places), list(held.events), list(held.states)
            )

    def _hear(self, topic: Topic, name: str, callback: Any) -> None:
        qos = topic.reader_qos
        qos.depth = QUEUE
        self.create_subscription(topic.type, name, callback, qos)

    def _on_order(self, msg: ControlCommand, info: Info) -> None:
        order = Order(
            info["source_timestamp"], msg.source, msg.steering_angle, msg.acceleration, to_ns(msg.source_stamp)
        )
        with self._lock:
            self._record.orders.append(order)

    def _on_motion(self, msg: VehicleStatus, info: Info) -> None:
        motion = Motion(info["source_timestamp"], msg.speed, msg.commanded_acceleration, msg.mode)
        with self._lock:
            self._record.motions.append(motion)

    def _on_place(self, msg: Truth, info: Info) -> None:
        with self._lock:
            self._record.places.append(Place(info["source_timestamp"], msg.progress, msg.gap_ahead))

    def _on_event(self, msg: DriveEvent, info: Info) -> None:
        with self._lock:
            self._record.events.append((info["source_timestamp"], msg.type, msg.detail))

    def _on_state(self, msg: SafetyState) -> None:
        with self._lock:
            self._record.states.append((time.time_ns(), msg.state, msg.reasons))
