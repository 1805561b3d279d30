"""Whether the car could still stop: the plan's first steps, then the brakes, judged by the score that judged the plan.

A plan is replaced every step, and when no next one comes the gate drives on along it for a moment and then brakes. So
a plan that is good while it lasts is not enough: braking out of it has to be safe too (safety filter with a braking
backup, as in Shalev-Shwartz et al. 2017, RSS, section 3, and Wabersich and Zeilinger 2021). What lies beyond the
score's horizon is not seen here; the gate's scan check watches it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_planner.errors import PlannerError
from wm_planner.settings import check_settings, setting
from wm_planner.solvers.protocol import Bounds, Score
from wm_planner.solvers.sampling import restrict

Array = NDArray[np.float32]


@dataclass(frozen=True)
class BrakingConfig:
    """Which stops are tried. One that is safe is enough."""

    after: int = setting(2, "Steps driven before the brakes; 2 is what the gate lets a plan be late.", 1, 11)
    levels: tuple[float, ...] = (-1.0, -0.42)  # action units: -6 m/s² (emergency) and -2.5 m/s² (the gate's soft stop)

    def __post_init__(self) -> None:
        check_settings(self, "braking tail")
        if not 1 <= len(self.levels) <= 2 or not all(-1.0 <= level < 0.0 for level in self.levels):
            # Two levels of the 32 best are the one chunk that the deadline leaves room for.
            raise PlannerError(f"braking tail levels {self.levels}: give one or two from -1 to below 0.")


def braking_tails(actions: Array, bounds: Bounds, config: BrakingConfig) -> Array:
    """Plans [N, H, 2] with the brakes from step `after` on, steering kept: [N * len(levels), H, 2], plan by plan."""
    tails = np.repeat(actions, len(config.levels), axis=0)
    tails[:, config.after :, 1] = np.tile(np.asarray(config.levels, np.float32), len(actions))[:, None]
    return restrict(tails, bounds)


def stop_risk(actions: Array, score: Score, bounds: Bounds, config: BrakingConfig, chunk: int) -> Array:
    """Risk [N] of the safest stop out of each plan [N, H, 2], in units of what is allowed; not finite is infinite.

    The score is asked for multiples of `chunk` sequences; 32 plans with two levels are one chunk of 64.
    """
    tails = braking_tails(actions, bounds, config)
    missing = -len(tails) % chunk
    padded = np.concatenate([tails, np.repeat(tails[-1:], missing, axis=0)]) if missing else tails
    scored = score(padded)
    finite = np.isfinite(scored.value) & np.isfinite(scored.risk)
    risk = np.where(finite, scored.risk, np.float32(np.inf))[: len(tails)]
    safest: Array = risk.reshape(len(actions), len(config.levels)).min(axis=1)
    return safest
