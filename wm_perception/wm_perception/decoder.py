"""Belief back to camera, scan and state (PyTorch): the training signal, and what a person sees of a dream."""

from __future__ import annotations

from torch import Tensor, nn

from wm_perception.encoder import CAMERA_CHANNELS, CAMERA_FEATURES
from wm_sim.observation import SCAN_SIZE, STATE_SIZE


class CameraDecoder(nn.Module):
    """features [B, F] -> camera in [-0.5, 0.5], [B, 3, 64, 64]."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.spread = nn.Linear(features, CAMERA_FEATURES)
        widths = (*reversed(CAMERA_CHANNELS[:-1]), 3)
        layers: list[nn.Module] = []
        channels = CAMERA_CHANNELS[-1]
        for width in widths:
            layers += [nn.SiLU(), nn.ConvTranspose2d(channels, width, kernel_size=4, stride=2, padding=1)]
            channels = width
        self.grow = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        return self.grow(self.spread(features).unflatten(-1, (CAMERA_CHANNELS[-1], 4, 4)))


class SensorDecoder(nn.Module):
    """features [B, F] -> normalised scan [B, 72] and normalised state [B, 15] (see normalise.py)."""

    def __init__(self, features: int, hidden: int = 128) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(features, hidden), nn.SiLU(), nn.Linear(hidden, SCAN_SIZE + STATE_SIZE))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        both = self.net(features)
        return both[..., :SCAN_SIZE], both[..., SCAN_SIZE:]
