"""What a family makes of a seed: everything an episode needs, and the parts that families share."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_sim import traffic
from wm_sim.observation import EGO_FRONT_X_M
from wm_sim.roads import BEFORE_START_M, Road, random_road
from wm_sim.sensors.appearance import nominal_appearance, random_appearance
from wm_sim.vehicle import VehicleParameters

ROUTE_MAX_M = 600.0
ROUTE_MIN_M = 120.0
BIAS_POSITION_M, BIAS_YAW_RAD, BIAS_SIGMAS = 1.0, math.radians(1.0), 3.0


@dataclass(frozen=True)
class Localisation:
    """Error of the pose in `odom`: a bias drawn once and a slow drift of a few decimetres."""

    bias: tuple[float, float, float] = (0.0, 0.0, 0.0)  # x, y (m, map frame), yaw (rad)
    drift_m: tuple[float, float] = (0.0, 0.0)
    drift_radps: float = 0.0
    drift_phase: float = 0.0

    def at(self, time_s: float) -> tuple[float, float, float]:
        """Error (x, y, yaw) at a time."""
        swing = math.sin(self.drift_radps * time_s + self.drift_phase) - math.sin(self.drift_phase)
        return self.bias[0] + self.drift_m[0] * swing, self.bias[1] + self.drift_m[1] * swing, self.bias[2]

    @classmethod
    def random(cls, rng: np.random.Generator) -> Localisation:
        x, y, yaw = np.clip(rng.normal(size=3), -BIAS_SIGMAS, BIAS_SIGMAS)
        drift = rng.uniform(-0.3, 0.3, 2)
        return cls(
            bias=(float(x) * BIAS_POSITION_M, float(y) * BIAS_POSITION_M, float(yaw) * BIAS_YAW_RAD),
            drift_m=(float(drift[0]), float(drift[1])),
            drift_radps=2.0 * math.pi / rng.uniform(20.0, 60.0),
            drift_phase=rng.uniform(-math.pi, math.pi),
        )


@dataclass(frozen=True)
class EgoStart:
    """The ego at time zero, relative to the lane centre at the start of the route."""

    lateral_m: float
    heading_rad: float
    speed_mps: float


@dataclass(frozen=True)
class Scenario:
    """One episode, fully determined."""

    road: Road
    speed_limit_mps: float
    route_length_m: float
    time_limit_s: float
    ego: EgoStart
    vehicle: VehicleParameters
    cars: NDArray[np.float64]  # [K, CAR_SIZE]
    scripts: NDArray[np.float64]  # [K, P, 3]
    appearance: NDArray[np.float64]
    localisation: Localisation
    noise: bool
    start_s: float = BEFORE_START_M


@dataclass(frozen=True)
class Family:
    """A kind of scenario: a name and how a random generator becomes an episode."""

    name: str
    about: str
    build: Callable[[np.random.Generator, Options], Scenario]


@dataclass(frozen=True)
class Options:
    """What a caller may ask of any family; None leaves it to the family."""

    noise: bool = True
    route_length_m: float | None = None
    time_limit_s: float | None = None


def generator(family: str, seed: int) -> np.random.Generator:
    """The random numbers of (family, seed): the same in every process."""
    return np.random.default_rng((zlib.crc32(family.encode()), seed))


@dataclass(frozen=True)
class Setting:
    """What both road families draw first, in this order, so that `noise` does not change the road."""

    road: Road
    speed_limit_mps: float
    route_length_m: float
    ego: EgoStart
    vehicle: VehicleParameters
    appearance: NDArray[np.float64]
    localisation: Localisation


def draw_setting(rng: np.random.Generator, options: Options, seconds: float) -> Setting:
    """A two-lane road of about `seconds` at the limit, a car, a look and a receiver."""
    limit = rng.uniform(5.0, 20.0)
    lane_width = rng.uniform(2.9, 3.9)
    length = min(max(limit * seconds, ROUTE_MIN_M), ROUTE_MAX_M)
    if options.route_length_m is not None:
        length = options.route_length_m
    vehicle = VehicleParameters.random(rng)
    appearance = random_appearance(rng)
    localisation = Localisation.random(rng)
    standing = rng.random() < 0.15
    ego = EgoStart(
        lateral_m=rng.uniform(-0.35, 0.35),
        heading_rad=math.radians(rng.uniform(-3.0, 3.0)),
        speed_mps=0.0 if standing else limit * rng.uniform(0.4, 1.0),
    )
    road = random_road(rng, length, limit, lane_width)
    if not options.noise:
        vehicle, appearance, localisation = VehicleParameters(), nominal_appearance(), Localisation()
    return Setting(road, limit, length, ego, vehicle, appearance, localisation)


_PAINTS = ((206, 208, 212), (32, 34, 38), (150, 30, 30), (40, 70, 130), (120, 124, 128), (224, 196, 60), (60, 96, 70))


def draw_car(rng: np.random.Generator, start_s: float, gap_m: float, speed_mps: float) -> NDArray[np.float64]:
    """A car or, one time in six, a van or truck, `gap_m` ahead of an ego whose base_link is at start_s."""
    car = np.zeros(traffic.CAR_SIZE)
    if rng.random() < 1 / 6:
        size = rng.uniform((5.5, 2.0, 2.3), (9.0, 2.4, 3.2))
    else:
        size = rng.uniform((3.8, 1.65, 1.4), (5.0, 1.95, 1.75))
    car[[traffic.LENGTH, traffic.WIDTH, traffic.HEIGHT]] = size
    car[traffic.S] = start_s + EGO_FRONT_X_M + gap_m + 0.5 * size[0]
    car[traffic.D] = rng.uniform(-0.2, 0.2)
    car[traffic.V] = speed_mps
    paint = np.array(_PAINTS[rng.integers(len(_PAINTS))]) * rng.uniform(0.85, 1.1)
    car[[traffic.RED, traffic.GREEN, traffic.BLUE]] = np.clip(paint, 10, 245)
    car[traffic.ACTIVE] = 1.0
    return car
