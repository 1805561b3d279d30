"""The expert: reads the world's truth, keeps the lane, a comfortable distance and the rules of the road.

Steering is the curvature ahead (feedforward, of an average car) plus feedback on the lateral and heading error at a
point ahead. Speed is the least that limits, curves, stops and the car ahead allow. Before it enters somebody's way it
imagines a few ways of driving on, from the usual pace to slower ones, and takes the first that meets nobody; where none
does, it stops before the place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_sim.action import BRAKE_MAX_MPS2, from_physical
from wm_sim.drivers.course import samples
from wm_sim.drivers.pace import AHEAD_OFFSET, wanted
from wm_sim.drivers.planning import Plan, Planner
from wm_sim.drivers.situation import GRAVITY_MPS2, Situation
from wm_sim.scene import LCURVATURE, LINE_STEP_M
from wm_sim.vehicle import STEER_RATE_MAX_RADPS
from wm_sim.world import Frame, World

EMERGENCY_MPS2 = 4.5  # braking beyond it is not softened at all
TURN_CHANGE_MPS2, TURN_FREER_MPS3 = 0.6, 1.5  # most change of lateral acceleration per step, at first and growing
TURN_FROM_MPS = 4.0  # slower than that, the wheels turn no faster
PREVIEW_GROWS = 2.5  # at most, to cancel a large error calmly
FEEL_FROM_MPS, FEEL_SHARE, FEEL_MOST_1PM = 2.0, 0.1, 0.03  # how fast a steering that pulls to a side is learned


@dataclass(frozen=True)
class ExpertConfig:
    """How the expert drives; lengths m, speeds m/s."""

    wheelbase_m: float = 2.75
    understeer_s2pm2: float = 0.002
    delay_s: float = 0.15  # command to wheel: half a step, the steering lag, half a hold
    preview_s: float = 0.7
    preview_min_m: float = 3.0
    speed_share: float = 0.97  # of the limit
    lateral_accel_mps2: float = 2.2
    headway_s: float = 1.4
    standstill_m: float = 4.0
    accel_mps2: float = 1.6
    brake_mps2: float = 2.5
    speed_gain_1ps: float = 0.9
    change_mps2: float = 0.7  # most between the measured and the wished acceleration, while nothing is urgent
    urgent_mps2: float = 3.0  # braking beyond it is softened half as much


class ExpertDriver:
    """Drives by the truth: an upper mark for scores and the teacher of recorded drives."""

    def __init__(self, config: ExpertConfig = ExpertConfig()) -> None:
        self.config = config
        self._situation: Situation | None = None
        self._plan: Plan | None = None
        self._pull = 0.0

    def reset(self, world: World) -> None:
        self._situation = Situation(world)
        self._planner = Planner(self._situation)
        self._curvature: NDArray[np.float64] = self._situation.line[:, LCURVATURE]
        self._start_s = self._situation.start_s
        self._plan = None
        self._pull = 0.0

    def act(self, frame: Frame) -> NDArray[np.float32]:
        acceleration = self.acceleration(frame)
        self._feel(frame)
        wish, v = self.steering(frame, self._aside(frame)), frame.speed_mps
        most = (TURN_CHANGE_MPS2 + TURN_FREER_MPS3 * frame.time_s) * self._gain(v) / max(v, TURN_FROM_MPS) ** 2
        now = frame.steering_angle_rad
        return from_physical(min(max(wish, now - most), now + most), acceleration)

    def _feel(self, frame: Frame) -> None:
        """Learn how much more than an average car this one turns to the left (1/m) at the measured steering angle."""
        v = frame.speed_mps
        if v > FEEL_FROM_MPS:
            average = math.tan(frame.steering_angle_rad) / self._gain(v)
            off = min(max(frame.yaw_rate_radps / v - average, -FEEL_MOST_1PM), FEEL_MOST_1PM)
            self._pull += FEEL_SHARE * (off - self._pull)

    def _gain(self, v: float) -> float:
        """Tangent of the steering angle per curvature (m), of an average car."""
        return self.config.wheelbase_m * (1.0 + self.config.understeer_s2pm2 * v * v)

    def _curvature_at(self, s: float) -> float:
        index = min(max(round(s / LINE_STEP_M), 0), len(self._curvature) - 1)
        return float(self._curvature[index])

    def _preview(self, v: float) -> float:
        return max(self.config.preview_min_m, self.config.preview_s * v)

    def steering(self, frame: Frame, lateral_target_m: float = 0.0) -> float:
        """Steering angle (rad) that brings the car to `lateral_target_m` left of the lane centre."""
        c, truth, v = self.config, frame.truth, frame.speed_mps
        s = self._start_s + truth.progress_m + v * c.delay_s
        lateral = truth.lateral_error_m - lateral_target_m + v * c.delay_s * math.sin(truth.heading_error_rad)
        aim = math.sin(truth.heading_error_rad)
        preview = self._calm(v, lateral, aim)
        # Pure pursuit of the error: the arc that cancels it `preview` metres ahead, on top of the road's own.
        correction = -2.0 * (lateral + preview * aim) / preview**2
        return math.atan(self._gain(v) * (self._curvature_at(s) + correction - self._pull))

    def _calm(self, v: float, lateral_m: float, aim: float) -> float:
        """Metres ahead to cancel an error at: more for a large one, for the wheels turn only so fast."""
        usual = preview = self._preview(v)
        while preview < PREVIEW_GROWS * usual:
            turn = self.config.wheelbase_m * 2.0 * abs(lateral_m + preview * aim) / preview**2
            if turn <= STEER_RATE_MAX_RADPS * preview / (math.sqrt(2.0) * max(v, 1.0)):
                break
            preview *= 1.1
        return preview

    def _aside(self, frame: Frame) -> float:
        """Offset to steer for: that of the plan at the point looked at."""
        if self._plan is None:
            return 0.0
        ahead = frame.speed_mps * self.config.delay_s + self._preview(frame.speed_mps)
        row = min(round(ahead / LINE_STEP_M), len(self._plan.ahead) - 1)
        return float(self._plan.ahead[row, AHEAD_OFFSET])

    def acceleration(self, frame: Frame) -> float:
        """Acceleration (m/s²) of the first way of driving on that meets nobody."""
        assert self._situation is not None, "reset first"
        c, sight = self.config, self._situation.look(frame)
        grip = min(1.0, self._situation.friction)
        law = np.array(
            [
                c.speed_gain_1ps,
                c.accel_mps2,
                c.brake_mps2,
                min(BRAKE_MAX_MPS2, 0.85 * grip * GRAVITY_MPS2),
                c.headway_s * (2.0 - grip),
                c.standstill_m,
                c.speed_share,
            ]
        )
        lateral = min(c.lateral_accel_mps2, 0.45 * grip * GRAVITY_MPS2)
        plan = self._planner.plan(sight, law, lateral)
        self._plan = plan
        start = float(samples(sight.s, 1)[0])
        wish = wanted(
            sight.s, sight.v, 0, start, plan.ahead, sight.cast, sight.roles, law, plan.share, plan.accel, plan.stop_s
        )
        wish = max(min(wish, plan.most), -BRAKE_MAX_MPS2)
        if wish > -EMERGENCY_MPS2:
            now = min(max(frame.acceleration_mps2, -c.brake_mps2), c.accel_mps2)  # what a full brake left is let go
            change = c.change_mps2 if wish > -c.urgent_mps2 else 2.0 * c.change_mps2
            wish = min(max(wish, now - change), now + c.change_mps2)
        return wish
