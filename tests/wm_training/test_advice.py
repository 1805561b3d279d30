"""What an expert would have done: from the drive through the bag to what the policy learns."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_ros.topic_table import ADVICE, TOPICS
from wm_sim import action as actions
from wm_sim.drivers import ExpertDriver
from wm_sim.scenarios import FAMILIES
from wm_sim.world import World
from wm_training.agents import make_agent
from wm_training.bags.info import bag_info
from wm_training.batches import Batch, BatchSource
from wm_training.collect import ADVISER, Episode, drive
from wm_training.exploration import Explorer
from wm_training.losses import LossConfig, _policy_error, world_model_loss
from wm_training.moods import ExplorationConfig
from wm_training.sequences import ARRAYS, Sequences, load_sequences

SMALL = WorldModelConfig(rssm=RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))
NAME = f"/{ADVICE.name}"


def no_advice(name: str, stamp: int, raw: bytes) -> list[tuple[str, int, bytes]]:
    return [] if name == NAME else [(name, stamp, raw)]


def test_advice_comes_out_of_the_bag_bit_for_bit_as_it_was_given(explored: Path) -> None:
    sequences = load_sequences(explored)
    world, explorer, families = World(), Explorer(ExpertDriver(), ExplorationConfig()), list(FAMILIES)
    assert sequences.advice.shape == (len(sequences), 2) and sequences.advice.dtype == np.float32
    for index in range(sequences.episodes):
        episode = Episode(families[index % len(families)], 11 + index // len(families))
        _, _, advice = drive(world, explorer, episode, adviser=make_agent(ADVISER, episode.seed))
        start, end = sequences.episode_start[index : index + 2]
        steering, acceleration = actions.to_physical(advice)  # as a message tells it
        said = actions.from_physical(steering.astype(np.float32), acceleration.astype(np.float32))
        np.testing.assert_array_equal(sequences.advice[start : end - 1], said)
        np.testing.assert_allclose(said, advice, atol=1e-6)
        assert np.isnan(sequences.advice[end - 1]).all()


def test_an_expert_that_nothing_disturbs_does_what_it_advises_and_a_disturbed_one_does_not(
    collected: Path, explored: Path
) -> None:
    calm, wild = load_sequences(collected), load_sequences(explored)
    asked = np.isfinite(calm.advice).all(axis=1)
    assert asked.sum() == len(calm) - calm.episodes
    np.testing.assert_allclose(calm.action[asked], calm.advice[asked], atol=1e-6)
    asked = np.isfinite(wild.advice).all(axis=1)
    assert np.abs(wild.action - wild.advice)[asked].max() > 0.3


def test_asking_an_expert_changes_nothing_of_the_drive() -> None:
    world = World()
    alone, asked = (
        drive(world, Explorer(ExpertDriver(), ExplorationConfig()), Episode("stop_go", 5), adviser=adviser)
        for adviser in (None, ExpertDriver())
    )
    np.testing.assert_array_equal(alone[1], asked[1])
    np.testing.assert_array_equal([f.state for f in alone[0]], [f.state for f in asked[0]])
    assert alone[2].shape == (0, 2) and asked[2].shape == asked[1].shape


def test_bags_without_advice_have_none_and_beside_others_theirs_alone_are_without(rewrite, short_bag) -> None:
    silent, whole = rewrite(no_advice), load_sequences(short_bag)
    alone, both = load_sequences(silent), load_sequences([silent, short_bag])
    assert np.isnan(alone.advice).all() and alone.advice.shape == (len(whole), 2)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(alone, name), getattr(whole, name), err_msg=name)
    assert np.isnan(both.advice[: len(alone)]).all()
    np.testing.assert_array_equal(both.advice[len(alone) :], whole.advice)


def test_a_frame_whose_advice_was_lost_stays_and_is_unasked(rewrite, short_bag) -> None:
    seen: Counter[str] = Counter()

    def edit(name, stamp, raw):
        seen[name] += 1
        return no_advice(name, stamp, raw) if 10 < seen[name] <= 15 else [(name, stamp, raw)]

    whole, gappy = load_sequences(short_bag), load_sequences(rewrite(edit))
    assert len(gappy) == len(whole) and np.isnan(gappy.advice[10:15]).all()
    kept = np.delete(np.arange(len(whole)), np.arange(10, 15))
    np.testing.assert_array_equal(gappy.advice[kept], whole.advice[kept])


def test_advice_is_in_collected_bags_and_no_topic_of_the_running_stack(short_bag) -> None:
    assert ADVICE not in TOPICS
    assert NAME in {topic.name for topic in bag_info(short_bag).topics}


@pytest.fixture
def batch(sequences: Sequences) -> Batch:
    """Four windows; in the first two an expert was asked at every frame, and says the opposite of what was done."""
    batch = BatchSource(sequences, np.array([0, 3]), 20, seed=0).draw(0, 4)
    action = torch.full_like(batch.action, -0.5)
    advice = torch.full_like(batch.advice, float("nan"))
    advice[:2] = 0.5
    return replace(batch, action=action, advice=advice)


def test_the_policy_is_pulled_to_the_advice_where_there_is_some_and_else_to_what_was_done(batch: Batch) -> None:
    torch.manual_seed(0)
    model, config = WorldModel(SMALL), LossConfig()
    beliefs = torch.randn(2, 1, SMALL.rssm.belief).repeat_interleave(2, 0).expand(4, 20, -1)
    optimizer = torch.optim.Adam(model.policy.parameters(), 3e-2)
    for _ in range(150):
        optimizer.zero_grad()
        _policy_error(model, batch, beliefs, torch.zeros(4, 20), config).backward()
        optimizer.step()
    mean = model.policy(beliefs[:, 0])[0].detach()
    assert mean[:2].numpy() == pytest.approx(0.5, abs=0.1)
    assert mean[2:].numpy() == pytest.approx(-0.5, abs=0.1)


def test_a_policy_that_cannot_tell_when_the_expert_goes_does_what_it_mostly_does_and_not_the_mean(batch: Batch) -> None:
    torch.manual_seed(0)
    model, config = WorldModel(SMALL), LossConfig()
    waits_or_goes = torch.full_like(batch.advice, -0.1)
    waits_or_goes[:, ::3] = 0.6
    beliefs = torch.randn(1, 1, SMALL.rssm.belief).expand(4, 20, -1)
    optimizer = torch.optim.Adam(model.policy.parameters(), 1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        _policy_error(model, replace(batch, advice=waits_or_goes), beliefs, torch.zeros(4, 20), config).backward()
        optimizer.step()
    assert model.policy(beliefs[:, 0])[0].detach().numpy() == pytest.approx(-0.1, abs=0.04)  # the mean is 0.13


def test_how_well_an_advised_drive_turned_out_does_not_weigh_the_advice(batch: Batch) -> None:
    torch.manual_seed(0)
    model, beliefs = WorldModel(SMALL), torch.randn(4, 20, SMALL.rssm.belief)

    def error(batch: Batch, advantage: float) -> float:
        return float(_policy_error(model, batch, beliefs, torch.full((4, 20), advantage), LossConfig()).detach())

    advised = replace(batch, advice=torch.full_like(batch.advice, 0.5))
    assert error(advised, 1.0) == error(advised, -1.0)
    assert error(batch, 1.0) != error(batch, -1.0)


def test_the_policys_gradient_reaches_the_belief_only_where_an_expert_was_asked(batch: Batch) -> None:
    torch.manual_seed(0)
    model = WorldModel(SMALL)
    advice = batch.advice.clone()
    advice[1, 5:] = float("nan")
    beliefs = torch.randn(4, 20, SMALL.rssm.belief, requires_grad=True)
    _policy_error(model, replace(batch, advice=advice), beliefs, torch.zeros(4, 20), LossConfig()).backward()
    assert beliefs.grad is not None and torch.isfinite(beliefs.grad).all()
    reached = beliefs.grad.abs().sum(-1) > 0
    expected = torch.zeros(4, 20, dtype=torch.bool)
    expected[0, :19] = expected[1, :5] = True  # the last frame of a window has no action
    assert torch.equal(reached, expected)


def test_the_whole_loss_with_advice_here_and_there_is_finite_and_so_is_its_gradient(batch: Batch) -> None:
    torch.manual_seed(0)
    model = WorldModel(SMALL)
    loss, terms = world_model_loss(model, batch, LossConfig())
    loss.backward()
    assert all(torch.isfinite(value) for value in terms.values())
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
