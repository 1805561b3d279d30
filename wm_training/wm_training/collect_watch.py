"""What the frames of a drive do not say by themselves: how near it came to a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wm_sim.scoring.sample import look_around
from wm_sim.world import World

if TYPE_CHECKING:
    from wm_sim.contract import Simulator
    from wm_sim.frame import Frame

NEAR_TTC_S, NEAR_GAP_M = 1.0, 1.0
AT_SPEED_MPS = 2.0  # slower than that, standing close behind somebody is no near crash


class Watch:
    """Looks on while an episode is driven."""

    def __init__(self) -> None:
        self.near_crash = False  # time to collision below 1 s, or less than 1 m behind somebody, both at speed

    def see(self, frame: Frame, world: Simulator) -> None:
        """Take in a frame; `world` as it was when it gave the frame. Other simulators tell of the car ahead alone."""
        if self.near_crash or frame.speed_mps < AT_SPEED_MPS:
            return
        gap_m, closing_mps = frame.truth.gap_ahead_m, frame.truth.closing_speed_mps
        ttc_s = look_around(world)[0].ttc_s if isinstance(world, World) else gap_m / max(closing_mps, 1e-3)
        self.near_crash = ttc_s < NEAR_TTC_S or gap_m < NEAR_GAP_M
