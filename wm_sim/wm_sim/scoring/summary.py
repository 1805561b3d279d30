"""The figures of many drives."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from wm_sim.scoring.comfort import BOUNDS
from wm_sim.scoring.contact import COLLISION_CLASSES
from wm_sim.scoring.episode import EpisodeScore
from wm_sim.scoring.intervals import wilson


def summarise(scores: Sequence[EpisodeScore]) -> dict[str, Any]:
    """Means, counts, shares with their Wilson intervals and the smallest time to collision; JSON-ready.

    rss_violations: share of all samples behind something that had less than the safe gap; None where nobody followed.
    """
    count = len(scores)
    wins, faults, off = (sum(getattr(s, name) for s in scores) for name in ("success", "at_fault", "off_road"))
    returns = np.array([s.total_reward for s in scores], dtype=np.float64)
    ttcs = [s.min_ttc_s for s in scores if s.min_ttc_s is not None]
    following = sum(s.following for s in scores)
    classes = Counter(s.collision_class for s in scores)
    return {
        "episodes": count,
        "km": sum(s.km for s in scores),
        "driving_score": _mean([s.driving_score for s in scores]),
        "nuplan_score": _mean([s.nuplan_score for s in scores]),
        "route_completion": _mean([s.route_completion for s in scores]),
        "success_rate": wins / count if count else 0.0,
        "success_ci95": list(wilson(wins, count)),
        "collisions": sum(s.collision for s in scores),
        "at_fault_collisions": faults,
        "at_fault_rate": faults / count if count else 0.0,
        "at_fault_ci95": list(wilson(faults, count)),
        "collision_classes": {name: classes[name] for name in COLLISION_CLASSES},
        "off_road": off,
        "off_road_rate": off / count if count else 0.0,
        "off_road_ci95": list(wilson(off, count)),
        "red_lights": sum(s.red_lights for s in scores),
        "timeouts": sum(s.timeout for s in scores),
        "off_lane_share": _mean([s.off_lane_share for s in scores]),
        "comfort": _mean([s.comfort for s in scores]),
        "comfort_bounds": {name: _mean([float(s.comfort_bounds[name]) for s in scores]) for name in BOUNDS},
        "nuplan": _means([asdict(s.nuplan) for s in scores]),
        "min_ttc_s": min(ttcs) if ttcs else None,
        "rss_violations": sum(s.rss_short for s in scores) / following if following else None,
        "rss_violations_default": sum(s.rss_short_default for s in scores) / following if following else None,
        "return_mean": float(returns.mean()) if count else 0.0,
        "return_sem": float(returns.std(ddof=1) / math.sqrt(count)) if count > 1 else 0.0,
    }


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: _mean([row[name] for row in rows]) for name in rows[0]} if rows else {}
