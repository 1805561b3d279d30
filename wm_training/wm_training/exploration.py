"""How collected drives go beyond good driving: noise, bursts and carelessness on top of a driver.

A world model has to know what braking fully, steering hard, following too closely and leaving the lane lead to,
although a good driver does none of it. Every episode has one mood, which starts manoeuvres at its rate; in between, the
driver drives: the expert, whose style is drawn for the episode as well, or any other.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from wm_sim.action import ACCEL_MAX_MPS2, BRAKE_MAX_MPS2, STEER_MAX_RAD
from wm_sim.observation import STEP_S
from wm_training.moods import ExplorationConfig, Manoeuvre, Mood

if TYPE_CHECKING:
    from wm_sim.world import Frame

WHEELBASE_M = 2.75  # of an average car: scales steering noise to lateral acceleration
TURN_SPEED_MPS = 12.0  # below it steering noise keeps its yaw rate instead of its lateral acceleration
NO_LEAD_M = 59.0


class Driver(Protocol):
    """What is disturbed."""

    def reset(self, world: Any) -> None:
        """Begin an episode."""

    def act(self, frame: Frame) -> np.ndarray:
        """Action for a frame, float32[2]."""


@runtime_checkable
class Styled(Protocol):
    """A driver that has a style and can steer for a place beside the lane's centre: a simulator's expert."""

    config: Any  # a frozen dataclass with the fields of moods.STYLE, as ExpertConfig

    def steering(self, frame: Frame, lateral_target_m: float = 0.0) -> float:
        """Steering angle (rad) that leads to a place in the lane, m left of its centre."""


class Explorer:
    """Disturbs a driver according to the mood of the episode. Same generator, same drive.

    sees_truth: the driver knows more than the sensors. Then its actions are `taught`, and it looks away by turns. One
    that sees the sensors alone teaches nothing: whatever it does is an intervention.
    """

    def __init__(self, driver: Driver, config: ExplorationConfig | None = None, sees_truth: bool = True) -> None:
        self.driver = driver
        self.config = config or ExplorationConfig()
        self.sees_truth = sees_truth
        self.mood = Mood.CLEAN
        self._styled = driver if isinstance(driver, Styled) else None
        self._nominal = self._styled.config if self._styled else None

    def reset(self, world: Any, rng: np.random.Generator) -> None:
        """Begin an episode: draw its mood."""
        self.driver.reset(world)
        self._rng = rng
        moods = list(self.config.share)
        self.mood = moods[rng.choice(len(moods), p=np.array([self.config.share[m] for m in moods]))]
        self._smooth = self.config.noise[rng.integers(len(self.config.noise))]
        self._unit = rng.standard_normal(2)  # the smooth noise, unit variance
        self._last = np.zeros(2, np.float32)
        self._manoeuvre: Manoeuvre | None = None
        self._left_s = self._strength = self._sign = 0.0
        self._wander_left_s = self._wander = 0.0
        self.taught: list[bool] = []  # of the actions so far: chosen with knowledge beyond the sensors
        self._is_away, self._sets_off, self._turn_left_s = True, False, 0.0
        self._held = self._lately = self._away_unit = np.zeros(2)
        self._away_noise = self.config.away.noise[0]
        self._choose_style()

    def act(self, frame: Frame) -> np.ndarray:
        """Action for a frame, float32[2] in [-1, 1]; `taught` then tells whether more than the sensors spoke in it."""
        action = np.array(self.driver.act(frame), dtype=np.float32)
        if self.mood in (Mood.NOISY, Mood.CARELESS):
            self._add_noise(frame, action)
        if self.mood is not Mood.CLEAN:
            self._weave(frame, action)
            self._choose(frame)
        if self._manoeuvre is not None:
            self._apply(self._manoeuvre, frame, action)
            self._left_s -= STEP_S
            if self._left_s <= 0.0:
                self._manoeuvre = None
        looks_away = self.sees_truth and self.mood is not Mood.CLEAN and self._look_away(frame, action)
        self.taught.append(self.sees_truth and not looks_away)
        self._last = np.clip(action, -1.0, 1.0)
        self._lately = 0.7 * self._lately + 0.3 * self._last
        return self._last

    def _choose_style(self) -> None:
        """An expert drives every episode but a clean one in a style of its own."""
        if self._styled is None or self._nominal is None:
            return
        self._styled.config = self._nominal
        if self.mood is not Mood.CLEAN:
            styles = {name: self._rng.uniform(*bounds) for name, bounds in self.config.style.items()}
            self._styled.config = replace(self._nominal, **styles)

    def _look_away(self, frame: Frame, action: np.ndarray) -> bool:
        """For a second or two, by turns, go on from the last action under noise alone; changes the action in place.

        These actions owe nothing to what only the expert sees, so what follows them is their effect.
        """
        away = self.config.away
        self._turn_left_s -= STEP_S
        straying = abs(_lateral_soon_m(frame, away.turn_back_s)) > away.turn_back * 0.5 * frame.truth.lane_width_m
        if self._is_away and straying and self.mood is not Mood.CARELESS:
            self._turn_left_s = 0.0
        if self._turn_left_s <= 0.0:
            self._is_away = not self._is_away
            self._begin_away(frame)
            span = away.careless_s if self.mood is Mood.CARELESS or self._sets_off else away.away_s
            self._turn_left_s = self._rng.uniform(*(span if self._is_away else away.looking_s))
        if not self._is_away:
            return False
        smooth = self._away_noise
        keep = math.exp(-STEP_S / smooth.tau_s)
        self._away_unit = keep * self._away_unit + math.sqrt(1.0 - keep * keep) * self._rng.standard_normal(2)
        steer_sigma = min(_steer_for(smooth.lateral_mps2, frame.speed_mps), self.config.steer_cap)
        action[:] = self._held + self._away_unit * np.array([steer_sigma, smooth.accel])
        return True

    def _begin_away(self, frame: Frame) -> None:
        away, rng = self.config.away, self._rng
        self._held = self._lately.copy()
        self._away_unit = np.zeros(2)
        self._away_noise = away.noise[rng.integers(len(away.noise))]
        self._sets_off = frame.speed_mps < away.standing_mps and rng.random() < away.impatient
        pedal = rng.random()
        if self._sets_off:
            self._held[1] = rng.uniform(0.3, 1.0)
        elif pedal < away.full_brake:
            self._held[1] = -1.0
        elif pedal < away.full_brake + away.any_pedal:
            self._held[1] = rng.uniform(-1.0, 1.0)

    def _add_noise(self, frame: Frame, action: np.ndarray) -> None:
        smooth = self._smooth if self.mood is Mood.NOISY else self.config.noise[0]
        keep = math.exp(-STEP_S / smooth.tau_s)
        self._unit = keep * self._unit + math.sqrt(1.0 - keep * keep) * self._rng.standard_normal(2)
        action[0] += self._unit[0] * min(_steer_for(smooth.lateral_mps2, frame.speed_mps), self.config.steer_cap)
        action[1] += self._unit[1] * smooth.accel

    def _weave(self, frame: Frame, action: np.ndarray) -> None:
        """Steer for a place in the lane that is drawn anew every second or two.

        An expert that always steers for the centre gives away, by its steering, where the centre is; a model would
        then read actions as news of the road instead of as causes of motion.
        """
        if self._styled is None:
            return
        self._wander_left_s -= STEP_S
        if self._wander_left_s <= 0.0:
            self._wander_left_s = self._rng.uniform(*self.config.wander_s)
            self._wander = self._rng.uniform(-1.0, 1.0) * self.config.wander_share
        target_m = self._wander * 0.5 * frame.truth.lane_width_m
        action[0] += (self._styled.steering(frame, target_m) - self._styled.steering(frame)) / STEER_MAX_RAD

    def _choose(self, frame: Frame) -> None:
        """Perhaps begin a manoeuvre."""
        if self._manoeuvre is not None or self._rng.random() >= self.config.rate_hz[self.mood] * STEP_S:
            return
        plans = dict(self.config.plans[self.mood])
        if frame.truth.gap_ahead_m > NO_LEAD_M:
            plans.pop(Manoeuvre.LATE_BRAKE, None)
        names = list(plans)
        weights = np.array([plans[name].weight for name in names])
        self._manoeuvre = names[self._rng.choice(len(names), p=weights / weights.sum())]
        plan = plans[self._manoeuvre]
        self._left_s = self._rng.uniform(*plan.duration_s)
        self._strength = self._rng.uniform(*plan.strength)
        self._sign = 1.0 if self._rng.random() < 0.5 else -1.0

    def _apply(self, manoeuvre: Manoeuvre, frame: Frame, action: np.ndarray) -> None:
        """Change the driver's action in place."""
        if manoeuvre is Manoeuvre.FULL_BRAKE:
            action[1] = -1.0
        elif manoeuvre is Manoeuvre.FULL_THROTTLE:
            action[1] = 1.0
        elif manoeuvre is Manoeuvre.HOLD_PEDAL:
            action[1] = self._strength
        elif manoeuvre in (Manoeuvre.STEER_OFFSET, Manoeuvre.DRIFT):  # strength: m/s^2 across
            action[0] += self._sign * _steer_for(self._strength, frame.speed_mps)
        elif manoeuvre is Manoeuvre.STEER_STEP:  # strength: action units
            action[0] = self._sign * self._strength
        elif manoeuvre is Manoeuvre.FREEZE:
            action[:] = self._last
        elif manoeuvre in (Manoeuvre.PRESS_ON, Manoeuvre.OVERSPEED):  # strength: target over limit
            action[1] = _pedal_towards(self._strength * frame.speed_limit_mps, frame.speed_mps)
        elif manoeuvre is Manoeuvre.LATE_BRAKE:  # strength: m/s^2 of braking that wakes the driver
            action[1] = _pedal_towards(1.1 * frame.speed_limit_mps, frame.speed_mps)
            if _needed_braking(frame) > self._strength:
                self._manoeuvre, self._left_s = Manoeuvre.FULL_BRAKE, max(self._left_s, 2.0)
                action[1] = -1.0


def _steer_for(lateral_mps2: float, speed_mps: float) -> float:
    """Steering action that causes about this lateral acceleration; milder below TURN_SPEED_MPS."""
    speed = max(speed_mps, 1.0)
    curvature = lateral_mps2 / (speed * max(speed, TURN_SPEED_MPS))
    return min(curvature * WHEELBASE_M / STEER_MAX_RAD, 1.0)


def _pedal_towards(target_mps: float, speed_mps: float) -> float:
    """Acceleration action that brings the speed to the target within about a second."""
    wish = target_mps - speed_mps
    return wish / (ACCEL_MAX_MPS2 if wish > 0 else BRAKE_MAX_MPS2)


def _lateral_soon_m(frame: Frame, after_s: float) -> float:
    """Lateral error (m) some time ahead if the car keeps its yaw rate and the lane its curvature."""
    truth, way_m = frame.truth, frame.speed_mps * after_s
    bend_1pm = frame.yaw_rate_radps / max(frame.speed_mps, 1.0) - truth.curvature_1pm
    return truth.lateral_error_m + way_m * math.sin(truth.heading_error_rad) + 0.5 * bend_1pm * way_m * way_m


def _needed_braking(frame: Frame) -> float:
    """Deceleration (m/s^2) that just avoids the car ahead if that keeps its speed."""
    closing = max(frame.truth.closing_speed_mps, 0.0)
    return closing * closing / (2.0 * max(frame.truth.gap_ahead_m - 1.0, 0.3))
