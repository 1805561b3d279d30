"""Simulator frames → the messages that the running stack would have published.

An episode is encoded as a whole, one column at a time, and handed out message by message in the order of publication.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from wm_ros import topic_table as topics
from wm_sim import action as actions
from wm_sim import observation as obs
from wm_sim.builtin import DECLARATION as BUILTIN
from wm_training.bags.cdr import Layout, layout_of_values, rows
from wm_training.bags.schema import message, serialise, typestore

if TYPE_CHECKING:
    from wm_sim.contract import Declaration
    from wm_sim.frame import Frame

STEP_NS = round(obs.STEP_S * 1e9)
CLOCK_START_NS = 1_000_000_000  # the stack's clock begins at 1 s: zero means "no time yet" in ROS
SOURCE_PLAN = 0
EVENT_TYPES = {
    "collision": 1, "off_road": 2, "route_done": 3, "timeout": 4, "reset": 5, "fault": 6, "red_light": 7,
}  # fmt: skip
MODE_READY, MODE_DRIVING, MODE_TAUGHT = 0, 1, 3


class Serialised(NamedTuple):
    """One serialised message: ns, relative topic name, CDR."""

    stamp_ns: int
    topic: str
    cdr: bytes | memoryview


class EpisodeEncoder:
    """Encodes episode after episode on one clock that never goes back, with one `seq` per topic."""

    def __init__(self, simulator: Declaration = BUILTIN) -> None:
        self.simulator = simulator
        self.next_ns = CLOCK_START_NS
        self._seq: Counter[str] = Counter()

    def encode(
        self,
        frames: Sequence[Frame],
        commands: np.ndarray,
        route: np.ndarray,
        taught: Sequence[bool] = (),
        advice: np.ndarray | None = None,
    ) -> Iterator[Serialised]:
        """Messages of one episode, in the order in which the stack publishes them.

        commands: actions decided at each frame but the last, float32[T-1, 2]. route: float64[M, 2], map frame.
        taught: which of the commands came from a driver that sees more than the sensors [T-1]; () for none.
        advice: what a driver that sees the truth would have done, float32[T-1, 2]; None: nobody was asked.
        """
        stamps = self.next_ns + STEP_NS * np.arange(len(frames))  # int64[T]
        self.next_ns = int(stamps[-1]) + STEP_NS
        tables = {
            topics.CLOCK.name: _clock(stamps),
            topics.STATUS.name: self._status(frames, stamps, taught),
            topics.ODOM.name: self._odom(frames, stamps),
            topics.SCAN.name: self._scan(frames, stamps),
            topics.CAMERA_INFO.name: _stamped(_camera_info(self.simulator.camera_hfov_rad), stamps),
            topics.CAMERA.name: self._camera(frames, stamps),
            topics.TRUTH.name: self._truth(frames, stamps),
            topics.CONTROL.name: self._control(topics.CONTROL, frames, commands, stamps[:-1]),
        }
        if advice is not None:
            tables[topics.ADVICE.name] = self._control(topics.ADVICE, frames, advice, stamps[:-1])
        encoded = {topic: rows(table) for topic, table in tables.items()}
        about = serialise(topics.SIMULATOR.type, {"data": self.simulator.told()})
        yield Serialised(int(stamps[0]), topics.SIMULATOR.name, about)
        yield Serialised(int(stamps[0]), topics.ROUTE.name, path_cdr(route, int(stamps[0])))
        for index, (frame, stamp) in enumerate(zip(frames, stamps.tolist(), strict=True)):
            for topic, messages in encoded.items():
                if index < len(messages):
                    yield Serialised(stamp, topic, messages[index])
            for event in frame.events:
                cdr = self._event(event.type, event.intensity, event.detail, stamp)
                yield Serialised(stamp, topics.EVENTS.name, cdr)

    def _ours(self, topic: Any, table: np.ndarray) -> np.ndarray:
        """Fill in what every message of ours carries besides its header."""
        for part in ("sec", "nanosec"):
            table[f"source_stamp.{part}"] = table[f"header.stamp.{part}"]
        table["seq"] = self._seq[topic.name] + np.arange(len(table))
        self._seq[topic.name] += len(table)
        return table

    def _camera(self, frames: Sequence[Frame], stamps: np.ndarray) -> np.ndarray:
        height, width, channels = frames[0].camera.shape
        layout = layout_of_values(
            topics.CAMERA.type,
            header={"frame_id": "camera_optical"},
            height=height,
            width=width,
            encoding="rgb8",
            step=width * channels,
            data=_zeros_u8(height * width * channels),
        )
        table = _stamped(layout, stamps)
        data = table["data"]  # [T, H*W*3]
        for index, frame in enumerate(frames):
            data[index] = frame.camera.reshape(-1)
        return table

    def _scan(self, frames: Sequence[Frame], stamps: np.ndarray) -> np.ndarray:
        table = _stamped(_scan_layout(), stamps)
        table["ranges"] = [frame.scan for frame in frames]
        return table

    def _odom(self, frames: Sequence[Frame], stamps: np.ndarray) -> np.ndarray:
        table = _stamped(_odom_layout(), stamps)
        x, y, yaw = np.array([frame.pose for frame in frames], dtype=np.float64).T
        table["pose.pose.position.x"], table["pose.pose.position.y"] = x, y
        table["pose.pose.orientation.z"] = [math.sin(0.5 * a) for a in yaw.tolist()]
        table["pose.pose.orientation.w"] = [math.cos(0.5 * a) for a in yaw.tolist()]
        table["twist.twist.linear.x"] = [frame.speed_mps for frame in frames]
        table["twist.twist.angular.z"] = [frame.yaw_rate_radps for frame in frames]
        return table

    def _status(self, frames: Sequence[Frame], stamps: np.ndarray, taught: Sequence[bool]) -> np.ndarray:
        table = _stamped(layout_of_values(topics.STATUS.type, header={"frame_id": "base_link"}), stamps)
        table["speed"] = [frame.speed_mps for frame in frames]
        table["acceleration"] = [frame.acceleration_mps2 for frame in frames]
        table["yaw_rate"] = [frame.yaw_rate_radps for frame in frames]
        table["steering_angle"] = [frame.steering_angle_rad for frame in frames]
        table["speed_limit"] = [frame.speed_limit_mps for frame in frames]
        steering, acceleration = actions.to_physical(np.stack([frame.commanded for frame in frames]))
        table["commanded_steering_angle"], table["commanded_acceleration"] = steering, acceleration
        table["mode"] = MODE_DRIVING
        if len(taught):
            table["mode"][1:][np.asarray(taught)] = MODE_TAUGHT
        table["mode"][0] = MODE_READY  # an episode's first frame waits for its first command
        return self._ours(topics.STATUS, table)

    def _truth(self, frames: Sequence[Frame], stamps: np.ndarray) -> np.ndarray:
        first = frames[0].truth
        layout = layout_of_values(topics.TRUTH.type, header={"frame_id": "map"}, scenario=first.scenario)
        table = _stamped(layout, stamps)
        for column, field in TRUTH_FIELDS.items():
            table[column] = [getattr(frame.truth, field) for frame in frames]
        return self._ours(topics.TRUTH, table)

    def _control(
        self, topic: topics.TopicSpec, frames: Sequence[Frame], commands: np.ndarray, stamps: np.ndarray
    ) -> np.ndarray:
        layout = layout_of_values(topic.type, header={"frame_id": "base_link"}, source=SOURCE_PLAN)
        table = _stamped(layout, stamps)
        steering, acceleration = actions.to_physical(commands.reshape(-1, 2))  # [T-1], [T-1]
        before, _ = actions.to_physical(frames[0].commanded)
        speed = np.array([frame.speed_mps for frame in frames[:-1]], dtype=np.float64)
        table["steering_angle"], table["acceleration"] = steering, acceleration
        table["steering_rate"] = np.diff(steering, prepend=before) / obs.STEP_S
        table["speed"] = np.maximum(speed + acceleration * obs.STEP_S, 0.0)
        return self._ours(topic, table)

    def _event(self, kind: str, intensity: float, detail: str, stamp_ns: int) -> bytes:
        sequence = self._seq[topics.EVENTS.name]
        self._seq[topics.EVENTS.name] += 1
        stamp = _stamp(stamp_ns)
        return serialise(
            topics.EVENTS.type,
            {
                "header": {"stamp": stamp, "frame_id": "base_link"},
                "seq": sequence,
                "source_stamp": stamp,
                "type": EVENT_TYPES[kind],
                "intensity": intensity,
                "detail": detail,
            },
        )


TRUTH_FIELDS: Mapping[str, str] = {
    "lateral_error": "lateral_error_m",
    "heading_error": "heading_error_rad",
    "curvature": "curvature_1pm",
    "lane_width": "lane_width_m",
    "gap_ahead": "gap_ahead_m",
    "closing_speed": "closing_speed_mps",
    "progress": "progress_m",
    "route_length": "route_length_m",
    **{name: name for name in ("reward", "collided", "off_road", "episode", "step")},
    "scenario": "scenario",
    "red_light_gap": "red_light_gap_m",
    "crossing_time": "crossing_time_s",
}


def path_cdr(route: np.ndarray, stamp_ns: int) -> bytes:
    """nav_msgs/Path in map of a polyline [M, 2], each pose turned to the next point."""
    types = typestore().types
    header = message("std_msgs/msg/Header", {"stamp": _stamp(stamp_ns), "frame_id": "map"})
    stamped, pose, point, quaternion = (
        types[f"geometry_msgs/msg/{name}"] for name in ("PoseStamped", "Pose", "Point", "Quaternion")
    )
    ahead = np.diff(route, axis=0)
    yaws = np.arctan2(ahead[:, 1], ahead[:, 0])
    turns = [(math.sin(0.5 * yaw), math.cos(0.5 * yaw)) for yaw in [*yaws.tolist(), *yaws[-1:].tolist()]]
    poses = [
        stamped(header, pose(point(x, y, 0.0), quaternion(0.0, 0.0, z, w)))
        for (x, y), (z, w) in zip(route.tolist(), turns, strict=True)
    ]
    return serialise(topics.ROUTE.type, {"header": header, "poses": poses})


def _stamp(stamp_ns: int) -> dict[str, int]:
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    return {"sec": seconds, "nanosec": nanoseconds}


def _stamped(layout: Layout, stamps: np.ndarray) -> np.ndarray:
    table = layout.table(len(stamps))
    table["header.stamp.sec"], table["header.stamp.nanosec"] = np.divmod(stamps, 1_000_000_000)
    return table


def _clock(stamps: np.ndarray) -> np.ndarray:
    table = layout_of_values(topics.CLOCK.type).table(len(stamps))
    table["clock.sec"], table["clock.nanosec"] = np.divmod(stamps, 1_000_000_000)
    return table


def _zeros_u8(size: int) -> np.ndarray:
    return np.zeros(size, np.uint8)


def _scan_layout() -> Layout:
    return layout_of_values(
        topics.SCAN.type,
        header={"frame_id": "lidar"},
        angle_min=obs.SCAN_ANGLE_MIN_RAD,
        angle_max=math.pi - obs.SCAN_SECTOR_RAD / 2,
        angle_increment=obs.SCAN_SECTOR_RAD,
        range_max=obs.SCAN_MAX_M,
        ranges=np.zeros(obs.SCAN_SIZE, np.float32),
    )


def _odom_layout() -> Layout:
    return layout_of_values(topics.ODOM.type, header={"frame_id": "odom"}, child_frame_id="base_link")


def _camera_info(hfov_rad: float | None) -> Layout:
    """An ideal pinhole camera; without a field of view all zeros, which ROS reads as uncalibrated."""
    height, width, _ = obs.CAMERA_SHAPE
    if hfov_rad is None:
        return layout_of_values(topics.CAMERA_INFO.type, header={"frame_id": "camera_optical"}, height=height,
                                width=width)  # fmt: skip
    focal, cx, cy = 0.5 * width / math.tan(0.5 * hfov_rad), 0.5 * width, 0.5 * height
    return layout_of_values(
        topics.CAMERA_INFO.type,
        header={"frame_id": "camera_optical"},
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=np.array([focal, 0, cx, 0, focal, cy, 0, 0, 1]),
        r=np.eye(3).reshape(-1),
        p=np.array([focal, 0, cx, 0, 0, focal, cy, 0, 0, 0, 1, 0]),
    )
