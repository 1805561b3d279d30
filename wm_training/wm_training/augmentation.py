"""Observations that vary while what they mean does not: an encoder that sees them so cannot learn scenes by heart."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from wm_sim.observation import CAMERA_SHAPE, SCAN_MAX_M, STATE_NAMES
from wm_training.batches import Batch

ROUTE = [index for index, name in enumerate(STATE_NAMES) if name.startswith("route_")]
PATCH_PIXELS = (6, 20)  # shortest and longest side


@dataclass(frozen=True)
class AugmentationConfig:
    """How much observations vary; 0 each: not at all."""

    gain: float = 0.2  # brightness, contrast and each colour of a picture, by this share
    patches: float = 0.5  # share of the pictures with a grey patch over them
    lost_beams: float = 0.08  # up to this share of a scan returns nothing
    range_noise: float = 0.02  # sigma, share of the distance
    route_noise_m: float = 0.3  # sigma of each coordinate


def augment(batch: Batch, config: AugmentationConfig) -> Batch:
    """The same windows as a slightly different car would have seen them."""
    camera = hide_patch(vary_light(batch.camera, config.gain), config.patches)
    route = torch.zeros_like(batch.state)
    route[..., ROUTE] = config.route_noise_m
    state = batch.state + route * torch.randn_like(batch.state)
    scan, earlier = vary_scans(batch.scans, config).unbind(dim=2)
    return replace(batch, camera=camera, scan=scan, earlier_scan=earlier, state=state)


def vary_light(camera: Tensor, share: float) -> Tensor:
    """Pictures [B, T, H, W, 3] of 0..255 a little brighter or darker, with more or less of each colour; float32."""
    first = (len(camera), 1, 1, 1)
    gain = 1.0 + share * _between_ones((*first, 3), camera.device)
    shift = 127.5 * share * _between_ones((*first, 1), camera.device)
    return ((camera.float() - 127.5) * gain + 127.5 + shift).clamp(0.0, 255.0)


def hide_patch(camera: Tensor, share: float) -> Tensor:
    """A rectangle of one grey over a `share` of the pictures [B, T, H, W, 3] (DeVries & Taylor 2017, Cutout)."""
    count, device = len(camera), camera.device
    shortest, longest = PATCH_PIXELS
    inside = torch.rand(count, 1, 1, device=device) < share
    for axis, pixels in enumerate(CAMERA_SHAPE[:2]):
        side = torch.randint(shortest, longest + 1, (count, 1, 1), device=device)
        begin = (torch.rand(count, 1, 1, device=device) * (pixels - side + 1)).long()
        at = torch.arange(pixels, device=device).view((1, -1, 1) if axis == 0 else (1, 1, -1))
        inside = inside & (at >= begin) & (at < begin + side)
    grey = 255.0 * torch.rand(count, 1, 1, 1, 1, device=device)
    return torch.where(inside[:, None, :, :, None], grey, camera)


def vary_scans(scans: Tensor, config: AugmentationConfig) -> Tensor:
    """Ranges [B, T, 2, 72] in m with noise, and some that did not return.

    Both scans of a pair alike: noise of each its own would drown how fast things come nearer.
    """
    newest = scans[:, :, :1]
    lost = torch.rand_like(newest) < config.lost_beams * torch.rand_like(newest[:, :1, :, :1])
    noisy = (scans * (1.0 + config.range_noise * torch.randn_like(newest))).clamp(0.0, SCAN_MAX_M)
    return torch.where(lost | (scans >= SCAN_MAX_M), torch.full_like(scans, SCAN_MAX_M), noisy)


def _between_ones(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Uniform in -1..1."""
    return 2.0 * torch.rand(shape, device=device) - 1.0
