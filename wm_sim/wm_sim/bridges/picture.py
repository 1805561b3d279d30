"""A route from above, for simulators that draw no picture of their own for people."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_sim.frame import Pose
from wm_sim.observation import EGO_LENGTH_M, EGO_WIDTH_M
from wm_sim.view import EGO, GRASS, ROUTE, TRAIL, Camera2D, draw_car

_SHIFT = 4  # Camera2D gives sixteenths of a pixel


def draw_route(
    route: NDArray[np.float64], pose: Pose, size_px: int, trail: ArrayLike | None, metres: float
) -> NDArray[np.uint8]:
    """Route [W, 2], trail [N, 2] and the car at `pose`, [size, size, 3], `metres` wide, heading up."""
    x, y, yaw = pose
    at = Camera2D(x, y, yaw, size_px / metres, (0.5 * size_px, 0.7 * size_px), 0.9 * metres)
    image = np.empty((size_px, size_px, 3), dtype=np.uint8)
    image[:] = GRASS
    past = np.asarray([] if trail is None else trail, dtype=np.float64).reshape(-1, 2)
    for points, colour in ((route, ROUTE), (past, TRAIL)):
        if len(points) > 1:
            cv2.polylines(image, [at(points)], False, colour, 2, cv2.LINE_AA, _SHIFT)
    draw_car(image, at, pose, (EGO_LENGTH_M, EGO_WIDTH_M), EGO, braking=False)
    return image
