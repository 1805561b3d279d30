"""Replaying a bag: the plan of what is published when, and the node that publishes it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from rosbags.rosbag2 import Reader

from wm_ros import topic_table as topics
from wm_ros.exit_codes import EXIT_CONFIG
from wm_training import TrainingError
from wm_training.bags.schema import serialise
from wm_training.bags.writer import BagWriter, WriterConfig
from wm_training.player import Player, PlayerConfig, Tape, parse_remaps, parse_topics

PATIENCE_S = 60.0
STEP_NS = 10**8


def status(seq: int) -> bytes:
    return serialise(topics.STATUS.type, {"header": {"frame_id": "base_link"}, "seq": seq})


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    """A route, then a clock and a status each 0.1 s for 2 s."""
    with BagWriter(tmp_path / "bag") as writer:
        for topic in (topics.CLOCK, topics.ROUTE, topics.STATUS):
            writer.add_topic(f"/{topic.name.strip('/')}", topic.type, topics.bag_qos(topic))
        writer.write("/route", 10**9, serialise(topics.ROUTE.type, {}))
        for k in range(20):
            writer.write("/clock", 10**9 + k * STEP_NS, serialise(topics.CLOCK.type, {}))
            writer.write("/vehicle/status", 10**9 + k * STEP_NS, status(k))
    return tmp_path / "bag"


class Wall:
    """A clock on the wall that is moved by hand."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_what_is_due_follows_wall_rate_pause_and_step(bag: Path) -> None:
    wall = Wall()
    with Reader(bag) as reader:
        player = Player(Tape(reader, bag, PlayerConfig()), 2.0, wall)
        assert [m.topic for m in player.due()] == ["/route", "/vehicle/status"]
        wall.now_s += 0.11
        assert len(player.due()) == 2 and player.clock_ns == 10**9 + 220_000_000
        player.pace.pause(True)
        wall.now_s += 50.0
        assert player.due() == []
        [stepped] = player.step()
        assert stepped.stamp_ns == player.clock_ns == 10**9 + 3 * STEP_NS
        player.pace.pause(False)
        wall.now_s += 0.06
        assert [m.stamp_ns for m in player.due()] == [10**9 + 4 * STEP_NS]
        wall.now_s += 10.0
        assert len(player.due()) == 15 and player.done and player.clock_ns == player.tape.end_ns
        player.rewind()
        assert len(player.due()) == 2 and player.played == 23


def test_a_start_in_the_middle_keeps_the_last_latched_message(bag: Path) -> None:
    with Reader(bag) as reader:
        tape = Tape(reader, bag, PlayerConfig(start_s=1.05))
        assert [m.topic for m in tape.kept()] == ["/route"]
        assert [m.stamp_ns for m in tape.messages()] == [10**9 + k * STEP_NS for k in range(11, 20)]
        assert [*Tape(reader, bag, PlayerConfig()).kept()] == []


def test_topics_are_chosen_and_renamed_and_the_recorded_clock_is_left_out(bag: Path) -> None:
    with Reader(bag) as reader:
        config = PlayerConfig(parse_topics("vehicle/status,clock"), parse_remaps("vehicle/status:=/then/status"))
        tape = Tape(reader, bag, config)
        assert {m.topic for m in tape.messages()} == set(tape.channels) == {"/then/status"}


@pytest.mark.parametrize(
    "config, sentence",
    [
        (PlayerConfig(("/moon",)), r"no topic /moon in it; it has .*/route"),
        (PlayerConfig(remap={"/moon": "/sun"}), "no topic /moon"),
        (PlayerConfig(start_s=2.5), r"1\.9 s long; begin within it"),
        (PlayerConfig(start_s=-1.0), "begin within it"),
    ],
)
def test_what_cannot_be_played_is_told_in_a_sentence(bag: Path, config: PlayerConfig, sentence: str) -> None:
    with Reader(bag) as reader, pytest.raises(TrainingError, match=sentence):
        Tape(reader, bag, config)
    with pytest.raises(TrainingError, match=r"write OLD:=NEW"):
        parse_remaps("scan")


def test_time_that_steps_back_between_files_is_told_in_a_sentence(tmp_path: Path) -> None:
    with BagWriter(tmp_path / "bag", WriterConfig()) as writer:
        writer.add_topic("/vehicle/status", topics.STATUS.type)
        writer.write("/vehicle/status", 5 * 10**9, status(0))
        writer.split()
        writer.write("/vehicle/status", 2 * 10**9, status(1))
    with Reader(tmp_path / "bag") as reader, pytest.raises(TrainingError, match=r"steps back by 3\.000 s"):
        list(Tape(reader, tmp_path / "bag", PlayerConfig()).messages())


@pytest.mark.system
def test_a_bag_is_heard_as_it_was_recorded_with_a_clock_that_moves(bag: Path) -> None:
    rclpy = pytest.importorskip("rclpy")
    from rclpy.executors import SingleThreadedExecutor
    from std_srvs.srv import SetBool, Trigger

    from wm_ros import topics as ros

    rclpy.init()
    node, executor, heard = rclpy.create_node("listener"), SingleThreadedExecutor(), {}
    executor.add_node(node)
    for topic in (ros.CLOCK, ros.ROUTE, ros.STATUS):
        heard[topic.name] = []
        node.create_subscription(topic.type, topic.name, heard[topic.name].append, topic.reader_qos)
    words = [f"bag:={bag}", "start_s:=0.15", "paused:=true", "delay_s:=0.0"]
    command = [sys.executable, "-m", "wm_training.player_node", "--ros-args"]
    process = subprocess.Popen(
        [*command, *(w for word in words for w in ("-p", word))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def until(done) -> None:
        limit = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < limit
            executor.spin_once(timeout_sec=0.02)

    def call(kind, name, request):
        client = node.create_client(kind, f"/player_node/{name}")
        until(client.service_is_ready)
        answer = client.call_async(request)
        until(answer.done)
        return answer.result()

    try:
        until(lambda: heard["route"] and heard["/clock"])
        assert not heard["vehicle/status"]
        until(lambda: node.count_publishers("/vehicle/status"))
        assert "1 messages at 1.200 s" in call(Trigger, "step", Trigger.Request()).message
        until(lambda: heard["vehicle/status"])
        assert heard["vehicle/status"][0].seq == 2
        assert call(SetBool, "pause", SetBool.Request(data=False)).success
        until(lambda: process.poll() is not None)
        until(lambda: len(heard["vehicle/status"]) == 18)
    finally:
        process.kill()
        output, errors = process.communicate()
        executor.shutdown()
        node.destroy_node()
        rclpy.shutdown()
    assert process.returncode == 0 and "played 18 messages" in output, errors
    assert [m.seq for m in heard["vehicle/status"]] == list(range(2, 20)) and len(heard["route"]) == 1
    clock = [m.clock.sec * 10**9 + m.clock.nanosec for m in heard["/clock"]]
    assert clock == sorted(clock) and clock[-1] <= 10**9 + 19 * STEP_NS


@pytest.mark.system
@pytest.mark.parametrize(
    "word, sentence", [("bag:={}/none", "no such bag"), ("rate:=0.0", "rate"), ("loop:=true", "no bag")]
)
def test_a_player_that_cannot_start_says_why_in_a_sentence(tmp_path: Path, word: str, sentence: str) -> None:
    pytest.importorskip("rclpy")
    command = [sys.executable, "-m", "wm_training.player_node", "--ros-args", "-p", word.format(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == EXIT_CONFIG and sentence in done.stderr and "Traceback" not in done.stderr
