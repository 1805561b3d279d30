"""The assembled world model (PyTorch): encoder, RSSM, decoders, heads and policy."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import nn

from wm_dynamics.heads import Heads, Policy
from wm_dynamics.rssm import Rssm, RssmConfig
from wm_perception.decoder import CameraDecoder, SensorDecoder
from wm_perception.encoder import Encoder


@dataclass(frozen=True)
class WorldModelConfig:
    """A model before it is trained."""

    rssm: RssmConfig = field(default_factory=RssmConfig)
    horizon: int = 12  # imagined steps of 0.1 s
    gamma: float = 0.97  # discount per step


class WorldModel(nn.Module):
    """Holds the parts; `wm_training.losses` says how they learn, `graphs.py` what the stack runs."""

    def __init__(self, config: WorldModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.rssm.embedding)
        self.rssm = Rssm(config.rssm)
        self.camera_decoder = CameraDecoder(config.rssm.belief)
        self.sensor_decoder = SensorDecoder(config.rssm.belief)
        self.heads = Heads(config.rssm.belief, config.rssm.hidden)
        self.policy = Policy(config.rssm.belief, config.rssm.hidden)
