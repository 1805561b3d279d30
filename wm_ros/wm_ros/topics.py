"""The topic table with message classes and rclpy profiles, for nodes: `self.subscribe(CAMERA, self.on_camera)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry, Path
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, HistoryPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, LaserScan
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from wm_msgs.msg import (
    Belief,
    ControlCommand,
    DriveEvent,
    Observation,
    Plan,
    SafetyState,
    Truth,
    VehicleStatus,
)
from wm_ros import topic_table
from wm_ros.topic_table import BAG_QOS, TopicSpec, bag_qos

__all__ = ["BAG_QOS", "TOPICS", "Topic", "bag_qos"]


@dataclass(frozen=True, eq=False)
class Topic:
    """A topic of the stack: what travels, how reliably, how often."""

    name: str  # relative, so that namespaces and remaps work
    type: Any  # message class
    qos: QoSProfile  # what publishers offer
    rate_hz: float | None  # None: on event
    stamped: bool
    recorded: bool
    spec: TopicSpec  # the same as plain data

    @property
    def reader_qos(self) -> QoSProfile:
        """What subscribers ask for: no deadline and no lease, so that bags and foreign drivers fit too."""
        return _profile(self.spec, promises=False)


def _profile(spec: TopicSpec, promises: bool) -> QoSProfile:
    qos = spec.qos
    durability = DurabilityPolicy.TRANSIENT_LOCAL if qos.latched else DurabilityPolicy.VOLATILE
    profile = QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=qos.depth,
        reliability=ReliabilityPolicy.RELIABLE if qos.reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=durability,
    )
    if promises and qos.deadline_ms is not None:
        profile.deadline = Duration(nanoseconds=qos.deadline_ms * 1_000_000)
    if promises and qos.liveliness_ms is not None:
        profile.liveliness = LivelinessPolicy.AUTOMATIC
        profile.liveliness_lease_duration = Duration(nanoseconds=qos.liveliness_ms * 1_000_000)
    return profile


def _topic(spec: TopicSpec, message: Any) -> Topic:
    qos = _profile(spec, promises=True)
    return Topic(spec.name, message, qos, spec.rate_hz, spec.stamped, spec.recorded, spec)


CLOCK = _topic(topic_table.CLOCK, Clock)
CAMERA = _topic(topic_table.CAMERA, Image)
CAMERA_INFO = _topic(topic_table.CAMERA_INFO, CameraInfo)
SCAN = _topic(topic_table.SCAN, LaserScan)
ODOM = _topic(topic_table.ODOM, Odometry)
STATUS = _topic(topic_table.STATUS, VehicleStatus)
ROUTE = _topic(topic_table.ROUTE, Path)
SIMULATOR = _topic(topic_table.SIMULATOR, String)
TRUTH = _topic(topic_table.TRUTH, Truth)
EVENTS = _topic(topic_table.EVENTS, DriveEvent)
OBSERVATION = _topic(topic_table.OBSERVATION, Observation)
BELIEF = _topic(topic_table.BELIEF, Belief)
DREAM = _topic(topic_table.DREAM, Image)
PLAN = _topic(topic_table.PLAN, Plan)
PLAN_PATH = _topic(topic_table.PLAN_PATH, Path)
PLAN_MARKERS = _topic(topic_table.PLAN_MARKERS, MarkerArray)
CONTROL = _topic(topic_table.CONTROL, ControlCommand)
SAFETY = _topic(topic_table.SAFETY, SafetyState)
DIAGNOSTICS = _topic(topic_table.DIAGNOSTICS, DiagnosticArray)

TOPICS: tuple[Topic, ...] = (
    CLOCK,
    CAMERA,
    CAMERA_INFO,
    SCAN,
    ODOM,
    STATUS,
    ROUTE,
    SIMULATOR,
    TRUTH,
    EVENTS,
    OBSERVATION,
    BELIEF,
    DREAM,
    PLAN,
    PLAN_PATH,
    PLAN_MARKERS,
    CONTROL,
    SAFETY,
    DIAGNOSTICS,
)
