"""What bodies are made of: upright boxes in the body's own frame (x forward, y left, z up from the ground)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import lean_kernel
from wm_sim.scene import (
    BARRIER,
    BLUE,
    BODY,
    CX,
    CY,
    CYCLIST,
    GREEN,
    HEIGHT,
    LENGTH,
    PEDESTRIAN,
    RED,
    SIGNAL_Z,
    WIDTH,
)

# Columns of a box.
X0, X1, Y0, Y1, Z0, Z1, BOX_RED, BOX_GREEN, BOX_BLUE, STYLE = range(10)
BOX_SIZE = 10
# STYLE of a box: what is on it.
PLAIN, CAR_BODY, CABIN, VAN, WHEEL, STRIPED = range(6)

VAN_HEIGHT_M = 2.0  # from here up a car is one box
CLEARANCE_M = 0.22
HEAD_HALF_M, HEAD_HEIGHT_M, POLE_HALF_M = 0.28, 1.4, 0.07  # of a signal
STRIDE_M = 1.4


@lean_kernel
def box(
    boxes: NDArray[np.float64], n: int, x0: float, x1: float, y0: float, y1: float, z0: float, z1: float,
    red: float, green: float, blue: float, style: int,
) -> int:  # fmt: skip
    """Write box n; the number of the next."""
    at = boxes[n]
    at[X0], at[X1], at[Y0], at[Y1], at[Z0], at[Z1] = x0, x1, y0, y1, z0, z1
    at[BOX_RED], at[BOX_GREEN], at[BOX_BLUE], at[STYLE] = red, green, blue, style
    return n + 1


@lean_kernel
def boxes_of(boxes: NDArray[np.float64], agent: NDArray[np.float64]) -> int:
    """The boxes of an agent, in the order in which they are drawn; how many."""
    r, g, b = agent[RED], agent[GREEN], agent[BLUE]
    hl, hw, top = 0.5 * agent[LENGTH], 0.5 * agent[WIDTH], agent[HEIGHT]
    body = int(agent[BODY])
    if body == PEDESTRIAN:
        swing = 0.22 * math.sin((agent[CX] + agent[CY]) * 2.0 * math.pi / STRIDE_M)
        n = box(boxes, 0, swing - 0.09, swing + 0.09, 0.02, 0.16, 0.0, 0.5 * top, 44.0, 46.0, 58.0, PLAIN)
        n = box(boxes, n, -swing - 0.09, -swing + 0.09, -0.16, -0.02, 0.0, 0.5 * top, 44.0, 46.0, 58.0, PLAIN)
        n = box(boxes, n, -0.14, 0.14, -0.24, 0.24, 0.47 * top, 0.84 * top, r, g, b, PLAIN)
        return box(boxes, n, -0.1, 0.1, -0.09, 0.09, 0.86 * top, top, 196.0, 152.0, 124.0, PLAIN)
    if body == CYCLIST:
        wheel = min(0.34, 0.5 * hl)
        n = box(boxes, 0, -hl, -hl + 2.0 * wheel, -0.03, 0.03, 0.0, 2.0 * wheel, 34.0, 34.0, 36.0, WHEEL)
        n = box(boxes, n, hl - 2.0 * wheel, hl, -0.03, 0.03, 0.0, 2.0 * wheel, 34.0, 34.0, 36.0, WHEEL)
        n = box(boxes, n, -0.45, 0.4, -0.03, 0.03, 0.45, 0.55, 90.0, 90.0, 96.0, PLAIN)
        n = box(boxes, n, -0.12, 0.12, -0.14, 0.14, 0.3, 0.55 * top, 44.0, 46.0, 58.0, PLAIN)
        n = box(boxes, n, -0.2, 0.25, -0.21, 0.21, 0.53 * top, 0.84 * top, r, g, b, PLAIN)
        return box(boxes, n, 0.05, 0.27, -0.1, 0.1, 0.86 * top, top, 196.0, 152.0, 124.0, PLAIN)
    if body == BARRIER:
        return box(boxes, 0, -hl, hl, -hw, hw, 0.0, top, r, g, b, STRIPED)
    if top >= VAN_HEIGHT_M:
        return box(boxes, 0, -hl, hl, -hw, hw, CLEARANCE_M, top, r, g, b, VAN)
    belt = 0.62 * top
    n = box(boxes, 0, -hl, hl, -hw, hw, CLEARANCE_M, belt, r, g, b, CAR_BODY)
    return box(boxes, n, -0.8 * hl, 0.4 * hl, -0.88 * hw, 0.88 * hw, belt, top, r, g, b, CABIN)


@lean_kernel
def boxes_of_signal(boxes: NDArray[np.float64], signal: NDArray[np.float64]) -> int:
    """The pole and the head of a light."""
    low, high = signal[SIGNAL_Z] - 0.5 * HEAD_HEIGHT_M, signal[SIGNAL_Z] + 0.5 * HEAD_HEIGHT_M
    n = box(boxes, 0, -POLE_HALF_M, POLE_HALF_M, -POLE_HALF_M, POLE_HALF_M, 0.0, low, 96.0, 98.0, 100.0, PLAIN)
    return box(boxes, n, -0.15, 0.15, -HEAD_HALF_M, HEAD_HALF_M, low, high, 26.0, 28.0, 30.0, PLAIN)
