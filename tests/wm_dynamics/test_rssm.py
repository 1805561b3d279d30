import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_dynamics.rssm import Rssm, RssmConfig, categorical_kl, straight_through_sample

SMALL = RssmConfig(recognised=16, deter=12, groups=3, classes=4, hidden=16, prior_hidden=8)


@pytest.fixture
def rssm() -> Rssm:
    torch.manual_seed(0)
    return Rssm(SMALL)


def test_probabilities_sum_to_one_and_never_reach_zero(rssm: Rssm) -> None:
    probs = rssm.probabilities(torch.full((5, SMALL.stoch), -100.0).index_fill(1, torch.tensor([0, 4, 8]), 100.0))
    assert torch.allclose(probs.sum(-1), torch.ones(5, 3))
    assert probs.min() >= SMALL.unimix / SMALL.classes * 0.99


def test_every_prior_head_has_its_own_opinion_before_training(rssm: Rssm) -> None:
    heads = rssm.prior(torch.randn(7, SMALL.deter))
    assert heads.shape == (3, 7, 3, 4)
    _, spread = rssm.imagine(torch.randn(7, SMALL.belief), torch.zeros(7, 2))
    assert (spread > 0).all()


def test_disagreement_is_zero_when_all_heads_are_the_same(rssm: Rssm) -> None:
    rssm.prior_hidden.weight.data[:] = rssm.prior_hidden.weight.data[: SMALL.prior_hidden].repeat(3, 1)
    rssm.prior_hidden.bias.data[:] = rssm.prior_hidden.bias.data[: SMALL.prior_hidden].repeat(3)
    for head in rssm.prior_out:
        head.load_state_dict(rssm.prior_out[0].state_dict())
    _, spread = rssm.imagine(torch.randn(7, SMALL.belief), torch.zeros(7, 2))
    assert spread.abs().max() < 1e-10


def test_imagining_depends_on_the_action(rssm: Rssm) -> None:
    belief = torch.randn(1, SMALL.belief)
    left, _ = rssm.imagine(belief, torch.tensor([[1.0, 0.0]]))
    right, _ = rssm.imagine(belief, torch.tensor([[-1.0, 0.0]]))
    assert not torch.allclose(left, right)


def test_samples_follow_their_probabilities_and_carry_their_gradient() -> None:
    torch.manual_seed(1)
    probs = torch.tensor([[[0.7, 0.2, 0.1]]]).repeat(4000, 1, 1).requires_grad_()
    sample = straight_through_sample(probs)
    assert torch.allclose(sample.sum(-1), torch.ones(4000, 1))
    assert torch.allclose(sample.detach().mean(0), torch.tensor([[0.7, 0.2, 0.1]]), atol=0.03)
    (sample * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert torch.allclose(probs.grad, torch.tensor([1.0, 2.0, 3.0]).expand(4000, 1, 3))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_kl_is_positive_and_zero_only_for_equal_distributions(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    left = torch.rand(2, 3, 4, generator=generator).softmax(-1)
    right = torch.rand(2, 3, 4, generator=generator).softmax(-1)
    assert (categorical_kl(left, right) > 0).all()
    assert categorical_kl(left, left).abs().max() < 1e-6
