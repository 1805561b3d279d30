"""Closed-loop score of nuPlan, 0 to 100: a product of four conditions and a weighted mean of four measures.

After nuplan-devkit's metrics and its closed-loop weights. Progress is measured against the route, which the expert
drives to its end, because an episode lasts as long as its route and not a fixed time. Where something stands in the
ego's lane, passing it through the oncoming lane is not driving against the traffic. A drive that the world ended as off
the road has left the drivable area, whatever its corners say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from wm_sim.scoring.sample import Sample

WEIGHTS = {"progress": 5.0, "ttc": 5.0, "speed_limit": 4.0, "comfort": 2.0}
MIN_PROGRESS = 0.2
PROGRESS_NOISE_M = 2.0  # progress below this counts as this much, so that a route of no length divides nothing by zero
OUT_TOLERANCE_M = 0.3
TTC_MIN_S = 0.95
WRONG_WAY_OK_M, WRONG_WAY_MAX_M, WRONG_WAY_S = 2.0, 6.0, 1.0
OVERSPEED_MPS = 2.23
OF_BODY = {"car": 0.0, "pedestrian": 0.0, "cyclist": 0.0, "barrier": 0.5}  # one thing may be touched for half the score


@dataclass(frozen=True)
class NuplanScore:
    """The eight parts, each in [0, 1]."""

    no_at_fault_collision: float
    drivable_area: float
    making_progress: float
    direction: float
    progress: float
    ttc: float
    speed_limit: float
    comfort: float

    @property
    def total(self) -> float:
        """The score, 0 to 100."""
        parts = asdict(self)
        mean = sum(weight * parts[name] for name, weight in WEIGHTS.items()) / sum(WEIGHTS.values())
        gate = self.no_at_fault_collision * self.drivable_area * self.making_progress * self.direction
        return float(100.0 * gate * mean)


def nuplan_score(samples: Sequence[Sample], comfortable: bool) -> NuplanScore:
    """The parts of a drive; `comfortable`: all six bounds held all the time."""
    progress = progress_share(samples)
    return NuplanScore(
        no_at_fault_collision=collision_score(samples),
        drivable_area=float(all(s.around.corner_out_m < OUT_TOLERANCE_M and not s.off_road for s in samples)),
        making_progress=float(progress >= MIN_PROGRESS),
        direction=direction_score(samples),
        progress=progress,
        ttc=float(min_ttc(samples) > TTC_MIN_S),
        speed_limit=speed_limit_score(samples),
        comfort=float(comfortable),
    )


def collision_score(samples: Sequence[Sample]) -> float:
    """1 without a collision at fault; 0 after one with a vehicle, cyclist or pedestrian, 0.5 after one with a thing."""
    score = 1.0
    for sample in samples:
        if sample.contact is not None and sample.contact.at_fault:
            score *= OF_BODY[sample.contact.body]
    return score


def progress_share(samples: Sequence[Sample]) -> float:
    """Way along the route as a share of its length, at most 1; 0 after more than 2 m backwards."""
    last = samples[-1]
    if last.route_done:
        return 1.0
    if last.progress_m < -PROGRESS_NOISE_M:
        return 0.0
    return min(1.0, max(last.progress_m, PROGRESS_NOISE_M) / max(last.route_length_m, PROGRESS_NOISE_M))


def wrong_way_m(samples: Sequence[Sample]) -> float:
    """Most metres driven against the lane's direction within one second."""
    along = [0.0]
    for before, now in pairwise(samples):
        step = now.progress_m - before.progress_m
        along.append(-step if now.around.oncoming else step)
    window = max(1, round(WRONG_WAY_S / max(samples[-1].time_s - samples[0].time_s, 1e-9) * (len(samples) - 1)))
    within = [sum(along[max(0, i - window) : i + 1]) for i in range(len(along))]
    return max(0.0, round(-min(within), 9))  # sums of metres, free of their last bits


def direction_score(samples: Sequence[Sample]) -> float:
    """1 up to 2 m against the traffic within a second, 0.5 up to 6 m, then 0."""
    wrong = wrong_way_m(samples)
    return 1.0 if wrong <= WRONG_WAY_OK_M else 0.5 if wrong <= WRONG_WAY_MAX_M else 0.0


def min_ttc(samples: Sequence[Sample]) -> float:
    """Smallest time to collision in s with everybody keeping speed; 0 in a collision at fault, inf from 3 s up."""
    return min(0.0 if s.contact is not None and s.contact.at_fault else s.around.ttc_s for s in samples)


def speed_limit_score(samples: Sequence[Sample]) -> float:
    """1 less the mean speed above the limit, in units of 2.23 m/s."""
    duration = samples[-1].time_s - samples[0].time_s
    if duration <= 0.0:
        return 1.0
    step = duration / (len(samples) - 1)
    over = sum(max(0.0, s.speed_mps - s.limit_mps) for s in samples)
    return max(0.0, 1.0 - over * step / (OVERSPEED_MPS * duration))
