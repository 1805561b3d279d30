"""One model step of a drive as the score sees it, from a simulator frame and, where there is one, its world."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wm_sim import scene as at
from wm_sim.scoring.contact import STANDING_MPS, Contact, classify, struck, told_contact
from wm_sim.scoring.lane import lane_position
from wm_sim.scoring.rows import scene_rows
from wm_sim.scoring.ttc import time_to_collision
from wm_sim.vehicle import YAW, X, Y

if TYPE_CHECKING:
    from wm_sim.frame import Frame
    from wm_sim.world import World

BLOCKED_M = 40.0  # an obstacle so near allows the oncoming lane
ALLOWED_OUT_M = 0.5  # leaderboard's tolerance beyond the lane's edge
SAME_WAY = math.cos(math.radians(45.0))  # traffic's heading relative to the ego's
TRAFFIC = (at.IDM, at.LOGGED, at.REACTIVE)  # kinds of car that are background traffic, not actors of the scenario

__all__ = ["STANDING_MPS", "Sample", "Surroundings", "look_around", "sample_of"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the labels of a frame leave out and the world knows."""

    ttc_s: float = math.inf  # nuPlan's, inf from 3 s up
    corner_out_m: float = 0.0  # how far the furthest corner is off the road
    off_lane: bool = False  # outside the lanes of its direction, by leaderboard's tolerance
    oncoming: bool = False  # in the oncoming lane without an obstacle that asks for it
    traffic_mps: float | None = None  # mean speed of the cars that go the same way, None where there are none


@dataclass(frozen=True, slots=True)
class Sample:
    """One model step of a drive. Left is positive."""

    time_s: float
    speed_mps: float
    acceleration_mps2: float
    yaw_rate_radps: float
    lateral_error_m: float
    lane_width_m: float
    gap_ahead_m: float  # bumper to bumper, 60 where none
    closing_speed_mps: float  # ego minus lead, 0 where none
    progress_m: float
    route_length_m: float
    reward: float
    limit_mps: float = math.inf
    collided: bool = False
    off_road: bool = False
    route_done: bool = False
    timeout: bool = False
    red_lights: int = 0  # stop lines crossed in red since the last sample
    contact: Contact | None = None  # of the collision, once
    around: Surroundings = Surroundings()


def sample_of(frame: Frame, world: World | None = None) -> Sample:
    """What the score needs of a simulator frame; `world` is as it was when it gave the frame.

    Without a world (frames of another simulator) there is no time to collision of nuPlan's, no drivable area, no
    traffic speed, and the class of a collision is as far as its event tells.
    """
    truth = frame.truth
    kinds = [event.type for event in frame.events]
    contact = None
    hit = next((event.detail for event in frame.events if event.type == "collision"), None)
    if world is None:
        in_lane = False
        around = Surroundings(off_lane=abs(truth.lateral_error_m) > 0.5 * truth.lane_width_m + ALLOWED_OUT_M)
    else:
        around, in_lane = look_around(world)
    if hit is not None:
        ego, agents, _, _ = scene_rows(world) if world is not None else (None, (), None, 0)
        k = struck(hit)
        if ego is not None and 0 <= k < len(agents):
            contact = classify(ego, agents[k], in_lane)
        else:
            contact = told_contact(hit, frame.speed_mps, truth.gap_ahead_m, truth.closing_speed_mps)
    return Sample(
        time_s=float(frame.time_s),
        speed_mps=float(frame.speed_mps),
        acceleration_mps2=float(frame.acceleration_mps2),
        yaw_rate_radps=float(frame.yaw_rate_radps),
        lateral_error_m=float(truth.lateral_error_m),
        lane_width_m=float(truth.lane_width_m),
        gap_ahead_m=float(truth.gap_ahead_m),
        closing_speed_mps=float(truth.closing_speed_mps),
        progress_m=float(truth.progress_m),
        route_length_m=float(truth.route_length_m),
        reward=float(truth.reward),
        limit_mps=float(frame.speed_limit_mps),
        collided=bool(truth.collided),
        off_road=bool(truth.off_road),
        route_done="route_done" in kinds,
        timeout="timeout" in kinds,
        red_lights=kinds.count("red_light"),
        contact=contact,
        around=around,
    )


def look_around(world: World) -> tuple[Surroundings, bool]:
    """Measures of the world as it stands, and whether the ego's corners are all in one lane."""
    ego, agents, path, index = scene_rows(world)
    corner_out, middle_out, in_lane, oncoming = lane_position(ego, path, index)
    active = agents[agents[:, at.ACTIVE] > 0.0]
    wrong_way = bool(oncoming) and not _blocked(active, ego, float(path[index, at.LANE_WIDTH_M]))
    along = np.cos(active[:, at.CYAW] - ego[YAW]) > SAME_WAY
    traffic = active[along & (active[:, at.BODY] == at.CAR) & np.isin(active[:, at.KIND], TRAFFIC)]
    return Surroundings(
        ttc_s=round(float(time_to_collision(ego, agents, not in_lane)), 1),
        corner_out_m=float(corner_out),
        off_lane=wrong_way or middle_out > ALLOWED_OUT_M,
        oncoming=wrong_way,
        traffic_mps=float(np.abs(traffic[:, at.V]).mean()) if len(traffic) else None,
    ), bool(in_lane)


def _blocked(agents: NDArray[np.float64], ego: NDArray[np.float64], lane_width_m: float) -> bool:
    """Whether something near the ego stands in its lane, so that the way leads past it."""
    near = np.hypot(agents[:, at.CX] - ego[X], agents[:, at.CY] - ego[Y]) < BLOCKED_M
    in_lane = np.abs(agents[:, at.D]) < 0.5 * (agents[:, at.WIDTH] + lane_width_m)
    return bool(np.any((agents[:, at.KIND] == at.STANDING) & near & in_lane))
