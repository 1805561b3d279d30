"""Every fault there is."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable
from typing import get_args

from wm_bringup.errors import BringupError
from wm_bringup.faults.fault import (
    Action,
    Appear,
    ClockKind,
    CpuHogs,
    DiskFull,
    Fault,
    Field,
    Kill,
    Length,
    SecondPublisher,
    Stop,
    Stream,
    StreamKind,
    WrongClock,
    WrongLength,
)
from wm_bringup.faults.fields import array_fields, float_fields
from wm_ros import topics
from wm_ros.topics import Topic

NODES = ("sim_node", "perception_node", "dynamics_node", "planner_node", "safety_gate_node", "recorder_node")
# Who publishes what passes the interposer.
PUBLISHED = {
    "sim_node": (topics.CLOCK, topics.CAMERA, topics.SCAN, topics.ODOM, topics.STATUS),
    "perception_node": (topics.OBSERVATION,),
    "dynamics_node": (topics.BELIEF,),
    "planner_node": (topics.PLAN,),
    "safety_gate_node": (topics.CONTROL,),
}
INTERPOSED = tuple(topic for published in PUBLISHED.values() for topic in published)
SHORT = {
    topics.CAMERA.name: "camera",
    topics.SCAN.name: "scan",
    topics.ODOM.name: "odom",
    topics.STATUS.name: "status",
    topics.PLAN.name: "plan",
    topics.OBSERVATION.name: "observation",
    topics.BELIEF.name: "belief",
    topics.CONTROL.name: "control_cmd",
}
STREAMS = (topics.CAMERA, topics.SCAN, topics.ODOM, topics.STATUS, topics.PLAN)
FIELDS = (
    topics.SCAN,
    topics.ODOM,
    topics.STATUS,
    topics.OBSERVATION,
    topics.BELIEF,
    topics.PLAN,
    topics.CONTROL,
)
SURPRISE_NATS = 1e3  # more than any model calls usual
VALUES = {"nan": math.nan, "huge": 1e30, "minus_huge": -1e30}

_NO_PLAN = (250.0, "plan older than 0.2 s")
_BLIND = (550.0, "scan or odometry stale")
_CLOCK = (1100.0, "clock frozen")
_GATE = (550.0, "gate dies")
_IN_THE_WAY = (600.0, "something in the path by the scan")
_SURPRISED = (1200.0, "surprise above its calibrated p99.9")  # 10 plans in a row, and one period
Limit = tuple[float, str]

_KILLED: dict[str, Limit] = {
    "sim_node": _CLOCK,
    "perception_node": _NO_PLAN,
    "dynamics_node": _NO_PLAN,
    "planner_node": _NO_PLAN,
    "safety_gate_node": _GATE,
}
# Streams that no longer bring anything new: nobody may drive on with them.
_SILENT = ("freeze", "drop", "delay")
_STARVED: dict[str, Limit] = {"camera": _NO_PLAN, "plan": _NO_PLAN, "scan": _BLIND, "odom": _BLIND, "status": _BLIND}
# Fields that the gate decides by.
_ESSENTIAL: dict[str, Limit] = {
    "scan.ranges": _BLIND,
    "status.speed": _BLIND,
    "status.yaw_rate": _BLIND,
    "status.steering_angle": _BLIND,
    "odom.pose.pose.position.x": _BLIND,
    "odom.pose.pose.position.y": _BLIND,
    "plan.dt": _NO_PLAN,
    "plan.steering_angle": _NO_PLAN,
    "plan.acceleration": _NO_PLAN,
    "control_cmd.steering_angle": _GATE,
    "control_cmd.acceleration": _GATE,
}
# Lengths that the gate must refuse; a scan of other beams is another lidar, and read.
_REFUSED_LENGTH: dict[tuple[str, Length], Limit] = {
    ("scan.ranges", "empty"): _BLIND,
    **{
        (f"plan.{name}", length): _NO_PLAN for name in ("steering_angle", "acceleration") for length in get_args(Length)
    },
}
_AHEAD = "stop_go"  # a car drives ahead and stops: what scan and status say matters


def _fault(name: str, group: str, action: Action, limit: Limit | None = None, **more: object) -> Fault:
    limit_ms, limit_from = limit or (None, "")
    return Fault(name, group, action, limit_ms, limit_from, **more)  # type: ignore[arg-type]


def _process_faults() -> Iterable[Fault]:
    for node in NODES:
        short = node.removesuffix("_node").removeprefix("safety_")
        yield _fault(f"kill_{short}", f"kill_{short}", Kill(node), _KILLED.get(node))
        yield _fault(f"stop_{short}", f"stop_{short}", Stop(node), _KILLED.get(node))


def _stream_faults() -> Iterable[Fault]:
    for topic in STREAMS:
        short = SHORT[topic.name]
        scenario = _AHEAD if short in ("scan", "status") else "lane_follow"
        for kind in get_args(StreamKind):
            limit = _STARVED[short] if kind in _SILENT else None
            name = f"{kind}_{short}"
            yield _fault(name, name, Stream(topic.spec, kind), limit, scenario=scenario)


def _field_faults() -> Iterable[Fault]:
    for topic in FIELDS:
        short = SHORT[topic.name]
        for word, value in VALUES.items():
            for path in float_fields(topic.type):
                if path.endswith("covariance") or path == "intensities":
                    continue  # nobody here fills them or reads them
                limit = None if math.isfinite(value) else _ESSENTIAL.get(f"{short}.{path}")
                yield _fault(
                    f"{word}_{short}.{path}", f"{word}_{short}", Field(topic.spec, path, value), limit, lasts_s=3.0
                )


def _length_faults() -> Iterable[Fault]:
    for topic in (topics.CAMERA, *FIELDS):
        short = SHORT[topic.name]
        for path in array_fields(topic.type):
            if path == "intensities":
                continue
            for length in get_args(Length):
                name = f"{length}_{short}.{path}"
                limit = _REFUSED_LENGTH.get((f"{short}.{path}", length))
                yield _fault(name, f"{length}_{short}", WrongLength(topic.spec, path, length), limit, lasts_s=3.0)


def _other_faults() -> Iterable[Fault]:
    for kind in get_args(ClockKind):
        yield _fault(f"clock_{kind}", f"clock_{kind}", WrongClock(kind), _CLOCK if kind == "frozen" else None)
    yield _fault("something_ahead", "something_ahead", Appear(1.5), _IN_THE_WAY)
    yield _fault("surprised", "surprised", Field(topics.BELIEF.spec, "surprise", SURPRISE_NATS), _SURPRISED)
    yield _fault("disk_full", "disk_full", DiskFull(), lasts_s=6.0)
    yield _fault("cpu_hogs", "cpu_hogs", CpuHogs(), scenario=_AHEAD, lasts_s=10.0)
    yield _fault("second_publisher", "second_publisher", SecondPublisher(50.0), scenario=_AHEAD)


def all_faults() -> tuple[Fault, ...]:
    """The whole list, in the order in which it is run: faults that end processes come last within their kind."""
    return (
        *_process_faults(),
        *_stream_faults(),
        *_field_faults(),
        *_length_faults(),
        *_other_faults(),
    )


def chosen_faults(only: str) -> tuple[Fault, ...]:
    """Faults by name, group or pattern, separated by commas ("kill_*,nan_plan"); empty: all.

    BringupError for a pattern that fits none.
    """
    faults = all_faults()
    patterns = [word.strip() for word in only.split(",") if word.strip()]
    for pattern in patterns:
        if not any(_matches(fault, pattern) for fault in faults):
            raise BringupError(f"no fault is called {pattern}: `wm faults --list` names them all.")
    return tuple(fault for fault in faults if not patterns or any(_matches(fault, pattern) for pattern in patterns))


def _matches(fault: Fault, pattern: str) -> bool:
    return fnmatch.fnmatchcase(fault.name, pattern) or fnmatch.fnmatchcase(fault.group, pattern)


def topic_named(name: str) -> Topic:
    """The topic that passes the interposer under this name."""
    return next(topic for topic in INTERPOSED if topic.name == name)
