"""The car: kinematic single-track model (CommonRoad KS, vehicle 2) with actuator lags and an understeer gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import kernel

ACCEL_LAG_S = 0.2
STEER_LAG_S = 0.05
STEER_RATE_MAX_RADPS = 0.4
STEER_LIMIT_RAD = 1.066
SPEED_MAX_MPS = 40.0
GRIP_MPS2 = 8.0  # lateral acceleration that the tyres hold; beyond it the car turns less than asked
SUBSTEPS = 2

# Columns of a car's state; `measured` values are those that its own sensors report.
X, Y, YAW, SPEED, STEER, DRIVE, ACCELERATION, YAW_RATE = range(8)
EGO_STATE_SIZE = 8


@dataclass(frozen=True)
class VehicleParameters:
    """What differs from car to car; a driver does not know it."""

    wheelbase_m: float = 2.75
    steer_gain: float = 1.0  # wheel angle per measured steering angle
    steer_bias_rad: float = 0.0
    brake_gain: float = 1.0
    understeer_s2pm2: float = 0.002  # yaw gain falls by 1 / (1 + K v²)
    friction: float = 1.0  # μ between tyres and road

    @classmethod
    def random(cls, rng: np.random.Generator) -> VehicleParameters:
        return cls(
            wheelbase_m=rng.uniform(2.4, 3.1),
            steer_gain=rng.uniform(0.9, 1.1),
            steer_bias_rad=math.radians(rng.uniform(-0.5, 0.5)),
            brake_gain=rng.uniform(0.85, 1.15),
            understeer_s2pm2=rng.uniform(0.0, 0.004),
        )

    def as_array(self) -> NDArray[np.float64]:
        return np.array(
            [
                self.wheelbase_m, self.steer_gain, self.steer_bias_rad, self.brake_gain, self.understeer_s2pm2,
                self.friction,
            ],  # fmt: skip
            dtype=np.float64,
        )


@kernel
def step_vehicle(
    state: NDArray[np.float64], parameters: NDArray[np.float64], steering: float, acceleration: float, duration: float
) -> None:
    """Drive `state` for `duration` s towards the targets `steering` (rad) and `acceleration` (m/s²), in place."""
    wheelbase, steer_gain, steer_bias = parameters[0], parameters[1], parameters[2]
    brake_gain, understeer = parameters[3], parameters[4]
    dt = duration / SUBSTEPS
    steer_share = 1.0 - math.exp(-dt / STEER_LAG_S)
    drive_share = 1.0 - math.exp(-dt / ACCEL_LAG_S)
    if acceleration < 0.0:
        acceleration *= brake_gain
    speed_before = state[SPEED]
    for _ in range(SUBSTEPS):
        turn = (steering - state[STEER]) * steer_share
        turn = min(max(turn, -STEER_RATE_MAX_RADPS * dt), STEER_RATE_MAX_RADPS * dt)
        state[STEER] = min(max(state[STEER] + turn, -STEER_LIMIT_RAD), STEER_LIMIT_RAD)
        state[DRIVE] += (acceleration - state[DRIVE]) * drive_share
        before = state[SPEED]
        speed = before + state[DRIVE] * dt
        if speed <= 0.0:  # no reversing; a stopped car does not keep braking force in store
            speed = 0.0
            state[DRIVE] = max(state[DRIVE], 0.0)
        speed = min(speed, SPEED_MAX_MPS)
        mean = 0.5 * (before + speed)
        wheel = steer_gain * state[STEER] + steer_bias
        yaw_rate = mean * math.tan(wheel) / (wheelbase * (1.0 + understeer * mean * mean))
        most = GRIP_MPS2 / max(mean, 1.0)
        yaw_rate = min(max(yaw_rate, -most), most)
        middle = state[YAW] + 0.5 * yaw_rate * dt
        state[X] += mean * math.cos(middle) * dt
        state[Y] += mean * math.sin(middle) * dt
        yaw = state[YAW] + yaw_rate * dt
        state[YAW] = yaw - 2.0 * math.pi * math.floor((yaw + math.pi) / (2.0 * math.pi))
        state[SPEED] = speed
        state[YAW_RATE] = yaw_rate
    state[ACCELERATION] = (state[SPEED] - speed_before) / duration
