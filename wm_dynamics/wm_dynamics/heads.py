"""What is read off a belief: reward, continue, value, risks, driving labels, and a policy."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

# Labels that training may use and driving never sees; network units are the label divided by its scale.
# Older models read off fewer: new names are added at the end.
LABEL_NAMES = (
    "lateral_error", "heading_error", "curvature", "gap_ahead", "closing_speed", "red_light_gap", "crossing_time",
)  # fmt: skip
LABEL_SCALE = (0.3, 0.05, 0.01, 10.0, 2.0, 10.0, 2.0)  # m, rad, 1/m, m, m/s, m, s
LOG_STD_RANGE = (-4.0, 0.0)


class Readout(NamedTuple):
    """Predictions for a batch of beliefs, each [...] except labels [..., 7], of older models fewer."""

    reward: Tensor
    value: Tensor
    continue_logit: Tensor
    collision_logit: Tensor
    off_road_logit: Tensor
    labels: Tensor


class Heads(nn.Module):
    """One shared hidden layer, then one linear map for all predictions: the planner calls it H x N times a plan."""

    SCALARS = 5

    def __init__(self, belief: int, hidden: int, labels: int = len(LABEL_NAMES)) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(belief, hidden), nn.LayerNorm(hidden), nn.SiLU())
        self.out = nn.Linear(hidden, self.SCALARS + labels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, belief: Tensor) -> Readout:
        out = self.out(self.trunk(belief))
        reward, value, alive, collision, off_road = out[..., : self.SCALARS].unbind(dim=-1)
        return Readout(reward, value, alive, collision, off_road, out[..., self.SCALARS :])


class Policy(nn.Module):
    """belief [B, L] -> mean [B, 2] in (-1, 1) and standard deviation [B, 2] of the action."""

    def __init__(self, belief: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(belief, hidden),
            nn.LayerNorm(hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 4),
        )

    def forward(self, belief: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_std = self.net(belief).chunk(2, dim=-1)
        return torch.tanh(mean), log_std.clamp(*LOG_STD_RANGE).exp()
