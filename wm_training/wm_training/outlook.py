"""What the model expects beside what came, while it is trained: pictures for TensorBoard from held-out windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from wm_dynamics.world_model import WorldModel
from wm_perception.normalise import camera_from_unit
from wm_training.batches import Batch
from wm_training.losses import filter_sequence, free_of_teaching

SEEN = 10  # frames filtered before imagination starts
STRIPS = 4
BINS = 10


@dataclass(frozen=True)
class Outlook:
    """Open-loop imagination over the planner's horizon. S strips, N valid imagined frames."""

    strips: np.ndarray  # uint8 [S * 2 * 64, H * 64, 3]: truth above, imagined below
    risks: dict[str, tuple[np.ndarray, np.ndarray]]  # collision and off_road: probability [N], truth [N]


@torch.inference_mode()
def look_ahead(model: WorldModel, batch: Batch) -> Outlook:
    """Filter the first frames of windows [B, SEEN + H] with pictures, then imagine by the recorded actions alone."""
    beliefs, _, _ = filter_sequence(model, batch)
    horizon, belief, states = model.config.horizon, beliefs[:, SEEN - 1], []
    for step in range(horizon):
        belief, _ = model.rssm.imagine(belief, batch.action[:, SEEN - 1 + step])
        states.append(belief)
    imagined = torch.stack(states, 1)  # [B, H, L]
    window = slice(SEEN, SEEN + horizon)
    read = model.heads(imagined)
    chosen = (batch.valid[:, window] * free_of_teaching(batch.taught, horizon)[:, SEEN - 1]) > 0
    pairs = {
        "collision": (read.collision_logit, batch.collision_risk),
        "off_road": (read.off_road_logit, batch.off_road_risk),
    }
    risks = {
        name: (logit.sigmoid()[chosen].cpu().numpy(), truth[:, window][chosen].cpu().numpy())
        for name, (logit, truth) in pairs.items()
    }
    shown = imagined[:STRIPS]
    pictures = camera_from_unit(model.camera_decoder(shown.flatten(0, 1))).unflatten(0, shown.shape[:2])
    rows = torch.stack((batch.camera[:STRIPS, window], pictures), dim=1)  # [S, 2, H, 64, 64, 3]
    strips = rows.permute(0, 1, 3, 2, 4, 5).flatten(3, 4).flatten(0, 2)  # [S * 2 * 64, H * 64, 3]
    return Outlook(strips.cpu().numpy(), risks)


def binned(probability: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean predicted probability and observed share of each tenth of the probabilities that holds any frame."""
    index = np.minimum((probability * BINS).astype(int), BINS - 1)
    count = np.bincount(index, minlength=BINS)
    predicted, observed = (np.bincount(index, weights=values, minlength=BINS) for values in (probability, truth))
    some = count > 0
    return predicted[some] / count[some], observed[some] / count[some]


def calibration_picture(risks: dict[str, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Reliability diagram of the risk heads, uint8 [height, width, 3]; on the diagonal they are honest."""
    figure = Figure(figsize=(4, 4), dpi=100, layout="tight")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="predicted risk", ylabel="observed share", xlim=(0, 1), ylim=(0, 1))
    axes.plot((0, 1), (0, 1), color="grey", linewidth=1)
    for name, (probability, truth) in risks.items():
        share = float(truth.mean()) if len(truth) else 0.0
        axes.plot(*binned(probability, truth), marker="o", label=f"{name}, {share:.1%} of frames")
    axes.legend(loc="upper left")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
