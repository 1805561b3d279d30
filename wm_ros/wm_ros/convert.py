"""Messages from arrays and back, on the fast paths.

Assigning an ndarray to a message field goes element by element (90 ms for a VGA image); `array.array` is taken as a
block (below 1 ms).
"""

from __future__ import annotations

import array
import math
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped, Quaternion
from nav_msgs.msg import Odometry, Path
from sensor_msgs.msg import CameraInfo, Image, LaserScan

from wm_msgs.msg import Truth, VehicleStatus
from wm_ros.errors import MessageError, WmRosError

NS_PER_S = 1_000_000_000
RGB_CHANNELS = 3
RANGE_BELIEVED_M = 1000.0


# Time.


def to_ns(stamp: Time) -> int:
    """Nanoseconds of a stamp."""
    return stamp.sec * NS_PER_S + stamp.nanosec


def to_stamp(time: float | int) -> Time:
    """A stamp from seconds (float) or nanoseconds (int). Seconds are rounded to whole nanoseconds."""
    ns = int(time) if isinstance(time, (int, np.integer)) else round(float(time) * NS_PER_S)
    sec, nanosec = divmod(ns, NS_PER_S)
    return Time(sec=sec, nanosec=nanosec)


# Arrays.


def floats(values: Any) -> array.array:
    """Content for a float32[] field from anything numpy reads; flattened in C order."""
    content = array.array("f")
    content.frombytes(np.ascontiguousarray(values, dtype=np.float32).tobytes())
    return content


def ndarray(field: Any) -> np.ndarray:
    """The float32 array of a float32[] field, without a copy."""
    return np.frombuffer(field, dtype=np.float32)


# Images.


def image_msg(image: np.ndarray, stamp: Time, frame: str) -> Image:
    """An rgb8 message from uint8[height, width, 3]."""
    if image.dtype != np.uint8 or image.ndim != RGB_CHANNELS or image.shape[2] != RGB_CHANNELS:
        raise WmRosError(f"image of shape {image.shape} and type {image.dtype}: uint8[height, width, 3] is needed.")
    height, width, _ = image.shape
    message = Image(height=height, width=width, encoding="rgb8", is_bigendian=0, step=RGB_CHANNELS * width)
    message.header.stamp = stamp
    message.header.frame_id = frame
    content = array.array("B")
    content.frombytes(image.tobytes())
    message.data = content
    return message


def image_array(message: Image) -> np.ndarray:
    """uint8[height, width, 3] in RGB from an rgb8, bgr8, rgba8, bgra8 or mono8 message; rgb8 without a copy."""
    channels = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}.get(message.encoding)
    if channels is None:
        raise MessageError(f"image encoding {message.encoding!r} is not known; publish rgb8.")
    row = channels * message.width
    if message.step < row or len(message.data) < message.step * message.height:
        raise MessageError(
            f"image of {message.width}x{message.height} {message.encoding} holds {len(message.data)} bytes with step "
            f"{message.step}; {row * message.height} bytes with step {row} are needed."
        )
    flat = np.frombuffer(message.data, dtype=np.uint8, count=message.step * message.height)
    image = flat.reshape(message.height, message.step)[:, :row].reshape(message.height, message.width, channels)
    if channels == 1:
        return np.repeat(image, RGB_CHANNELS, axis=2)
    image = image[:, :, :RGB_CHANNELS]
    return image[:, :, ::-1] if message.encoding.startswith("bgr") else image


def camera_info_msg(width: int, height: int, fov_rad: float | None, stamp: Time, frame: str) -> CameraInfo:
    """An ideal pinhole camera. fov_rad: horizontal field of view; None: no pinhole camera, zeros: uncalibrated."""
    message = CameraInfo(height=height, width=width)
    message.header.stamp = stamp
    message.header.frame_id = frame
    if fov_rad is None:
        return message
    focal = 0.5 * width / math.tan(0.5 * fov_rad)
    cx, cy = 0.5 * width, 0.5 * height
    message.distortion_model, message.d = "plumb_bob", [0.0] * 5
    message.k = [focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message


# Scan.


def scan_msg(ranges: np.ndarray, stamp: Time, frame: str, range_max: float = 60.0) -> LaserScan:
    """A full turn from float32[N]: beam i looks to -pi + (i + 0.5) * 2 pi / N, counter-clockwise."""
    step = 2.0 * math.pi / len(ranges)
    message = LaserScan(
        angle_min=-math.pi + 0.5 * step,
        angle_max=math.pi - 0.5 * step,
        angle_increment=step,
        range_min=0.0,
        range_max=range_max,
    )
    message.header.stamp = stamp
    message.header.frame_id = frame
    message.ranges = floats(ranges)
    return message


def scan_array(message: LaserScan) -> np.ndarray:
    """float32[N] in m; what is NaN, infinite or beyond range_max reads range_max."""
    ranges = ndarray(message.ranges)
    usable = np.isfinite(ranges) & (ranges <= message.range_max)
    return ranges if usable.all() else np.where(usable, ranges, np.float32(message.range_max))


def scan_measured(message: LaserScan) -> np.ndarray:
    """float32[N] in m as a safety check wants it: inf where nothing is within range, NaN where a beam measured nothing.

    Negative ranges, and finite ones far beyond any lidar's, are no measurements. A `range_max` that is no positive
    number is not heeded.
    """
    ranges = ndarray(message.ranges)
    with np.errstate(invalid="ignore"):
        absurd = (ranges < 0.0) | (np.isfinite(ranges) & (ranges > RANGE_BELIEVED_M))
        ranges = np.where(absurd, np.float32("nan"), ranges)
        beyond = ranges >= message.range_max if message.range_max > 0.0 else np.zeros(len(ranges), bool)
    return np.where(beyond, np.float32("inf"), ranges)


# Pose and path.


def odom_msg(x: float, y: float, yaw: float, speed: float, yaw_rate: float, stamp: Time) -> Odometry:
    """Pose in `odom` (m, rad), speed and yaw rate in `base_link` (m/s, rad/s)."""
    message = Odometry(child_frame_id="base_link")
    message.header.stamp = stamp
    message.header.frame_id = "odom"
    message.pose.pose.position.x = float(x)
    message.pose.pose.position.y = float(y)
    message.pose.pose.orientation = quaternion(yaw)
    message.twist.twist.linear.x = float(speed)
    message.twist.twist.angular.z = float(yaw_rate)
    return message


STATUS_BELIEVED = {  # most, either way, in the units of wm_msgs/VehicleStatus
    "speed": 150.0,
    "acceleration": 200.0,
    "yaw_rate": 20.0,
    "steering_angle": math.pi / 2,
    "speed_limit": 150.0,
    "commanded_steering_angle": math.pi / 2,
    "commanded_acceleration": 50.0,
}
MOST_BELIEVED = 1e5  # of embeddings, beliefs and states, in whatever unit
FARTHEST_M = 1e7  # from a map's origin, half way to the pole
UNIT_TOLERANCE = 0.1


def odom_pose(message: Odometry) -> tuple[float, float, float, float, float]:
    """(x m, y m, yaw rad, speed m/s, yaw rate rad/s). MessageError for a pose that is none."""
    pose = message.pose.pose
    twist = message.twist.twist
    if not (abs(pose.position.x) < FARTHEST_M and abs(pose.position.y) < FARTHEST_M):  # NaN compares false
        raise MessageError(f"odometry at x {pose.position.x:g}, y {pose.position.y:g} m is no place on a map.")
    turn = pose.orientation
    norm = math.hypot(turn.x, turn.y, turn.z, turn.w)
    if not abs(norm - 1.0) < UNIT_TOLERANCE:
        raise MessageError(f"odometry's orientation has the length {norm:g}; a rotation has 1.")
    return pose.position.x, pose.position.y, yaw_of(pose.orientation), twist.linear.x, twist.angular.z


def believed(numbers: np.ndarray) -> bool:
    """Whether what a node of the stack sent is finite and of a size that its models deal in."""
    return bool((np.abs(numbers) <= MOST_BELIEVED).all())  # NaN compares false


def check_status(message: VehicleStatus) -> None:
    """MessageError where a number of a vehicle's status is none that a car could have."""
    for name, most in STATUS_BELIEVED.items():
        value = getattr(message, name)
        if not abs(value) <= most:  # NaN compares false
            raise MessageError(f"vehicle/status says {name} {value:g}; {most:g} is the most that is believed.")


def quaternion(yaw: float) -> Quaternion:
    """Rotation about z."""
    return Quaternion(z=math.sin(0.5 * yaw), w=math.cos(0.5 * yaw))


def yaw_of(rotation: Quaternion) -> float:
    """Yaw in rad of a rotation, -pi..pi."""
    if rotation.x == 0.0 and rotation.y == 0.0:  # all that this stack publishes; exact to 1e-15 rad at any angle
        return math.remainder(2.0 * math.atan2(rotation.z, rotation.w), 2.0 * math.pi)
    return math.atan2(
        2.0 * (rotation.w * rotation.z + rotation.x * rotation.y),
        1.0 - 2.0 * (rotation.y * rotation.y + rotation.z * rotation.z),
    )


def path_msg(xy: np.ndarray, stamp: Time, frame: str = "map") -> Path:
    """A path from float64[M, 2] in m, each pose turned to the next point."""
    message = Path()
    message.header.stamp = stamp
    message.header.frame_id = frame
    points = np.asarray(xy, dtype=np.float64)
    ahead = np.diff(points, axis=0)
    yaws = np.arctan2(ahead[:, 1], ahead[:, 0]).tolist()
    yaws.append(yaws[-1] if yaws else 0.0)
    for (x, y), yaw in zip(points.tolist(), yaws, strict=False):
        pose = PoseStamped(header=message.header)
        pose.pose.position.x = x
        pose.pose.position.y = y
        pose.pose.orientation = quaternion(yaw)
        message.poses.append(pose)
    return message


def path_xy(message: Path) -> np.ndarray:
    """float64[M, 2] in m."""
    points = [(pose.pose.position.x, pose.pose.position.y) for pose in message.poses]
    return np.array(points, dtype=np.float64).reshape(-1, 2)


# Truth.


def truth_msg(truth: Any, stamp: Time, source_stamp: Time, seq: int, frame: str = "map") -> Truth:
    """A Truth message from anything with the simulator's truth fields (their names carry the units)."""
    message = Truth(
        seq=seq,
        source_stamp=source_stamp,
        lateral_error=float(truth.lateral_error_m),
        heading_error=float(truth.heading_error_rad),
        curvature=float(truth.curvature_1pm),
        lane_width=float(truth.lane_width_m),
        gap_ahead=float(truth.gap_ahead_m),
        closing_speed=float(truth.closing_speed_mps),
        progress=float(truth.progress_m),
        route_length=float(truth.route_length_m),
        reward=float(truth.reward),
        collided=bool(truth.collided),
        off_road=bool(truth.off_road),
        scenario=truth.scenario,
        episode=int(truth.episode),
        step=int(truth.step),
        red_light_gap=float(truth.red_light_gap_m),
        crossing_time=float(truth.crossing_time_s),
    )
    message.header.stamp = stamp
    message.header.frame_id = frame
    return message
