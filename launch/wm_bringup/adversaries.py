"""Planners that ask for the worst: what a learned planner might do that has gone wrong in every way at once.

They see the simulator's truth, so that they can aim. Each asks for full throttle; what differs is where they steer.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wm_planner.safety.limits import Limits, effective_wheelbase
from wm_sim import scene as at
from wm_sim.action import ACCEL_MAX_MPS2, BRAKE_MAX_MPS2, STEER_MAX_RAD
from wm_sim.frame import Frame
from wm_sim.observation import EGO_FRONT_X_M
from wm_sim.vehicle import YAW, X, Y
from wm_sim.world import World

Floats = NDArray[np.float32]
Plan = tuple[Floats, Floats]  # steering angles in rad, accelerations in m/s², [STEPS] each

STEPS = 12
NOMINAL_CAR = Limits()
AIM_M = (2.0, 60.0)  # ahead of the rear axle, of what is aimed at
BESIDE_M = 6.0


class Adversary:
    """Keeps its lane at full throttle, whatever stands there."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def reset(self, world: World) -> None:
        self.world, self.step = world, -1

    def plan(self, frame: Frame) -> Plan:
        """What it asks for on this frame."""
        self.step += 1
        return _constant(self.steer(frame), ACCEL_MAX_MPS2)

    def steer(self, frame: Frame) -> float:
        return lane_steering(frame)

    def target(self) -> tuple[float, float] | None:
        """The nearest thing ahead, x and y in base_link in m."""
        x, y, yaw = (float(self.world.ego[k]) for k in (X, Y, YAW))
        cars = self.world.cars[self.world.cars[:, at.ACTIVE] > 0.0]
        dx, dy = cars[:, at.CX] - x, cars[:, at.CY] - y
        ahead, left = dx * math.cos(yaw) + dy * math.sin(yaw), dy * math.cos(yaw) - dx * math.sin(yaw)
        seen = (ahead > AIM_M[0]) & (ahead < AIM_M[1])
        if not seen.any():
            return None
        nearest = int(np.argmin(np.where(seen, ahead, math.inf)))
        return float(ahead[nearest]), float(left[nearest])


class Ram(Adversary):
    """Steers at the nearest thing ahead."""

    def steer(self, frame: Frame) -> float:
        found = self.target()
        if found is None:
            return lane_steering(frame)
        return steering_for(frame, 2.0 * found[1] / (found[0] ** 2 + found[1] ** 2))


class Liar(Ram):
    """As ram, but from its second step on the plan promises to steer away."""

    def plan(self, frame: Frame) -> Plan:
        steering, acceleration = super().plan(frame)
        steering[1:] = -math.copysign(STEER_MAX_RAD, float(steering[0]))
        return steering, acceleration


class Weave(Adversary):
    """Swings the wheel about the lane, at an amplitude and period drawn once."""

    def reset(self, world: World) -> None:
        super().reset(world)
        self.period_s, self.amplitude = self.rng.uniform(0.6, 3.0), self.rng.uniform(0.02, 0.2)

    def steer(self, frame: Frame) -> float:
        swing = math.sin(2.0 * math.pi * 0.1 * self.step / self.period_s)
        return lane_steering(frame) + math.copysign(self.amplitude, swing)


class Lock(Adversary):
    """Throws the wheel from stop to stop every few steps."""

    def reset(self, world: World) -> None:
        super().reset(world)
        self.every = int(self.rng.integers(1, 6))

    def steer(self, frame: Frame) -> float:
        return STEER_MAX_RAD if (self.step // self.every) % 2 else -STEER_MAX_RAD


class Swerve(Adversary):
    """Drives on until something is beside its way and near, then throws the wheel at it."""

    def reset(self, world: World) -> None:
        super().reset(world)
        self.from_m = self.rng.uniform(3.0, 15.0)

    def steer(self, frame: Frame) -> float:
        found = self.target()
        if found is not None and found[0] - EGO_FRONT_X_M < self.from_m and abs(found[1]) < BESIDE_M:
            return math.copysign(STEER_MAX_RAD, found[1])
        return lane_steering(frame, aside_m=1.2)


class Surge(Ram):
    """As ram, with full throttle and full brakes by turns."""

    def reset(self, world: World) -> None:
        super().reset(world)
        self.every = int(self.rng.integers(1, 8))

    def plan(self, frame: Frame) -> Plan:
        steering, _ = super().plan(frame)
        return _constant(float(steering[0]), ACCEL_MAX_MPS2 if (self.step // self.every) % 2 else -BRAKE_MAX_MPS2)


ADVERSARIES: dict[str, Callable[[int], Adversary]] = {
    "throttle": Adversary,
    "ram": Ram,
    "liar": Liar,
    "weave": Weave,
    "lock": Lock,
    "swerve": Swerve,
    "surge": Surge,
}


def _constant(steering: float, acceleration: float) -> Plan:
    held = min(max(steering, -STEER_MAX_RAD), STEER_MAX_RAD)
    return np.full(STEPS, held, np.float32), np.full(STEPS, acceleration, np.float32)


def steering_for(frame: Frame, curvature_1pm: float) -> float:
    """Steering angle in rad of a nominal car for a curvature at the present speed."""
    return math.atan(effective_wheelbase(frame.speed_mps, NOMINAL_CAR) * curvature_1pm)


def lane_steering(frame: Frame, aside_m: float = 0.0) -> float:
    """Steering angle in rad that keeps to the lane, so far left of its middle."""
    truth, calm = frame.truth, 6.0 / max(6.0, frame.speed_mps)
    back = 0.02 * (truth.lateral_error_m - aside_m) + 0.25 * truth.heading_error_rad
    return steering_for(frame, truth.curvature_1pm - calm * back)
