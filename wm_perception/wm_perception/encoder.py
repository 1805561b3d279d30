"""Observation to embedding (PyTorch): a small CNN for the camera, MLPs for scan and state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wm_perception.normalise import camera_to_unit, scan_features, state_features
from wm_sim.observation import SCAN_SIZE, STATE_SIZE

CAMERA_CHANNELS = (16, 32, 64, 96)  # 64 -> 32 -> 16 -> 8 -> 4 pixels a side
CAMERA_FEATURES = CAMERA_CHANNELS[-1] * 4 * 4


class Encoder(nn.Module):
    """camera uint8 [B, 64, 64, 3], scan [B, 72] m, state [B, 15] SI -> embedding [B, E].

    Normalisation is part of the module, and so of the exported graph: nobody has to repeat it.
    """

    def __init__(self, embedding: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in CAMERA_CHANNELS:
            layers += [nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1), nn.SiLU()]
            channels = width
        self.camera = nn.Sequential(*layers, nn.Flatten(), nn.Linear(CAMERA_FEATURES, embedding))
        self.scan = nn.Sequential(nn.Linear(2 * SCAN_SIZE, 128), nn.SiLU(), nn.Linear(128, 64))
        self.state = nn.Sequential(nn.Linear(2 * STATE_SIZE, 64), nn.SiLU(), nn.Linear(64, 64))
        self.fuse = nn.Sequential(
            nn.LayerNorm(embedding + 128), nn.SiLU(), nn.Linear(embedding + 128, embedding), nn.SiLU()
        )

    def forward(self, camera: Tensor, scan: Tensor, state: Tensor) -> Tensor:
        parts = (
            self.camera(camera_to_unit(camera)),
            self.scan(scan_features(scan)),
            self.state(state_features(state)),
        )
        return self.fuse(torch.cat(parts, dim=-1))
