"""Responsibility-sensitive safety: the gap that a follower has to keep, and how often it did not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wm_sim.scoring.sample import STANDING_MPS, Sample

NO_LEAD_M = 60.0  # gap_ahead_m where nothing is ahead


@dataclass(frozen=True, slots=True)
class RssParameters:
    """What a follower may do in its response time, and how hard both may brake after it."""

    response_s: float
    accel_mps2: float
    brake_min_mps2: float  # the follower brakes at least so hard
    brake_max_mps2: float  # the one ahead at most so hard


TUNED = RssParameters(0.2, 1.5, 6.0, 8.0)  # violated by 1-4 % of human following on NGSIM; the safety gate uses it
DEFAULT = RssParameters(1.0, 3.5, 4.0, 8.0)  # of ad-rss-lib; violated by 78-87 % of human following on NGSIM


def safe_gap(speed_mps: float, lead_mps: float, rule: RssParameters) -> float:
    """Gap in m behind a vehicle at `lead_mps` (Shalev-Shwartz et al. 2017, definition 1), at least 0.

    d = v rho + a rho^2 / 2 + (v + rho a)^2 / (2 b_min) - v_lead^2 / (2 b_max)
    """
    after = speed_mps + rule.response_s * rule.accel_mps2
    respond = speed_mps * rule.response_s + 0.5 * rule.accel_mps2 * rule.response_s**2
    follower, lead = after**2 / (2.0 * rule.brake_min_mps2), max(lead_mps, 0.0) ** 2 / (2.0 * rule.brake_max_mps2)
    return max(respond + follower - lead, 0.0)


def violations(samples: Iterable[Sample], rule: RssParameters) -> tuple[int, int]:
    """Samples with less than the safe gap, and samples that followed at all: moving, something within 60 m ahead."""
    following = [s for s in samples if s.gap_ahead_m < NO_LEAD_M and s.speed_mps > STANDING_MPS]
    short = sum(s.gap_ahead_m < safe_gap(s.speed_mps, s.speed_mps - s.closing_speed_mps, rule) for s in following)
    return short, len(following)
