"""What goes into a message comes out of it, through CDR, and does so on the fast paths."""

import array
import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Image

from wm_msgs.msg import VehicleStatus
from wm_ros import convert
from wm_ros.errors import MessageError, WmRosError

STAMP = convert.to_stamp(12_345_678_901)


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_nanoseconds_survive_a_stamp(ns: int) -> None:
    assert convert.to_ns(convert.to_stamp(ns)) == ns


@given(st.integers(0, 10**6))
def test_seconds_of_a_tenth_give_whole_tenths(tenths: int) -> None:
    assert convert.to_ns(convert.to_stamp(tenths * 0.1)) == tenths * 10**8


def test_an_image_survives_and_the_array_shares_the_memory_of_the_message() -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    message = over_the_wire(convert.image_msg(image, STAMP, "camera"))
    seen = convert.image_array(message)
    np.testing.assert_array_equal(seen, image)
    message.data[0] = (int(image[0, 0, 0]) + 1) % 256
    assert seen[0, 0, 0] == message.data[0]


@pytest.mark.parametrize("encoding", ["bgr8", "rgba8", "bgra8", "mono8"])
def test_images_of_foreign_cameras_read_as_rgb(encoding: str) -> None:
    rgb = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    if encoding == "mono8":
        rgb = np.repeat(rgb[:, :, :1], 3, axis=2)
    raw = rgb[:, :, ::-1] if encoding.startswith("bgr") else rgb
    if encoding.endswith("a8"):
        raw = np.concatenate([raw, np.full((2, 3, 1), 255, np.uint8)], axis=2)
    if encoding == "mono8":
        raw = raw[:, :, :1]
    padded = np.zeros((2, 16), np.uint8)  # rows with padding, as drivers send them
    padded[:, : raw.shape[1] * raw.shape[2]] = raw.reshape(2, -1)
    message = Image(height=2, width=3, encoding=encoding, step=16, data=array.array("B", padded.tobytes()))
    np.testing.assert_array_equal(convert.image_array(message), rgb)


@pytest.mark.parametrize(
    ("message", "word"),
    [
        (Image(height=2, width=2, encoding="16UC1", step=4, data=[0] * 8), "16UC1"),
        (Image(height=2, width=2, encoding="rgb8", step=6, data=[0] * 11), "12 bytes"),
        (Image(height=2, width=2, encoding="rgb8", step=5, data=[0] * 12), "step"),
    ],
)
def test_an_image_that_cannot_be_read_is_refused_with_what_is_needed(message: Image, word: str) -> None:
    with pytest.raises(WmRosError, match=word):
        convert.image_array(message)


def test_an_array_that_is_no_image_is_refused() -> None:
    with pytest.raises(WmRosError, match="uint8"):
        convert.image_msg(np.zeros((4, 4, 3), np.float32), STAMP, "camera")


def test_a_scan_survives_bit_for_bit_and_beams_look_to_the_middle_of_their_sectors() -> None:
    ranges = np.random.default_rng(1).uniform(0.0, 60.0, 72).astype(np.float32)
    message = over_the_wire(convert.scan_msg(ranges, STAMP, "lidar"))
    np.testing.assert_array_equal(convert.scan_array(message), ranges)
    assert message.angle_min == pytest.approx(-math.pi + math.pi / 72)
    assert message.angle_min + 71 * message.angle_increment == pytest.approx(message.angle_max, abs=1e-5)


def test_beams_without_a_return_read_the_farthest_range() -> None:
    ranges = np.full(72, 5.0, np.float32)
    ranges[:3] = np.nan, np.inf, 99.0
    seen = convert.scan_array(convert.scan_msg(ranges, STAMP, "lidar", range_max=60.0))
    assert seen[:4].tolist() == [60.0, 60.0, 60.0, 5.0]


@given(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.floats(-math.pi, math.pi), st.floats(-5, 60), st.floats(-3, 3))
def test_odometry_survives(x: float, y: float, yaw: float, speed: float, yaw_rate: float) -> None:
    message = over_the_wire(convert.odom_msg(x, y, yaw, speed, yaw_rate, STAMP))
    *rest, turned = (convert.odom_pose(message)[i] for i in (0, 1, 3, 4, 2))
    assert rest == [x, y, speed, yaw_rate]
    assert math.remainder(turned - yaw, 2 * math.pi) == pytest.approx(0.0, abs=1e-14)
    assert (message.header.frame_id, message.child_frame_id) == ("odom", "base_link")


def test_a_path_survives_bit_for_bit_and_looks_ahead() -> None:
    xy = np.random.default_rng(2).normal(size=(50, 2)) * 100.0
    message = over_the_wire(convert.path_msg(xy, STAMP))
    np.testing.assert_array_equal(convert.path_xy(message), xy)
    step = xy[1] - xy[0]
    assert convert.yaw_of(message.poses[0].pose.orientation) == pytest.approx(math.atan2(step[1], step[0]))


@pytest.mark.parametrize("points", [0, 1])
def test_short_paths_survive(points: int) -> None:
    xy = np.ones((points, 2))
    np.testing.assert_array_equal(convert.path_xy(convert.path_msg(xy, STAMP)), xy)


def test_floats_are_taken_as_a_block_and_read_without_a_copy() -> None:
    values = np.random.default_rng(3).normal(size=(4, 5))
    field = convert.floats(values)
    assert isinstance(field, array.array)
    assert field.typecode == "f"
    np.testing.assert_array_equal(convert.ndarray(field), values.astype(np.float32).ravel())


def test_truth_keeps_every_field() -> None:
    truth = SimpleNamespace(
        lateral_error_m=1.0, heading_error_rad=2.0, curvature_1pm=3.0, lane_width_m=4.0, gap_ahead_m=5.0,
        closing_speed_mps=6.0, progress_m=7.0, route_length_m=8.0, reward=9.0, collided=True, off_road=True,
        scenario="stop_go", episode=10, step=11, red_light_gap_m=12.0, crossing_time_s=2.5,
    )  # fmt: skip
    message = over_the_wire(convert.truth_msg(truth, STAMP, STAMP, 12))
    names = list(message.get_fields_and_field_types())[3:]
    values = [getattr(message, name) for name in names]
    assert values == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, True, True, "stop_go", 10, 11, 12.0, 2.5]
    assert message.seq == 12


def test_the_camera_info_of_a_right_angle_has_half_the_width_as_focal_length() -> None:
    message = convert.camera_info_msg(64, 48, math.pi / 2, STAMP, "camera")
    assert message.k.tolist() == pytest.approx([32.0, 0.0, 32.0, 0.0, 32.0, 24.0, 0.0, 0.0, 1.0])


def test_failed_beams_stay_failed_for_a_safety_check_and_no_return_is_infinite() -> None:
    ranges = np.array([np.nan, 5.0, np.inf, 60.0, 30.0, -1e30, 1e30, -np.inf], np.float32)
    message = convert.scan_msg(ranges, STAMP, "lidar", range_max=60.0)
    wanted = [np.nan, 5.0, np.inf, np.inf, 30.0, np.nan, np.nan, np.nan]
    np.testing.assert_array_equal(convert.scan_measured(message), wanted)
    for broken in (float("nan"), -1e30, 0.0):
        message.range_max = broken
        np.testing.assert_array_equal(convert.scan_measured(message)[[1, 3]], [5.0, 60.0])


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("position.x", math.nan, "no place on a map"),
        ("position.y", -1e30, "no place on a map"),
        ("orientation.w", math.nan, "a rotation has 1"),
        ("orientation.x", 1e30, "a rotation has 1"),
        ("orientation.z", 0.0, "a rotation has 1"),
    ],
)
def test_odometry_that_is_no_pose_is_refused(field: str, value: float, sentence: str) -> None:
    message = Odometry()
    message.pose.pose.orientation = convert.quaternion(math.pi)
    part, name = field.split(".")
    setattr(getattr(message.pose.pose, part), name, value)
    with pytest.raises(MessageError, match=sentence):
        convert.odom_pose(message)


def test_a_status_that_no_car_could_have_is_refused() -> None:
    for name, most in convert.STATUS_BELIEVED.items():
        for value in (most, -most):
            convert.check_status(VehicleStatus(**{name: value}))
        for value in (1.01 * most, -1e30, math.nan):
            with pytest.raises(MessageError, match=name):
                convert.check_status(VehicleStatus(**{name: value}))
