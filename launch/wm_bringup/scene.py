"""A drive seen from above, drawn from topics alone, so that any simulator and any bag can be shown."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from wm_bringup.record import Moment
from wm_sim.observation import EGO_CENTRE_X_M, EGO_LENGTH_M, EGO_WIDTH_M, LIDAR_X_M, SCAN_MAX_M

Image = NDArray[np.uint8]
GROUND, ROUTE, TRAIL, RETURN, PLAN, CAR = (
    (30, 34, 38),
    (90, 90, 96),
    (120, 170, 120),
    (80, 170, 240),
    (240, 190, 60),
    (235, 235, 235),
)
SHIFT = 4  # OpenCV draws at 1/16 pixel


def to_map(points: NDArray[np.float64], pose: tuple[float, float, float]) -> NDArray[np.float64]:
    """Points [N, 2] of base_link in the frame of `pose`."""
    x, y, yaw = pose
    cos, sin = np.cos(yaw), np.sin(yaw)
    return points @ np.array([[cos, sin], [-sin, cos]]) + (x, y)


def scan_points(scan: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns of a scan [72] as points [N, 2] in base_link; sectors without a return give none."""
    step = 2 * np.pi / len(scan)
    angles = -np.pi + (np.arange(len(scan)) + 0.5) * step
    seen = scan < SCAN_MAX_M - 0.05
    return np.stack([LIDAR_X_M + scan[seen] * np.cos(angles[seen]), scan[seen] * np.sin(angles[seen])], axis=1).astype(
        np.float64
    )


def car_outline() -> NDArray[np.float64]:
    """Corners [4, 2] of the car in base_link."""
    x = np.array([-0.5, 0.5, 0.5, -0.5]) * EGO_LENGTH_M + EGO_CENTRE_X_M
    y = np.array([-0.5, -0.5, 0.5, 0.5]) * EGO_WIDTH_M
    return np.stack([x, y], axis=1)


def from_above(
    moment: Moment,
    route: NDArray[np.float64] | None,
    trail: NDArray[np.float64],
    size: int = 480,
    reach_m: float = 45.0,
) -> Image:
    """RGB uint8 [size, size, 3]: route, way driven (`trail` [N, 2]), lidar returns, plan and car; the car looks up."""
    image = np.full((size, size, 3), GROUND, np.uint8)
    if moment.pose is None:
        return image
    scale = size / (1.4 * reach_m)
    x, y, yaw = moment.pose

    def pixels(points: NDArray[np.float64]) -> NDArray[np.int32]:
        ahead = to_map(points - (x, y), (0.0, 0.0, -yaw))  # base_link
        column = size / 2 - ahead[:, 1] * scale
        row = size * 0.72 - ahead[:, 0] * scale
        return np.round(np.stack([column, row], axis=1) * (1 << SHIFT)).astype(np.int32)

    def line(points: NDArray[np.float64], colour: tuple[int, int, int], width: int) -> None:
        if len(points) > 1:
            cv2.polylines(image, [pixels(points)], False, colour, width, cv2.LINE_AA, SHIFT)

    if route is not None:
        line(route, ROUTE, 2)
    line(trail, TRAIL, 2)
    if moment.plan is not None:
        line(to_map(moment.plan, moment.pose), PLAN, 3)
    cv2.fillPoly(image, [pixels(to_map(car_outline(), moment.pose))], CAR, cv2.LINE_AA, SHIFT)
    if moment.scan is not None:
        for point in pixels(to_map(scan_points(moment.scan), moment.pose)):
            cv2.circle(image, tuple(map(int, point)), 3 << SHIFT, RETURN, -1, cv2.LINE_AA, SHIFT)
    return image
