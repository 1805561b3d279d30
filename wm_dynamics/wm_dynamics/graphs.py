"""The fixed-shape graphs that a driving stack runs, as modules over a trained WorldModel.

Every input and output is one car's: no batch dimension except the candidates of `ScoreGraph`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wm_dynamics.rssm import categorical_kl
from wm_dynamics.world_model import WorldModel
from wm_perception.normalise import camera_from_unit, state_from_unit

PROPOSALS = 8


class EncodeGraph(nn.Module):
    """camera uint8 [64, 64, 3], scans [2, 72], state [15] -> embedding [E]."""

    def __init__(self, model: WorldModel) -> None:
        super().__init__()
        self.encoder = model.encoder

    def forward(self, camera: Tensor, scans: Tensor, state: Tensor) -> Tensor:
        return self.encoder(camera[None], scans[None], state[None])[0]


class ObserveGraph(nn.Module):
    """belief [L], action [2], embedding [E] -> posterior belief [L], surprise [] in nats.

    The latent is the posterior's expectation; surprise is KL(posterior || mean prior).
    """

    def __init__(self, model: WorldModel) -> None:
        super().__init__()
        self.rssm = model.rssm

    def forward(self, belief: Tensor, action: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        deter = self.rssm.advance(belief[None], action[None])
        posterior = self.rssm.posterior(deter, embedding[None])  # [1, G, C]
        prior = self.rssm.prior(deter).mean(dim=0)
        surprise = categorical_kl(posterior, prior)
        return torch.cat((deter, posterior.flatten(-2)), dim=-1)[0], surprise[0]


class ScoreGraph(nn.Module):
    """belief [L], actions [N, H, 2] -> return, collision, off_road, disagreement, each [N]."""

    discount: Tensor

    def __init__(self, model: WorldModel) -> None:
        super().__init__()
        self.rssm, self.heads = model.rssm, model.heads
        steps = torch.arange(model.config.horizon + 1, dtype=torch.float32)
        self.register_buffer("discount", model.config.gamma**steps)  # [H + 1]

    def forward(self, belief: Tensor, actions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        states, spread = self.imagine(belief, actions)
        read = self.heads(states)  # each field [H, N]
        # Still driving after step k; a sum of logarithms because ONNX knows no running product.
        alive = F.logsigmoid(read.continue_logit).cumsum(dim=0).exp()  # [H, N]
        before = torch.cat((torch.ones_like(alive[:1]), alive[:-1]))
        ret = (self.discount[:-1, None] * before * read.reward).sum(dim=0)
        ret = ret + self.discount[-1] * alive[-1] * read.value[-1]
        return (
            ret,
            read.collision_logit.sigmoid().amax(dim=0),
            read.off_road_logit.sigmoid().amax(dim=0),
            spread.mean(dim=0),
        )

    def imagine(self, belief: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Beliefs [H, N, L] and the spread of the heads [H, N]."""
        count, horizon, _ = actions.shape
        state = belief.expand(count, -1)
        states, spreads = [], []
        for step in range(horizon):
            state, spread = self.rssm.imagine(state, actions[:, step])
            states.append(state)
            spreads.append(spread)
        return torch.stack(states), torch.stack(spreads)


class ProposeGraph(nn.Module):
    """belief [L] -> the policy's own action sequences [P, H, 2]: its mean, then constant offsets within its spread."""

    def __init__(self, model: WorldModel) -> None:
        super().__init__()
        self.rssm, self.policy, self.horizon = model.rssm, model.policy, model.config.horizon
        offsets = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (2, 0), (-2, 0), (0, -2)]
        self.register_buffer("offsets", torch.tensor(offsets, dtype=torch.float32))  # [P, 2], in standard deviations

    def forward(self, belief: Tensor) -> Tensor:
        state = belief.expand(PROPOSALS, -1)
        actions = []
        for _ in range(self.horizon):
            mean, std = self.policy(state)
            action = (mean + std * self.offsets).clamp(-1.0, 1.0)
            actions.append(action)
            state, _ = self.rssm.imagine(state, action)
        return torch.stack(actions, dim=1)


class DecodeGraph(nn.Module):
    """belief [L] -> camera uint8 [64, 64, 3], state [15] in SI units."""

    def __init__(self, model: WorldModel) -> None:
        super().__init__()
        self.camera_decoder, self.sensor_decoder = model.camera_decoder, model.sensor_decoder

    def forward(self, belief: Tensor) -> tuple[Tensor, Tensor]:
        _, state = self.sensor_decoder(belief[None])
        return camera_from_unit(self.camera_decoder(belief[None]))[0], state_from_unit(state)[0]
