"""How sure a share is that was measured on a few drives."""

from __future__ import annotations

import math

Z95 = 1.959964  # of a two-sided 95 % interval


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927), inside [0, 1] even at shares of 0 and 1; (0, 1) without a trial."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max((centre - spread) / scale, 0.0), min((centre + spread) / scale, 1.0)
