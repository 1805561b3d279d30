"""The score graph as engines run it: the arithmetic of `graphs.ScoreGraph` in fewer, larger operators.

Two thirds of the plain graph's time went into small operators: softmaxes over eight classes, means over three heads.
Here a softmax is an exponential and two products with a matrix of zeros and ones, and the mean and spread over the
heads are plain sums. The plain graph stays the reference that a model's export is held against.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from wm_dynamics.graphs import ScoreGraph
from wm_dynamics.world_model import WorldModel
from wm_perception.normalise import action_features

LOGIT_MAX = 80.0  # beyond 88 an exponential overflows; trained logits stay far below, and parity is checked at export


class LeanScoreGraph(ScoreGraph):
    """belief [L], actions [N, H, 2] -> return, collision, off_road, disagreement, each [N]."""

    groups: Tensor

    def __init__(self, model: WorldModel) -> None:
        super().__init__(model)
        sizes = model.config.rssm
        # [G * C, G]: which group a class belongs to
        self.register_buffer("groups", torch.kron(torch.eye(sizes.groups), torch.ones(sizes.classes, 1)))

    def imagine(self, belief: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Beliefs [H, N, L] and the spread of the heads [H, N]."""
        rssm, features = self.rssm, action_features(actions)  # [N, H, A]
        deter, stoch = rssm.split(belief.expand(actions.shape[0], -1))
        states, spreads = [], []
        for step in features.unbind(dim=1):
            deter = rssm.cell(rssm.mix(torch.cat((stoch, step), dim=-1)), deter)
            stoch, spread = self._prior(deter)
            states.append(torch.cat((deter, stoch), dim=-1))
            spreads.append(spread)
        return torch.stack(states), torch.stack(spreads)

    def _prior(self, deter: Tensor) -> tuple[Tensor, Tensor]:
        """Mean of the heads [N, G * C], and how far they are apart [N], as `Rssm.imagine` has them."""
        sizes = self.rssm.config
        hidden = F.silu(self.rssm.prior_hidden(deter)).split(sizes.prior_hidden, dim=-1)
        heads = [self._softmax(out(h)) for out, h in zip(self.rssm.prior_out, hidden, strict=True)]
        mean = sum(heads[1:], heads[0]) * (1.0 / len(heads))
        apart = sum(((head - mean).square() for head in heads[1:]), (heads[0] - mean).square())
        kept = 1.0 - sizes.unimix
        spread = apart.sum(dim=-1) * (kept * kept / (len(heads) * sizes.groups))
        return kept * mean + sizes.unimix / sizes.classes, spread

    def _softmax(self, logits: Tensor) -> Tensor:
        """Over the classes of every group, [N, G * C]."""
        exponential = logits.clamp(-LOGIT_MAX, LOGIT_MAX).exp()
        return exponential * ((1.0 / (exponential @ self.groups)) @ self.groups.T)
