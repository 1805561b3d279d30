"""Recording the running stack: what is heard is in the bag, drops are counted, a signal closes it."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import Reader

from wm_ros import topic_table as topics
from wm_ros.exit_codes import EXIT_CONFIG
from wm_training import TrainingError
from wm_training.bags.info import bag_info
from wm_training.bags.schema import serialise
from wm_training.recorder import DropCounter, Recording, RecordingConfig, choose_topics

PATIENCE_S = 120.0


def status(seq: int, frame_id: str = "base_link") -> bytes:
    return serialise(topics.STATUS.type, {"header": {"frame_id": frame_id}, "seq": seq})


def picture(stamp_ns: int) -> bytes:
    stamp = dict(zip(("sec", "nanosec"), divmod(stamp_ns, 10**9), strict=True))
    return serialise(topics.CAMERA.type, {"header": {"stamp": stamp}})


@pytest.mark.parametrize("frame_id", ["", "map", "odom", "base_link", "a/longer/frame"])
def test_missing_numbers_count_as_drops_whatever_the_frame_is_called(frame_id: str) -> None:
    counter = DropCounter(topics.STATUS)
    for seq in (4, 5, 8, 9, 9, 11):
        counter.saw(status(seq, frame_id))
    assert counter.dropped == 3


def test_a_restarted_publisher_and_a_wrapped_number_are_no_drops() -> None:
    counter = DropCounter(topics.STATUS)
    for seq in (2**32 - 2, 2**32 - 1, 0, 1, 500, 0, 1):
        counter.saw(status(seq))
    assert counter.dropped == 498


def test_missing_pictures_count_as_drops_by_their_stamps() -> None:
    counter = DropCounter(topics.CAMERA)
    for tenths in (10, 11, 11, 12, 15, 16):
        counter.saw(picture(tenths * 10**8))
    assert counter.dropped == 2


def test_messages_before_ros_time_runs_are_kept(tmp_path: Path) -> None:
    specs = [topics.ROUTE, topics.STATUS]
    recording = Recording(tmp_path / "bag", specs, ["/car/route", "/car/vehicle/status"])
    recording.add(topics.ROUTE.name, 0, serialise(topics.ROUTE.type, {}))
    recording.add(topics.STATUS.name, 5 * 10**9, status(0))
    recording.add(topics.STATUS.name, 6 * 10**9, status(3))
    assert "dropped 2 (/car/vehicle/status 2)" in recording.close()
    with Reader(tmp_path / "bag") as reader:
        assert [(c.topic, t) for c, t, _ in reader.messages()] == [
            ("/car/route", 5 * 10**9),
            ("/car/vehicle/status", 5 * 10**9),
            ("/car/vehicle/status", 6 * 10**9),
        ]
        assert json.loads(reader.storage.metadata.custom["dropped"]) == {"/car/vehicle/status": 2}


def test_a_disk_that_runs_full_ends_the_recording_whole_and_in_a_sentence(tmp_path: Path) -> None:
    free = [10**9]
    config = RecordingConfig(min_free_bytes=10**8)
    names = ["/vehicle/status"]
    recording = Recording(tmp_path / "bag", [topics.STATUS], names, config, free=lambda _: free[0])
    for k in range(100):
        recording.add(topics.STATUS.name, 10**9 + k * 10**7, status(k))
    recording.tick()
    free[0] = 10**7
    with pytest.raises(TrainingError, match=r"10 MB are left.*100 MB have to stay free.*--min-free-mb"):
        recording.tick()
    assert "100 messages, dropped 0" in recording.close()
    assert bag_info(tmp_path / "bag").messages == 100


def test_a_full_disk_ends_the_recording_in_a_sentence_and_what_is_there_stays_readable(tmp_path: Path) -> None:
    class Full(io.FileIO):
        def write(self, data) -> int:
            if self.tell() + len(data) > 30_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    def opener(path: Path) -> Full:
        return Full(path, "xb")

    recording = Recording(tmp_path / "bag", [topics.STATUS], ["/vehicle/status"], opener=opener)
    with pytest.raises(TrainingError, match=r"the disk is full; make room"):
        for k in range(10_000):
            recording.add(topics.STATUS.name, 10**9 + k * 10**7, status(k))
    line = recording.close()
    kept = bag_info(tmp_path / "bag").messages
    assert kept > 20 and f"{kept} messages" in line and "no room for" in line


def test_topics_are_chosen_from_the_table() -> None:
    assert choose_topics("") == list(topics.RECORDED)
    assert choose_topics("/clock, scan,scan") == [topics.CLOCK, topics.SCAN]
    assert choose_topics("dream/image") == [topics.DREAM]
    with pytest.raises(TrainingError, match="moon"):
        choose_topics("scan,moon")


@pytest.fixture
def recorder():
    """Starts recorder_node as a process."""
    pytest.importorskip("rclpy")
    started: list[subprocess.Popen] = []

    def start(*parameters: str, namespace: str = "/") -> subprocess.Popen:
        words = ["-r", f"__ns:={namespace}", *(word for parameter in parameters for word in ("-p", parameter))]
        command = [sys.executable, "-m", "wm_training.recorder_node", "--ros-args", *words]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.system
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_recording_holds_what_was_published_and_closes_on_a_signal(tmp_path: Path, recorder, number: int) -> None:
    import rclpy

    from wm_ros import convert
    from wm_ros import topics as ros

    bag = tmp_path / "bag"
    rclpy.init()
    try:
        node = rclpy.create_node("source", namespace="car_1")
        publishers = {
            t: node.create_publisher(t.type, t.name, t.qos) for t in (ros.CLOCK, ros.STATUS, ros.CAMERA, ros.ROUTE)
        }
        route = np.array([[0.0, 0.0], [2.0, 0.5], [4.0, 1.0]])
        publishers[ros.ROUTE].publish(convert.path_msg(route, convert.to_stamp(10**9)))  # long before anyone listens
        process = recorder(f"out:={bag}", namespace="/car_1")
        until = time.monotonic() + PATIENCE_S
        while any(p.get_subscription_count() == 0 for p in publishers.values()):
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.05)
        picture = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
        for k in range(40):
            stamp = convert.to_stamp(10**9 + k * 10**8)
            publishers[ros.CLOCK].publish(ros.CLOCK.type(clock=stamp))
            message = ros.STATUS.type(seq=k + (k >= 20) * 2, speed=float(k))
            message.header.stamp = stamp
            publishers[ros.STATUS].publish(message)
            publishers[ros.CAMERA].publish(convert.image_msg(picture, stamp, "camera_optical"))
            time.sleep(0.02)
        time.sleep(0.5)
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=PATIENCE_S)
        node.destroy_node()
    finally:
        rclpy.shutdown()
    assert process.returncode == 0, errors
    info = bag_info(bag)
    found = {topic.name: topic for topic in info.topics}
    heard = found["/car_1/vehicle/status"].count  # discovery may cost the first few
    assert 30 <= heard <= 40 and found["/car_1/vehicle/status"].dropped == 2
    assert 30 <= found["/car_1/camera/image_raw"].count <= 40 and found["/car_1/camera/image_raw"].dropped == 0
    assert found["/car_1/route"].count == 1 and info.source == "recorder_node"
    with Reader(bag) as reader:
        times = [t for c, t, _ in reader.messages() if c.topic == "/car_1/camera/image_raw"]
        latched = next(c for c in reader.connections if c.topic == "/car_1/route").ext.offered_qos_profiles[0]
    assert times == sorted(times) and times[0] >= 10**9 and times[-1] <= 10**9 + 40 * 10**8
    assert latched.durability.name == "TRANSIENT_LOCAL"


@pytest.mark.system
def test_a_recorder_says_what_of_a_frame_it_waits_for_so_that_no_drive_begins_without_it(tmp_path, recorder) -> None:
    import rclpy

    from wm_ros import convert
    from wm_ros import topics as ros

    rclpy.init()
    try:
        node = rclpy.create_node("source")
        status, scan = (node.create_publisher(t.type, t.name, t.qos) for t in (ros.STATUS, ros.SCAN))
        said: list[str] = []

        def on_diagnostics(message) -> None:
            for row in message.status:
                if row.name == "recorder_node":
                    said.append(next(item.value for item in row.values if item.key == "waits_for"))

        node.create_subscription(ros.DIAGNOSTICS.type, ros.DIAGNOSTICS.name, on_diagnostics, 10)
        process = recorder(f"out:={tmp_path / 'bag'}")

        def until_it_says(wanted: str, *messages) -> None:
            limit = time.monotonic() + PATIENCE_S
            while wanted not in said[-1:]:
                assert time.monotonic() < limit and process.poll() is None, said
                for publisher, message in messages:
                    publisher.publish(message)
                rclpy.spin_once(node, timeout_sec=0.05)

        until_it_says("camera/image_raw, odom, scan, truth, vehicle/status")
        until_it_says("scan", (status, ros.STATUS.type()))
        until_it_says("", (scan, convert.scan_msg(np.ones(72, np.float32), convert.to_stamp(10**9), "lidar", 60.0)))
        node.destroy_node()
    finally:
        rclpy.shutdown()


@pytest.mark.system
def test_a_recorder_ends_before_the_disk_is_full(tmp_path: Path, recorder) -> None:
    process = recorder(f"out:={tmp_path / 'bag'}", "min_free_mb:=1.0e9", "when_full:=end")
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1 and "have to stay free" in errors and "Traceback" not in errors
    assert bag_info(tmp_path / "bag").messages >= 0


@pytest.mark.system
@pytest.mark.parametrize(
    "parameter, sentence", [("out:={}", "exists already"), ("topics:=moon", "moon"), ("autostart:=true", "no folder")]
)
def test_a_recorder_that_cannot_start_says_why_in_a_sentence(tmp_path: Path, recorder, parameter, sentence) -> None:
    given = [parameter.format(tmp_path)] if parameter != "topics:=moon" else [parameter, f"out:={tmp_path / 'bag'}"]
    process = recorder(*given)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == EXIT_CONFIG and sentence in errors and "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []
