"""From the stack's action to what moves a CARLA vehicle. Pure: no client library.

CARLA takes steering as a share of the front wheels' largest angle, and its servers scale it down with speed by the
vehicle's steering curve; both are read from the vehicle and undone here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FULL_THROTTLE_MPS2, FULL_BRAKE_MPS2 = 4.0, 8.0  # a passenger car of CARLA, roughly; the correction does the rest
CORRECTION_1PS = 0.6  # of the pedals, per second and m/s² of error
CORRECTION_MAX_MPS2 = 3.0
SPEED_AHEAD_S = 1.0  # Ackermann: the speed asked for is that in a second
STANDING_MPS = 0.2


@dataclass(frozen=True)
class Chassis:
    """What the vehicle itself says: angles in rad, lengths in m from the actor's origin along its x axis."""

    max_steer_rad: float
    steering_curve: NDArray[np.float64]  # [K, 2] speed in km/h, share of the angle that is left
    rear_axle_x_m: float
    wheelbase_m: float
    mass_kg: float

    def reachable_rad(self, speed_mps: float) -> float:
        """The front wheels' largest angle at this speed."""
        share = np.interp(3.6 * speed_mps, self.steering_curve[:, 0], self.steering_curve[:, 1])
        return self.max_steer_rad * float(share)

    def steer_share(self, angle_rad: float, speed_mps: float) -> float:
        """CARLA's steer in [-1, 1], right positive, for a tyre angle with left positive."""
        return min(max(-angle_rad / self.reachable_rad(speed_mps), -1.0), 1.0)


@dataclass(frozen=True)
class Pedals:
    """carla.VehicleControl without the library."""

    throttle: float
    steer: float
    brake: float


@dataclass(frozen=True)
class Ackermann:
    """carla.VehicleAckermannControl without the library: rad (right positive), m/s, m/s²."""

    steer: float
    speed: float
    acceleration: float


def ackermann(chassis: Chassis, angle_rad: float, acceleration_mps2: float, speed_mps: float) -> Ackermann:
    """The targets that CARLA's own controller follows; it too is subject to the steering curve."""
    steer = chassis.steer_share(angle_rad, speed_mps) * chassis.max_steer_rad
    target = max(speed_mps + acceleration_mps2 * SPEED_AHEAD_S, 0.0)
    return Ackermann(steer, target, abs(acceleration_mps2))


class PedalControl:
    """Throttle and brake that meet an acceleration: a fixed share, corrected by what the car really did."""

    def __init__(self) -> None:
        self._correction_mps2 = 0.0

    def pedals(
        self, chassis: Chassis, angle_rad: float, wanted_mps2: float, speed_mps: float, real_mps2: float, step_s: float
    ) -> Pedals:
        """Pedals for the next step; real_mps2: what the last one gave along the car."""
        steer = chassis.steer_share(angle_rad, speed_mps)
        if wanted_mps2 < 0.0 and speed_mps < STANDING_MPS:
            self._correction_mps2 = 0.0
            return Pedals(0.0, steer, max(0.3, min(-wanted_mps2 / FULL_BRAKE_MPS2, 1.0)))  # hold the car
        error = wanted_mps2 - real_mps2 if math.isfinite(real_mps2) else 0.0
        moved = self._correction_mps2 + CORRECTION_1PS * error * step_s
        self._correction_mps2 = min(max(moved, -CORRECTION_MAX_MPS2), CORRECTION_MAX_MPS2)
        asked = wanted_mps2 + self._correction_mps2
        if asked >= 0.0:
            return Pedals(min(asked / FULL_THROTTLE_MPS2, 1.0), steer, 0.0)
        return Pedals(0.0, steer, min(-asked / FULL_BRAKE_MPS2, 1.0))
