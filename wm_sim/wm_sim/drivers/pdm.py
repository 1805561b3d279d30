"""PDM-Closed: fifteen proposals, simulated and scored at every step; the best one's first action is executed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wm_sim.action import from_physical
from wm_sim.drivers.proposals import (
    OFFSETS_M,
    P_ACCEL,
    P_MEETS_S,
    P_STEER,
    PROPOSAL_SIZE,
    PROPOSAL_STEP_S,
    PROPOSAL_STEPS,
    SPEED_SHARES,
    propose,
    scores,
)
from wm_sim.drivers.situation import Situation
from wm_sim.observation import EGO_FRONT_X_M
from wm_sim.scene import LAMP_GREEN
from wm_sim.world import Frame, World

EMERGENCY_TTC_S, EMERGENCY_MPS2 = 2.0, -4.05
MIDDLE_WEIGHT, KEEP_WEIGHT = 0.02, 0.01  # of a score
LIGHT_M, LIGHT_MPS2 = 1.5, 4.0


class PdmDriver:
    """Privileged about where the others are and how fast; takes them to go on along their paths at that speed."""

    def reset(self, world: World) -> None:
        self._world = world
        self._situation = Situation(world)
        count = len(SPEED_SHARES) * len(OFFSETS_M)
        self._results = np.empty((count, PROPOSAL_SIZE))
        self._best = -1
        self._states = np.empty((count, PROPOSAL_STEPS + 1, 5))

    def act(self, frame: Frame) -> NDArray[np.float32]:
        situation = self._situation
        cast = situation.forecast(PROPOSAL_STEP_S, PROPOSAL_STEPS)
        s = situation.start_s + frame.truth.progress_m
        ego = np.array([*frame.true_pose, frame.speed_mps, frame.acceleration_mps2, frame.steering_angle_rad])
        index = situation.sample(s)
        stop_s = self._stop_s(frame, s)
        propose(situation.line, index, ego, self._world.cars, cast, stop_s, self._results, self._states)
        self._best = int(np.argmax(scores(self._results) + self._preference()))
        best = self._results[self._best]
        acceleration = float(best[P_ACCEL])
        if best[P_MEETS_S] <= EMERGENCY_TTC_S:
            acceleration = min(acceleration, EMERGENCY_MPS2)
        return from_physical(float(best[P_STEER]), acceleration)

    def _preference(self) -> NDArray[np.float64]:
        """A little for the lane's middle and the offset of before, so that near equals do not weave. [15]"""
        offsets = np.tile(OFFSETS_M, len(SPEED_SHARES))
        preference: NDArray[np.float64] = -MIDDLE_WEIGHT * np.abs(offsets)
        if self._best >= 0:
            preference += KEEP_WEIGHT * (offsets == offsets[self._best])
        return preference

    def _stop_s(self, frame: Frame, s: float) -> float:
        """Where a light that is not green makes the front bumper stop; far away where none does."""
        for light in self._situation.lights(frame.time_s, s):
            stop = light.stop_s - LIGHT_M
            if light.shows != LAMP_GREEN and frame.speed_mps**2 < 2.0 * LIGHT_MPS2 * max(stop - s - EGO_FRONT_X_M, 0.5):
                return stop
        return 1.0e9
