"""When a candidate replaces the model that it was trained from, and where the next drives are needed most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wm_training.errors import TrainingError


@dataclass(frozen=True)
class Verdict:
    """A candidate beside the model that it was trained from, in the same worlds."""

    keep: bool  # the mean gain is above zero, and no more drives ended in a collision at fault
    model_id: str
    drives: int
    score: float  # mean driving score of the candidate
    score_before: float
    gain: float  # mean of the differences, drive by drive
    gain_sem: float  # its standard error; 0 where there is one drive
    at_fault: int
    at_fault_before: int

    @property
    def reason(self) -> str:
        """Why it was kept or not."""
        if self.keep:
            return "kept"
        return "not better" if self.gain <= 0.0 else "more at fault"


def judge(before: dict[str, Any], after: dict[str, Any]) -> Verdict:
    """Compare two reports of `wm eval` over the same worlds. TrainingError if the worlds are others."""
    scores = [{(e["family"], e["seed"]): e["driving_score"] for e in r["episode_list"]} for r in (before, after)]
    if scores[0].keys() != scores[1].keys() or not scores[0]:
        raise TrainingError("the two models drove in different worlds; evaluate both with the same --suite and seeds.")
    gains = np.array([scores[1][world] - score for world, score in scores[0].items()], np.float64)
    gain = float(gains.mean())
    at_fault_before, at_fault = before["at_fault_collisions"], after["at_fault_collisions"]
    return Verdict(
        keep=gain > 0.0 and at_fault <= at_fault_before,
        model_id=after["model_id"],
        drives=len(gains),
        score=after["driving_score"],
        score_before=before["driving_score"],
        gain=gain,
        gain_sem=float(gains.std(ddof=1) / np.sqrt(len(gains))) if len(gains) > 1 else 0.0,
        at_fault=at_fault,
        at_fault_before=at_fault_before,
    )


def family_weights(report: dict[str, Any], failed_weight: float) -> str:
    """For `wm collect --weights`: a family counts once, and `failed_weight` times its share of failed drives more."""
    driven = {name: row for name, row in report["families"].items() if row["episodes"]}
    weights = {name: 1.0 + failed_weight * (1.0 - row["success_rate"]) for name, row in driven.items()}
    return ",".join(f"{name}={weight:.3g}" for name, weight in weights.items())
