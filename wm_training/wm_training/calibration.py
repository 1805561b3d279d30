"""Is a predicted probability the share of the times that it happens? And from which one on is a plan to be refused?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

BINS = 10
MISS_RATES = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)  # a planner may choose among


@dataclass(frozen=True)
class Forecast:
    """N forecasts of an event with what came of them."""

    probability: np.ndarray  # [N] 0..1
    happened: np.ndarray  # bool [N]

    def __len__(self) -> int:
        return len(self.probability)


def auroc(truth: np.ndarray, score: np.ndarray) -> float | None:
    """Area under the ROC curve by ranks, ties counted half (Mann-Whitney); None when only one class is there."""
    positive = np.asarray(truth) > 0.5
    if positive.all() or not positive.any():
        return None
    _, group, size = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(size) - (size - 1) / 2.0  # of each distinct score, from 1
    count = int(positive.sum())
    area = (rank[group][positive].sum() - count * (count + 1) / 2) / (count * (len(positive) - count))
    return float(area)


def brier(forecast: Forecast) -> float | None:
    """Mean squared difference of probability and outcome (Brier 1950); None without forecasts."""
    return float(np.square(forecast.probability - forecast.happened).mean()) if len(forecast) else None


def reliability(forecast: Forecast, bins: int = BINS) -> list[dict[str, float]]:
    """Equally wide bins that hold any forecasts: how many, their mean probability, the share that happened."""
    index = np.minimum((forecast.probability * bins).astype(int), bins - 1)
    rows = []
    for i in np.unique(index):
        inside = index == i
        predicted, seen = forecast.probability[inside].mean(), forecast.happened[inside].mean()
        rows.append({"n": int(inside.sum()), "predicted": float(predicted), "happened": float(seen)})
    return rows


def expected_calibration_error(rows: list[dict[str, float]]) -> float | None:
    """Mean over the forecasts of |predicted - happened| of their bin (Guo et al. 2017, eq. 3)."""
    total = sum(row["n"] for row in rows)
    return sum(row["n"] * abs(row["predicted"] - row["happened"]) for row in rows) / total if total else None


def conformal_threshold(bad_scores: np.ndarray, miss_level: float) -> float:
    """Largest threshold that a further truly bad window stays below with probability of at most `miss_level`.

    bad_scores [N]: predicted risk of windows that turned out bad. A window is called safe when its risk is below the
    threshold. Split conformal prediction (Vovk et al. 2005; Angelopoulos and Bates 2021, section 1): of N + 1
    exchangeable scores the new one is among the k smallest with probability k / (N + 1). 0, which calls nothing safe,
    when there are too few bad windows to promise anything.
    """
    k = math.floor(miss_level * (len(bad_scores) + 1))
    return float(np.sort(bad_scores)[k - 1]) if k >= 1 else 0.0


def calibration(forecast: Forecast) -> dict[str, Any]:
    """Brier score, ECE, AUROC and the reliability table of some forecasts."""
    rows = reliability(forecast) if len(forecast) else []
    return {
        "n": len(forecast),
        "happened": int(forecast.happened.sum()),
        "auroc": auroc(forecast.happened, forecast.probability),
        "brier": brier(forecast),
        "ece": expected_calibration_error(rows),
        "reliability": rows,
    }


def conformal(forecast: Forecast, episode: np.ndarray, miss_level: float) -> dict[str, Any]:
    """The threshold from all windows, and how one half of the episodes fares under the threshold of the other.

    episode int [N]: windows of one drive resemble each other, so that drives are split, never windows.
    """
    bad, risk = forecast.happened, forecast.probability
    half = np.isin(episode, np.unique(episode)[::2])
    missed, alarmed, bads, goods = 0, 0, 0, 0
    for here in (half, ~half):
        threshold = conformal_threshold(risk[bad & ~here], miss_level)
        missed += int((risk[bad & here] < threshold).sum())
        alarmed += int((risk[~bad & here] >= threshold).sum())
        bads, goods = bads + int((bad & here).sum()), goods + int((~bad & here).sum())
    return {
        "miss_level": miss_level,
        "threshold": conformal_threshold(risk[bad], miss_level),
        "thresholds": {rate: conformal_threshold(risk[bad], rate) for rate in MISS_RATES},
        "bad_windows": bads,
        "bad_episodes": len(np.unique(episode[bad])),
        "missed_in_the_other_half": missed / bads if bads else None,
        "false_alarms_in_the_other_half": alarmed / goods if goods else None,
    }
