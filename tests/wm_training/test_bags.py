"""Bags: whole or not there, readable by others, described truly."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
from rosbags.rosbag2 import Reader
from ruamel.yaml import YAML

from wm_ros import topic_table as topics
from wm_training import TrainingError
from wm_training.bags.info import bag_info, count_gaps, format_info
from wm_training.bags.reader import find_bags
from wm_training.bags.schema import serialise, typestore
from wm_training.bags.writer import BagWriter

CLOCK = serialise("rosgraph_msgs/msg/Clock", {})
DECODED = ("/camera/image_raw", "/scan", "/odom", "/vehicle/status", "/route", "/truth", "/events", "/control_cmd")


def mcap_file(bag: Path) -> Path:
    [file] = bag.glob("*.mcap")
    return file


def plain(value: object) -> object:
    """Messages of either library as lists and numbers."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    names = getattr(value, "__slots__", None) or [n for n in getattr(value, "__dict__", {}) if n != "__msgtype__"]
    if not names:
        return value
    return {n: plain(getattr(value, n)) for n in names if n[0] != "_" and not n.isupper()}


@pytest.mark.parametrize("topic", DECODED)
def test_rosbags_and_mcap_ros2_support_read_the_same_messages(short_bag, read_topic, topic) -> None:
    ours = read_topic(short_bag, topic)
    with mcap_file(short_bag).open("rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        theirs = [(m.log_time, d) for _, _, m, d in reader.iter_decoded_messages(topics=[topic])]
    assert len(ours) == len(theirs) > 0
    for (t, a), (u, b) in list(zip(ours, theirs, strict=True))[:: max(1, len(ours) // 20)]:
        assert t == u
        assert plain(a) == plain(b)


def test_metadata_is_version_9_and_latched_topics_stay_latched(short_bag) -> None:
    metadata = YAML(typ="safe").load((short_bag / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert (metadata["version"], metadata["storage_identifier"]) == (9, "mcap")
    assert metadata["relative_file_paths"] == [mcap_file(short_bag).name]
    offered = {
        entry["topic_metadata"]["name"]: entry["topic_metadata"]["offered_qos_profiles"]
        for entry in metadata["topics_with_message_count"]
    }
    assert offered["/route"] == topics.bag_qos(topics.ROUTE)
    assert offered["/route"][0]["durability"] == "transient_local"
    assert offered["/clock"][0]["reliability"] == "best_effort"
    with mcap_file(short_bag).open("rb") as file:
        channels = make_reader(file).get_summary().channels.values()
    for channel in channels:
        assert YAML(typ="safe").load(channel.metadata["offered_qos_profiles"]) == offered[channel.topic]


def test_statistics_and_summary_are_in_the_file(short_bag) -> None:
    with mcap_file(short_bag).open("rb") as file:
        summary = make_reader(file).get_summary()
    info = bag_info(short_bag)
    assert summary.statistics.message_count == info.messages > 1000
    counts = {summary.channels[i].topic: n for i, n in summary.statistics.channel_message_counts.items()}
    assert counts == {topic.name: topic.count for topic in info.topics}
    assert summary.chunk_indexes


def test_collected_bags_have_the_clock_and_the_frames_of_the_stack(short_bag, read_topic) -> None:
    truth = read_topic(short_bag, "/truth")
    stamps = np.array([m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for _, m in truth])
    assert stamps[0] == 10**9 and set(np.diff(stamps)) == {10**8}
    assert [t for t, _ in truth] == stamps.tolist()
    assert [m.seq for _, m in truth] == list(range(len(truth)))
    frames = {
        "/camera/image_raw": "camera_optical",
        "/scan": "lidar",
        "/odom": "odom",
        "/vehicle/status": "base_link",
        "/route": "map",
    }
    for topic, frame in frames.items():
        assert {m.header.frame_id for _, m in read_topic(short_bag, topic)} == {frame}
    assert read_topic(short_bag, "/odom")[0][1].child_frame_id == "base_link"
    assert read_topic(short_bag, "/camera/image_raw")[0][1].encoding == "rgb8"
    restarts = [m.step for _, m in truth].count(0)
    assert restarts == 2 and len(read_topic(short_bag, "/route")) == 2
    assert len(read_topic(short_bag, "/control_cmd")) == len(truth) - restarts


def test_what_is_written_is_what_the_simulator_node_publishes(short_bag, read_topic) -> None:
    pytest.importorskip("rclpy")
    pytest.importorskip("wm_msgs.msg", reason="the workspace is not sourced")
    from rclpy.serialization import serialize_message

    from wm_ros import convert
    from wm_sim.observation import CAMERA_HFOV_RAD, SCAN_MAX_M
    from wm_sim.world import World

    world = World()
    frame, stamp = world.reset("lane_follow", 11), convert.to_stamp(10**9)
    published = {
        "/odom": convert.odom_msg(*frame.pose, frame.speed_mps, frame.yaw_rate_radps, stamp),
        "/scan": convert.scan_msg(frame.scan, stamp, "lidar", SCAN_MAX_M),
        "/camera/camera_info": convert.camera_info_msg(64, 64, CAMERA_HFOV_RAD, stamp, "camera_optical"),
        "/camera/image_raw": convert.image_msg(frame.camera, stamp, "camera_optical"),
        "/truth": convert.truth_msg(frame.truth, stamp, stamp, 0),
        "/route": convert.path_msg(world.route, stamp),
    }
    with Reader(short_bag) as reader:
        for topic, message in published.items():
            [connection] = [c for c in reader.connections if c.topic == topic]
            written = next(raw for _, _, raw in reader.messages([connection]))
            sent = serialize_message(message)
            assert 0 <= len(sent) - len(written) <= 3, topic  # the middleware fills up to a multiple of four
            read = typestore().deserialize_cdr
            assert plain(read(sent, connection.msgtype)) == plain(read(written, connection.msgtype)), topic


def test_an_interrupted_writer_leaves_nothing(tmp_path) -> None:
    with pytest.raises(KeyboardInterrupt), BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/clock", "rosgraph_msgs/msg/Clock")
        writer.write("/clock", 1, CLOCK)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_no_bag_under_the_final_name(tmp_path) -> None:
    code = (
        "import sys, time\nfrom wm_training.bags.writer import BagWriter\n"
        "w = BagWriter(sys.argv[1]); w.add_topic('/clock', 'rosgraph_msgs/msg/Clock')\n"
        "for i in range(100000): w.write('/clock', i, bytes(12))\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    bag = tmp_path / "bag"
    with subprocess.Popen([sys.executable, "-c", code, str(bag)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    assert not bag.exists()
    with pytest.raises(TrainingError, match=r"bag\.partial.*--repair.*remove it"):
        BagWriter(bag)


def test_an_existing_name_is_refused(tmp_path) -> None:
    (tmp_path / "bag").mkdir()
    with pytest.raises(TrainingError, match="exists already"):
        BagWriter(tmp_path / "bag")
    assert [p.name for p in tmp_path.iterdir()] == ["bag"]


def test_a_bag_without_messages_is_a_bag(tmp_path) -> None:
    with BagWriter(tmp_path / "bag") as writer:
        writer.add_topic("/clock", "rosgraph_msgs/msg/Clock")
    info = bag_info(tmp_path / "bag")
    assert (info.messages, info.duration_s, info.topics[0].count) == (0, 0.0, 0)


def test_info_counts_rates_and_finds_no_drops(short_bag) -> None:
    info = bag_info(short_bag)
    found = {topic.name: topic for topic in info.topics}
    frames = found["/camera/image_raw"].count
    assert found["/camera/image_raw"].rate_hz == pytest.approx(10.0)
    assert found["/truth"].count == frames and info.duration_s == pytest.approx((frames - 1) * 0.1)
    assert info.dropped == 0 and found["/truth"].dropped == 0 and found["/scan"].dropped is None
    text = format_info(info)
    assert "dropped 0" in text and "/vehicle/status" in text and "wm_msgs/msg/VehicleStatus" in text


def test_info_finds_every_lost_message(rewrite) -> None:
    seen: Counter[str] = Counter()
    lost = {"/truth": {3, 4, 50}, "/camera/image_raw": {7, 20}, "/scan": {9}}

    def edit(topic, stamp, raw):
        seen[topic] += 1
        return [] if seen[topic] - 1 in lost.get(topic, ()) else [(topic, stamp, raw)]

    info = bag_info(rewrite(edit))
    dropped = {topic.name: topic.dropped for topic in info.topics}
    assert dropped["/truth"] == 3 and dropped["/camera/image_raw"] == 2 and info.dropped == 5


def test_a_restarted_publisher_is_no_loss() -> None:
    assert count_gaps(np.array([5, 6, 9, 0, 1, 2])) == 2


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.9999])
def test_a_cut_bag_is_refused_in_one_sentence(short_bag, tmp_path, share) -> None:
    bag = tmp_path / "cut"
    bag.mkdir()
    whole = mcap_file(short_bag).read_bytes()
    (bag / mcap_file(short_bag).name).write_bytes(whole[: int(share * len(whole))])
    (bag / "metadata.yaml").write_text((short_bag / "metadata.yaml").read_text())
    with pytest.raises(TrainingError) as error:
        bag_info(bag)
    assert str(bag) in str(error.value) and "\n" not in str(error.value) and "cut off" in str(error.value)


@pytest.mark.parametrize("content", ["", "rosbag2_bagfile_information: 3", "{", "a: [1, 2]"])
def test_foreign_metadata_is_refused_in_one_sentence(tmp_path, content) -> None:
    (tmp_path / "metadata.yaml").write_text(content)
    with pytest.raises(TrainingError) as error:
        bag_info(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_no_bag_is_said_so(tmp_path) -> None:
    with pytest.raises(TrainingError, match="no such bag"):
        bag_info(tmp_path / "missing")
    with pytest.raises(TrainingError, match="not a bag"):
        bag_info(tmp_path)
    with pytest.raises(TrainingError, match="no bag in it"):
        find_bags(tmp_path)


@pytest.mark.slow
def test_an_interrupted_collection_leaves_whole_bags_and_no_workers(tmp_path) -> None:
    out = tmp_path / "drives"
    code = (
        "import sys; from pathlib import Path; from wm_training.collect import *\n"
        "collect(CollectConfig(out=Path(sys.argv[1]), episodes=4000, workers=2, episodes_per_bag=4, progress=False))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(out)], start_new_session=True, stderr=subprocess.DEVNULL
    )
    try:
        while not (out / "bag-0003").exists():
            assert process.poll() is None
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        assert process.wait(60) != 0
        until = time.monotonic() + 20
        while time.monotonic() < until and group_lives(process.pid):
            time.sleep(0.1)
        assert not group_lives(process.pid)
    finally:
        if group_lives(process.pid):
            os.killpg(process.pid, signal.SIGKILL)
    manifest = json.loads((out / "collect.json").read_text())
    assert not manifest["complete"] and manifest["bags"]
    assert sorted(p.name for p in out.iterdir()) == [*manifest["bags"], "collect.json"]
    assert all(bag_info(out / bag).messages > 0 for bag in manifest["bags"])


def group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
