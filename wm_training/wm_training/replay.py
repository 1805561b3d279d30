"""A drive's sensors for feeding them again, and how the plans that come of it differ from those recorded. No ROS."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rosbags.rosbag2 import Reader

from wm_ros import topic_table as topics
from wm_ros.topic_table import TopicSpec
from wm_sim.contract import BUILTIN
from wm_training.bags.reader import find_topic, read_raw
from wm_training.bags.schema import typestore
from wm_training.errors import TrainingError

SENSORS = (topics.STATUS, topics.ODOM, topics.SCAN, topics.CAMERA)
READY = 0  # VehicleStatus.MODE_READY: an episode's first frame
WORST = 5
TOLERANCE = 1e-4  # rad and m/s²


class Sensed(NamedTuple):
    """Everything that the sensors said about one moment, serialised."""

    stamp_ns: int
    is_start: bool  # an episode begins here
    messages: tuple[tuple[str, bytes], ...]  # topic of the table, CDR; a new route first


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan as far as it is compared."""

    steering_angle: np.ndarray  # [H], rad
    acceleration: np.ndarray  # [H], m/s²
    samples: int = 0
    model_id: str = ""


@dataclass(frozen=True)
class Difference:
    """Largest differences of one frame's plans over the horizon."""

    stamp_s: float
    steering_angle: float  # rad
    acceleration: float  # m/s²


@dataclass(frozen=True)
class Comparison:
    """How new plans differ from the recorded ones."""

    frames: int  # compared
    unanswered: int  # recorded, but without a new plan
    within: bool
    tolerance: float
    steering_angle: Mapping[str, float]  # median, p99, max, rad
    acceleration: Mapping[str, float]  # median, p99, max, m/s²
    worst: tuple[Difference, ...]
    recorded_model: str = ""
    model: str = ""

    def __str__(self) -> str:
        rows = [f"{'':<16}{'median':>12}{'p99':>12}{'max':>12}"]
        for name, unit in (("steering_angle", "rad"), ("acceleration", "m/s²")):
            figures: Mapping[str, float] = getattr(self, name)
            label = f"Δ{name.partition('_')[0]} {unit}"
            rows.append(f"{label:<16}" + "".join(f"{figures[key]:>12.2e}" for key in ("median", "p99", "max")))
        for worst in self.worst:
            rows.append(f"  at {worst.stamp_s:.2f} s: {worst.steering_angle:.2e} rad, {worst.acceleration:.2e} m/s²")
        models = f", recorded by model {self.recorded_model}, replayed by {self.model}"
        verdict = "within" if self.within else "NOT within"
        rows.append(
            f"{self.frames} plans compared, {self.unanswered} without an answer: {verdict} {self.tolerance:g}"
            + (models if self.model != self.recorded_model else "")
        )
        return "\n".join(rows)

    def json(self) -> str:
        """All of it as one JSON object."""
        return json.dumps(asdict(self), indent=1)


class Drive:
    """What a bag holds of a drive: sensors by frame, plans by the frame that they answer."""

    def __init__(self, reader: Reader, path: Path) -> None:
        self.path = path
        wanted = (*SENSORS, topics.ROUTE, topics.PLAN, topics.OBSERVATION, topics.SIMULATOR)
        found = {topic.name: find_topic(reader, topic.name) for topic in wanted}
        missing = [t.name for t in (*SENSORS, topics.ROUTE) if not (c := found[t.name]) or not c.msgcount]
        if missing:
            raise TrainingError(f"{path}: {', '.join(missing)} is not in it; replaying a drive needs every sensor.")
        present = {name: connection for name, connection in found.items() if connection is not None}
        raw = read_raw(reader, [*present.values()])
        self._raw = {name: raw[connection.topic][1] for name, connection in present.items()}
        self.plans = {stamp: plan for stamp, plan in self._plans()}
        self.frames = [*self._frames()]
        if not self.frames:
            raise TrainingError(f"{path}: no moment in it has every sensor; record camera, scan, odom and status.")

    @property
    def anchored(self) -> list[Sensed]:
        """Frames from the first start of an episode on: what came before cannot be filtered as it was."""
        starts = [index for index, frame in enumerate(self.frames) if frame.is_start]
        return self.frames[starts[0] :] if starts else []

    def _frames(self) -> Iterator[Sensed]:
        by_stamp = {t.name: {_stamp_ns(cdr): cdr for cdr in self._raw[t.name]} for t in SENSORS}
        stamps = sorted(set.intersection(*(set(messages) for messages in by_stamp.values())))
        observed = {_source_ns(topics.OBSERVATION, cdr) for cdr in self._raw.get(topics.OBSERVATION.name, ())}
        routes = sorted((_stamp_ns(cdr), cdr) for cdr in self._raw[topics.ROUTE.name])
        for stamp in stamps:
            if observed and stamp not in observed:
                continue  # a frame that perception did not get to: the belief was not filtered on it
            due = [cdr for route_ns, cdr in routes if route_ns <= stamp]
            routes = routes[len(due) :]
            status = _decoded(topics.STATUS, by_stamp[topics.STATUS.name][stamp])
            messages = [(topics.ROUTE.name, cdr) for cdr in due[-1:]]
            messages += [(topic.name, by_stamp[topic.name][stamp]) for topic in SENSORS]
            yield Sensed(stamp, status.mode == READY, tuple(messages))

    def _plans(self) -> Iterator[tuple[int, Planned]]:
        for cdr in self._raw.get(topics.PLAN.name, ()):
            plan = _decoded(topics.PLAN, cdr)
            yield _ns(plan.source_stamp), Planned(plan.steering_angle, plan.acceleration, plan.samples)

    @property
    def model_id(self) -> str:
        """Of the model that drove; empty where the bag does not tell."""
        for cdr in self._raw.get(topics.OBSERVATION.name, ())[:1]:
            return str(_decoded(topics.OBSERVATION, cdr).model_id)
        return ""

    @property
    def simulator(self) -> str:
        """Name of the simulator that gave the sensors; `builtin` where the bag does not tell."""
        for cdr in self._raw.get(topics.SIMULATOR.name, ())[:1]:
            try:
                return str(json.loads(_decoded(topics.SIMULATOR, cdr).data)["name"])
            except (ValueError, KeyError, TypeError) as error:
                name = topics.SIMULATOR.name
                raise TrainingError(f"{self.path}: topic {name}: not what a simulator says ({error}).") from None
        return BUILTIN


def compare(
    recorded: Mapping[int, Planned], new: Mapping[int, Planned], tolerance: float, models: tuple[str, str] = ("", "")
) -> Comparison:
    """Differences of the plans of equal frames (by stamp, ns); a recorded plan without a new one is not within."""
    rows = []
    for stamp in sorted(set(recorded) & set(new)):
        old, now = recorded[stamp], new[stamp]
        rows.append(
            Difference(
                stamp * 1e-9,
                _largest(old.steering_angle, now.steering_angle),
                _largest(old.acceleration, now.acceleration),
            )
        )
    unanswered = len(set(recorded) - set(new))
    steering = np.array([row.steering_angle for row in rows])
    acceleration = np.array([row.acceleration for row in rows])
    within = bool(rows) and not unanswered and max(steering.max(), acceleration.max()) <= tolerance
    worst = sorted(rows, key=lambda row: -max(row.steering_angle, row.acceleration))[:WORST]
    return Comparison(
        frames=len(rows),
        unanswered=unanswered,
        within=bool(within),
        tolerance=tolerance,
        steering_angle=_figures(steering),
        acceleration=_figures(acceleration),
        worst=tuple(row for row in worst if max(row.steering_angle, row.acceleration) > tolerance),
        recorded_model=models[0],
        model=models[1],
    )


def _largest(old: np.ndarray, new: np.ndarray) -> float:
    if len(old) != len(new):
        return float("inf")
    difference = np.abs(np.asarray(old, np.float64) - np.asarray(new, np.float64))
    return float(np.nan_to_num(difference, nan=np.inf).max(initial=0.0))


def _figures(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {"median": 0.0, "p99": 0.0, "max": 0.0}
    p99 = float(np.sort(values)[min(len(values) - 1, int(np.ceil(0.99 * len(values))) - 1)])
    return {"median": float(np.median(values)), "p99": p99, "max": float(values.max())}


def _stamp_ns(cdr: bytes) -> int:
    """Stamp of the header that a message begins with, ns."""
    return int.from_bytes(cdr[4:8], "little", signed=True) * 10**9 + int.from_bytes(cdr[8:12], "little")


def _source_ns(topic: TopicSpec, cdr: bytes) -> int:
    return _ns(_decoded(topic, cdr).source_stamp)


def _decoded(topic: TopicSpec, cdr: bytes) -> Any:
    return typestore().deserialize_cdr(cdr, topic.type)


def _ns(stamp: Any) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)
