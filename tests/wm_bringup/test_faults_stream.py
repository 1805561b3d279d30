"""What a fault does to messages, and to fields of messages."""

from __future__ import annotations

import math

import numpy as np
import pytest
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image, LaserScan

from wm_bringup.faults import stream
from wm_bringup.faults.clock import JUMP_NS, wrong_time
from wm_bringup.faults.fields import array_fields, float_fields, set_length, set_value
from wm_bringup.faults.table import FIELDS
from wm_msgs.msg import ControlCommand, Plan, VehicleStatus
from wm_ros.convert import floats, to_ns, to_stamp

HEAD = b"\0\1\0\0"
FIRST, SECOND, THIRD = (HEAD + bytes([number]) * 60 for number in (1, 2, 3))


def after(disturbance: stream.Disturbance, *messages: bytes) -> list[bytes]:
    """What goes out for messages that come after FIRST went undisturbed."""
    lane = stream.Lane()
    assert lane.passes(FIRST) == [(0.0, FIRST)]
    lane.disturb(disturbance)
    return [content for message in messages for _, content in lane.passes(message)]


def plain(kind, **more) -> stream.Disturbance:
    return stream.disturbance(kind, bytes, bytes, seed=1, **more)


def test_a_frozen_stream_repeats_the_last_message_before_the_fault() -> None:
    assert after(plain("freeze"), SECOND, THIRD) == [FIRST, FIRST]


def test_a_dropped_stream_is_silent() -> None:
    assert after(plain("drop"), SECOND, THIRD) == []


def test_a_duplicated_message_comes_twice() -> None:
    assert after(plain("duplicate"), SECOND, THIRD) == [SECOND, SECOND, THIRD, THIRD]


def test_reordered_messages_come_in_swapped_pairs_and_none_is_lost() -> None:
    assert after(plain("reorder"), FIRST, SECOND, THIRD, FIRST) == [SECOND, FIRST, FIRST, THIRD]


def test_a_delayed_message_is_whole_and_late() -> None:
    lane = stream.Lane(plain("delay", delay_s=0.7))
    assert lane.passes(SECOND) == [(0.7, SECOND)]


def test_a_lossy_stream_loses_about_half_and_changes_nothing() -> None:
    out = after(plain("lossy"), *[SECOND] * 400)
    assert set(out) == {SECOND}
    assert 150 < len(out) < 250


def test_corruption_keeps_length_and_encapsulation_and_flips_bits_everywhere_else() -> None:
    out = after(plain("corrupt"), *[SECOND] * 300)
    assert {len(message) for message in out} == {len(SECOND)}
    assert all(message[:4] == HEAD for message in out)
    differs = np.array([[a != b for a, b in zip(message, SECOND, strict=True)] for message in out])
    assert differs.any(axis=1).mean() > 0.99
    assert differs[:, 4:].any(axis=0).all()


def test_the_same_seed_corrupts_alike() -> None:
    assert after(plain("corrupt"), SECOND, THIRD) == after(plain("corrupt"), SECOND, THIRD)


def test_a_lane_counts_what_the_present_fault_touched() -> None:
    lane = stream.Lane()
    lane.passes(FIRST)
    assert lane.touched == 0
    lane.disturb(plain("drop"))
    lane.passes(FIRST)
    lane.passes(FIRST)
    assert lane.touched == 2
    lane.disturb(None)
    assert lane.touched == 0
    assert lane.passes(SECOND) == [(0.0, SECOND)]


def test_a_stuck_sensor_says_the_old_under_new_stamps() -> None:
    def status(seq: int, speed: float) -> VehicleStatus:
        message = VehicleStatus(seq=seq, speed=speed)
        message.header.stamp = message.source_stamp = to_stamp(seq * 1_000_000_000)
        return message

    read = lambda content: deserialize_message(content, VehicleStatus)  # noqa: E731
    lane = stream.Lane()
    lane.passes(serialize_message(status(1, 7.0)))
    lane.disturb(stream.disturbance("stuck", read, serialize_message, seed=0))
    for seq in (2, 3):
        ((_, content),) = lane.passes(serialize_message(status(seq, 1.0)))
        out = read(content)
        assert (out.seq, out.speed, to_ns(out.header.stamp)) == (seq, 7.0, seq * 1_000_000_000)
        assert to_ns(out.source_stamp) == seq * 1_000_000_000


def test_clocks_go_wrong_as_named() -> None:
    began, now = 20_000_000_000, 24_000_000_000
    assert wrong_time("frozen", now, began) == began
    assert wrong_time("slow", now, began) == 21_000_000_000
    assert wrong_time("forward", now, began) == now + JUMP_NS
    assert wrong_time("back", now, began) == now - JUMP_NS
    assert wrong_time("back", 1_000_000_000, 0) == 0


def test_float_fields_are_found_at_every_depth_and_stamps_left_out() -> None:
    paths = float_fields(Odometry)
    assert {"pose.pose.position.x", "pose.pose.orientation.w", "twist.twist.linear.x", "pose.covariance"} <= set(paths)
    assert float_fields(ControlCommand) == ["steering_angle", "steering_rate", "acceleration", "speed"]
    assert not [path for path in paths if "stamp" in path or "header" in path]
    assert array_fields(Plan) == ["steering_angle", "acceleration", "speed"]
    assert array_fields(Image) == ["data"]


@pytest.mark.parametrize("topic", FIELDS, ids=lambda topic: topic.name)
def test_every_float_field_of_the_stack_can_be_spoilt_and_sent(topic) -> None:
    for path in float_fields(topic.type):
        for value in (math.nan, 1e30, -1e30):
            message = topic.type()
            if path in array_fields(topic.type):
                set_length_to(message, path, 3)
            set_value(message, path, value)
            again = deserialize_message(serialize_message(message), topic.type)
            held = again
            for step in path.split("."):
                held = getattr(held, step)
            values = np.atleast_1d(np.asarray(held, dtype=np.float64))
            assert len(values)
            assert np.allclose(values, value, rtol=1e-6, equal_nan=True)


def set_length_to(message, path: str, length: int) -> None:
    setattr(message, path, floats(np.zeros(length)))


@pytest.mark.parametrize(("length", "count"), [("empty", 0), ("short", 71), ("long", 576)])
def test_arrays_get_the_wrong_length(length, count) -> None:
    scan = LaserScan(ranges=floats(np.arange(72)))
    set_length(scan, "ranges", length)
    assert len(deserialize_message(serialize_message(scan), LaserScan).ranges) == count
