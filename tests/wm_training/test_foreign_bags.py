"""Bags of somebody else's car, written by rosbags with the definitions of their own messages, become training data."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_sim.action import STEER_MAX_RAD
from wm_training import TrainingError
from wm_training.bag_frames import KNOWN_NAMES
from wm_training.batches import BatchSource
from wm_training.losses import LossConfig, world_model_loss
from wm_training.sequences import Sequences, load_sequences

SMALL = RssmConfig(embedding=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8)
ACKERMANN = "std_msgs/Header header\nAckermannDrive drive"
DRIVE = "\n".join(
    f"float32 {n}" for n in ("steering_angle", "steering_angle_velocity", "speed", "acceleration", "jerk")
)
SPEED_MPS, YAW_RATE_RADPS = 8.0, 0.1
START_NS = 1_700_000_000_000_000_000
Message = tuple[str, int, Any]  # topic, stamp ns, rosbags message


STORE = get_typestore(Stores.ROS2_HUMBLE)
STORE.register(get_types_from_msg(DRIVE, "ackermann_msgs/msg/AckermannDrive"))
STORE.register(get_types_from_msg(ACKERMANN, "ackermann_msgs/msg/AckermannDriveStamped"))
TYPES = {
    "/front/image/compressed": "sensor_msgs/msg/CompressedImage",
    "/cmd_vel": "geometry_msgs/msg/Twist",
    "/odometry": "nav_msgs/msg/Odometry",
    "/ackermann_cmd": "ackermann_msgs/msg/AckermannDriveStamped",
    "/lidar": "sensor_msgs/msg/LaserScan",
}


@dataclass(frozen=True)
class Drive:
    """A car on a circle, and how often each topic says so."""

    seconds: float = 3.0
    camera_hz: float = 15.0
    odometry_hz: float = 50.0
    command_hz: float = 20.0
    with_scan: bool = False

    def messages(self) -> Iterator[Message]:
        """All messages, topic by topic."""
        for stamp, t in self._times(self.camera_hz):
            yield "/front/image/compressed", stamp, jpeg(stamp, t)
        for stamp, t in self._times(self.odometry_hz):
            yield "/odometry", stamp, odometry(stamp, t)
        for stamp, t in self._times(self.command_hz):
            yield "/ackermann_cmd", stamp, ackermann(stamp, t)
            yield "/cmd_vel", stamp, twist(36.0 + t)  # km/h, as some cars have it
        for stamp, _ in self._times(10.0) if self.with_scan else ():
            yield "/lidar", stamp, lidar(stamp)

    def _times(self, rate: float) -> list[tuple[int, float]]:
        return [(START_NS + round(k * 1e9 / rate), k / rate) for k in range(int(self.seconds * rate) + 1)]


def header(stamp: int) -> Any:
    time = STORE.types["builtin_interfaces/msg/Time"](stamp // 10**9, stamp % 10**9)
    return STORE.types["std_msgs/msg/Header"](time, "car")


def jpeg(stamp: int, t: float) -> Any:
    """A picture of 96 x 72: red grows with time, 40 a second; blue is 200."""
    bgr = np.zeros((72, 96, 3), np.uint8)
    bgr[:] = (200, 0, min(round(40.0 * t), 255))
    data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].reshape(-1)
    return STORE.types["sensor_msgs/msg/CompressedImage"](header(stamp), "jpeg", data)


def twist(x: float) -> Any:
    """A speed, and the circle's yaw rate."""
    vector = STORE.types["geometry_msgs/msg/Vector3"]
    return STORE.types["geometry_msgs/msg/Twist"](vector(x, 0.0, 0.0), vector(0.0, 0.0, YAW_RATE_RADPS))


def odometry(stamp: int, t: float) -> Any:
    types, yaw = STORE.types, YAW_RATE_RADPS * t
    radius = SPEED_MPS / YAW_RATE_RADPS
    point = types["geometry_msgs/msg/Point"](radius * math.sin(yaw), radius * (1.0 - math.cos(yaw)), 0.0)
    turn = types["geometry_msgs/msg/Quaternion"](0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2))
    pose = types["geometry_msgs/msg/PoseWithCovariance"](types["geometry_msgs/msg/Pose"](point, turn), np.zeros(36))
    covered = types["geometry_msgs/msg/TwistWithCovariance"](twist(SPEED_MPS), np.zeros(36))
    return types["nav_msgs/msg/Odometry"](header(stamp), "base", pose, covered)


def ackermann(stamp: int, t: float) -> Any:
    """A sine of steering, right positive and in degrees, as some cars have it; 1.5 m/s² all along."""
    drive = STORE.types["ackermann_msgs/msg/AckermannDrive"](-5.0 * math.sin(t), 0.0, SPEED_MPS, 1.5, 0.0)
    return STORE.types["ackermann_msgs/msg/AckermannDriveStamped"](header(stamp), drive)


def lidar(stamp: int) -> Any:
    """180 beams to the front; one to the left (47 degrees) returns at 7 m."""
    ranges = np.full(180, np.inf, np.float32)
    ranges[137] = 7.0
    first, step = -math.pi / 2, math.radians(1.0)
    kind = STORE.types["sensor_msgs/msg/LaserScan"]
    return kind(header(stamp), first, math.pi / 2, step, 0.0, 0.1, 0.2, 80.0, ranges, np.zeros(0, np.float32))


def write_bag(path: Path, messages: list[Message], storage: StoragePlugin = StoragePlugin.MCAP) -> Path:
    """Write messages in order of their stamps as they stand in the list's tuples; their headers may say otherwise."""
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {
            topic: writer.add_connection(topic, TYPES[topic], typestore=STORE)
            for topic in dict.fromkeys(topic for topic, _, _ in messages)
        }
        for topic, stamp, message in sorted(messages, key=lambda m: m[1]):
            raw = message if isinstance(message, bytes) else STORE.serialize_cdr(message, TYPES[topic])
            writer.write(connections[topic], stamp, raw)
    return path


MISSING = (
    "speed_limit", "scan", "reward", "collided", "off_road", "lateral_error", "heading_error", "gap_ahead",
    "closing_speed", "lane_width", "curvature",
)  # fmt: skip
MAPPING: dict[str, Any] = {
    "camera": {"topic": "/front/image/compressed", "type": "sensor_msgs/CompressedImage"},
    "speed": {"topic": "/odometry", "field": "twist.twist.linear.x"},
    "yaw_rate": {"topic": "/odometry", "field": "twist.twist.angular.z"},
    "acceleration": "derived",
    "steering_angle": "derived",
    "pose": {"topic": "/odometry", "field": "pose.pose"},
    "route": "derived",
    "steer": {"topic": "/ackermann_cmd", "field": "drive.steering_angle", "unit": "deg", "scale": -1.0},
    "accel": {"topic": "/ackermann_cmd", "field": "drive.acceleration"},
    **dict.fromkeys(MISSING, "missing"),
}


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """Writes messages and a mapping with changes, and loads the bag through it."""

    def run(messages: list[Message], storage: StoragePlugin = StoragePlugin.MCAP, **changes: Any) -> Sequences:
        number = len(list(tmp_path.iterdir()))
        bag = write_bag(tmp_path / f"bag-{number}", messages, storage)
        return load_sequences(bag, mapping=write_mapping(tmp_path, **changes))

    return run


def write_mapping(folder: Path, **changes: Any) -> Path:
    path = folder / "map.yaml"
    path.write_text(yaml.safe_dump({**MAPPING, **changes}))
    return path


def known(sequences: Sequences, name: str) -> np.ndarray:
    return sequences.known[:, KNOWN_NAMES.index(name)]


@pytest.mark.parametrize("storage", list(StoragePlugin))
def test_compressed_pictures_odometry_and_an_ackermann_command_become_frames(read: Any, storage: Any) -> None:
    sequences = read(list(Drive().messages()), storage)
    assert sequences.episodes == 1 and len(sequences) == 31
    time = 0.1 * np.arange(31)
    np.testing.assert_allclose(sequences.state[:, 0], SPEED_MPS, rtol=1e-5)
    np.testing.assert_allclose(sequences.state[:, 2], YAW_RATE_RADPS, rtol=1e-5)
    np.testing.assert_allclose(sequences.state[:, 1], 0.0, atol=1e-5)  # derived from the speed
    steer = np.radians(5.0 * np.sin(time)) / STEER_MAX_RAD  # to the left, where the car says degrees to the right
    np.testing.assert_allclose(sequences.state[:, 4], steer, atol=5e-3)  # the last command, up to 50 ms old
    np.testing.assert_allclose(sequences.state[:, 5], 0.5, rtol=1e-6)
    np.testing.assert_array_equal(sequences.action[:-1], sequences.state[1:, 4:6])
    red = sequences.camera[:, 32, 32, 0].astype(float)
    assert np.abs(red - 40.0 * time).max() <= 40.0 * 0.034 + 3.0  # the nearest of 15 a second, and JPEG
    assert (np.abs(sequences.camera[..., 2].astype(int) - 200) <= 3).all()


def test_the_route_of_a_bag_without_one_is_where_the_car_went(read: Any) -> None:
    sequences = read(list(Drive().messages()))
    angle = 10.0 / (SPEED_MPS / YAW_RATE_RADPS)
    radius = SPEED_MPS / YAW_RATE_RADPS
    np.testing.assert_allclose(
        sequences.state[0, 7:9], [radius * math.sin(angle), radius * (1 - math.cos(angle))], atol=0.02
    )
    assert known(sequences, "route_10_x")[:18].all()  # 24 m are driven in all
    assert not known(sequences, "route_10_x")[19:].any() and not known(sequences, "route_40_x").any()
    assert sequences.state[-1, 7:].tolist() == [10, 0, 20, 0, 40, 0, 80, 0]


def test_what_the_mapping_declares_missing_is_neutral_and_not_known(read: Any) -> None:
    sequences = read(list(Drive().messages()))
    assert (sequences.scan == 60.0).all() and (sequences.gap_ahead == 60.0).all() and not sequences.reward.any()
    unknown = {name for name in KNOWN_NAMES if not known(sequences, name).any()}
    beyond = {f"route_{distance}_{axis}" for distance in (40, 80) for axis in "xy"}
    assert unknown == {"speed_limit_mps", *MISSING[1:], "red_light_gap", "crossing_time"} | beyond


def test_a_foreign_bag_goes_all_the_way_through_a_training_step(read: Any) -> None:
    sequences = read(list(Drive().messages()))
    torch.manual_seed(0)
    model = WorldModel(WorldModelConfig(rssm=SMALL))
    loss, terms = world_model_loss(model, BatchSource(sequences, np.arange(1), 18, 0).draw(0, 2), LossConfig())
    loss.backward()
    assert torch.isfinite(loss) and all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    silent = {name for name, value in terms.items() if float(value.detach()) == 0.0}
    assert {"labels", "reward", "flags", "value"} <= silent and not {"camera", "sensors", "policy"} & silent


def test_a_scan_of_another_layout_becomes_72_sectors(read: Any) -> None:
    scan = read(list(Drive(with_scan=True).messages()), scan={"topic": "lidar"}).scan
    assert (scan.argmin(1) == 45).all() and scan.min() == 7.0 and (np.sort(scan, axis=1)[:, 1:] == 60.0).all()


def test_a_twist_without_header_in_km_per_hour_and_a_wanted_speed_are_understood(read: Any) -> None:
    speed = {"topic": "/cmd_vel", "field": "linear.x", "unit": "km/h"}
    steer = {"topic": "/cmd_vel", "field": "angular.z", "unit": "rad/s"}
    wanted = {"topic": "/ackermann_cmd", "field": "drive.speed", "unit": "m/s"}
    sequences = read(list(Drive().messages()), speed=speed, steer=steer, accel=wanted, wheelbase_m=2.0, response_s=2.0)
    time = 0.1 * np.arange(31)
    np.testing.assert_allclose(sequences.state[:, 0], (36.0 + time) / 3.6, atol=1e-3)
    np.testing.assert_allclose(sequences.state[:, 1], 1 / 3.6, rtol=0.02)
    assert sequences.state[0, 4] == pytest.approx(math.atan(2.0 * YAW_RATE_RADPS / 10.0) / STEER_MAX_RAD)
    assert sequences.state[0, 5] == pytest.approx((8.0 - 10.0) / 2.0 / 6.0)


def test_a_hole_in_a_needed_topic_ends_a_sequence_and_is_counted(read: Any, caplog: Any) -> None:
    def in_hole(message: Message) -> bool:
        return message[0] == "/odometry" and 1.0e9 < message[1] - START_NS < 2.0e9

    with caplog.at_level(logging.WARNING, "wm_training"):
        sequences = read([m for m in Drive().messages() if not in_hole(m)])
    assert sequences.episodes == 2 and len(sequences) < 31
    assert f"{31 - len(sequences)} of 31 frames are left out" in caplog.text and "lack speed" in caplog.text


def test_numbers_that_are_none_and_time_that_runs_backwards_are_left_out_and_counted(read: Any, caplog: Any) -> None:
    messages = []
    for topic, stamp, message in Drive().messages():
        if topic == "/odometry" and (stamp - START_NS) % 10**9 == 0:
            message.twist.twist.linear.x = math.nan
        messages.append((topic, stamp, message))
    late = [(topic, stamp + 2_990_000_000, m) for topic, stamp, m in messages[:5]]  # recorded late, stamped early
    with caplog.at_level(logging.WARNING, "wm_training"):
        sequences = read(messages + late)
    assert len(sequences) == 31 and np.isfinite(sequences.state).all()
    assert "4 messages whose speed is not finite" in caplog.text
    assert "5 of 51 messages are left out because time does not go forward" in caplog.text


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"speed": {"topic": "/odom", "field": "x"}}, "topic /odom is not in the bag, it holds .*/odometry.*of speed"),
        ({"speed": {"topic": "/odometry", "field": "twist.linear.x"}}, "speed cannot be read from 'twist.linear.x' of"),
        ({"camera": {"topic": "/odometry"}}, "topic /odometry: holds no pictures; name a topic of sensor_msgs/Image"),
        ({"camera": {"topic": "/front/image/compressed", "type": "sensor_msgs/Image"}}, "expected sensor_msgs/Image"),
    ],
)
def test_a_mapping_that_does_not_fit_the_bag_is_refused_in_a_sentence(read: Any, changes: Any, sentence: str) -> None:
    with pytest.raises(TrainingError, match=sentence) as refused:
        read(list(Drive(1.0).messages()), **changes)
    assert "bag-0" in str(refused.value) and str(refused.value).count("\n") == 0


def test_an_empty_and_a_truncated_foreign_bag_are_named(tmp_path: Path) -> None:
    bag, mapping = write_bag(tmp_path / "bag", list(Drive(1.0).messages())), write_mapping(tmp_path)
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(TrainingError, match="/bag: .*cut off"):
        load_sequences(bag, mapping=mapping)
    empty = write_bag(tmp_path / "empty", [])
    with pytest.raises(TrainingError, match="/empty: "):
        load_sequences(empty, mapping=mapping)


def test_the_cache_is_kept_by_content_and_mapping_and_never_read_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = write_bag(tmp_path / "bag", list(Drive(1.0).messages()))
    first = load_sequences(bag, mapping=write_mapping(tmp_path))
    turned = load_sequences(bag, mapping=write_mapping(tmp_path, accel=1.0))
    assert turned.digest != first.digest and len(list(bag.glob(".sequences-*"))) == 2
    copied = bag.rename(tmp_path / "moved")
    (copied / "metadata.yaml").touch()
    monkeypatch.setattr("wm_training.sequence_cache.extract_mapped", None)
    again = load_sequences(copied, mapping=write_mapping(tmp_path))
    assert isinstance(again.camera, np.memmap) and again.digest == first.digest
