"""What collected drives are like: moods, the manoeuvres that each may begin, and how often. Tables, no driving."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


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


def mild() -> ExplorationConfig:
    """For drivers that see no more than the sensors: mostly their own driving, and nothing decided by the truth.

    Braking late is timed by the true gap, and looking away is for drivers that see the truth; neither is needed here.
    """
    plans = {mood: dict(chosen) for mood, chosen in PLANS.items()}
    plans[Mood.CARELESS].pop(Manoeuvre.LATE_BRAKE)
    share = {Mood.CLEAN: 0.5, Mood.NOISY: 0.3, Mood.BURSTS: 0.15, Mood.CARELESS: 0.05}
    return ExplorationConfig(share=share, plans=plans)


def undisturbed() -> ExplorationConfig:
    """The driver alone."""
    return ExplorationConfig(share={Mood.CLEAN: 1.0})
