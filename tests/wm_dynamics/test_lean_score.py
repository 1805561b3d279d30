"""The score graph of the engines computes what the plain one does, whatever the sizes and however sure the model."""

from __future__ import annotations

import pytest
import torch

from wm_dynamics.graphs import ScoreGraph
from wm_dynamics.lean_score import LeanScoreGraph
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig

SIZES = [
    RssmConfig(recognised=16, deter=24, groups=4, classes=4, hidden=16, prior_hidden=8),
    RssmConfig(recognised=16, deter=16, groups=5, classes=3, hidden=16, prior_hidden=8, prior_heads=1),
    RssmConfig(recognised=16, deter=16, groups=2, classes=8, hidden=16, prior_hidden=8, prior_heads=5, unimix=0.2),
]


def model_of(sizes: RssmConfig, logits: float) -> WorldModel:
    """An untrained model whose read-outs say something and whose classes differ by about so many nats."""
    torch.manual_seed(0)
    model = WorldModel(WorldModelConfig(sizes, horizon=6)).eval()
    torch.nn.init.normal_(model.heads.out.weight)
    for out in model.rssm.prior_out:
        torch.nn.init.normal_(out.weight, std=logits)
    return model


@pytest.mark.parametrize("logits", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("sizes", SIZES)
@torch.no_grad()
def test_the_lean_graph_scores_as_the_plain_one(sizes: RssmConfig, logits: float) -> None:
    model = model_of(sizes, logits)
    belief, actions = torch.randn(sizes.belief), 2.0 * torch.rand(32, 6, 2) - 1.0
    plain, lean = ScoreGraph(model)(belief, actions), LeanScoreGraph(model)(belief, actions)
    assert float(plain[0].std()) > 1e-3
    for wanted, found in zip(plain, lean, strict=True):
        assert found.shape == (32,)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
