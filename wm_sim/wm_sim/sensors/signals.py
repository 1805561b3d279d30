"""Traffic lights: how their lamps shine in the picture."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import lean_kernel
from wm_sim.lamps import lit_lamp
from wm_sim.scene import SIGNAL_Z
from wm_sim.sensors.raster import SPARE, Scratch
from wm_sim.sensors.sweep import mix_pixel

LAMP_RADIUS_M = 0.17
LAMP_SPACING_M = 0.42
LAMP_RADIUS_PX = 0.85  # a lit lamp glares: it never looks smaller
LAMP_RGB = ((40.0, 255.0, 130.0), (255.0, 196.0, 40.0), (255.0, 40.0, 28.0))  # green, yellow, red
DARK_RGB = ((12.0, 44.0, 28.0), (50.0, 40.0, 14.0), (54.0, 16.0, 14.0))


@lean_kernel
def draw_lamps(
    scratch: Scratch, signal: NDArray[np.float64], dx: float, dy: float, focal: float, hide: float, gain: float,
    time_s: float,
) -> None:  # fmt: skip
    """Three discs on a head at (dx, dy) from the ego, the lit one bright in any haze."""
    view, colours = scratch.lens, scratch.colours
    height, width = scratch.touched.shape[0], scratch.cover.shape[1] - SPARE
    lit = lit_lamp(signal, time_s)
    for i in range(3):
        lamp = (i + lit + 1) % 3  # the lit one last, over the others
        z = signal[SIGNAL_Z] + (lamp - 1) * LAMP_SPACING_M
        depth = view[2, 0] * dx + view[2, 1] * dy + view[2, 2] * z + view[2, 3]
        if depth < 0.5:
            return
        u = (view[0, 0] * dx + view[0, 1] * dy + view[0, 2] * z + view[0, 3]) / depth
        v = (view[1, 0] * dx + view[1, 1] * dy + view[1, 2] * z + view[1, 3]) / depth
        radius = LAMP_RADIUS_M * focal / depth
        red, green, blue = DARK_RGB[lamp]
        strength, light = hide, gain
        if lamp == lit:
            radius = max(radius, LAMP_RADIUS_PX)
            red, green, blue = LAMP_RGB[lamp]
            strength, light = math.sqrt(hide), 1.0
        elif radius < 0.3:
            continue
        r, g, b = np.float32(red * light), np.float32(green * light), np.float32(blue * light)
        for row in range(max(0, math.floor(v - radius - 0.5)), min(height, math.ceil(v + radius + 0.5))):
            for c in range(max(0, math.floor(u - radius - 0.5)), min(width, math.ceil(u + radius + 0.5))):
                away = math.sqrt((c + 0.5 - u) ** 2 + (row + 0.5 - v) ** 2)
                share = min(max(radius - away + 0.5, 0.0), 1.0) * strength
                mix_pixel(colours, row, c, np.float32(share), np.float32(1.0), r, g, b)
