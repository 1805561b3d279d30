"""Physical units to network units and back."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_sim.observation import SCAN_MAX_M

# What one network unit is, in the order of wm_sim.observation.STATE_NAMES:
# speed m/s, acceleration m/s2, yaw rate rad/s, steering rad, previous action (2), limit m/s, route points x, y in m.
STATE_SCALE = (10.0, 3.0, 0.3, 0.15, 0.3, 0.5, 10.0, 10.0, 3.0, 20.0, 10.0, 40.0, 20.0, 80.0, 40.0)
NEAR_M = 8.0  # range at which the near channel of the scan has fallen to 1/e


def camera_to_unit(camera: Tensor) -> Tensor:
    """uint8 [B, H, W, 3] -> float [B, 3, H, W] in [-0.5, 0.5]."""
    return camera.permute(0, 3, 1, 2).float() / 255.0 - 0.5


def camera_from_unit(image: Tensor) -> Tensor:
    """float [B, 3, H, W] in [-0.5, 0.5] -> uint8 [B, H, W, 3]."""
    return ((image + 0.5) * 255.0).clamp(0.0, 255.0).round().to(torch.uint8).permute(0, 2, 3, 1)


def scan_to_unit(scan: Tensor) -> Tensor:
    """Ranges in m -> closeness in [0, 1], 0 where nothing is seen."""
    return 1.0 - scan / SCAN_MAX_M


def scan_features(scan: Tensor) -> Tensor:
    """[B, 72] m -> [B, 144]: closeness, and a second channel that resolves the last metres."""
    return torch.cat((scan_to_unit(scan), torch.exp(-scan / NEAR_M)), dim=-1)


def state_to_unit(state: Tensor) -> Tensor:
    return state / state.new_tensor(STATE_SCALE)


def state_from_unit(unit: Tensor) -> Tensor:
    return unit * unit.new_tensor(STATE_SCALE)
