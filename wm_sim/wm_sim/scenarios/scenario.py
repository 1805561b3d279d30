"""What a scenario is, and the random numbers that it is made of."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wm_sim.network.lanes import RoadNetwork
from wm_sim.scene import Scene
from wm_sim.vehicle import VehicleParameters

if TYPE_CHECKING:
    from wm_sim.scenarios.builder import SceneBuilder

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
class Scenario:
    """One episode, fully determined: the scene that kernels read, and what its reader wants by name."""

    scene: Scene
    family: str
    seed: int
    speed_limit_mps: float  # where the ego starts
    lane_width_m: float  # where the ego starts
    start_s: float
    route_length_m: float
    time_limit_s: float
    vehicle: VehicleParameters
    localisation: Localisation
    noise: bool
    network: RoadNetwork | None = None


@dataclass(frozen=True)
class Options:
    """What a caller may ask of any family; None leaves it to the family."""

    noise: bool = True  # False: nominal car, look and localisation
    route_length_m: float | None = None  # families whose route is a manoeuvre keep their own length
    time_limit_s: float | None = None
    density: float = 1.0  # times the usual number of other road users, where a family has traffic
    vehicle: VehicleParameters | None = None  # the ego's car; None: drawn, or nominal without noise


@dataclass(frozen=True)
class Family:
    """A kind of scenario: a name and how a random generator becomes an episode."""

    name: str
    about: str
    build: Callable[[np.random.Generator, Options], SceneBuilder]


def generator(family: str, seed: int) -> np.random.Generator:
    """The random numbers of (family, seed): the same in every process."""
    return np.random.default_rng((zlib.crc32(family.encode()), seed))
