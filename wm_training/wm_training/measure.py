"""What a trained model predicts on drives it has never seen: the figures in `metrics.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from wm_dynamics.heads import LABEL_NAMES, LABEL_SCALE
from wm_dynamics.rssm import categorical_kl
from wm_dynamics.world_model import WorldModel
from wm_perception.normalise import camera_to_unit
from wm_training.batches import Batch, BatchSource
from wm_training.losses import filter_sequence, free_of_teaching
from wm_training.sequences import Sequences

FILTERED = 10  # frames that are seen before imagination starts
WINDOWS = 512
BATCH = 64


@dataclass(frozen=True)
class Measured:
    """Figures for people, and the two scales that the planner and the gate use."""

    metrics: dict[str, Any]
    disagreement_p95: float
    surprise_p999: float


@torch.inference_mode()
def measure_model(model: WorldModel, sequences: Sequences, episodes: np.ndarray, seed: int) -> Measured:
    """Open-loop label errors against holding the last value, risk AUROC, image PSNR, surprise and disagreement."""
    model.eval()
    torch.manual_seed(seed)
    # Windows end where imagination ends, so that how drives end is measured too.
    source = BatchSource(sequences, episodes, FILTERED + model.config.horizon, seed)
    parts = [_measure_batch(model, source.draw(step, BATCH)) for step in range(WINDOWS // BATCH)]
    gathered = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    model.train()
    spread, surprise = gathered.pop("spread"), gathered.pop("surprise")
    metrics: dict[str, Any] = {"windows": WINDOWS, "frames_filtered": FILTERED, "horizon_steps": model.config.horizon}
    metrics["camera_psnr_db"] = round(float(-10.0 * np.log10(gathered["camera_mse"].mean())), 2)
    metrics["open_loop_mae"] = {
        name: {
            "model": [round(float(e), 4) for e in np.nanmean(gathered["label_error"][:, :, i], axis=0)],
            "copy_last": [round(float(e), 4) for e in np.nanmean(gathered["copy_error"][:, :, i], axis=0)],
        }
        for i, name in enumerate(LABEL_NAMES)
    }
    for name in ("collision", "off_road"):
        truth, score = gathered[f"{name}_truth"], gathered[f"{name}_score"]
        metrics[f"{name}_risk_auroc"] = _auroc(truth, score)
    metrics["surprise_nats"] = {"median": float(np.median(surprise)), "p999": float(np.quantile(surprise, 0.999))}
    return Measured(metrics, float(np.quantile(spread, 0.95)), float(np.quantile(surprise, 0.999)))


def _measure_batch(model: WorldModel, batch: Batch) -> dict[str, np.ndarray]:
    beliefs, posteriors, priors = filter_sequence(model, batch)
    horizon = model.config.horizon
    belief, states, spreads = beliefs[:, FILTERED - 1], [], []
    for step in range(horizon):
        belief, spread = model.rssm.imagine(belief, batch.action[:, FILTERED - 1 + step])
        states.append(belief)
        spreads.append(spread)
    read = model.heads(torch.stack(states, 1))  # [B, H, ...]
    window = slice(FILTERED, FILTERED + horizon)
    valid = batch.valid[:, window] * free_of_teaching(batch.taught, horizon)[:, FILTERED - 1]
    scale = batch.labels.new_tensor(LABEL_SCALE)
    missing = torch.where(valid > 0, 0.0, torch.nan)[..., None]
    label_error = (read.labels * scale - batch.labels[:, window]).abs() + missing
    copy_error = (batch.labels[:, FILTERED - 1 : FILTERED] - batch.labels[:, window]).abs() + missing
    image = model.camera_decoder(beliefs[:, FILTERED])
    camera_mse = (image - camera_to_unit(batch.camera[:, FILTERED])).square().mean(dim=(1, 2, 3))
    surprise = categorical_kl(posteriors, priors.mean(dim=0))[:, FILTERED:]
    chosen = valid > 0
    out = {
        "label_error": label_error,
        "copy_error": copy_error,
        "camera_mse": camera_mse,
        "surprise": surprise[batch.valid[:, FILTERED:] > 0],
        "spread": torch.stack(spreads, 1).mean(1),
    }
    for name, logit, truth in (
        ("collision", read.collision_logit, batch.collision_risk),
        ("off_road", read.off_road_logit, batch.off_road_risk),
    ):
        out[f"{name}_score"], out[f"{name}_truth"] = logit[chosen], truth[:, window][chosen]
    return {name: value.numpy() for name, value in out.items()}


def _auroc(truth: np.ndarray, score: np.ndarray) -> float | None:
    """Area under the ROC curve by ranks (Mann-Whitney); None when only one class is there."""
    positive = truth > 0.5
    if positive.all() or not positive.any():
        return None
    ranks = np.empty(len(score))
    ranks[np.argsort(score, kind="stable")] = np.arange(1, len(score) + 1)
    count = int(positive.sum())
    area = (ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(score) - count))
    return round(float(area), 4)
