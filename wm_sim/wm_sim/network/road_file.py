"""What a map file gives: a network, and where it has them recorded road users, a start and a goal."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from wm_sim.network.lanes import Lane, RoadNetwork
from wm_sim.network.line import length_along, project
from wm_sim.scene import CAR


@dataclass(frozen=True)
class RoadUser:
    """Someone or something recorded on the road."""

    id: str
    track: NDArray[np.float64] = field(repr=False)  # [T, 4] every 0.1 s: x, y, yaw of the middle, speed; NaN: not there
    length_m: float = 4.5
    width_m: float = 1.8
    height_m: float = 1.5
    body: int = CAR


@dataclass(frozen=True)
class Start:
    """Where the drive begins: the middle of the car."""

    x_m: float
    y_m: float
    yaw_rad: float
    speed_mps: float


@dataclass(frozen=True)
class RoadFile:
    """Everything read from one file."""

    name: str
    network: RoadNetwork
    users: tuple[RoadUser, ...] = ()
    start: Start | None = None
    goal_lanes: tuple[str, ...] = ()
    goal_point: tuple[float, float] | None = None
    goal_time_s: float | None = None  # by when it is to be reached
    circuit: bool = False  # the one lane leads back into itself


def lanes_at(network: RoadNetwork, x: float, y: float, yaw: float | None = None) -> list[Lane]:
    """Lanes that a point lies on, the one whose middle is nearest first; with `yaw` only those that head that way."""
    found = []
    point = np.array([[x, y]])
    for lane in network.lanes.values():
        if np.hypot(*(lane.centre - point).T).min() > length_along(lane.centre)[-1] + 10.0:
            continue
        place, away, aside = project(point, lane.centre, np.inf)[0]
        i = min(int(place), len(lane.centre) - 2)
        ahead = lane.centre[i + 1] - lane.centre[i]
        half = 0.5 * float(np.interp(place, np.arange(len(lane.centre)), lane.width_m))
        heads = yaw is None or ahead[0] * np.cos(yaw) + ahead[1] * np.sin(yaw) > 0.6 * np.hypot(*ahead)
        if away <= half + 0.5 and heads and (aside > 0.0 or away < 1.0):
            found.append((away, lane))
    return [lane for _, lane in sorted(found, key=lambda pair: pair[0])]
