"""Where in the lane: the expert's way around things that stand in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_sim.drivers.situation import Block
from wm_sim.observation import EGO_FRONT_X_M, EGO_LENGTH_M, EGO_WIDTH_M
from wm_sim.scene import LINE_STEP_M

ROOM_M, ROOM_LEAST_M = 0.65, 0.3  # between the bodies
EDGE_M = 0.25  # kept from where the road ends
RAMP_MIN_M, RAMP_MAX_M, RAMP_S = 8.0, 30.0, 2.4
BACK_M = 18.0  # ramp back to the lane's middle at least
WAIT_M = 12.0  # before the block, where a stop still leaves room to swing out
SIDE_ACCEL_MPS2 = 1.0
STEERING_PACE = 0.006  # 1/(m s): a quintic ramp of length L to the side by D turns the wheels by about D v / L^3
CREEP_MPS = 1.0
BESIDE_MPS = 7.0  # most speed beside a standing thing
_REAR_X_M = EGO_FRONT_X_M - EGO_LENGTH_M


@dataclass(frozen=True)
class Swerve:
    """Out and back: offset `aside_m` for base_link between full_s and leave_s, smooth ramps before and after."""

    agent: int
    block_s: float
    begin_s: float
    full_s: float
    leave_s: float
    end_s: float
    aside_m: float

    def offsets(self, s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Offset at arc lengths s [N]."""
        up = np.clip((s - self.begin_s) / max(self.full_s - self.begin_s, 1e-6), 0.0, 1.0)
        down = np.clip((self.end_s - s) / max(self.end_s - self.leave_s, 1e-6), 0.0, 1.0)
        share = np.minimum(up, down)
        return np.asarray(self.aside_m * share**3 * (10.0 - 15.0 * share + 6.0 * share * share), dtype=np.float64)

    def speed(self, ramp: float) -> float:
        """At which a ramp of that length costs SIDE_ACCEL_MPS2 and the steering keeps up."""
        aside = max(abs(self.aside_m), 0.1)
        return max(min(ramp * math.sqrt(SIDE_ACCEL_MPS2 / (5.8 * aside)), STEERING_PACE * ramp**3 / aside), CREEP_MPS)


def swerve_around(block: Block, s: float, v: float, right_m: float, left_m: float) -> Swerve | None:
    """The smaller swerve past a block within the road's edges; None where nothing is in the way or no way is free."""
    half = 0.5 * EGO_WIDTH_M
    if block.left_d + ROOM_LEAST_M < -half or block.right_d - ROOM_LEAST_M > half:
        return None
    choices = []
    for aside, least, edge in (
        (block.left_d + half + ROOM_M, block.left_d + half + ROOM_LEAST_M, left_m - EDGE_M),
        (-(block.right_d - half - ROOM_M), -(block.right_d - half - ROOM_LEAST_M), -right_m - EDGE_M),
    ):
        if least <= edge:
            choices.append(min(aside, edge))
        else:
            choices.append(math.inf)
    side = 0 if choices[0] <= choices[1] else 1
    if math.isinf(choices[side]):
        return None
    aside = choices[side] if side == 0 else -choices[side]
    full = block.first_s - EGO_FRONT_X_M - 1.0
    leave = block.last_s - _REAR_X_M + 1.0
    ramp = min(max(RAMP_S * v, 12.0), RAMP_MAX_M)
    ramp = max(min(ramp, full - s), RAMP_MIN_M)
    return Swerve(block.agent, block.first_s, full - ramp, full, leave, leave + max(ramp, BACK_M), aside)


def blocking(block: Block) -> bool:
    """Whether it stands where the ego would drive on the route's middle."""
    half = 0.5 * EGO_WIDTH_M + ROOM_LEAST_M
    return block.left_d > -half and block.right_d < half


def samples(s: float, count: int) -> NDArray[np.float64]:
    """Arc lengths of `count` path samples from the ego's on."""
    return (int(s / LINE_STEP_M) + np.arange(count, dtype=np.float64)) * LINE_STEP_M


def offsets_of(swerves: list[Swerve], s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Offsets of all swerves together: the widest to either side."""
    right, left = np.zeros(len(s)), np.zeros(len(s))
    for swerve in swerves:
        offsets = swerve.offsets(s)
        left, right = np.maximum(left, offsets), np.minimum(right, offsets)
    return left + right


def cap_speeds(swerves: list[Swerve], s: NDArray[np.float64], caps: NDArray[np.float64]) -> None:
    """Lower the speeds `caps` [N] at s [N] to what the swerves allow, in place."""
    for swerve in swerves:
        for first, last, most in (
            (swerve.begin_s, swerve.full_s, swerve.speed(swerve.full_s - swerve.begin_s)),
            (swerve.full_s, swerve.leave_s, BESIDE_MPS),
            (swerve.leave_s, swerve.end_s, swerve.speed(swerve.end_s - swerve.leave_s)),
        ):
            inside = (s >= first) & (s <= last)
            caps[inside] = np.minimum(caps[inside], most)
