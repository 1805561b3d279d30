"""What each pixel of the camera's picture shows: one class a pixel, without noise, light or haze."""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import lean_kernel
from wm_sim.observation import CAMERA_PITCH_RAD
from wm_sim.sensors import appearance as look_at
from wm_sim.sensors.bodies import draw_bodies
from wm_sim.sensors.ground import HALF_TAN, camera_view
from wm_sim.sensors.raster import Scratch
from wm_sim.sensors.sky import grow_trees
from wm_sim.sensors.strips import lay_ribbons


class Label(IntEnum):
    """Classes of `semantic`."""

    SKY = 0
    VEGETATION = 1  # grass and far trees
    SHOULDER = 2
    ROAD = 3
    MARKING = 4
    KERB = 5
    VEHICLE = 6
    PEDESTRIAN = 7
    CYCLIST = 8
    BARRIER = 9
    SIGNAL = 10


_SKY, _VEGETATION = int(Label.SKY), int(Label.VEGETATION)


@lean_kernel
def label_backdrop(
    labels: NDArray[np.uint8], columns: NDArray[np.float32], height: int, focal: float, pitch: float
) -> int:
    """Sky, trees and grass everywhere; the first row below the horizon."""
    cp, sp = math.cos(pitch), math.sin(pitch)
    first = height
    for row in range(height):
        up = (0.5 * height - row - 0.5) / focal
        if sp - up * cp > 0.0:
            first = min(first, row)
            labels[row, :] = _VEGETATION
            continue
        slope = (up * cp - sp) / (cp + up * sp)
        for u in range(labels.shape[1]):
            labels[row, u] = _VEGETATION if columns[1, u] > slope else _SKY
    return first


@lean_kernel
def draw_labels(
    labels: NDArray[np.uint8], scratch: Scratch, ribbons: NDArray[np.float64], edges: NDArray[np.float64],
    signals: NDArray[np.float64], agents: NDArray[np.float64], look: NDArray[np.float64],
    x: float, y: float, yaw: float,
) -> None:  # fmt: skip
    """Fill labels [H, W] with what the camera of an ego at x, y, yaw sees; scratch = camera_scratch(H, W)."""
    height, width = labels.shape
    focal = 0.5 * width / HALF_TAN
    pitch = CAMERA_PITCH_RAD + look[look_at.PITCH_OFFSET]
    grow_trees(scratch.columns, look, yaw)
    horizon = label_backdrop(labels, scratch.columns, height, focal, pitch)
    rows = scratch.touched.shape[0]
    for band in range(0, height, rows):
        count = min(rows, height - band)
        first = min(max(horizon - band, 0), count)
        if first < count:
            camera_view(scratch.lens, height, width, band + first, yaw, pitch)
            lay_ribbons(scratch, labels[band + first :], ribbons, edges, look, x, y, first, count, focal)
        camera_view(scratch.lens, height, width, band, yaw, pitch)
        draw_bodies(scratch, labels[band : band + count], agents, signals, look, x, y, yaw, 0.0)
