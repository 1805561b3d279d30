"""What an action means: numbers of the model, physical targets, pedals.

An action is (steer, accel) in [-1, 1]², left and forward positive:
steer x 0.6 rad is the steering angle target; accel > 0 x 3 m/s², accel < 0 x 6 m/s².
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

ACTION_SIZE = 2
STEER_MAX_RAD = 0.6
ACCEL_MAX_MPS2 = 3.0
BRAKE_MAX_MPS2 = 6.0


def to_physical(action: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Steering angle (rad) and acceleration (m/s²) targets of actions [..., 2], as float32 [...]."""
    clipped = np.clip(np.asarray(action, dtype=np.float32), -1.0, 1.0)
    steer, accel = clipped[..., 0], clipped[..., 1]
    scale = np.where(accel > 0, np.float32(ACCEL_MAX_MPS2), np.float32(BRAKE_MAX_MPS2))
    return steer * np.float32(STEER_MAX_RAD), accel * scale


def from_physical(steering_angle_rad: ArrayLike, acceleration_mps2: ArrayLike) -> NDArray[np.float32]:
    """Actions [..., 2] whose targets come nearest to the given ones."""
    steering = np.asarray(steering_angle_rad, dtype=np.float32)
    acceleration = np.asarray(acceleration_mps2, dtype=np.float32)
    scale = np.where(acceleration > 0, np.float32(ACCEL_MAX_MPS2), np.float32(BRAKE_MAX_MPS2))
    action = np.stack(np.broadcast_arrays(steering / np.float32(STEER_MAX_RAD), acceleration / scale), axis=-1)
    return np.clip(action, -1.0, 1.0).astype(np.float32)


def from_pedals(pedals: ArrayLike) -> NDArray[np.float32]:
    """Action [..., 2] of (steering, throttle, brake) [..., 3]; steering is left positive like everywhere here."""
    pedals = np.asarray(pedals, dtype=np.float32)
    accel = pedals[..., 1] - pedals[..., 2]
    return np.clip(np.stack([pedals[..., 0], accel], axis=-1), -1.0, 1.0).astype(np.float32)


def to_pedals(action: ArrayLike) -> NDArray[np.float32]:
    """(steering, throttle, brake) [..., 3] of actions [..., 2]; never throttle and brake together."""
    clipped = np.clip(np.asarray(action, dtype=np.float32), -1.0, 1.0)
    accel = clipped[..., 1]
    return np.stack([clipped[..., 0], np.maximum(accel, 0), np.maximum(-accel, 0)], axis=-1).astype(np.float32)
