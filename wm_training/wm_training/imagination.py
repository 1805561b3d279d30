"""Policy and value learned in imagination: the actor-critic of DreamerV3 (Hafner et al. 2023, "Actor critic learning").

The world model is frozen and its beliefs of recorded drives are where imagination starts. Only the policy and the
value, one row of the readouts' last layer, change; the exported graphs stay as they are. Shapes: S starts, H steps.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from wm_dynamics.heads import Readout
from wm_dynamics.world_model import WorldModel
from wm_training.batches import Batch
from wm_training.losses import filter_sequence

MOST_RANKED = 1_000_000  # returns that percentiles are taken of; torch.quantile refuses 16 million
VALUE_ROW = Readout._fields.index("value")


@dataclass(frozen=True)
class ImaginationConfig:
    """Weights of the actor-critic; rewards of a step are at most 1."""

    return_lambda: float = 0.95
    risk: float = 1.0  # what a step of certain collision or certain leaving of the road costs the policy
    pull: float = 0.3  # KL to the policy of the data: where data is thin the model errs, and a free policy finds it
    entropy: float = 3e-4
    slow: float = 1.0  # keeps the critic near its own average
    slow_decay: float = 0.98
    scale_decay: float = 0.99  # of the percentiles that returns are normalised by
    first_start: int = 3  # frames the filter has seen before imagination starts
    start_stride: int = 2


class ActorCritic(nn.Module):
    """What this phase needs beside the model: critics of return and risk, their average, the policy of the data.

    Two critics, as SafeDreamer has them (Huang et al. 2024): the value that the planner adds stays free of risk, which
    the planner weighs itself.
    """

    low: Tensor
    high: Tensor

    def __init__(self, model: WorldModel) -> None:
        super().__init__()
        self.critic = nn.Linear(model.heads.out.in_features, 2)  # value, risk to come
        self.slow_critic = nn.Linear(model.heads.out.in_features, 2)
        self.data_policy = deepcopy(model.policy)
        self.register_buffer("low", torch.zeros(()))  # 5th percentile of returns, averaged
        self.register_buffer("high", torch.zeros(()))  # 95th

    @torch.no_grad()
    def begin(self, model: WorldModel) -> None:
        """Start from the policy and the value that the recorded drives have taught."""
        for critic in (self.critic, self.slow_critic):
            critic.weight.zero_()
            critic.bias.zero_()
            critic.weight[0] = model.heads.out.weight[VALUE_ROW]
            critic.bias[0] = model.heads.out.bias[VALUE_ROW]
        self.data_policy.load_state_dict(model.policy.state_dict())

    @torch.no_grad()
    def finish_step(self, model: WorldModel, config: ImaginationConfig) -> None:
        """After an update: the critic's average, and the critic into the model's readouts."""
        for slow, fast in zip(self.slow_critic.parameters(), self.critic.parameters(), strict=True):
            slow.lerp_(fast, 1.0 - config.slow_decay)
        model.heads.out.weight[VALUE_ROW] = self.critic.weight[0]
        model.heads.out.bias[VALUE_ROW] = self.critic.bias[0]

    @torch.no_grad()
    def return_scale(self, returns: Tensor, config: ImaginationConfig) -> Tensor:
        """max(1, S) with S the averaged range from the 5th to the 95th percentile of returns (same section)."""
        low, high = torch.quantile(returns.flatten()[:MOST_RANKED].float(), returns.new_tensor([0.05, 0.95])).unbind()
        if self.low == self.high:  # nothing seen yet
            self.low.copy_(low)
            self.high.copy_(high)
        self.low.lerp_(low, 1.0 - config.scale_decay)
        self.high.lerp_(high, 1.0 - config.scale_decay)
        return (self.high - self.low).clamp(min=1.0)


def imagination_loss(
    model: WorldModel, learned: ActorCritic, batch: Batch, config: ImaginationConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss of policy and critic, and its terms by name. Gradients reach these two alone."""
    states, drawn, earned, discount = imagine(model, starts(model, batch, config))
    with torch.no_grad():
        features = model.heads.trunk(states)  # [H + 1, S, hidden]
        # Weight of a step: what it counts for, discounted, times the chance that the drive gets there.
        weight = torch.cat((torch.ones_like(discount[:1]), discount[:-1])).cumprod(dim=0)  # [H, S]
    value = learned.critic(features)  # [H + 1, S, 2]
    with torch.no_grad():
        returns = imagined_returns(earned, discount[..., None], value, config.return_lambda)  # [H, S, 2]
        price = returns.new_tensor([1.0, -config.risk])
        advantage = ((returns - value[:-1]) @ price) / learned.return_scale(returns @ price, config)  # [H, S]
        slow = learned.slow_critic(features[:-1])
        pull_to = Normal(*learned.data_policy(states[:-1]))
    policy = Normal(*model.policy(states[:-1]))
    score = advantage * policy.log_prob(drawn).sum(-1)
    terms = {
        "actor": -(weight * score).mean(),
        "pull": config.pull * (weight * kl_divergence(policy, pull_to).sum(-1)).mean(),
        "entropy": -config.entropy * (weight * policy.entropy().sum(-1)).mean(),
        "critic": (weight[..., None] * F.smooth_l1_loss(value[:-1], returns, reduction="none")).sum(-1).mean(),
        "slow_critic": config.slow
        * (weight[..., None] * F.smooth_l1_loss(value[:-1], slow, reduction="none")).sum(-1).mean(),
    }
    return torch.stack(list(terms.values())).sum(), terms


@torch.no_grad()
def starts(model: WorldModel, batch: Batch, config: ImaginationConfig) -> Tensor:
    """Posterior beliefs [S, L] of the recorded windows from which driving can go on."""
    beliefs, _, _ = filter_sequence(model, batch)  # [B, T, L]
    chosen = slice(config.first_start, None, config.start_stride)
    drives = (batch.valid * batch.alive)[:, chosen] > 0
    return beliefs[:, chosen][drives]


@torch.no_grad()
def imagine(model: WorldModel, belief: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The policy drives in imagination from beliefs [S, L], over the planner's horizon and by its unrolling.

    Returns beliefs [H + 1, S, L], the actions as drawn [H, S, 2] (driven clipped), and of arriving at each belief after
    the first: reward and risk [H, S, 2], discount gamma x probability of still driving [H, S].
    """
    states, drawn = [belief], []
    for _ in range(model.config.horizon):
        drawn.append(Normal(*model.policy(states[-1])).sample())
        belief, _ = model.rssm.imagine(states[-1], drawn[-1].clamp(-1.0, 1.0))
        states.append(belief)
    beliefs = torch.stack(states)
    read = model.heads(beliefs[1:])
    risk = read.collision_logit.sigmoid() + read.off_road_logit.sigmoid()
    discount = model.config.gamma * read.continue_logit.sigmoid()
    return beliefs, torch.stack(drawn), torch.stack((read.reward, risk), dim=-1), discount


def imagined_returns(reward: Tensor, discount: Tensor, value: Tensor, lam: float) -> Tensor:
    """Lambda-returns [H, S, ...] (Hafner et al. 2023, eq. 10): R_k = r_k + d_k ((1 - lam) V_{k+1} + lam R_{k+1}).

    reward [H, S, ...] and discount, that of arriving; value [H + 1, S, ...] of every belief, the last one bootstraps.
    """
    after = value[-1]
    out = []
    for step in range(len(reward) - 1, -1, -1):
        after = reward[step] + discount[step] * ((1.0 - lam) * value[step + 1] + lam * after)
        out.append(after)
    return torch.stack(out[::-1])
