"""What the frames of a drive do not say by themselves: how near it came to a crash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wm_sim.scoring.sample import look_around

if TYPE_CHECKING:
    from wm_sim.frame import Frame
    from wm_sim.world import World

NEAR_TTC_S, NEAR_GAP_M = 1.0, 1.0
AT_SPEED_MPS = 2.0  # slower than that, standing close behind somebody is no near crash


class Watch:
    """Looks on while an episode is driven."""

    def __init__(self) -> None:
        self.near_crash = False  # time to collision below 1 s, or less than 1 m behind somebody, both at speed

    def see(self, frame: Frame, world: World) -> None:
        """Take in a frame; `world` as it was when it gave the frame."""
        if self.near_crash or frame.speed_mps < AT_SPEED_MPS:
            return
        around, _ = look_around(world)
        self.near_crash = around.ttc_s < NEAR_TTC_S or frame.truth.gap_ahead_m < NEAR_GAP_M
