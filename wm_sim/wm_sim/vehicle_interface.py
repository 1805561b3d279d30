"""The last link before the actuators: clips what arrives, brakes fully when nothing arrives or two speak at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wm_sim.action import ACCEL_MAX_MPS2, BRAKE_MAX_MPS2, STEER_MAX_RAD, from_physical

FULL_BRAKE = np.array([0.0, -1.0], np.float32)
SEQ_MODULO = 1 << 32
BELIEVED_RAD, BELIEVED_MPS2 = math.pi / 2, 50.0  # beyond these a number is no command of any car


@dataclass(frozen=True)
class Command:
    """What arrived on `control_cmd`: targets, and the stamp of the frame that they answer."""

    steering_angle: float  # rad, left positive
    acceleration: float  # m/s^2
    frame_ns: int  # stamp of the camera frame it descends from, ROS time
    from_plan: bool  # False: hold, stop or brake by the gate
    scan_brake: bool = False  # an engaged gate brakes for something in the path
    seq: int | None = None  # counts up by one a command of one sender, 0..2^32-1; None: not counted


class VehicleInterface:
    """Holds the newest command; answers full braking once it is older than `watchdog_s`.

    A command that answers a frame older than that, or one yet to come, drives nothing: whoever sends it lives, but no
    longer looks. A command heard again is nothing new. One that counts back while commands come is from another sender,
    or from one that began anew: full braking, until `watchdog_s` have passed without such.
    Times are seconds of one clock that never goes back. The steering of the last command is kept while braking.
    """

    def __init__(self, watchdog_s: float) -> None:
        self.watchdog_s = watchdog_s
        self._action = FULL_BRAKE.copy()
        self._arrived_s = self._contradicted_s = -math.inf
        self._seq: int | None = None

    def accept(self, command: Command, now_s: float) -> None:
        """Take a command over; one that no car could be meant by, NaN included, counts as full braking."""
        if command.seq is not None and self._seq is not None:
            if command.seq == self._seq:
                return
            older = (command.seq - self._seq) % SEQ_MODULO >= SEQ_MODULO // 2
            if older and now_s - self._arrived_s <= self.watchdog_s:
                self._contradicted_s = now_s
        self._seq = command.seq
        if abs(command.steering_angle) <= BELIEVED_RAD and abs(command.acceleration) <= BELIEVED_MPS2:
            steering = min(max(command.steering_angle, -STEER_MAX_RAD), STEER_MAX_RAD)
            acceleration = min(max(command.acceleration, -BRAKE_MAX_MPS2), ACCEL_MAX_MPS2)
            if not 0.0 <= now_s - command.frame_ns * 1e-9 <= self.watchdog_s:
                acceleration = min(acceleration, 0.0)
            self._action = np.asarray(from_physical(np.float32(steering), np.float32(acceleration)), np.float32)
        else:
            self._action = np.array([self._action[0], FULL_BRAKE[1]], np.float32)
        self._arrived_s = now_s

    def action(self, now_s: float) -> tuple[np.ndarray, bool]:
        """Action float32[2] to execute now, and whether the watchdog has taken over."""
        if now_s - self._arrived_s > self.watchdog_s or now_s - self._contradicted_s <= self.watchdog_s:
            return np.array([self._action[0], FULL_BRAKE[1]], np.float32), True
        return self._action, False
