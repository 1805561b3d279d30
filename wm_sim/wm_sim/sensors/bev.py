"""The scene from above as a picture for models: the ego's heading is up, every surface has its one colour."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import lean_kernel
from wm_sim.lamps import lit_lamp
from wm_sim.observation import EGO_CENTRE_X_M, EGO_LENGTH_M, EGO_WIDTH_M
from wm_sim.scene import ACTIVE, BODY, CX, CY, CYAW, LENGTH, SIGNAL_X, SIGNAL_Y, SIGNAL_YAW, WIDTH
from wm_sim.sensors import appearance as look_at
from wm_sim.sensors.appearance import nominal_appearance
from wm_sim.sensors.bodies import TOP, add_face
from wm_sim.sensors.ground import lay_grass
from wm_sim.sensors.lanes import LANES, PIXEL_VALUES
from wm_sim.sensors.raster import CELLS, CLEAR, LONG, Scratch
from wm_sim.sensors.signals import LAMP_RGB
from wm_sim.sensors.strips import lay_ribbons
from wm_sim.sensors.sweep import sweep_mix

BEV_SIZE = 64  # pixels each way
BEV_PIXEL_M = 0.5
BEV_AHEAD_M, BEV_BEHIND_M, BEV_ASIDE_M = 24.0, 8.0, 16.0  # seen from base_link, the rear axle
EGO_RGB = (40.0, 120.0, 255.0)
BODY_RGB = ((230.0, 60.0, 40.0), (255.0, 200.0, 0.0), (255.0, 120.0, 220.0), (150.0, 60.0, 200.0))  # as scene.BODY
LAMP_M = 1.0  # half the size of a light's mark
_FOCAL = 1000.0  # as finely as a camera with so long a lens
_REACH_M = 1.5 * (BEV_AHEAD_M + BEV_ASIDE_M)


def bev_look(look: NDArray[np.float64]) -> NDArray[np.float64]:
    """A scene's look for its view from above: everything as at noon on a new road, but dashes as long as they are."""
    plain = nominal_appearance()
    kept = [look_at.DASH, look_at.DASH_PERIOD]
    plain[kept] = look[kept]
    return plain


@lean_kernel
def bev_view(view: NDArray[np.float64], yaw: float) -> None:
    """Projection of (X - x, Y - y, z, 1) on the picture: u, v and 1."""
    cos, sin = math.cos(yaw) / BEV_PIXEL_M, math.sin(yaw) / BEV_PIXEL_M
    view[:, :] = 0.0
    view[0, 0], view[0, 1], view[0, 3] = sin, -cos, BEV_ASIDE_M / BEV_PIXEL_M
    view[1, 0], view[1, 1], view[1, 3] = -cos, -sin, BEV_AHEAD_M / BEV_PIXEL_M
    view[2, 3] = 1.0


@lean_kernel
def mark_box(
    scratch: Scratch, dx: float, dy: float, yaw: float, half_length: float, half_width: float,
    colour: tuple[float, float, float],
) -> None:  # fmt: skip
    """Lay a rectangle of one colour over the picture."""
    frame = (dx, dy, math.cos(yaw), math.sin(yaw))
    first, last = add_face(scratch, frame, TOP, False, -half_length, half_length, -half_width, half_width, 0.0, 0.0)
    red, green, blue = colour
    sweep_mix(scratch.colours, scratch.cover, scratch.touched, first, last, 1.0, red, green, blue)


@lean_kernel
def draw_bev(
    image: NDArray[np.uint8], scratch: Scratch, ribbons: NDArray[np.float64], edges: NDArray[np.float64],
    signals: NDArray[np.float64], agents: NDArray[np.float64], look: NDArray[np.float64],
    x: float, y: float, yaw: float, time_s: float,
) -> None:  # fmt: skip
    """Fill image [64, 64, 3] with the scene about an ego; scratch = camera_scratch(64, 64), look = bev_look(…)."""
    scratch.rows[:, :] = 0.0
    scratch.rows[:, CLEAR], scratch.rows[:, CELLS], scratch.rows[:, LONG] = 1.0, 1.0, math.inf
    bev_view(scratch.lens, yaw)
    lay_grass(scratch.colours, scratch.rows, 0, BEV_SIZE, look)
    lay_ribbons(scratch, image[:0, :, 0], ribbons, edges, look, x, y, 0, BEV_SIZE, _FOCAL)
    for k in range(len(signals)):
        at = signals[k]
        mark_box(scratch, at[SIGNAL_X] - x, at[SIGNAL_Y] - y, at[SIGNAL_YAW], LAMP_M, LAMP_M,
                 LAMP_RGB[lit_lamp(at, time_s)])  # fmt: skip
    for k in range(len(agents)):
        at = agents[k]
        dx, dy = at[CX] - x, at[CY] - y
        if at[ACTIVE] > 0.0 and abs(dx) + abs(dy) < _REACH_M + at[LENGTH]:
            mark_box(scratch, dx, dy, at[CYAW], 0.5 * at[LENGTH], 0.5 * at[WIDTH], BODY_RGB[int(at[BODY])])
    mark_box(
        scratch, EGO_CENTRE_X_M * math.cos(yaw), EGO_CENTRE_X_M * math.sin(yaw), yaw, 0.5 * EGO_LENGTH_M,
        0.5 * EGO_WIDTH_M, EGO_RGB,
    )  # fmt: skip
    for row in range(BEV_SIZE):
        out = image[row].reshape(3 * BEV_SIZE)
        for u in range(BEV_SIZE):
            for k in range(3):
                seen = scratch.colours[row, u // LANES * PIXEL_VALUES + k * LANES + u % LANES]
                value = min(max(seen + np.float32(0.5), np.float32(0.0)), np.float32(255.0))
                out[3 * u + k] = np.uint8(np.int32(value))
