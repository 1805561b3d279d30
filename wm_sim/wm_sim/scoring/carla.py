"""Driving score of CARLA leaderboard 2.1: route completion x (1 - share off lane) / (1 + sum of c), 0 to 100.

Off lane: the ego's middle is more than 0.5 m beyond the lanes, or in the oncoming lane; leaderboard switches the
second test off where a scenario's obstacle has to be passed, and so does `look_around`.

Minimum speed: the route has four equal parts; in each the ego's mean speed is compared with that of the traffic around;
without traffic the part passes, as in leaderboard. Its routes are kilometres long, ours one manoeuvre: here traffic is
only the cars that go the ego's way, so that giving way costs nothing, and their speed counts no further than the limit.

An episode is one scenario, so that its time limit is the scenario's timeout. Stop signs and emergency vehicles do not
occur.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from wm_sim.scoring.sample import Sample

PEDESTRIAN, VEHICLE, STATIC = 1.0, 0.7, 0.6  # c of a collision
RED_LIGHT, SCENARIO_TIMEOUT, MIN_SPEED = 0.4, 0.4, 0.4  # MIN_SPEED for a part driven at speed 0
OF_BODY = {"pedestrian": PEDESTRIAN, "car": VEHICLE, "cyclist": VEHICLE, "barrier": STATIC}  # bicycles are vehicles
CHECKPOINTS = 4
LAST_PART = 0.95  # of the route: from here on the last part is judged


@dataclass(frozen=True)
class Infractions:
    """What a drive did wrong, in the terms of leaderboard."""

    pedestrian: int = 0
    vehicle: int = 0
    static: int = 0
    red_light: int = 0
    timeout: int = 0
    min_speed: list[float] = field(default_factory=list)  # share of the traffic's speed in each part that failed
    off_lane: float = 0.0  # share of the way

    @property
    def total(self) -> float:
        """Sum of c."""
        return (
            PEDESTRIAN * self.pedestrian
            + VEHICLE * self.vehicle
            + STATIC * self.static
            + RED_LIGHT * self.red_light
            + SCENARIO_TIMEOUT * self.timeout
            + MIN_SPEED * sum(1.0 - share for share in self.min_speed)
        )


def driving_score(completion: float, infractions: Infractions) -> float:
    """Score of a drive that completed a share of its route."""
    return 100.0 * completion * (1.0 - infractions.off_lane) / (1.0 + infractions.total)


def infractions_of(samples: Sequence[Sample]) -> Infractions:
    """What went wrong in a drive. A collision whose event told nothing was with a vehicle."""
    bodies = [s.contact.body for s in samples if s.contact is not None]
    if not bodies and any(s.collided for s in samples):
        bodies = ["car"]
    return Infractions(
        pedestrian=bodies.count("pedestrian"),
        vehicle=bodies.count("car") + bodies.count("cyclist"),
        static=bodies.count("barrier"),
        red_light=sum(s.red_lights for s in samples),
        timeout=int(samples[-1].timeout),
        min_speed=[share for share in speed_shares(samples) if share < 1.0],
        off_lane=off_lane_share(samples),
    )


def off_lane_share(samples: Sequence[Sample]) -> float:
    """Share of the way driven that was outside the lanes of its direction."""
    steps = [
        (0.5 * (a.speed_mps + b.speed_mps) * (b.time_s - a.time_s), b.around.off_lane) for a, b in pairwise(samples)
    ]
    driven = sum(way for way, _ in steps)
    return sum(way for way, out in steps if out) / driven if driven > 0.0 else 0.0


def speed_shares(samples: Sequence[Sample]) -> list[float]:
    """The ego's mean speed as a share of the traffic's, in each part of the route that it finished; at most 1."""
    length = max(samples[-1].route_length_m, 1e-9)
    parts: list[float] = []
    ego = traffic = since = 0.0
    for sample in samples:
        if sample.progress_m - since > length / CHECKPOINTS:
            parts.append(_share(ego, traffic))
            ego, traffic, since = 0.0, 0.0, sample.progress_m
        if sample.around.traffic_mps is not None:
            ego += sample.speed_mps
            traffic += min(sample.around.traffic_mps, sample.limit_mps)
    if samples[-1].progress_m > LAST_PART * length and len(parts) < CHECKPOINTS:
        parts.append(_share(ego, traffic))
    return parts


def _share(ego: float, traffic: float) -> float:
    return min(ego / traffic, 1.0) if traffic > 0.0 else 1.0
