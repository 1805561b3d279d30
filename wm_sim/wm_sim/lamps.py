"""What a traffic light shows."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import lean_kernel
from wm_sim.scene import GREEN_S, LAMP_GREEN, LAMP_RED, LAMP_YELLOW, OFFSET_S, RED_S, YELLOW_S


@lean_kernel
def lit_lamp(signal: NDArray[np.float64], time_s: float) -> int:
    """LAMP_GREEN, LAMP_YELLOW or LAMP_RED: what a signal [SIGNAL_SIZE] shows at a time."""
    period = signal[GREEN_S] + signal[YELLOW_S] + signal[RED_S]
    into = time_s + signal[OFFSET_S]
    into -= period * math.floor(into / period)
    if into < signal[GREEN_S]:
        return LAMP_GREEN
    return LAMP_YELLOW if into < signal[GREEN_S] + signal[YELLOW_S] else LAMP_RED
