"""What is true of the ego beside its route: who is ahead, whether it is still on a road."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_sim.bridges.boxes import LENGTH, SPEED, WIDTH, YAW, X, Y
from wm_sim.bridges.bridge import NO_GAP_M
from wm_sim.bridges.carla.axes import along, pose_to_ours
from wm_sim.bridges.line import Line

REACH_M = 80.0
# Where a car may be: off all of them, it has left the road.
ROAD_LANES = ("Driving", "Bidirectional", "Parking", "Stop", "Shoulder", "Entry", "Exit", "OnRamp", "OffRamp")


def box_of(actor: Any, snapshot: Any) -> NDArray[np.float64] | None:
    """Another road user as a row of wm_sim.bridges.boxes, as it stands in that snapshot; None where it is gone."""
    state = snapshot.find(actor.id)
    if state is None:
        return None
    x, y, yaw = pose_to_ours(state.get_transform())
    box = actor.bounding_box
    row = np.zeros(6)
    row[[X, Y, YAW]] = x + box.location.x * math.cos(yaw), y + box.location.x * math.sin(yaw), yaw
    row[[LENGTH, WIDTH]] = 2.0 * box.extent.x, 2.0 * box.extent.y
    row[SPEED] = along(state.get_velocity(), yaw)
    return row


def gap_ahead(
    line: Line, s: float, offset_m: float, speed_mps: float, boxes: NDArray[np.float64], front_m: float, width_m: float
) -> tuple[float, float]:
    """Free metres ahead along the route on the ego's width, and closing speed (m/s); 60 and 0 where nothing is.

    s, offset_m: of base_link on the line; front_m: front bumper ahead of it; boxes [K, 6] of wm_sim.bridges.boxes.
    """
    gap, closing = NO_GAP_M, 0.0
    x, y = line.point(s)
    near = boxes[np.hypot(boxes[:, X] - x, boxes[:, Y] - y) < REACH_M]
    for box in near:
        at, aside, heading, _ = line.locate(box[X], box[Y])
        turn = box[YAW] - heading
        cos, sin = abs(math.cos(turn)), abs(math.sin(turn))
        half_length = 0.5 * (box[LENGTH] * cos + box[WIDTH] * sin)
        half_width = 0.5 * (box[LENGTH] * sin + box[WIDTH] * cos)
        free = at - half_length - (s + front_m)
        beside = abs(aside - offset_m)
        if beside < half_width + 0.5 * width_m and -2.0 * half_length < free < gap:
            gap, closing = max(free, 0.0), speed_mps - box[SPEED] * math.cos(turn)
    return gap, closing


def on_road(carla: Any, world_map: Any, location: Any) -> bool:
    """Whether that place lies on a lane that cars use."""
    waypoint = world_map.get_waypoint(location, project_to_road=False, lane_type=carla.LaneType.Any)
    return waypoint is not None and str(waypoint.lane_type) in ROAD_LANES
