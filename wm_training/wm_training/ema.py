"""Exponential moving average of the weights: what a training run exports."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightAverage:
    """Average of a model's weights over about the last 1 / (1 - decay) steps (Polyak and Juditsky 1992).

    The steps of late training circle around a minimum; their average lies nearer to it than the last of them. While the
    run is young the average is shorter, min(decay, (1 + step) / (10 + step)), so that it forgets how the model began.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """decay: share of the old average that a step keeps, in [0, 1); 0 follows the weights."""
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after training step `step`."""
        share = 1.0 - min(self.decay, (1.0 + step) / (10.0 + step))
        now = model.state_dict()
        if share >= 1.0 or self.decay == 0.0:
            self.load(now)
            return
        torch._foreach_lerp_(list(self.weights.values()), [now[name] for name in self.weights], share)

    @torch.no_grad()
    def load(self, weights: dict[str, Tensor]) -> None:
        """Replace the average, for example by that of a checkpoint."""
        for name, value in self.weights.items():
            value.copy_(weights[name])

    def store(self, model: nn.Module) -> None:
        """Give the model its average."""
        model.load_state_dict(self.weights)
