"""The topic table: every topic of the stack once, as plain data.

Nodes, recorder, offline bag writer, monitors, documentation and tests read this table. It imports nothing of ROS, so
that bags can be written and read without it; `wm_ros.topics` turns it into message classes and rclpy profiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Qos:
    """How a topic travels. History is always keep last."""

    depth: int
    reliable: bool = True
    latched: bool = False  # transient local: who joins late still gets the newest
    deadline_ms: int | None = None
    liveliness_ms: int | None = None


@dataclass(frozen=True)
class TopicSpec:
    """A topic: name, type, quality of service, and what the stack does with it."""

    name: str  # relative, so that namespaces and remaps work; two are absolute by convention
    type: str  # "package/msg/Name"
    qos: Qos
    rate_hz: float | None = None  # None: on event
    stamped: bool = True  # has a header
    recorded: bool = True
    steady: bool = False  # its rate counts wall time: sent by a timer that goes on when ROS time stands still

    @property
    def has_seq(self) -> bool:
        """Whether messages count themselves in `seq`."""
        return self.type.startswith("wm_msgs/")


CLOCK = TopicSpec("/clock", "rosgraph_msgs/msg/Clock", Qos(1, reliable=False), stamped=False)
CAMERA = TopicSpec("camera/image_raw", "sensor_msgs/msg/Image", Qos(2, deadline_ms=200), rate_hz=10)
CAMERA_INFO = TopicSpec("camera/camera_info", "sensor_msgs/msg/CameraInfo", Qos(2), rate_hz=10)
SCAN = TopicSpec("scan", "sensor_msgs/msg/LaserScan", Qos(2), rate_hz=10)
ODOM = TopicSpec("odom", "nav_msgs/msg/Odometry", Qos(2), rate_hz=10)
STATUS = TopicSpec("vehicle/status", "wm_msgs/msg/VehicleStatus", Qos(2), rate_hz=10)
ROUTE = TopicSpec("route", "nav_msgs/msg/Path", Qos(1, latched=True))
# Who simulates, and which parts of its frames are no measurements: JSON, see wm_sim.contract.Declaration.told.
SIMULATOR = TopicSpec("simulator", "std_msgs/msg/String", Qos(1, latched=True), stamped=False)
TRUTH = TopicSpec("truth", "wm_msgs/msg/Truth", Qos(10), rate_hz=10)
EVENTS = TopicSpec("events", "wm_msgs/msg/DriveEvent", Qos(50))
OBSERVATION = TopicSpec("observation", "wm_msgs/msg/Observation", Qos(1), rate_hz=10)
BELIEF = TopicSpec("belief", "wm_msgs/msg/Belief", Qos(1), rate_hz=10)
DREAM = TopicSpec("dream/image", "sensor_msgs/msg/Image", Qos(1), recorded=False)
PLAN = TopicSpec("plan", "wm_msgs/msg/Plan", Qos(1, deadline_ms=200, liveliness_ms=500), rate_hz=10)
PLAN_PATH = TopicSpec("plan/path", "nav_msgs/msg/Path", Qos(1), rate_hz=10, recorded=False)
PLAN_MARKERS = TopicSpec(
    "plan/markers", "visualization_msgs/msg/MarkerArray", Qos(1), stamped=False, recorded=False
)
CONTROL = TopicSpec("control_cmd", "wm_msgs/msg/ControlCommand", Qos(1), rate_hz=50, steady=True)
SAFETY = TopicSpec("safety/state", "wm_msgs/msg/SafetyState", Qos(1, latched=True), rate_hz=2, steady=True)
DIAGNOSTICS = TopicSpec("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", Qos(10), rate_hz=1, steady=True)
# In collected bags alone, no topic of the running stack: what a driver that sees the truth would do at each frame.
ADVICE = TopicSpec("expert/control_cmd", "wm_msgs/msg/ControlCommand", Qos(1), rate_hz=10)

TOPICS: tuple[TopicSpec, ...] = (
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
RECORDED: tuple[TopicSpec, ...] = tuple(topic for topic in TOPICS if topic.recorded)

_NS_PER_MS = 1_000_000
_INFINITE = {"sec": 9223372036, "nsec": 854775807}  # rosbag2's way to write "no limit"


def _duration(ms: int | None) -> dict[str, int]:
    if ms is None:
        return dict(_INFINITE)
    sec, nsec = divmod(ms * _NS_PER_MS, 1_000_000_000)
    return {"sec": sec, "nsec": nsec}


def bag_qos(topic: TopicSpec) -> list[dict[str, Any]]:
    """`offered_qos_profiles` of a topic as rosbag2 metadata version 9 writes it.

    `rosbags.rosbag2.metadata.parse_qos` reads it as it stands.
    """
    qos = topic.qos
    return [
        {
            "history": "keep_last",
            "depth": qos.depth,
            "reliability": "reliable" if qos.reliable else "best_effort",
            "durability": "transient_local" if qos.latched else "volatile",
            "deadline": _duration(qos.deadline_ms),
            "lifespan": dict(_INFINITE),
            "liveliness": "automatic",
            "liveliness_lease_duration": _duration(qos.liveliness_ms),
            "avoid_ros_namespace_conventions": False,
        }
    ]


BAG_QOS = bag_qos
