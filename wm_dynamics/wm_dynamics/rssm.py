"""Recurrent state-space model: deterministic memory, categorical latent, an ensemble of priors.

After Hafner et al. 2023 (DreamerV3), section "World model learning": sequence model, encoder (posterior) and dynamics
predictor (prior). Three prior heads see the same memory; where they disagree, data was thin.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wm_perception.normalise import ACTION_FEATURES, MEASURED_FEATURES, action_features


@dataclass(frozen=True)
class RssmConfig:
    """Sizes of the model; the defaults drive at 10 Hz on two CPU cores."""

    recognised: int = 256  # numbers of the embedding that the encoder learns; the rest of it is measured
    deter: int = 128  # deterministic memory
    groups: int = 16  # categorical variables
    classes: int = 8  # values of each
    hidden: int = 128
    prior_hidden: int = 96
    prior_heads: int = 3
    unimix: float = 0.01  # share of the uniform distribution in every categorical

    @property
    def embedding(self) -> int:
        return self.recognised + MEASURED_FEATURES

    @property
    def stoch(self) -> int:
        return self.groups * self.classes

    @property
    def belief(self) -> int:
        return self.deter + self.stoch


class GruCell(nn.Module):
    """GRU with layer norm over the joint gates, as the Dreamer family uses it; update biased towards keeping."""

    def __init__(self, inputs: int, deter: int) -> None:
        super().__init__()
        self.deter = deter
        self.gates = nn.Linear(inputs + deter, 3 * deter, bias=False)
        self.norm = nn.LayerNorm(3 * deter)

    def forward(self, inputs: Tensor, deter: Tensor) -> Tensor:
        gates = self.norm(self.gates(torch.cat((inputs, deter), dim=-1)))
        reset, candidate, update = gates.split(self.deter, dim=-1)  # `chunk` exports arithmetic on shapes
        candidate = torch.tanh(torch.sigmoid(reset) * candidate)
        update = torch.sigmoid(update - 1.0)
        return update * candidate + (1.0 - update) * deter


class Rssm(nn.Module):
    """Sequence model, posterior and prior heads. A belief is `cat(deter [D], stoch [G*C])`."""

    def __init__(self, config: RssmConfig) -> None:
        super().__init__()
        self.config = config
        self.mix = nn.Sequential(
            nn.Linear(config.stoch + ACTION_FEATURES, config.hidden), nn.LayerNorm(config.hidden), nn.SiLU()
        )
        self.cell = GruCell(config.hidden, config.deter)
        self.posterior_net = nn.Sequential(
            nn.Linear(config.deter + config.embedding, 2 * config.hidden),
            nn.LayerNorm(2 * config.hidden),
            nn.SiLU(),
            nn.Linear(2 * config.hidden, config.stoch),
        )
        # The hidden layers of all prior heads are one matrix product; their outputs are one each.
        self.prior_hidden = nn.Linear(config.deter, config.prior_heads * config.prior_hidden)
        self.prior_out = nn.ModuleList(nn.Linear(config.prior_hidden, config.stoch) for _ in range(config.prior_heads))

    def initial(self, batch: int, device: torch.device | None = None) -> Tensor:
        """Belief [B, L] of an episode that has not begun."""
        return torch.zeros(batch, self.config.belief, device=device)

    def split(self, belief: Tensor) -> tuple[Tensor, Tensor]:
        return belief[..., : self.config.deter], belief[..., self.config.deter :]

    def advance(self, belief: Tensor, action: Tensor) -> Tensor:
        """h' = f(h, z, a): memory [B, D] one step on."""
        deter, stoch = self.split(belief)
        return self.cell(self.mix(torch.cat((stoch, action_features(action)), dim=-1)), deter)

    def prior(self, deter: Tensor) -> Tensor:
        """Class probabilities p_k(z | h) of every head, [K, B, G, C]."""
        hidden = F.silu(self.prior_hidden(deter)).chunk(self.config.prior_heads, dim=-1)
        return torch.stack([self.probabilities(out(h)) for out, h in zip(self.prior_out, hidden, strict=True)])

    def posterior(self, deter: Tensor, embedding: Tensor) -> Tensor:
        """Class probabilities q(z | h, x), [B, G, C]."""
        return self.probabilities(self.posterior_net(torch.cat((deter, embedding), dim=-1)))

    def probabilities(self, logits: Tensor) -> Tensor:
        """Softmax over classes with 1 % uniform mixed in, so that no KL is infinite."""
        config = self.config
        probs = logits.unflatten(-1, (config.groups, config.classes)).softmax(dim=-1)
        return (1.0 - config.unimix) * probs + config.unimix / config.classes

    def imagine(self, belief: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """One imagined step: belief [B, L] with the expected latent, and the spread of the heads [B].

        The expectation stands in for a sample, so that planning is deterministic; `wm_training.losses` trains
        exactly this unrolling.
        """
        deter = self.advance(belief, action)
        heads = self.prior(deter)  # [K, B, G, C]
        mean = heads.mean(dim=0)
        spread = (heads - mean).square().mean(dim=0).sum(dim=-1).mean(dim=-1)
        return torch.cat((deter, mean.flatten(-2)), dim=-1), spread


def straight_through_sample(probs: Tensor) -> Tensor:
    """One-hot sample with the gradient of the probabilities (Bengio et al. 2013). probs [..., G, C]."""
    # Gumbel-max instead of torch.multinomial: one pass, no reshaping.
    gumbel = -torch.empty_like(probs).exponential_().log()
    one_hot = F.one_hot((probs.log() + gumbel).argmax(dim=-1), probs.shape[-1]).to(probs.dtype)
    return one_hot + probs - probs.detach()


def categorical_kl(left: Tensor, right: Tensor) -> Tensor:
    """KL(left || right) in nats, summed over groups and classes. Both [..., G, C]."""
    return (left * (left.log() - right.log())).sum(dim=(-2, -1))
