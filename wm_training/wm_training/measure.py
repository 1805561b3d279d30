"""What a trained model predicts on drives it has never seen: the figures in `metrics.json`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from wm_dynamics.world_model import WorldModel
from wm_training.batches import Batch, BatchSource
from wm_training.calibration import Forecast, calibration, conformal
from wm_training.dreams import picture_errors, picture_figures
from wm_training.filtering import Windows, batch_of, draw_free_windows, draw_windows, filter_windows, imagine
from wm_training.open_loop import JUDGED_STEP, RISKS, STEPS, open_loop_errors, open_loop_figures
from wm_training.surprise import measure_surprise

if TYPE_CHECKING:
    from wm_training.sequences import Sequences

FILTERED = 10  # frames that are seen before imagination starts
WINDOWS = 512  # drawn from all frames, and as many where no action was taught
PICTURE_WINDOWS = 192  # of them have their pictures measured, which costs the most
BATCH = 64
PICTURE_STEPS = 12
MISS_LEVEL = 0.1  # of truly bad windows may be called safe


@dataclass(frozen=True)
class Measured:
    """Figures for people, and the scales that the planner and the gate use."""

    metrics: dict[str, Any]
    disagreement_p95: float
    surprise_p999: float
    # Risk -> share of bad plans that may pass for safe -> a plan at or above this is not safe.
    risk_thresholds: dict[str, dict[float, float]] = field(default_factory=dict)


@torch.inference_mode()
def measure_model(model: WorldModel, sequences: Sequences, episodes: np.ndarray, seed: int) -> Measured:
    """Open-loop errors against baselines, pictures, calibration of the risks, surprise and disagreement.

    Windows end where imagination ends or the drive does, so that how drives end is measured too.
    """
    model.eval()
    torch.manual_seed(seed)
    length = FILTERED + max(STEPS, model.config.horizon)
    source = BatchSource(sequences, episodes, length, seed)
    drawn = draw_windows(sequences, episodes, length, WINDOWS, seed)
    found, pictures = _gather(model, source, drawn, PICTURE_WINDOWS)
    free = draw_free_windows(sequences, episodes, FILTERED, JUDGED_STEP, WINDOWS, seed)
    blind = found if free is None else _gather(model, source, free, 0)[0]
    risks = _risks(blind, (free or drawn).episode, model.config.horizon)
    surprise = found["surprise"][found["seen"]]
    metrics: dict[str, Any] = {
        "windows": WINDOWS,
        "episodes": len(episodes),
        "frames_filtered": FILTERED,
        "horizon_steps": model.config.horizon,
        "open_loop": {
            "interventions": open_loop_figures(blind, "interventions"),
            "all": open_loop_figures(found, "all"),
        },
        "pictures": picture_figures(pictures),
        "risks": risks,
        "surprise_nats": {"median": float(np.median(surprise)), "p999": float(np.quantile(surprise, 0.999))},
        "faults": measure_surprise(model, sequences, episodes, seed),
    }
    model.train()
    spread = found["spread"][:, : model.config.horizon].mean(axis=1)
    thresholds = {name: dict(row["conformal"]["thresholds"]) for name, row in risks.items()}
    return Measured(metrics, float(np.quantile(spread, 0.95)), metrics["surprise_nats"]["p999"], thresholds)


def _gather(
    model: WorldModel, source: BatchSource, windows: Windows, with_pictures: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What the windows say, by name, and the pictures of the first `with_pictures` of them."""
    parts, pictures = [], []
    for index, chosen in enumerate(windows.batches(BATCH)):
        part, picture = _measure_batch(model, batch_of(source, chosen), index * BATCH < with_pictures)
        parts.append(part)
        pictures += [picture] if picture else []
    return _joined(parts), _joined(pictures) if pictures else {}


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _measure_batch(
    model: WorldModel, batch: Batch, with_pictures: bool
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What one batch says, by name, and its pictures if asked for."""
    seen = filter_windows(model, batch.camera, batch.scans, batch.state)
    last = FILTERED - 1
    states, spread = imagine(model, seen.beliefs[:, last], batch.action[:, last:-1])
    part = open_loop_errors(model, batch, states[:, :STEPS], seen.beliefs[:, last], last)
    part |= {"spread": spread.numpy(), "surprise": seen.surprise[:, FILTERED:].numpy()}
    part["seen"] = batch.valid[:, FILTERED:].numpy() > 0
    return part, picture_errors(model, batch, seen, FILTERED, PICTURE_STEPS) if with_pictures else {}


def _risks(found: dict[str, np.ndarray], episode: np.ndarray, horizon: int) -> dict[str, Any]:
    """Calibration of the imagined risks of each step, and the threshold for the highest risk of a whole plan.

    Counted where no action was taught: those the planner's own actions resemble.
    """
    steps = slice(0, min(horizon, STEPS))
    mask = found["mask/interventions"][:, steps]
    out = {}
    for name in RISKS:
        probability, truth = found[f"{name}/model"][:, steps], found[f"{name}/truth"][:, steps] & mask
        bad = truth.any(axis=1)
        decided = bad | mask.all(axis=1)  # a window cut short without an accident says nothing
        highest = np.where(mask, probability, 0.0).max(axis=1)
        plans = Forecast(highest[decided], bad[decided])
        out[name] = {
            **calibration(Forecast(probability[mask], truth[mask])),
            "plans": calibration(plans),
            "conformal": conformal(plans, episode[decided], MISS_LEVEL),
        }
    return out
