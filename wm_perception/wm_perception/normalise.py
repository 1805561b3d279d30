"""Physical units to network units and back."""

from __future__ import annotations

import torch
from torch import Tensor

from wm_sim.observation import SCAN_MAX_M

# What one network unit is, in the order of wm_sim.observation.STATE_NAMES:
# speed m/s, acceleration m/s2, yaw rate rad/s, steering rad, previous action (2), limit m/s, route points x, y in m.
STATE_SCALE = (10.0, 2.0, 0.15, 0.05, 0.1, 0.5, 10.0, 10.0, 3.0, 20.0, 10.0, 40.0, 20.0, 80.0, 40.0)
ACTION_FEATURES = 6
NEAR_M = 8.0  # range at which the near channel of the scan has fallen to 1/e


def camera_to_unit(camera: Tensor) -> Tensor:
    """uint8, or float of the same range, [B, H, W, 3] -> float [B, 3, H, W] in [-0.5, 0.5]."""
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


def state_features(state: Tensor) -> Tensor:
    """[B, 15] SI -> [B, 30]: network units, and a second channel that resolves small values."""
    unit = state_to_unit(state)
    return torch.cat((unit, torch.tanh(4.0 * unit)), dim=-1)


def action_features(action: Tensor) -> Tensor:
    """[B, 2] -> [B, 6]. A hundredth of full steering turns a fast car and a tenth a slow one, so steering comes in
    three resolutions, and acceleration with its kink at zero, where braking takes over from driving."""
    steer, accel = action[..., :1], action[..., 1:]
    fine = (steer, torch.tanh(steer / 0.1), torch.tanh(steer / 0.02))
    return torch.cat((*fine, accel, accel.clamp(min=0.0), torch.tanh(accel / 0.2)), dim=-1)

