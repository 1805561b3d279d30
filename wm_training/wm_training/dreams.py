"""How well pictures are foretold: PSNR and SSIM, seen and dreamed, and a strip of dreams beside the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wm_dynamics.world_model import WorldModel
from wm_perception.normalise import camera_from_unit, camera_to_unit
from wm_training.batches import Batch
from wm_training.errors import TrainingError
from wm_training.filtering import Filtered, imagine

SSIM_SIGMA, SSIM_SIZE = 1.5, 11  # pixels
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
STRIP_STEPS = (0, 1, 3, 6, 9, 12)  # steps after the last frame seen
STRIP_SCALE = 2


def structural_similarity(left: Tensor, right: Tensor) -> Tensor:
    """SSIM [N] of pictures [N, 3, H, W] in [0, 1] (Wang et al. 2004, eq. 13), Gaussian window, mean over channels."""
    axis = torch.arange(SSIM_SIZE, dtype=torch.float32, device=left.device) - SSIM_SIZE // 2
    line = torch.exp(-axis.square() / (2.0 * SSIM_SIGMA**2))
    window = (line[:, None] * line / line.sum() ** 2)[None, None]

    def blurred(x: Tensor) -> Tensor:
        return F.conv2d(x.flatten(0, 1)[:, None], window)[:, 0].unflatten(0, left.shape[:2])

    mean_l, mean_r = blurred(left), blurred(right)
    var_l, var_r = blurred(left * left) - mean_l**2, blurred(right * right) - mean_r**2
    both = blurred(left * right) - mean_l * mean_r
    value = (2 * mean_l * mean_r + SSIM_C1) * (2 * both + SSIM_C2)
    value = value / ((mean_l**2 + mean_r**2 + SSIM_C1) * (var_l + var_r + SSIM_C2))
    return value.mean(dim=(1, 2, 3))


def picture_errors(model: WorldModel, batch: Batch, seen: Filtered, filtered: int, steps: int) -> dict[str, np.ndarray]:
    """Squared error and SSIM [B, 1 + steps] of the last filtered picture, then of the dreamed ones.

    Also of copying the last picture seen (`copy_`); nan where the episode has ended.
    """
    beliefs = _dreamed(model, batch, seen, filtered, steps)  # [B, 1 + K, L]
    truth = batch.camera[:, filtered - 1 : filtered + steps]
    shape = truth.shape[:2]
    real = camera_to_unit(truth.flatten(0, 1))
    dream = model.camera_decoder(beliefs.flatten(0, 1)).clamp(-0.5, 0.5)
    held = camera_to_unit(truth[:, :1].expand_as(truth).flatten(0, 1))
    missing = torch.where(batch.valid[:, filtered - 1 : filtered + steps] > 0, 0.0, torch.nan)
    out: dict[str, np.ndarray] = {}
    for name, picture in (("", dream), ("copy_", held)):
        error = (picture - real).square().mean(dim=(1, 2, 3)).unflatten(0, shape)
        alike = structural_similarity(picture + 0.5, real + 0.5).unflatten(0, shape)
        out |= {f"{name}mse": (error + missing).numpy(), f"{name}ssim": (alike + missing).numpy()}
    return out


def picture_figures(errors: dict[str, np.ndarray]) -> dict[str, Any]:
    """PSNR (dB, of the mean squared error) and SSIM by step; entry 0 is filtered. Copying the last picture beside."""
    names = {"psnr_db": "mse", "ssim": "ssim", "copy_psnr_db": "copy_mse", "copy_ssim": "copy_ssim"}
    out: dict[str, Any] = {}
    for name, source in names.items():
        means = [_mean_of_known(errors[source][:, step]) for step in range(errors[source].shape[1])]
        in_db = source.endswith("mse")
        out[name] = [None if m is None else round(-10.0 * np.log10(max(m, 1e-10)) if in_db else m, 4) for m in means]
    out["copy_psnr_db"][0] = None  # the picture itself
    return out


def _mean_of_known(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean(dtype=np.float64)) if len(known) else None


def dream_strip(model: WorldModel, batch: Batch, seen: Filtered, filtered: int, path: Path) -> None:
    """A picture, two rows a window: what the camera saw, below it what the model did; the first column was filtered."""
    import cv2

    beliefs = _dreamed(model, batch, seen, filtered, STRIP_STEPS[-1])[:, list(STRIP_STEPS)]
    dream = camera_from_unit(model.camera_decoder(beliefs.flatten(0, 1))).unflatten(0, beliefs.shape[:2])
    real = batch.camera[:, [filtered - 1 + step for step in STRIP_STEPS]]
    rows = torch.stack((real, dream), dim=1).flatten(0, 1)  # [2 B, K, 64, 64, 3]
    sheet = rows.permute(0, 2, 1, 3, 4).flatten(2, 3).flatten(0, 1).numpy()  # [2 B * 64, K * 64, 3]
    sheet = cv2.resize(sheet, None, fx=STRIP_SCALE, fy=STRIP_SCALE, interpolation=cv2.INTER_AREA)
    path.parent.mkdir(parents=True, exist_ok=True)
    # A palette would band the sky; JPEG keeps the page small.
    if not cv2.imwrite(str(path), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85]):
        raise TrainingError(f"{path} cannot be written: choose another folder for the page.")


def _dreamed(model: WorldModel, batch: Batch, seen: Filtered, filtered: int, steps: int) -> Tensor:
    """Beliefs [B, 1 + K, L]: the last filtered one, then the imagined ones."""
    last = seen.beliefs[:, filtered - 1]
    states, _ = imagine(model, last, batch.action[:, filtered - 1 : filtered - 1 + steps])
    return torch.cat((last[:, None], states), dim=1)
