"""What of a drive is replayed, and how plans are compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from wm_ros import topic_table as topics
from wm_training import TrainingError
from wm_training.bags.reader import open_bag
from wm_training.bags.schema import serialise
from wm_training.bags.writer import BagWriter
from wm_training.replay import Drive, Planned, compare


def plan(steering: float, acceleration: float = 0.0, horizon: int = 12) -> Planned:
    return Planned(np.full(horizon, steering), np.full(horizon, acceleration))


def test_a_drives_frames_are_whole_in_order_and_begin_with_their_route(short_bag: Path, read_topic) -> None:
    with open_bag(short_bag) as reader:
        drive = Drive(reader, short_bag)
    assert len(drive.frames) == len(read_topic(short_bag, "/camera/image_raw"))
    assert [frame.stamp_ns for frame in drive.frames] == sorted(frame.stamp_ns for frame in drive.frames)
    starts = [frame for frame in drive.frames if frame.is_start]
    assert len(starts) == 2 and [frame.messages[0][0] for frame in starts] == ["route", "route"]
    assert drive.anchored == drive.frames and not drive.plans
    assert {len(frame.messages) for frame in drive.frames if not frame.is_start} == {4}


def test_a_bag_tells_which_simulator_it_is_of(short_bag: Path, rewrite) -> None:
    with open_bag(short_bag) as reader:
        assert Drive(reader, short_bag).simulator == "builtin"
    said = serialise(topics.SIMULATOR.type, {"data": '{"name": "carracing", "missing": []}'})
    bag = rewrite(lambda topic, stamp, raw: [(topic, stamp, said if topic == "/simulator" else raw)])
    with open_bag(bag) as reader:
        assert Drive(reader, bag).simulator == "carracing"


def test_the_route_goes_with_the_first_frame_that_perception_got_to(short_bag: Path, tmp_path: Path) -> None:
    with open_bag(short_bag) as reader, BagWriter(tmp_path / "bag") as writer:
        for connection in reader.connections:
            writer.add_topic(connection.topic, connection.msgtype)
        writer.add_topic("/observation", topics.OBSERVATION.type)
        for number, (connection, stamp, raw) in enumerate(reader.messages()):
            writer.write(connection.topic, stamp, raw)
            if connection.topic == "/camera/image_raw" and number > 50:
                source = dict(zip(("sec", "nanosec"), divmod(stamp, 10**9), strict=True))
                writer.write("/observation", stamp, serialise(topics.OBSERVATION.type, {"source_stamp": source}))
    with open_bag(tmp_path / "bag") as reader:
        frames = Drive(reader, tmp_path / "bag").frames
    assert frames[0].stamp_ns > 10**9 and frames[0].messages[0][0] == "route"


def test_a_bag_without_a_sensor_is_refused_in_a_sentence(rewrite) -> None:
    bag = rewrite(lambda topic, stamp, raw: [] if topic == "/scan" else [(topic, stamp, raw)])
    with open_bag(bag) as reader, pytest.raises(TrainingError, match="scan is not in it"):
        Drive(reader, bag)


def test_equal_plans_are_within_and_others_are_named(tmp_path: Path) -> None:
    recorded = {k * 10**8: plan(0.1, 1.0) for k in range(100)}
    assert compare(recorded, dict(recorded), 1e-4).within
    new = recorded | {3 * 10**8: plan(0.1, 1.5), 7 * 10**8: plan(0.3, 1.0)}
    comparison = compare(recorded, new, 1e-4)
    assert not comparison.within and [round(w.stamp_s, 3) for w in comparison.worst] == [0.3, 0.7]
    assert comparison.steering_angle == {"median": 0.0, "p99": 0.0, "max": pytest.approx(0.2)}
    assert comparison.acceleration["max"] == pytest.approx(0.5) and "NOT within" in str(comparison)
    assert json.loads(comparison.json())["frames"] == 100
    assert compare(recorded, new, 0.6).within


@pytest.mark.parametrize("new", [{}, {0: plan(0.0, horizon=3)}, {0: plan(float("nan"))}])
def test_a_missing_a_shorter_or_a_broken_plan_is_never_within(new: dict[int, Planned]) -> None:
    assert not compare({0: plan(0.0)}, new, 1.0).within
