"""Who hit whom and how: nuPlan's classes of a collision."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_sim.geometry import boxes_overlap
from wm_sim.observation import EGO_FRONT_X_M, EGO_WIDTH_M
from wm_sim.scene import BODY, CX, CY, CYAW, LENGTH, WIDTH, V
from wm_sim.scoring.ttc import BEHIND, bearing
from wm_sim.vehicle import SPEED, YAW, X, Y

STANDING_MPS = 0.05  # nuPlan's bound for "stopped"
BODIES = ("car", "pedestrian", "cyclist", "barrier")  # by BODY; the first word of a collision's detail
COLLISION_CLASSES = ("stopped_ego", "stopped_track", "active_rear", "active_front", "active_lateral")
OF_SIDE = {"rear": "active_rear", "front": "active_front", "left": "active_lateral", "right": "active_lateral"}
_DETAIL = re.compile(r"(?P<body>\w+) (?P<k>\d+) at (?P<impact>[\d.]+) m/s(?:, (?P<side>front|rear|left|right))?")


@dataclass(frozen=True, slots=True)
class Contact:
    """A collision: what was hit, nuPlan's class, and whether a lateral one happened inside the ego's own lane."""

    body: str  # of BODIES
    kind: str  # of COLLISION_CLASSES
    in_lane: bool = False  # all corners of the ego in one lane at that moment

    @property
    def at_fault(self) -> bool:
        """nuPlan: hitting what stands or what is ahead; hitting or being hit sideways unless inside one's lane."""
        return self.kind in ("stopped_track", "active_front") or (self.kind == "active_lateral" and not self.in_lane)


def classify(ego: NDArray[np.float64], agent: NDArray[np.float64], in_lane: bool) -> Contact:
    """Class of the contact of ego [EGO_STATE_SIZE] and agent [AGENT_SIZE], in nuPlan's order of questions."""
    body = BODIES[int(agent[BODY])]
    if ego[SPEED] <= STANDING_MPS:
        kind = "stopped_ego"
    elif abs(agent[V]) <= STANDING_MPS:
        kind = "stopped_track"
    elif bearing(ego, agent[CX], agent[CY]) < BEHIND:
        kind = "active_rear"
    elif boxes_overlap(  # the front bumper is a box without length
        ego[X] + EGO_FRONT_X_M * math.cos(ego[YAW]), ego[Y] + EGO_FRONT_X_M * math.sin(ego[YAW]), ego[YAW], 0.0,
        EGO_WIDTH_M, agent[CX], agent[CY], agent[CYAW], agent[LENGTH], agent[WIDTH],
    ):  # fmt: skip
        kind = "active_front"
    else:
        kind = "active_lateral"
    return Contact(body, kind, in_lane)


def struck(detail: str) -> int:
    """Number k of the agent in a collision event's detail "<body> <k> at <impact> m/s, <side>"; -1 if none is told."""
    told = _DETAIL.match(detail)
    return int(told["k"]) if told else -1


def told_contact(detail: str, speed_mps: float, gap_m: float, closing_mps: float) -> Contact:
    """The contact as far as an event's detail and the labels of its frame tell, where no world can be asked.

    A contact with the gap ahead below 1 m was with what is ahead, and so tells its speed.
    """
    told = _DETAIL.match(detail)
    body = told["body"] if told and told["body"] in BODIES else "car"
    side = told["side"] if told else None
    ahead = gap_m < 1.0 and side in (None, "front")
    if speed_mps <= STANDING_MPS:
        return Contact(body, "stopped_ego")
    if body == "barrier" or (ahead and speed_mps - closing_mps <= STANDING_MPS):
        return Contact(body, "stopped_track")
    if side is None:
        return Contact(body, "active_front" if ahead else "active_lateral")
    return Contact(body, OF_SIDE[side])
