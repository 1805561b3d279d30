"""How a driver keeps speed and distance: the Intelligent Driver Model."""

from __future__ import annotations

import math

from wm_sim.kernel import lean_kernel

BRAKE_MAX_MPS2 = 8.0  # what tyres hold
EASE_OFF = 1.4  # braking for one's own wish alone stays under this share of the comfortable braking


@lean_kernel
def idm(
    speed: float, desired: float, gap: float, closing: float,
    headway: float, standstill: float, accel: float, brake: float,
) -> float:  # fmt: skip
    """Acceleration (m/s²) of the Intelligent Driver Model (Treiber et al. 2000); gap bumper to bumper, inf if none."""
    share = speed / max(desired, 0.1)
    free = max(accel * (1.0 - share * share * share * share), -EASE_OFF * brake)
    wish = standstill + max(0.0, speed * headway + speed * closing / (2.0 * math.sqrt(accel * brake)))
    near = wish / max(gap, 0.1)
    return min(max(free - accel * near * near, -BRAKE_MAX_MPS2), accel)
