"""What one look at the world gives: sensors, labels, events. Plain data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wm_sim.scenarios.scenario import Options
from wm_sim.scene import CROSSING_MAX_S, RED_LIGHT_MAX_M
from wm_sim.vehicle import VehicleParameters

Pose = tuple[float, float, float]


@dataclass(frozen=True)
class WorldConfig:
    """What to simulate; None leaves a length to the scenario."""

    camera: bool = True
    scan: bool = True
    semantic: bool = False  # classes of the camera's pixels, sensors/semantic.py
    bev: bool = False  # the scene from above, sensors/bev.py
    noise: bool = True  # domain randomisation: car, look, localisation, sensor noise
    route_length_m: float | None = None
    time_limit_s: float | None = None
    camera_size: tuple[int, int] = (64, 64)  # height, width
    density: float = 1.0  # times the usual number of other road users
    vehicle: Path | None = None  # YAML file of VehicleParameters: this car in every episode, instead of one drawn

    @property
    def options(self) -> Options:
        """What it asks of a scenario."""
        car = VehicleParameters.from_file(self.vehicle) if self.vehicle is not None else None
        return Options(self.noise, self.route_length_m, self.time_limit_s, self.density, car)


@dataclass(frozen=True, slots=True)
class Truth:
    """Labels for training and scoring; no driver that is scored may read them. Left is positive."""

    lateral_error_m: float
    heading_error_rad: float
    curvature_1pm: float
    lane_width_m: float
    gap_ahead_m: float  # bumper to bumper along the lane, 60 where none
    closing_speed_mps: float  # ego less lead, 0 where none
    progress_m: float  # along the route from its start
    route_length_m: float
    reward: float  # earned by arriving here
    collided: bool
    off_road: bool
    scenario: str
    episode: int  # the seed
    step: int
    limit_mps: float = math.inf  # speed limit here
    red_lights: int = 0  # stop lines crossed in red since the start
    red_light_gap_m: float = RED_LIGHT_MAX_M  # front bumper to the next stop line in red, 60 where none
    crossing_time_s: float = CROSSING_MAX_S  # until somebody who crosses is nearest and too near, 6 where none


@dataclass(slots=True)
class Event:
    """Something that happens: collision, off_road, route_done, timeout, red_light, reset; all but red_light once."""

    type: str
    intensity: float
    detail: str


@dataclass(slots=True)
class Frame:
    """What the sensors and the labels say at one time."""

    time_s: float
    camera: NDArray[np.uint8]  # [H, W, 3]
    scan: NDArray[np.float32]  # [72] m
    state: NDArray[np.float32]  # [15], observation.STATE_NAMES
    pose: Pose  # of `odom`: with the receiver's error; x, y (m), yaw (rad) in map
    true_pose: Pose
    speed_mps: float
    acceleration_mps2: float
    yaw_rate_radps: float
    steering_angle_rad: float
    speed_limit_mps: float
    commanded: NDArray[np.float32]  # action being executed [2]
    truth: Truth
    events: list[Event] = field(default_factory=list)
    terminated: bool = False
    truncated: bool = False
    own_reward: float = 0.0  # what the simulator's own task pays for arriving here, where it has one
