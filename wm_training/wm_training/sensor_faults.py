"""Faults put into recorded windows, one sensor at a time, so that every faulted drive has its healthy twin."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from wm_sim.observation import SCAN_MAX_M

LATE_STEPS = 5  # 0.5 s
DROPPED_SHARE = 0.5
CAMERA_NOISE = 25.0  # of 255, standard deviation
SCAN_NOISE_M = 1.0

Fault = Callable[[Tensor, int, torch.Generator], Tensor]  # sensor [B, T, ...], first faulty frame -> the same, faulty


def frozen(sensor: Tensor, onset: int, _: torch.Generator) -> Tensor:
    """The last good frame for ever."""
    return _late(sensor, onset, sensor.shape[1])


def late(sensor: Tensor, onset: int, _: torch.Generator) -> Tensor:
    """Frames come LATE_STEPS later from now on, so that first nothing new comes for as long."""
    return _late(sensor, onset, LATE_STEPS)


def dropped(sensor: Tensor, onset: int, generator: torch.Generator) -> Tensor:
    """Some frames do not come: the one before stands."""
    out = sensor.clone()
    lost = torch.rand(sensor.shape[:2], generator=generator) < DROPPED_SHARE
    for step in range(onset, sensor.shape[1]):
        gone = lost[:, step].reshape(-1, *[1] * (sensor.dim() - 2))
        out[:, step] = torch.where(gone, out[:, step - 1], sensor[:, step])
    return out


def black(sensor: Tensor, onset: int, _: torch.Generator) -> Tensor:
    """Nothing but black."""
    return torch.cat((sensor[:, :onset], torch.zeros_like(sensor[:, onset:])), dim=1)


def noisy_camera(sensor: Tensor, onset: int, generator: torch.Generator) -> Tensor:
    """Gaussian noise on every pixel."""
    bad = sensor[:, onset:].float()
    bad = bad + CAMERA_NOISE * torch.randn(bad.shape, generator=generator)
    return torch.cat((sensor[:, :onset], bad.clamp(0, 255).to(torch.uint8)), dim=1)


def no_returns(sensor: Tensor, onset: int, _: torch.Generator) -> Tensor:
    """A scan that sees nothing."""
    return torch.cat((sensor[:, :onset], torch.full_like(sensor[:, onset:], SCAN_MAX_M)), dim=1)


def noisy_scan(sensor: Tensor, onset: int, generator: torch.Generator) -> Tensor:
    """Gaussian noise on every range that has a return."""
    bad = sensor[:, onset:]
    noise = SCAN_NOISE_M * torch.randn(bad.shape, generator=generator)
    bad = torch.where(bad < SCAN_MAX_M, (bad + noise).clamp(0.0, SCAN_MAX_M), bad)
    return torch.cat((sensor[:, :onset], bad), dim=1)


CAMERA_FAULTS: dict[str, Fault] = {
    "camera frozen": frozen,
    "camera dropping frames": dropped,
    "camera late": late,
    "camera noisy": noisy_camera,
    "camera black": black,
}
SCAN_FAULTS: dict[str, Fault] = {"scan gone": no_returns, "scan frozen": frozen, "scan noisy": noisy_scan}


def _late(sensor: Tensor, onset: int, steps: int) -> Tensor:
    shown = [max(step - steps, onset - 1) for step in range(onset, sensor.shape[1])]
    return torch.cat((sensor[:, :onset], sensor[:, shown]), dim=1)
