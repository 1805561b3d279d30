"""What a drive is worth: one score an episode, and the mean of many with its interval.

Definitions and their sources:

* driving score after CARLA leaderboard 2.1: route completion x (1 - share of the way off lane) / (1 + sum of c),
  c = 0.7 for a collision with a vehicle. Its red-light, stop-sign, yield and minimum-speed terms need things that
  these worlds do not hold, so they are absent, not zero-weighted.
* success: the route completed without a collision and without leaving the road.
* at fault after nuPlan's collision classes: hitting a standing vehicle, hitting one ahead, or hitting one sideways.
  Being hit from behind or while standing is not.
* comfort: nuPlan's six bounds on Savitzky-Golay smoothed signals; the share of 2 s segments inside all of them, as
  Bench2Drive counts smoothness.
* intervals: Wilson 1927 score interval, which stays inside [0, 1] at success rates near 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wm_sim.comfort import ComfortBounds, comfort_share

if TYPE_CHECKING:
    from wm_sim.world import Frame

COLLISION_PENALTY = 0.7  # c of leaderboard 2.1 for a vehicle
STANDING_MPS = 0.05  # nuPlan's bound for "stopped"
FRONT_CONTACT_M = 1.0  # a contact with the gap ahead below this was with the vehicle ahead
NOT_AT_FAULT = frozenset({"none", "stopped_ego", "active_rear"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One model step of a drive as the score sees it; from a simulator frame or from recorded messages."""

    time_s: float
    speed_mps: float
    acceleration_mps2: float
    yaw_rate_radps: float
    lateral_error_m: float  # left of the lane centre positive
    lane_width_m: float
    gap_ahead_m: float  # bumper to bumper, 60 where none
    closing_speed_mps: float  # ego minus lead, 0 where none
    progress_m: float
    route_length_m: float
    reward: float
    collided: bool = False
    off_road: bool = False
    route_done: bool = False
    timeout: bool = False
    hit_from: str = ""  # "rear" or "side" where the simulator knows it, else empty


@dataclass(frozen=True)
class EpisodeScore:
    """One drive, judged. Shares are in [0, 1], the driving score in [0, 100]."""

    driving_score: float
    route_completion: float
    success: bool
    collision: bool
    at_fault: bool
    collision_class: str  # none, stopped_ego, stopped_track, active_front, active_rear, active_lateral
    off_road: bool
    end: str  # route_done, collision, off_road, timeout, unfinished
    off_lane_share: float
    comfort: float
    min_ttc_s: float | None  # None: never closed in on a vehicle
    lateral_error_m: float  # mean of the absolute value
    speed_mps: float  # mean
    km: float
    duration_s: float
    steps: int
    total_reward: float


def sample_of(frame: Frame) -> Sample:
    """What the score needs of a simulator frame."""
    truth = frame.truth
    kinds = {event.type for event in frame.events}
    details = " ".join(event.detail for event in frame.events if event.type == "collision").lower()
    return Sample(
        time_s=float(frame.time_s),
        speed_mps=float(frame.speed_mps),
        acceleration_mps2=float(frame.acceleration_mps2),
        yaw_rate_radps=float(frame.yaw_rate_radps),
        lateral_error_m=float(truth.lateral_error_m),
        lane_width_m=float(truth.lane_width_m),
        gap_ahead_m=float(truth.gap_ahead_m),
        closing_speed_mps=float(truth.closing_speed_mps),
        progress_m=float(truth.progress_m),
        route_length_m=float(truth.route_length_m),
        reward=float(truth.reward),
        collided=bool(truth.collided),
        off_road=bool(truth.off_road),
        route_done="route_done" in kinds,
        timeout="timeout" in kinds,
        hit_from=next((where for where in ("rear", "side") if where in details), ""),
    )


class Scorer:
    """Collects the samples of one drive, the reset's first, and judges them."""

    def __init__(self, bounds: ComfortBounds | None = None) -> None:
        self._bounds = bounds or ComfortBounds()
        self._samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        self._samples.append(sample)

    def add_frame(self, frame: Frame) -> None:
        self.add(sample_of(frame))

    def result(self) -> EpisodeScore:
        return score_episode(self._samples, self._bounds)


def score_episode(samples: Sequence[Sample], bounds: ComfortBounds | None = None) -> EpisodeScore:
    """Judge one drive; the first sample is the state after the reset and earns nothing."""
    if not samples:
        raise ValueError("a drive without a single sample has no score: add the frame that reset returned first")
    last = samples[-1]
    time, speed = _column(samples, "time_s"), _column(samples, "speed_mps")
    step_m = 0.5 * (speed[1:] + speed[:-1]) * np.diff(time)  # [T-1]
    driven_m = float(step_m.sum())
    lateral = np.abs(_column(samples, "lateral_error_m"))
    outside = lateral > 0.5 * _column(samples, "lane_width_m")
    off_lane = float(step_m[outside[1:]].sum() / driven_m) if driven_m > 0.0 else 0.0

    collided = any(s.collided for s in samples)
    off_road = any(s.off_road for s in samples)
    completion = min(max(max(s.progress_m for s in samples) / max(last.route_length_m, 1e-9), 0.0), 1.0)
    if last.route_done:
        completion = 1.0
    kind = _collision_class(next(s for s in samples if s.collided)) if collided else "none"
    return EpisodeScore(
        driving_score=100.0 * completion * (1.0 - off_lane) / (1.0 + (COLLISION_PENALTY if collided else 0.0)),
        route_completion=completion,
        success=last.route_done and not collided and not off_road,
        collision=collided,
        at_fault=kind not in NOT_AT_FAULT,
        collision_class=kind,
        off_road=off_road,
        end=_end(last, collided, off_road),
        off_lane_share=off_lane,
        comfort=comfort_share(
            speed, _column(samples, "acceleration_mps2"), _column(samples, "yaw_rate_radps"), time, bounds
        ),
        min_ttc_s=min_ttc(samples),
        lateral_error_m=float(lateral.mean()),
        speed_mps=float(speed.mean()),
        km=driven_m / 1000.0,
        duration_s=float(time[-1] - time[0]),
        steps=len(samples) - 1,
        total_reward=float(sum(s.reward for s in samples[1:])),
    )


def _end(last: Sample, collided: bool, off_road: bool) -> str:
    if collided:
        return "collision"
    if off_road:
        return "off_road"
    if last.route_done:
        return "route_done"
    return "timeout" if last.timeout else "unfinished"


def _collision_class(contact: Sample) -> str:
    """nuPlan's class of a contact, in its order: standing ego, standing other, from behind, ahead, sideways."""
    if contact.speed_mps <= STANDING_MPS:
        return "stopped_ego"
    if contact.hit_from == "rear":
        return "active_rear"
    if contact.hit_from != "side" and contact.gap_ahead_m < FRONT_CONTACT_M:
        other_mps = contact.speed_mps - contact.closing_speed_mps
        return "stopped_track" if other_mps <= STANDING_MPS else "active_front"
    return "active_lateral"


def min_ttc(samples: Iterable[Sample]) -> float | None:
    """Smallest time to collision with the vehicle ahead in s, both keeping their speed; None if it never closed."""
    times = [max(s.gap_ahead_m, 0.0) / s.closing_speed_mps for s in samples if s.closing_speed_mps > 1e-3]
    return min(times) if times else None


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson score interval of a share; (0, 1) without a trial."""
    if trials == 0:
        return 0.0, 1.0
    share = successes / trials
    centre = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max((centre - spread) / scale, 0.0), min((centre + spread) / scale, 1.0)


def summarise(scores: Sequence[EpisodeScore]) -> dict[str, Any]:
    """The figures of many drives: means, counts and the smallest time to collision."""
    count = len(scores)
    wins = sum(s.success for s in scores)
    returns = np.array([s.total_reward for s in scores], dtype=np.float64)
    ttcs = [s.min_ttc_s for s in scores if s.min_ttc_s is not None]
    return {
        "episodes": count,
        "km": sum(s.km for s in scores),
        "driving_score": _mean([s.driving_score for s in scores]),
        "route_completion": _mean([s.route_completion for s in scores]),
        "success_rate": wins / count if count else 0.0,
        "success_ci95": list(wilson(wins, count)),
        "at_fault_collisions": sum(s.at_fault for s in scores),
        "collisions": sum(s.collision for s in scores),
        "off_road": sum(s.off_road for s in scores),
        "comfort": _mean([s.comfort for s in scores]),
        "min_ttc_s": min(ttcs) if ttcs else None,
        "return_mean": float(returns.mean()) if count else 0.0,
        "return_sem": float(returns.std(ddof=1) / math.sqrt(count)) if count > 1 else 0.0,
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _column(samples: Sequence[Sample], name: str) -> NDArray[np.float64]:
    return np.array([getattr(s, name) for s in samples], dtype=np.float64)
