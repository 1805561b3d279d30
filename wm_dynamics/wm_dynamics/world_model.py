"""The assembled world model (PyTorch): encoder, RSSM, decoders, heads and policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from wm_dynamics.heads import LABEL_NAMES, Heads, Policy
from wm_dynamics.rssm import Rssm, RssmConfig
from wm_perception.decoder import CameraDecoder, SensorDecoder
from wm_perception.encoder import Encoder


@dataclass(frozen=True)
class WorldModelConfig:
    """A model before it is trained."""

    rssm: RssmConfig = field(default_factory=RssmConfig)
    horizon: int = 12  # imagined steps of 0.1 s
    gamma: float = 0.97  # discount per step
    labels: int = len(LABEL_NAMES)  # the first of LABEL_NAMES, as many as it has learned


class WorldModel(nn.Module):
    """Holds the parts; `wm_training.losses` says how they learn, `graphs.py` what the stack runs."""

    def __init__(self, config: WorldModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config.rssm.recognised)
        self.rssm = Rssm(config.rssm)
        self.camera_decoder = CameraDecoder(config.rssm.belief)
        self.sensor_decoder = SensorDecoder(config.rssm.belief)
        self.heads = Heads(config.rssm.belief, config.rssm.hidden, config.labels)
        self.policy = Policy(config.rssm.belief, config.rssm.hidden)


def labels_in(weights: Mapping[str, Tensor]) -> int:
    """How many labels the model reads off whose weights these are; 0 for weights without read-outs."""
    bias = weights.get("heads.out.bias")
    return 0 if bias is None else max(len(bias) - Heads.SCALARS, 0)


@torch.no_grad()
def with_every_label(model: WorldModel) -> WorldModel:
    """The same model with a read-out for all LABEL_NAMES, the new ones at zero as those of a new model are."""
    if model.config.labels == len(LABEL_NAMES):
        return model
    grown = WorldModel(replace(model.config, labels=len(LABEL_NAMES)))
    weights, old = grown.state_dict(), model.state_dict()  # the former shares the grown model's memory
    for name, value in weights.items():
        if name.startswith("heads.out."):
            value[: len(old[name])] = old[name]
        else:
            value.copy_(old[name])
    return grown
