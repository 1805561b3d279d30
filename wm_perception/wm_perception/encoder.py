"""Observation to embedding (PyTorch): a small CNN for the camera, MLPs for scan and state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wm_perception.normalise import camera_to_unit, measured_features, scan_channels, state_features
from wm_sim.observation import SCAN_SIZE, STATE_SIZE

CAMERA_CHANNELS = (16, 32, 64, 96)  # 64 -> 32 -> 16 -> 8 -> 4 pixels a side
CAMERA_FEATURES = CAMERA_CHANNELS[-1] * 4 * 4


class Encoder(nn.Module):
    """camera uint8 [B, 64, 64, 3], scans [B, 2, 72] m (see scan_memory.py), state [B, 15] SI -> embedding [B, E].

    An embedding is what was recognised, `recognised` numbers, then what was measured and needs no recognising: a memory
    behind a learned code alone knows the speed to 0.3 m/s that is told to the centimetre. Normalisation is part of the
    module, and so of the exported graph: nobody has to repeat it.
    """

    def __init__(self, recognised: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in CAMERA_CHANNELS:
            layers += [nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1), nn.SiLU()]
            channels = width
        self.camera = nn.Sequential(*layers, nn.Flatten(), nn.Linear(CAMERA_FEATURES, recognised))
        self.scan = nn.Sequential(nn.Linear(3 * SCAN_SIZE, 128), nn.SiLU(), nn.Linear(128, 64))
        self.state = nn.Sequential(nn.Linear(2 * STATE_SIZE, 64), nn.SiLU(), nn.Linear(64, 64))
        self.fuse = nn.Sequential(
            nn.LayerNorm(recognised + 128), nn.SiLU(), nn.Linear(recognised + 128, recognised), nn.SiLU()
        )

    def forward(self, camera: Tensor, scans: Tensor, state: Tensor) -> Tensor:
        channels = scan_channels(scans)
        parts = (
            self.camera(camera_to_unit(camera)),
            self.scan(channels.flatten(1)),
            self.state(state_features(state)),
        )
        return torch.cat((self.fuse(torch.cat(parts, dim=-1)), measured_features(channels, state)), dim=-1)
