"""Bags of somebody else's car, written by rosbags with the definitions of their own messages, become training data."""

from __future__ import annotations

import logging
import math
import re
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

from wm_bringup.cli import main
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_sim.action import STEER_MAX_RAD
from wm_training import TrainingError
from wm_training.bag_frames import KNOWN_NAMES
from wm_training.batches import BatchSource
from wm_training.losses import LossConfig, world_model_loss
from wm_training.sequences import Sequences, load_sequences

SMALL = RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8)
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
    "/front/image": "sensor_msgs/msg/Image",
    "/cmd_vel_stamped": "geometry_msgs/msg/TwistStamped",
    "/pedals": "sensor_msgs/msg/Joy",
    "/plan": "nav_msgs/msg/Path",
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


def write_bag(
    path: Path, messages: list[Message], storage: StoragePlugin = StoragePlugin.MCAP, *, ordered: bool = False
) -> Path:
    """Write messages in order of their stamps as they stand in the list's tuples, or as they are `ordered` already.

    Their headers may say otherwise.
    """
    with Writer(path, version=9, storage_plugin=storage) as writer:
        connections = {
            topic: writer.add_connection(topic, TYPES[topic], typestore=STORE)
            for topic in dict.fromkeys(topic for topic, _, _ in messages)
        }
        for topic, stamp, message in messages if ordered else sorted(messages, key=lambda m: m[1]):
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


def again_from_the_beginning(drive: Drive, log_too: bool) -> list[Message]:
    """A drive, then another whose clock begins anew; the recorder's own clock does so too, or goes on."""
    first = list(drive.messages())
    later = round((drive.seconds + 1.0) * 1e9)
    second = [(topic, stamp + later, message) for topic, stamp, message in drive.messages()]
    if not log_too:
        return sorted(first, key=lambda m: m[1]) + sorted(second, key=lambda m: m[1])
    return sorted(first, key=lambda m: m[1]) + sorted(drive.messages(), key=lambda m: m[1])


@pytest.mark.parametrize("stamps", ["header", "log"])
@pytest.mark.parametrize("log_too", [False, True])
def test_a_clock_that_begins_anew_cuts_the_drive_there_and_both_sides_are_kept(
    tmp_path: Path, log_too: bool, stamps: str, caplog: Any
) -> None:
    messages = again_from_the_beginning(Drive(), log_too)
    bag = write_bag(tmp_path / "bag", messages, ordered=True)
    with caplog.at_level(logging.WARNING, "wm_training"):
        both = load_sequences(bag, mapping=write_mapping(tmp_path, stamps=stamps))
    once = load_sequences(
        write_bag(tmp_path / "once", list(Drive().messages())), mapping=write_mapping(tmp_path, stamps=stamps)
    )
    assert both.episode_start.tolist() == [0, 31, 62]
    for name in ("camera", "state", "action", "known"):
        array = np.asarray(getattr(both, name))
        for half in (array[:31], array[31:]):
            np.testing.assert_array_equal(half[1:30], np.asarray(getattr(once, name))[1:30])
    assert ("time runs back once, by 3.0 s; what is before and after are separate episodes." in caplog.text) == (
        log_too or stamps == "header"
    )


def try_mapping(folder: Path, messages: list[Message], **changes: Any) -> int:
    bag = write_bag(folder / "bag", messages)
    return main(["info", str(bag), "--mapping", str(write_mapping(folder, **changes))])


def rows(text: str) -> dict[str, list[str]]:
    """Words of each line by its first one."""
    return {words[0]: words[1:] for words in map(str.split, text.splitlines()) if words}


def test_a_mapping_can_be_tried_before_anything_is_trained(tmp_path: Path, capsys: Any) -> None:
    def in_hole(message: Message) -> bool:
        return message[0] == "/odometry" and 1.0e9 < message[1] - START_NS < 2.0e9

    assert try_mapping(tmp_path, [m for m in Drive().messages() if not in_hole(m)]) == 0
    text = capsys.readouterr().out
    found = rows(text)
    assert "problem" not in found and not list((tmp_path / "bag").glob(".sequences-*"))
    trains = len(load_sequences(tmp_path / "bag", mapping=tmp_path / "map.yaml"))
    assert found["frames"] == f"{trains} of 31 at 10 Hz would train, in 2 episodes".split()
    assert f"{31 - trains} of 31 frames are left out: " in text and "lack speed" in text
    assert found["camera"][:3] == ["/front/image/compressed", "46", "15.0"]
    assert found["speed"] == ["/odometry", "twist.twist.linear.x", "102", "33.7", "m/s", "8", "8", "8"]
    steer = found["steer"]
    assert steer[:6] == ["/ackermann_cmd", "drive.steering_angle", "61", "20.0", "deg", "as"]
    assert float(steer[-1]) == pytest.approx(math.radians(5.0), rel=0.01)  # in our unit
    assert found["acceleration"][0] == "derived" and "scan" in text.split("missing   ")[1].split(":")[0]


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"speed": {"topic": "/odom", "field": "x"}}, "speed: topic /odom is not in the bag, it holds /ackermann_cmd"),
        ({"speed": {"topic": "/odometry", "field": "twist.linear.x"}}, "cannot be read from 'twist.linear.x' of nav"),
        ({"scan": {"topic": "/lidar"}}, "scan: topic /lidar is not in the bag, .*or write `missing`"),
        ({"camera": {"topic": "/odometry"}}, "camera: topic /odometry: holds no pictures; name a topic of sensor_msgs"),
        ({"camera": {"topic": "/front/image/compressed", "type": "sensor_msgs/Image"}}, "expected sensor_msgs/Image"),
    ],
)
def test_what_a_tried_mapping_lacks_is_said_by_name_and_ends_with_status_1(
    tmp_path: Path, capsys: Any, changes: Any, sentence: str
) -> None:
    assert try_mapping(tmp_path, list(Drive(1.0).messages()), **changes) == 1
    text = capsys.readouterr().out
    assert re.search(f"problem   .*{sentence}", text) and "frames    0 of" in text
    with pytest.raises(TrainingError):  # as training would
        load_sequences(tmp_path / "bag", mapping=tmp_path / "map.yaml")


def test_a_mapping_that_cannot_be_read_is_one_sentence_and_status_1(tmp_path: Path, capsys: Any) -> None:
    assert try_mapping(tmp_path, list(Drive(1.0).messages()), speed="missing") == 1
    captured = capsys.readouterr()
    assert "speed cannot be missing" in captured.err and captured.err.count("\n") == 1 and not captured.out


def test_a_wrong_unit_and_a_wrong_sign_are_suspected(tmp_path: Path, capsys: Any) -> None:
    curves = []
    for topic, stamp, message in Drive().messages():
        if topic == "/odometry":
            message.twist.twist.angular.z = 0.3 * math.sin((stamp - START_NS) * 1e-9)
        curves.append((topic, stamp, message))
    wrong = {"topic": "/ackermann_cmd", "field": "drive.steering_angle"}  # neither degrees nor turned around
    assert try_mapping(tmp_path, curves, steer=wrong) == 0
    text = capsys.readouterr().out
    assert "of steer lie outside -0.6 to 0.6 rad; check its unit and scale." in text
    assert "the car turns against steer; ours is left positive" in text


def test_plain_pictures_of_any_size_odometry_without_twist_and_a_stamped_twist_become_frames(read: Any) -> None:
    types = STORE.types
    messages: list[Message] = []
    for topic, stamp, message in Drive().messages():
        if topic == "/front/image/compressed":
            data = np.full((48, 120, 3), (10, 20, 30), np.uint8).reshape(-1)
            messages.append(("/front/image", stamp, types["sensor_msgs/msg/Image"](
                header(stamp), 48, 120, "rgb8", 0, 360, data)))  # fmt: skip
        elif topic == "/odometry":
            message.twist.twist.linear.x = message.twist.twist.angular.z = math.nan  # never filled in
            messages.append((topic, stamp, message))
        elif topic == "/cmd_vel":
            command = types["geometry_msgs/msg/TwistStamped"](header(stamp), twist(SPEED_MPS + 1.0))
            messages.append(("/cmd_vel_stamped", stamp, command))
    sequences = read(
        messages,
        camera={"topic": "/front/image"},
        speed="derived",
        yaw_rate="derived",
        route="missing",
        steer={"topic": "/cmd_vel_stamped", "field": "twist.angular.z", "unit": "rad/s"},
        accel={"topic": "/cmd_vel_stamped", "field": "twist.linear.x", "unit": "m/s"},
    )
    assert len(sequences) == 31 and (sequences.camera == (10, 20, 30)).all()
    np.testing.assert_allclose(sequences.state[:, 0], SPEED_MPS, rtol=0.01)
    np.testing.assert_allclose(sequences.state[:, 2], YAW_RATE_RADPS, rtol=0.01)
    np.testing.assert_allclose(sequences.state[:, 5], 1.0 / 3.0, atol=0.03)
    np.testing.assert_allclose(sequences.state[:, 7:], [[10, 0, 20, 0, 40, 0, 80, 0]] * 31)
    assert not known(sequences, "route_10_x").any()


def test_an_announced_route_is_followed_in_the_frame_of_the_car(read: Any) -> None:
    types = STORE.types
    turn = types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)

    def path(x: list[float], y: float) -> Any:
        points = [types["geometry_msgs/msg/Point"](at, y, 0.0) for at in x]
        poses = [types["geometry_msgs/msg/Pose"](point, turn) for point in points]
        return types["nav_msgs/msg/Path"](header(START_NS), [
            types["geometry_msgs/msg/PoseStamped"](header(START_NS), pose) for pose in poses])  # fmt: skip

    route = path([float(x) for x in range(0, 200, 5)], 0.0)
    sequences = read([*Drive().messages(), ("/plan", START_NS, route)], route={"topic": "/plan"})
    np.testing.assert_allclose(sequences.state[0, 7:], [10, 0, 20, 0, 40, 0, 80, 0], atol=1e-5)
    assert known(sequences, "route_80_x").all()
    yaw = YAW_RATE_RADPS * 3.0  # the car has turned left, off the route, which now lies to its right
    aside = SPEED_MPS / YAW_RATE_RADPS * (1.0 - math.cos(yaw))
    assert sequences.state[-1, 8] == pytest.approx(-10.0 * math.sin(yaw) - aside * math.cos(yaw), abs=0.01)
    empty = read([*Drive().messages(), ("/plan", START_NS, path([], 0.0))], route={"topic": "/plan"})
    assert not known(empty, "route_10_x").any() and len(empty) == 31


def test_pedals_and_wheel_as_shares_become_actions_and_the_brake_is_taken_off(read: Any) -> None:
    def joy(stamp: int, t: float) -> Any:
        axes = np.array([0.5, 0.4 if t < 1.45 else 0.0, 0.0 if t < 1.45 else 0.5], np.float32)
        return STORE.types["sensor_msgs/msg/Joy"](header(stamp), axes, np.zeros(0, np.int32))

    drive = Drive()
    pedals = [("/pedals", START_NS + k * 50_000_000, joy(START_NS + k * 50_000_000, 0.05 * k)) for k in range(61)]
    axis = {"topic": "/pedals", "unit": "share"}
    sequences = read(
        [*drive.messages(), *pedals],
        steer={**axis, "field": "axes.0"}, accel={**axis, "field": "axes.1"}, brake={**axis, "field": "axes.2"},
    )  # fmt: skip
    np.testing.assert_allclose(sequences.state[:, 4], 0.5, rtol=1e-5)
    np.testing.assert_allclose(sequences.state[:14, 5], 0.4, rtol=1e-5)
    np.testing.assert_allclose(sequences.state[16:, 5], -0.5, rtol=1e-5)


def test_clocks_that_differ_are_named_with_the_remedy_and_it_works(read: Any) -> None:
    messages = []
    for topic, stamp, message in Drive().messages():
        if topic == "/odometry":
            message.header = header(stamp - START_NS + 10**9)  # counts from when the computer was switched on
        messages.append((topic, stamp, message))
    with pytest.raises(TrainingError, match="share no time; their clocks differ, so write `stamps: log`"):
        read(messages)
    assert len(read(messages, stamps="log")) == 31


def test_messages_that_do_not_fit_their_definition_are_left_out_and_counted(read: Any, caplog: Any) -> None:
    messages: list[Message] = []
    for k, (topic, stamp, message) in enumerate(Drive().messages()):
        raw = STORE.serialize_cdr(message, TYPES[topic])
        spoilt = topic == "/odometry" and k % 10 == 0
        messages.append((topic, stamp, bytes(raw[:60]) if spoilt else bytes(raw)))
    with caplog.at_level(logging.WARNING, "wm_training"):
        assert len(read(messages)) == 31
    assert re.search("topic /odometry: 15 messages do not fit their definition and are left out", caplog.text)
