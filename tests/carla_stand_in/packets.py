"""Binary messages of the streaming port: little-endian, packed, laid out as the 0.9.16 client library reads them."""

from __future__ import annotations

import struct

import msgpack
import numpy as np
from numpy.typing import NDArray

# Place of each kind of data in the library's registry of sensors.
COLLISION, SEMANTIC_LIDAR, LIDAR, CAMERA, WORLD = 0, 10, 11, 13, 17

_SENSOR_HEADER = struct.Struct("<QQd6f")  # kind, frame, elapsed s, sensor's x y z pitch yaw roll
_EPISODE_HEADER = struct.Struct("<Qdf3ii")  # episode, wall s, step s, origin of a tiled map, flags
_ACTOR = struct.Struct("<IB6f3f3f3f")  # id, activity, x y z pitch yaw roll, velocity, angular velocity, acceleration
_VEHICLE = struct.Struct("<3f3?if B?IB")  # throttle steer brake, flags, gear, limit, lamp, has one, its id, failure
_TYPE_STATE_BYTES = 54  # the union behind each actor
_CAMERA_HEADER = struct.Struct("<IIf")  # width, height, field of view, degrees
_TOKEN = struct.Struct("<IHBB16s")
_TCP, _IP_V4 = 1, 1

LIDAR_POINT = np.dtype([("xyz", "<f4", 3), ("cos_incidence", "<f4"), ("object", "<u4"), ("tag", "<u4")])


def token(stream: int, port: int) -> bytes:
    """Where a stream is served: on this machine's loopback."""
    return _TOKEN.pack(stream, port, _TCP, _IP_V4, bytes([127, 0, 0, 1]))


def framed(payload: bytes) -> bytes:
    return struct.pack("<I", len(payload)) + payload


def header(kind: int, frame: int, elapsed_s: float, pose: tuple[float, ...]) -> bytes:
    return _SENSOR_HEADER.pack(kind, frame, elapsed_s, *pose)


def actor_state(
    number: int, pose: tuple[float, ...], velocity: tuple, turn: tuple, acceleration: tuple, vehicle: tuple | None
) -> bytes:
    """One actor in a snapshot; `vehicle`: throttle, steer, brake, hand brake, reverse, gear, speed limit (km/h)."""
    fixed = _ACTOR.pack(number, 1, *pose, *velocity, *turn, *acceleration)
    if vehicle is None:
        return fixed + bytes(_TYPE_STATE_BYTES)
    throttle, steer, brake, hand_brake, reverse, gear, limit = vehicle
    state = _VEHICLE.pack(throttle, steer, brake, hand_brake, reverse, False, gear, limit, 3, False, 0, 0)
    return fixed + state.ljust(_TYPE_STATE_BYTES, b"\0")


def snapshot(episode: int, frame: int, elapsed_s: float, step_s: float, actors: list[bytes]) -> bytes:
    state = _EPISODE_HEADER.pack(episode, elapsed_s, step_s, 0, 0, 0, 0)
    return header(WORLD, frame, elapsed_s, (0.0,) * 6) + state + b"".join(actors)


def image(frame: int, elapsed_s: float, pose: tuple[float, ...], bgra: NDArray[np.uint8], fov_deg: float) -> bytes:
    height, width = bgra.shape[:2]
    return header(CAMERA, frame, elapsed_s, pose) + _CAMERA_HEADER.pack(width, height, fov_deg) + bgra.tobytes()


def lidar(frame: int, elapsed_s: float, pose: tuple[float, ...], points: NDArray, semantic: bool) -> bytes:
    """`points`: LIDAR_POINT [N] in the sensor's left-handed frame, m; sent as a single channel."""
    sizes = struct.pack("<fII", 0.0, 1, len(points))
    if semantic:
        return header(SEMANTIC_LIDAR, frame, elapsed_s, pose) + sizes + points.tobytes()
    plain = np.concatenate([points["xyz"], np.ones((len(points), 1), np.float32)], axis=1, dtype=np.float32)
    return header(LIDAR, frame, elapsed_s, pose) + sizes + plain.tobytes()


def collision(frame: int, elapsed_s: float, pose: tuple[float, ...], actor: list, other: list, impulse: list) -> bytes:
    return header(COLLISION, frame, elapsed_s, pose) + msgpack.packb([actor, other, impulse], use_single_float=True)
