"""Policy and value learned in imagination: what changes, what does not, and towards what."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from wm_dynamics.graphs import ScoreGraph
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_training.batches import BatchSource
from wm_training.imagination import VALUE_ROW, ActorCritic, ImaginationConfig, imagine, imagined_returns, starts
from wm_training.learner import Learner
from wm_training.sequences import Sequences
from wm_training.train import TrainConfig, train

SMALL = WorldModelConfig(rssm=RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))


def test_imagined_returns_are_the_papers_by_hand() -> None:
    reward = torch.tensor([[1.0], [2.0]])
    discount = torch.tensor([[0.5], [0.25]])
    value = torch.tensor([[9.0], [4.0], [8.0]])
    second = 2.0 + 0.25 * 8.0
    first = 1.0 + 0.5 * (0.1 * 4.0 + 0.9 * second)
    assert imagined_returns(reward, discount, value, lam=0.9)[:, 0].tolist() == pytest.approx([first, second])


def test_a_crash_that_is_foreseen_ends_the_imagined_return() -> None:
    reward, value = torch.ones(3, 1), torch.full((4, 1), 100.0)
    discount = torch.tensor([[0.9], [0.0], [0.9]])
    assert float(imagined_returns(reward, discount, value, lam=1.0)[0, 0]) == pytest.approx(1.0 + 0.9)


def test_imagination_changes_policy_and_value_and_nothing_else(
    config: TrainConfig, tiny_training: list[dict[str, torch.Tensor]]
) -> None:
    train(replace(config, imagination_steps=0))
    train(replace(config, imagination_rate=1e-2, out=config.out.with_name("longer")))
    before, after = tiny_training
    for name, value in before.items():
        if name in ("heads.out.weight", "heads.out.bias"):
            others = [row for row in range(len(value)) if row != VALUE_ROW]
            assert torch.equal(value[others], after[name][others])
            assert not torch.equal(value[VALUE_ROW], after[name][VALUE_ROW])
        elif name.startswith("policy."):
            assert not torch.equal(value, after[name]), name
        else:
            assert torch.equal(value, after[name]), name


def test_imagination_starts_only_where_driving_can_go_on(sequences: Sequences) -> None:
    model, config = WorldModel(SMALL), ImaginationConfig(first_start=0, start_stride=1)
    end = int(sequences.episode_start[2])  # a collision
    source = BatchSource(sequences, np.arange(4), 20, seed=0)
    batch = source.windows(np.array([end - 5]), np.array([end]), np.zeros((1, 1), np.int64))
    assert starts(model, batch, config).shape == (4, SMALL.rssm.belief)


def test_imagined_rollouts_are_the_planners(sequences: Sequences) -> None:
    torch.manual_seed(0)
    model, config = WorldModel(SMALL).eval(), ImaginationConfig()
    torch.nn.init.normal_(model.heads.out.weight)
    belief = starts(model, BatchSource(sequences, np.arange(4), 20, seed=0).draw(0, 1), config)[:1]
    states, drawn, earned, discount = imagine(model, belief)
    value = model.heads(states).value
    with torch.no_grad():
        expected = ScoreGraph(model)(belief[0], drawn.clamp(-1, 1).transpose(0, 1))[0]
        # With lambda 1 and every reward weighed by having got there, both are the same sum.
        assert float(imagined_returns(earned[..., 0], discount, value, lam=1.0)[0, 0]) == pytest.approx(
            float(expected), rel=1e-4
        )
    read = model.heads(states[1:])
    assert torch.equal(earned[..., 1], read.collision_logit.sigmoid() + read.off_road_logit.sigmoid())


def moved_left(sequences: Sequences, earned_left: tuple[float, float], config: ImaginationConfig) -> float:
    """How far the policy steers further left after a made-up world has paid and risked so much for steering left."""
    torch.manual_seed(0)
    learner = Learner(WorldModel(SMALL))
    learner.imagination, model = config, learner.model
    learner.actor_critic.begin(model)
    learner.take_up("imagination")
    batch = BatchSource(sequences, np.arange(4), 20, seed=0).draw(0, 4)
    optimizer = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad], 3e-3)
    belief = starts(model, batch, config)

    def left_pays(model: WorldModel, belief: torch.Tensor) -> tuple[torch.Tensor, ...]:
        states, drawn, _, discount = imagine(model, belief)
        return states, drawn, drawn[..., :1] * torch.tensor(earned_left), discount

    before = model.policy(belief)[0][:, 0].mean().item()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wm_training.imagination.imagine", left_pays)
        for step in range(40):
            torch.manual_seed(step)
            loss, _ = learner(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            learner.finish_step()
    return model.policy(belief)[0][:, 0].mean().item() - before


def test_an_actor_learns_what_pays_shuns_what_is_risky_and_the_pull_holds_it_back(sequences: Sequences) -> None:
    free = ImaginationConfig(pull=0.0)
    paid = moved_left(sequences, (10.0, 0.0), free)
    assert paid > 0.2
    assert moved_left(sequences, (0.0, 10.0), free) < -0.2
    assert abs(moved_left(sequences, (0.0, 10.0), replace(free, risk=0.0))) < 0.1
    assert abs(moved_left(sequences, (10.0, 0.0), replace(free, pull=30.0))) < 0.5 * paid


def test_the_return_scale_is_the_averaged_range_of_most_returns_and_at_least_one() -> None:
    learned, config = ActorCritic(WorldModel(SMALL)), ImaginationConfig()
    assert float(learned.return_scale(torch.linspace(0.0, 100.0, 1001), config)) == pytest.approx(90.0, rel=1e-3)
    narrow = float(learned.return_scale(torch.full((10, 10), 50.0), config))
    assert narrow == pytest.approx(0.99 * 90.0, rel=1e-3)
    assert float(ActorCritic(WorldModel(SMALL)).return_scale(torch.full((10, 10), 5.0), config)) == 1.0


def test_what_imagination_needs_beside_the_model_is_no_part_of_the_model() -> None:
    model = WorldModel(SMALL)
    names = set(model.state_dict())
    learner = Learner(deepcopy(model))
    assert set(learner.model.state_dict()) == names
