"""One drive, judged: what was measured at each step becomes one score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wm_sim.errors import SimError
from wm_sim.scoring.carla import Infractions, driving_score, infractions_of
from wm_sim.scoring.comfort import ComfortBounds, bounds_kept, comfort_share
from wm_sim.scoring.contact import Contact, told_contact
from wm_sim.scoring.nuplan import NuplanScore, min_ttc, nuplan_score
from wm_sim.scoring.rss import DEFAULT, TUNED, violations
from wm_sim.scoring.sample import Sample, sample_of

if TYPE_CHECKING:
    from wm_sim.frame import Frame
    from wm_sim.world import World


@dataclass(frozen=True)
class EpisodeScore:
    """One drive, judged. Shares are in [0, 1], the two scores in [0, 100]."""

    driving_score: float
    nuplan_score: float
    route_completion: float
    success: bool  # route completed, no collision, road never left, no red light, in time
    collision: bool
    at_fault: bool
    collision_class: str  # none or one of contact.COLLISION_CLASSES
    hit: str  # body that was hit: car, pedestrian, cyclist, barrier or none
    off_road: bool
    red_lights: int
    timeout: bool
    end: str  # route_done, collision, off_road, timeout, unfinished
    off_lane_share: float
    comfort: float  # share of 2 s segments inside all six bounds
    comfort_bounds: dict[str, bool]  # which bound held all through
    min_ttc_s: float | None  # None: never below 3 s
    following: int  # samples behind something
    rss_short: int  # of these, with less than the safe gap by the tuned rule
    rss_short_default: int  # and by the default rule
    lateral_error_m: float  # mean of the absolute value
    speed_mps: float  # mean
    km: float
    duration_s: float
    steps: int
    total_reward: float
    infractions: Infractions
    nuplan: NuplanScore


class Scorer:
    """Collects the samples of one drive, the reset's first, and judges them."""

    def __init__(self, bounds: ComfortBounds | None = None) -> None:
        self._bounds = bounds or ComfortBounds()
        self._samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        self._samples.append(sample)

    def add_frame(self, frame: Frame, world: World | None = None) -> None:
        """Add a frame; `world` as it was when it gave the frame."""
        self.add(sample_of(frame, world))

    def result(self) -> EpisodeScore:
        return score_episode(self._samples, self._bounds)


def score_episode(samples: Sequence[Sample], bounds: ComfortBounds | None = None) -> EpisodeScore:
    """Judge one drive; the first sample is the state after the reset and earns nothing."""
    if not samples:
        raise SimError("a drive without a single sample has no score: add the frame that reset returned first.")
    samples = _with_contact(samples)
    last = samples[-1]
    time, speed = _column(samples, "time_s"), _column(samples, "speed_mps")
    driven_m = float((0.5 * (speed[1:] + speed[:-1]) * np.diff(time)).sum())
    motion = (speed, _column(samples, "acceleration_mps2"), _column(samples, "yaw_rate_radps"), time)
    kept = bounds_kept(*motion, bounds)
    infractions = infractions_of(samples)
    nuplan = nuplan_score(samples, all(kept.values()))
    contact = next((s.contact for s in samples if s.contact is not None), None)
    off_road = any(s.off_road for s in samples)
    completion = min(max(max(s.progress_m for s in samples) / max(last.route_length_m, 1e-9), 0.0), 1.0)
    if last.route_done:
        completion = 1.0
    least = min_ttc(samples)
    short, following = violations(samples, TUNED)
    return EpisodeScore(
        driving_score=driving_score(completion, infractions),
        nuplan_score=nuplan.total,
        route_completion=completion,
        success=last.route_done and not (contact or off_road or infractions.red_light or last.timeout),
        collision=contact is not None,
        at_fault=contact is not None and contact.at_fault,
        collision_class=contact.kind if contact else "none",
        hit=contact.body if contact else "none",
        off_road=off_road,
        red_lights=infractions.red_light,
        timeout=last.timeout,
        end=_end(last, contact, off_road),
        off_lane_share=infractions.off_lane,
        comfort=comfort_share(*motion, bounds),
        comfort_bounds=kept,
        min_ttc_s=least if np.isfinite(least) else None,
        following=following,
        rss_short=short,
        rss_short_default=violations(samples, DEFAULT)[0],
        lateral_error_m=float(np.abs(_column(samples, "lateral_error_m")).mean()),
        speed_mps=float(speed.mean()),
        km=driven_m / 1000.0,
        duration_s=float(time[-1] - time[0]),
        steps=len(samples) - 1,
        total_reward=float(sum(s.reward for s in samples[1:])),
        infractions=infractions,
        nuplan=nuplan,
    )


def _with_contact(samples: Sequence[Sample]) -> Sequence[Sample]:
    """The samples; a collision that only a label tells of gets the class that its frame suggests."""
    first = next((i for i, s in enumerate(samples) if s.collided), None)
    if first is None or any(s.contact is not None for s in samples):
        return samples
    s = samples[first]
    contact = told_contact("", s.speed_mps, s.gap_ahead_m, s.closing_speed_mps)
    return [*samples[:first], replace(s, contact=contact), *samples[first + 1 :]]


def _end(last: Sample, contact: Contact | None, off_road: bool) -> str:
    if contact is not None:
        return "collision"
    if off_road:
        return "off_road"
    if last.route_done:
        return "route_done"
    return "timeout" if last.timeout else "unfinished"


def _column(samples: Sequence[Sample], name: str) -> NDArray[np.float64]:
    return np.array([getattr(s, name) for s in samples], dtype=np.float64)
