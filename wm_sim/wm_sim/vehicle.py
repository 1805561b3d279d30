"""The car: kinematic single-track model (CommonRoad KS, vehicle 2) with actuator lags, understeer and limited grip.

Why no dynamic single-track model: what it adds in normal driving, a yaw gain that falls with speed, is the understeer
gradient here; its slip angles settle within the 0.1 s of a model step; where tyres saturate, the friction circle
decides. It would be stiff at low speed and need steps of 10 ms, several times the cost of everything else.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from wm_sim.errors import SimError
from wm_sim.kernel import lean_kernel
from wm_sim.observation import PHYSICS_STEP_S

ACCEL_LAG_S = 0.2
STEER_LAG_S = 0.05
STEER_RATE_MAX_RADPS = 0.4
STEER_LIMIT_RAD = 1.066
SPEED_MAX_MPS = 40.0
GRIP_MPS2 = 8.0  # acceleration along and across together that tyres hold on a dry road; no car gets more
SUBSTEPS = 2
_SUBSTEP_S = PHYSICS_STEP_S / SUBSTEPS
_STEER_SHARE = 1.0 - math.exp(-_SUBSTEP_S / STEER_LAG_S)  # of the way to the target that a substep covers
_DRIVE_SHARE = 1.0 - math.exp(-_SUBSTEP_S / ACCEL_LAG_S)

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
    friction: float = 1.0  # of the road, as a share of a dry one's: the tyres hold friction · GRIP_MPS2

    @classmethod
    def random(cls, rng: np.random.Generator) -> VehicleParameters:
        return cls(
            wheelbase_m=rng.uniform(2.4, 3.1),
            steer_gain=rng.uniform(0.9, 1.1),
            steer_bias_rad=math.radians(rng.uniform(-0.5, 0.5)),
            brake_gain=rng.uniform(0.85, 1.15),
            understeer_s2pm2=rng.uniform(0.0, 0.004),
        )

    @classmethod
    def from_file(cls, path: str | Path) -> VehicleParameters:
        """Parameters from a YAML file of `name: number` lines with the names above; what it leaves out is nominal."""
        try:
            given = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise SimError(f"vehicle {path}: cannot be read ({error}). Give a YAML file of `name: number`.") from error
        known = [field.name for field in fields(cls)]
        if not isinstance(given, dict):
            raise SimError(f"vehicle {path}: expected lines of `name: number` with {', '.join(known)}.")
        for name, value in given.items():
            if name not in known:
                raise SimError(f"vehicle {path}: {name!r} is unknown. Known are {', '.join(known)}.")
            low, high = BOUNDS[name]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and low <= value <= high):
                raise SimError(f"vehicle {path}: {name} is {value!r}; expected {low} to {high}.")
        return cls(**{name: float(value) for name, value in given.items()})

    def as_array(self) -> NDArray[np.float64]:
        """[VEHICLE_SIZE], in the order of the fields."""
        return np.array(list(asdict(self).values()), dtype=np.float64)


VEHICLE_SIZE = len(fields(VehicleParameters))
BOUNDS = {
    "wheelbase_m": (1.0, 8.0),
    "steer_gain": (0.5, 1.5),
    "steer_bias_rad": (-0.2, 0.2),
    "brake_gain": (0.3, 2.0),
    "understeer_s2pm2": (-0.002, 0.02),
    "friction": (0.05, 1.5),
}


@lean_kernel
def step_vehicle(
    state: NDArray[np.float64], parameters: NDArray[np.float64], steering: float, acceleration: float
) -> None:
    """Drive `state` for a physics step towards the targets `steering` (rad) and `acceleration` (m/s²), in place.

    Acceleration along and across together stays on the friction circle: sqrt(ax² + ay²) <= friction · GRIP_MPS2. What
    is asked beyond it is cut in proportion, as a car whose wheels do not lock still steers while it brakes.
    """
    wheelbase, steer_gain, steer_bias = parameters[0], parameters[1], parameters[2]
    brake_gain, understeer, grip = parameters[3], parameters[4], parameters[5] * GRIP_MPS2
    dt = _SUBSTEP_S
    if acceleration < 0.0:
        acceleration *= brake_gain
    speed_before = state[SPEED]
    for _ in range(SUBSTEPS):
        turn = (steering - state[STEER]) * _STEER_SHARE
        turn = min(max(turn, -STEER_RATE_MAX_RADPS * dt), STEER_RATE_MAX_RADPS * dt)
        state[STEER] = min(max(state[STEER] + turn, -STEER_LIMIT_RAD), STEER_LIMIT_RAD)
        state[DRIVE] += (acceleration - state[DRIVE]) * _DRIVE_SHARE
        before = state[SPEED]
        along = state[DRIVE]
        wheel = steer_gain * state[STEER] + steer_bias
        turn = math.tan(wheel)
        across = before * before * turn / (wheelbase * (1.0 + understeer * before * before))
        asked = along * along + across * across
        if asked > grip * grip:
            along *= grip / math.sqrt(asked)
        held = math.sqrt(max(grip * grip - along * along, 0.0))
        speed = before + along * dt
        if speed <= 0.0:  # no reversing; a stopped car does not keep braking force in store
            speed = 0.0
            state[DRIVE] = max(state[DRIVE], 0.0)
        speed = min(speed, SPEED_MAX_MPS)
        mean = 0.5 * (before + speed)
        yaw_rate = mean * turn / (wheelbase * (1.0 + understeer * mean * mean))
        most = held / max(mean, 1.0)
        yaw_rate = min(max(yaw_rate, -most), most)
        middle = state[YAW] + 0.5 * yaw_rate * dt
        state[X] += mean * math.cos(middle) * dt
        state[Y] += mean * math.sin(middle) * dt
        yaw = state[YAW] + yaw_rate * dt
        state[YAW] = yaw - 2.0 * math.pi * math.floor((yaw + math.pi) / (2.0 * math.pi))
        state[SPEED] = speed
        state[YAW_RATE] = yaw_rate
    state[ACCELERATION] = (state[SPEED] - speed_before) / PHYSICS_STEP_S
