"""How collected drives go beyond good driving: noise, bursts and carelessness on top of the expert.

A world model has to know what braking fully, steering hard, following too closely and leaving the lane lead to,
although a good driver does none of it. Every episode has one mood, which starts manoeuvres at its rate; in between, the
expert drives.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Protocol

import numpy as np

from wm_sim.action import ACCEL_MAX_MPS2, BRAKE_MAX_MPS2, STEER_MAX_RAD
from wm_sim.observation import STEP_S

if TYPE_CHECKING:
    from wm_sim.drivers.expert import ExpertConfig
    from wm_sim.world import Frame, World

WHEELBASE_M = 2.75  # of an average car: scales steering noise to lateral acceleration
TURN_SPEED_MPS = 12.0  # below it steering noise keeps its yaw rate instead of its lateral acceleration
NO_LEAD_M = 59.0


class Mood(Enum):
    """What an episode is like."""

    CLEAN = "clean"  # the expert alone
    NOISY = "noisy"  # the expert under smooth noise
    BURSTS = "bursts"  # short wrong actions, then recovery
    CARELESS = "careless"  # ignores what is ahead, speeds, drifts: near crashes, crashes, leaving the road


class Manoeuvre(Enum):
    """What replaces or disturbs the expert for a while."""

    FULL_BRAKE = "full_brake"
    HOLD_PEDAL = "hold_pedal"  # one acceleration, drawn once
    FULL_THROTTLE = "full_throttle"
    STEER_OFFSET = "steer_offset"  # up to a few m/s^2 of lateral acceleration
    STEER_STEP = "steer_step"  # any steering angle at all
    FREEZE = "freeze"  # the last action goes on
    PRESS_ON = "press_on"  # whatever is ahead: a car, a red light, somebody who crosses
    LATE_BRAKE = "late_brake"  # ignores the lead until only hard braking helps
    OVERSPEED = "overspeed"
    DRIFT = "drift"  # a small steering error that goes on


@dataclass(frozen=True)
class Smooth:
    """An Ornstein-Uhlenbeck process on both channels."""

    lateral_mps2: float  # sigma of the lateral acceleration that the steering noise causes
    accel: float  # sigma, action units
    tau_s: float  # correlation time


@dataclass(frozen=True)
class Plan:
    """A manoeuvre of a mood: how likely it is chosen, how long it lasts, how strong it is."""

    weight: float
    duration_s: tuple[float, float]
    strength: tuple[float, float] = (0.0, 0.0)  # meaning depends on the manoeuvre, see `Explorer._apply`


@dataclass(frozen=True)
class Away:
    """Turns of driving without looking: interventions, from which causes can be told."""

    away_s: tuple[float, float] = (0.8, 2.0)
    careless_s: tuple[float, float] = (1.0, 2.5)  # long enough to crash
    looking_s: tuple[float, float] = (0.8, 2.0)
    turn_back: float = 0.7  # of the way to the lane's edge: about to be there, the careful look again
    turn_back_s: float = 0.9  # how far ahead that is judged
    noise: tuple[Smooth, ...] = (Smooth(0.4, 0.1, 0.5), Smooth(0.7, 0.25, 0.5), Smooth(1.2, 0.5, 0.4))
    any_pedal: float = 0.4  # of the turns that begin at a pedal drawn at random
    full_brake: float = 0.08  # of the turns that brake fully
    impatient: float = 0.5  # of the turns that begin nearly standing: set off, whatever waits
    standing_mps: float = 2.0


STYLE = {  # of ExpertConfig
    "headway_s": (0.7, 2.2),
    "standstill_m": (2.5, 6.0),
    "speed_share": (0.7, 1.05),
    "accel_mps2": (1.0, 2.6),
    "brake_mps2": (2.0, 3.5),
    "preview_s": (0.8, 1.2),
    "preview_min_m": (5.5, 8.0),  # a shorter look ahead swings from side to side once the car is far off the centre
}


@dataclass(frozen=True)
class ExplorationConfig:
    """Shares of the moods, and what happens in them."""

    share: dict[Mood, float] = field(
        default_factory=lambda: {Mood.CLEAN: 0.05, Mood.NOISY: 0.55, Mood.BURSTS: 0.22, Mood.CARELESS: 0.18}
    )
    noise: tuple[Smooth, ...] = (Smooth(0.2, 0.06, 0.4), Smooth(0.4, 0.12, 0.4), Smooth(0.7, 0.25, 0.5))
    steer_cap: float = 0.15  # most steering noise near standstill, sigma, action units
    rate_hz: dict[Mood, float] = field(default_factory=lambda: {Mood.NOISY: 0.1, Mood.BURSTS: 0.3, Mood.CARELESS: 0.2})
    away: Away = field(default_factory=Away)
    wander_share: float = 0.3  # of the way to the lane's edge: how far from the centre drivers but the clean one steer
    wander_s: tuple[float, float] = (0.6, 2.2)  # how long they keep to a place in the lane
    style: dict[str, tuple[float, float]] = field(default_factory=lambda: dict(STYLE))  # ranges, one draw an episode
    plans: dict[Mood, dict[Manoeuvre, Plan]] = field(default_factory=lambda: {m: dict(p) for m, p in PLANS.items()})


PLANS: dict[Mood, dict[Manoeuvre, Plan]] = {
    Mood.CLEAN: {},
    Mood.NOISY: {
        Manoeuvre.FULL_BRAKE: Plan(1.0, (0.3, 2.0)),
        Manoeuvre.STEER_OFFSET: Plan(2.0, (0.3, 0.9), (0.4, 2.0)),
        Manoeuvre.HOLD_PEDAL: Plan(3.0, (0.3, 2.0), (-0.8, 1.0)),
    },
    Mood.BURSTS: {
        Manoeuvre.FULL_BRAKE: Plan(2.0, (0.3, 3.0)),
        Manoeuvre.HOLD_PEDAL: Plan(2.0, (0.3, 2.0), (-0.8, 1.0)),
        Manoeuvre.FULL_THROTTLE: Plan(1.0, (0.4, 1.6)),
        Manoeuvre.STEER_OFFSET: Plan(4.0, (0.3, 0.9), (0.4, 2.5)),
        Manoeuvre.STEER_STEP: Plan(1.0, (0.2, 0.6), (0.1, 1.0)),
        Manoeuvre.FREEZE: Plan(1.0, (0.3, 1.2)),
    },
    Mood.CARELESS: {
        Manoeuvre.PRESS_ON: Plan(2.0, (1.5, 4.0), (0.9, 1.3)),
        Manoeuvre.LATE_BRAKE: Plan(3.5, (2.0, 8.0), (1.5, 5.5)),
        Manoeuvre.OVERSPEED: Plan(1.2, (2.0, 6.0), (1.15, 1.7)),
        Manoeuvre.DRIFT: Plan(1.2, (1.0, 5.0), (0.2, 1.0)),
        Manoeuvre.STEER_OFFSET: Plan(0.8, (0.6, 2.0), (1.5, 4.0)),
        Manoeuvre.FULL_BRAKE: Plan(0.7, (0.5, 3.0)),
        Manoeuvre.FULL_THROTTLE: Plan(0.6, (1.0, 3.0)),
        Manoeuvre.FREEZE: Plan(0.5, (0.8, 2.5)),
    },
}


class Expert(Protocol):
    """What is disturbed: wm_sim's expert driver."""

    config: ExpertConfig

    def reset(self, world: World) -> None:
        """Begin an episode."""

    def act(self, frame: Frame) -> np.ndarray:
        """Action for a frame, float32[2]."""

    def steering(self, frame: Frame, lateral_target_m: float = 0.0) -> float:
        """Steering angle (rad) that leads to a place in the lane, m left of its centre."""


class Explorer:
    """Disturbs an expert according to the mood of the episode. Same generator, same drive."""

    def __init__(self, expert: Expert, config: ExplorationConfig = ExplorationConfig()):
        self.expert = expert
        self.config = config
        self.mood = Mood.CLEAN
        self._nominal = expert.config

    def reset(self, world: World, rng: np.random.Generator) -> None:
        """Begin an episode: draw its mood."""
        self.expert.reset(world)
        self._rng = rng
        moods = list(self.config.share)
        self.mood = moods[rng.choice(len(moods), p=np.array([self.config.share[m] for m in moods]))]
        self._smooth = self.config.noise[rng.integers(len(self.config.noise))]
        self._unit = rng.standard_normal(2)  # the smooth noise, unit variance
        self._last = np.zeros(2, np.float32)
        self._manoeuvre: Manoeuvre | None = None
        self._left_s = self._strength = self._sign = 0.0
        self._wander_left_s = self._wander = 0.0
        self.taught: list[bool] = []  # of the actions so far: chosen with the expert's knowledge
        self._is_away, self._sets_off, self._turn_left_s = True, False, 0.0
        self._held = self._lately = self._away_unit = np.zeros(2)
        self._away_noise = self.config.away.noise[0]
        if self.mood is not Mood.CLEAN:
            styles = {name: rng.uniform(*bounds) for name, bounds in self.config.style.items()}
            self.expert.config = replace(self._nominal, **styles)
        else:
            self.expert.config = self._nominal

    def act(self, frame: Frame) -> np.ndarray:
        """Action for a frame, float32[2] in [-1, 1]; `taught` then tells whether the expert had a say in it."""
        action = np.array(self.expert.act(frame), dtype=np.float32)
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
        looks_away = self.mood is not Mood.CLEAN and self._look_away(frame, action)
        self.taught.append(not looks_away)
        self._last = np.clip(action, -1.0, 1.0)
        self._lately = 0.7 * self._lately + 0.3 * self._last
        return self._last

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
        self._wander_left_s -= STEP_S
        if self._wander_left_s <= 0.0:
            self._wander_left_s = self._rng.uniform(*self.config.wander_s)
            self._wander = self._rng.uniform(-1.0, 1.0) * self.config.wander_share
        target_m = self._wander * 0.5 * frame.truth.lane_width_m
        action[0] += (self.expert.steering(frame, target_m) - self.expert.steering(frame)) / STEER_MAX_RAD

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
        """Change the expert's action in place."""
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
