"""What families draw alike: conditions, the ego's start, other road users."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_sim import scene as at
from wm_sim.observation import EGO_FRONT_X_M
from wm_sim.scenarios.builder import Conditions, EgoStart
from wm_sim.scenarios.scenario import Localisation, Options
from wm_sim.sensors.appearance import nominal_appearance, random_appearance
from wm_sim.vehicle import VehicleParameters

ROUTE_MAX_M = 600.0
ROUTE_MIN_M = 120.0
STANDING_SHARE = 0.15  # of episodes start with the ego standing

IDM_NOMINAL = {at.HEADWAY_S: 1.4, at.STANDSTILL_M: 3.0, at.ACCEL_MPS2: 1.8, at.BRAKE_MPS2: 2.5}
NO_TRIGGER = 0.0


@dataclass(frozen=True)
class Setting:
    """What families draw first, in this order, so that `noise` does not change what follows."""

    limit_mps: float
    lane_width_m: float
    route_length_m: float
    conditions: Conditions
    ego: EgoStart


def draw_setting(
    rng: np.random.Generator,
    options: Options,
    seconds: float,
    limit: tuple[float, float] = (5.0, 20.0),
    speed_share: tuple[float, float] = (0.4, 1.0),
    standing_share: float = STANDING_SHARE,
) -> Setting:
    """Lanes of 2.9–3.9 m, a route of about `seconds` at the limit, a car, a look and a receiver."""
    limit_mps = rng.uniform(*limit)
    lane_width = rng.uniform(2.9, 3.9)
    length = min(max(limit_mps * seconds, ROUTE_MIN_M), ROUTE_MAX_M)
    if options.route_length_m is not None:
        length = options.route_length_m
    vehicle = VehicleParameters.random(rng)
    look = random_appearance(rng)
    localisation = Localisation.random(rng)
    standing = rng.random() < standing_share
    ego = EgoStart(
        lateral_m=rng.uniform(-0.35, 0.35),
        heading_rad=math.radians(rng.uniform(-3.0, 3.0)),
        speed_mps=0.0 if standing else limit_mps * rng.uniform(*speed_share),
    )
    if not options.noise:
        vehicle, look, localisation = VehicleParameters(), nominal_appearance(), Localisation()
    vehicle = options.vehicle or vehicle
    return Setting(limit_mps, lane_width, length, Conditions(vehicle, look, localisation, options.noise), ego)


_PAINTS = ((206, 208, 212), (32, 34, 38), (150, 30, 30), (40, 70, 130), (120, 124, 128), (224, 196, 60), (60, 96, 70))
_CLOTHES = ((36, 40, 52), (150, 36, 40), (44, 74, 140), (214, 208, 196), (196, 150, 50), (70, 100, 66))


def _agent(kind: int, body: int, size: tuple[float, float, float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """An agent [AGENT_SIZE] of length, width, height, with the nominal IDM driver."""
    agent = np.zeros(at.AGENT_SIZE)
    agent[[at.KIND, at.BODY, at.ACTIVE, at.REACTS_TO_EGO]] = kind, body, 1.0, 1.0
    agent[[at.LENGTH, at.WIDTH, at.HEIGHT]] = size
    agent[list(IDM_NOMINAL)] = list(IDM_NOMINAL.values())
    agent[at.GAP_ACCEPT_S] = 4.0
    agent[at.TRACK] = -1.0
    return agent


def _paint(rng: np.random.Generator, agent: NDArray[np.float64], paints: tuple[tuple[int, int, int], ...]) -> None:
    colour = np.array(paints[rng.integers(len(paints))]) * rng.uniform(0.85, 1.1)
    agent[[at.RED, at.GREEN, at.BLUE]] = np.clip(colour, 10, 245)


def draw_car(rng: np.random.Generator, van_share: float = 1 / 6) -> NDArray[np.float64]:
    """A car or, in `van_share` of cases, a van or truck: an IDM agent [AGENT_SIZE] on path 0 at s = 0."""
    if rng.random() < van_share:
        size = rng.uniform((5.5, 2.0, 2.3), (9.0, 2.4, 3.2))
    else:
        size = rng.uniform((3.8, 1.65, 1.4), (5.0, 1.95, 1.75))
    agent = _agent(at.IDM, at.CAR, size)
    agent[at.D] = rng.uniform(-0.2, 0.2)
    _paint(rng, agent, _PAINTS)
    return agent


def draw_car_ahead(rng: np.random.Generator, start_s: float, gap_m: float, speed_mps: float) -> NDArray[np.float64]:
    """A car on path 0, `gap_m` ahead (bumper to bumper) of an ego whose base_link is at start_s."""
    agent = draw_car(rng)
    agent[at.S] = start_s + EGO_FRONT_X_M + gap_m + 0.5 * agent[at.LENGTH]
    agent[at.V] = speed_mps
    return agent


def draw_driver(rng: np.random.Generator, agent: NDArray[np.float64], limit_mps: float) -> None:
    """Give an agent a driver: how fast, how close, how hard, how polite."""
    agent[at.DESIRED] = limit_mps * rng.uniform(0.8, 1.1)
    agent[at.HEADWAY_S] = rng.uniform(0.9, 2.0)
    agent[at.STANDSTILL_M] = rng.uniform(1.5, 3.5)
    agent[at.ACCEL_MPS2] = rng.uniform(1.2, 2.5)
    agent[at.BRAKE_MPS2] = rng.uniform(1.8, 3.2)
    agent[at.POLITENESS] = rng.uniform(0.0, 0.6)
    agent[at.GAP_ACCEPT_S] = rng.uniform(3.0, 5.0)


def draw_pedestrian(rng: np.random.Generator) -> NDArray[np.float64]:
    """Someone who crosses at .8–2.0 m/s."""
    agent = _agent(at.CROSSING, at.PEDESTRIAN, rng.uniform((0.4, 0.45, 1.5), (0.6, 0.65, 1.95)))
    agent[at.DESIRED] = rng.uniform(0.8, 2.0)
    _paint(rng, agent, _CLOTHES)
    return agent


def draw_cyclist(rng: np.random.Generator) -> NDArray[np.float64]:
    """Someone who crosses by bicycle at 2–5 m/s."""
    agent = _agent(at.CROSSING, at.CYCLIST, rng.uniform((1.65, 0.5, 1.6), (1.85, 0.65, 1.9)))
    agent[at.DESIRED] = rng.uniform(2.0, 5.0)
    _paint(rng, agent, _CLOTHES)
    return agent


def draw_barrier(rng: np.random.Generator) -> NDArray[np.float64]:
    """A road-works barrier that stands across the lane, .6–2.6 m wide."""
    agent = _agent(at.STANDING, at.BARRIER, rng.uniform((0.4, 0.6, 0.9), (1.0, 2.6, 1.3)))
    agent[[at.RED, at.GREEN, at.BLUE]] = np.array([226, 92, 40]) * rng.uniform(0.85, 1.05)
    return agent


def script_time(script: NDArray[np.float64], speed_mps: float, distance_m: float) -> float:
    """How long (s) a car that drives by a script [R, 3] from `speed_mps` on takes to go `distance_m`."""
    time, left, speed = 0.0, max(distance_m, 0.0), speed_mps
    for target, rate, hold in script.tolist():
        change = abs(target - speed) / rate
        for duration, slope in ((change, math.copysign(rate, target - speed)), (hold, 0.0)):
            covered = speed * duration + 0.5 * slope * duration * duration
            if covered >= left:
                if slope == 0.0:
                    return time + left / speed
                return time + (math.sqrt(speed * speed + 2.0 * slope * left) - speed) / slope
            time, left = time + duration, left - covered
            speed = target if slope else speed
        speed = target
    return time + left / max(speed, 0.1)
