"""The first phase: the encoder learns from single frames, from what is known of each, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from wm_dynamics.heads import LABEL_NAMES, LABEL_SCALE
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_training.augmentation import AugmentationConfig
from wm_training.bag_frames import KNOWN_NAMES
from wm_training.batches import Batch, BatchSource
from wm_training.checkpoint import read_checkpoint
from wm_training.frame_task import KNOTS, SPEED, FrameConfig, advice_error, near_error
from wm_training.learner import Learner
from wm_training.nearness import BEND, FAR
from wm_training.sequences import Sequences
from wm_training.train import TrainConfig, train

SMALL = WorldModelConfig(rssm=RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))
NOBODY = float("nan")
STILL = AugmentationConfig(0.0, 0.0, 0.0, 0.0, 0.0)


@pytest.fixture
def frames(sequences: Sequences) -> Batch:
    """Sixteen single frames; an expert was asked at every other one."""
    batch = BatchSource(sequences, np.arange(4), 1, seed=0).draw(0, 16, pictures=0)
    advice = torch.full_like(batch.advice, NOBODY)
    advice[::2] = torch.linspace(-0.5, 0.5, 16).reshape(8, 1, 2)
    return replace(batch, advice=advice)


@pytest.fixture
def learner() -> Learner:
    torch.manual_seed(0)
    learner = Learner(WorldModel(SMALL))
    learner.take_up("perception")
    return learner


def gradient(learner: Learner, batch: Batch) -> torch.Tensor:
    """Of the loss, all parameters that learn in one vector."""
    learner.zero_grad()
    torch.manual_seed(1)
    learner(batch)[0].backward()
    found = [p.grad for p in learner.parameters() if p.requires_grad]
    assert all(grad is not None for grad in found)
    return torch.cat([grad.flatten() for grad in found if grad is not None])


def without(batch: Batch, *names: str) -> Batch:
    known = batch.known.clone()
    known[..., [KNOWN_NAMES.index(name) for name in names]] = 0.0
    return replace(batch, known=known)


def test_half_of_the_frames_are_any_and_the_others_show_what_is_rare_each_kind_alike(sequences: Sequences) -> None:
    red, start = sequences.red_light_gap.copy(), sequences.episode_start
    mine, rare = np.array([0, 1, 3]), [3, 44, 90]  # frames of these three episodes
    red[rare] = 20.0
    red[start[2] : start[3]] = 20.0  # an episode that is held out
    source = BatchSource(replace(sequences, red_light_gap=red), mine, 1, seed=0)
    soon = np.zeros(len(sequences), bool)
    soon[start[2] - 9 : start[2]] = True  # the collision that ends the second episode; no other danger is in these
    drawn = [source.draw(step, 16, pictures=0) for step in range(50)]
    gap = torch.cat([batch.labels[:, 0, LABEL_NAMES.index("red_light_gap")] for batch in drawn]).numpy()
    lateral = torch.cat([batch.labels[:, 0, 0] for batch in drawn]).numpy()
    found = {float(value): frame for frame, value in enumerate(sequences.lateral_error)}
    frames = np.array([found[float(value)] for value in lateral])
    assert not ((frames >= start[2]) & (frames < start[3])).any()
    assert np.mean(gap == 20.0) == pytest.approx(0.25 + 0.5 * 3 / 125, abs=0.03)
    assert soon[frames].mean() == pytest.approx(0.25 + 0.5 * 9 / 125, abs=0.05)
    assert len(np.unique(frames)) > 100
    assert all(torch.equal(batch.valid, torch.ones(16, 1)) and not batch.pictures.numel() for batch in drawn)
    assert torch.equal(source.draw(7, 16, 0).state, drawn[7].state)


@pytest.mark.usefixtures("tiny_training")
def test_perception_changes_the_encoder_and_its_own_read_outs_and_nothing_else(config: TrainConfig) -> None:
    train(replace(config, joint_steps=0, dynamics_steps=0, imagination_steps=0))
    torch.manual_seed(config.seed)
    first = Learner(WorldModel(SMALL))
    checkpoint = read_checkpoint(config.out)
    for name, value in first.model.state_dict().items():
        changed = not torch.equal(checkpoint.part("model")[name], value)
        assert changed is name.startswith("encoder."), name
    for name, value in first.frame_teacher.state_dict().items():
        assert not torch.equal(checkpoint.part("frame_teacher")[name], value), name
    for name, value in first.actor_critic.state_dict().items():
        assert torch.equal(checkpoint.part("actor_critic")[name], value), name


def test_the_read_outs_of_the_first_phase_are_no_part_of_the_model(learner: Learner) -> None:
    assert set(learner.model.state_dict()) == set(WorldModel(SMALL).state_dict())


def test_the_encoder_learns_labels_and_advice_from_single_frames(learner: Learner, frames: Batch) -> None:
    optimizer = torch.optim.AdamW([p for p in learner.parameters() if p.requires_grad], 3e-3)
    frames = replace(frames, labels=torch.randn(frames.labels.shape) * torch.tensor(LABEL_SCALE))
    seen: list[dict[str, float]] = []
    for step in range(40):
        torch.manual_seed(step)
        loss, terms = learner(frames)
        seen.append({name: float(value.detach()) for name, value in terms.items()})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert set(seen[0]) == {"camera", "sensors", "labels", "near", "advice", "flags"}
    assert seen[-1]["labels"] < 0.8 * seen[0]["labels"]
    assert seen[-1]["near"] < 0.8 * seen[0]["near"]
    assert seen[-1]["advice"] < 0.5 * seen[0]["advice"]


def test_where_nobody_was_asked_the_gradient_is_finite_and_advice_teaches_nothing(
    learner: Learner, frames: Batch
) -> None:
    some, none = gradient(learner, frames), gradient(learner, replace(frames, advice=frames.advice * NOBODY))
    assert torch.isfinite(some).all() and torch.isfinite(none).all()
    assert not torch.equal(some, none)
    learner.frames = FrameConfig(advice=0.0)
    assert torch.equal(gradient(learner, frames), none)


def test_the_advice_of_the_frames_that_have_some_is_all_that_counts() -> None:
    rng = torch.Generator().manual_seed(0)
    action, advice = (torch.rand(6, 2, generator=rng) for _ in range(2))
    speed = 10.0 * torch.rand(6, generator=rng)
    advice[[1, 3]] = NOBODY
    advice[4, 1] = NOBODY  # half an answer is none
    asked = [0, 2, 5]
    expected = advice_error(action[asked], advice[asked], speed[asked])
    action.requires_grad_(True)
    error = advice_error(action, advice, speed)
    assert float(error.detach()) == pytest.approx(float(expected)) and float(expected) > 0.0
    error.backward()
    assert action.grad is not None
    assert action.grad.abs().sum(-1).gt(0).nonzero().flatten().tolist() == asked


def told(frames: Batch, label: str, steps: int = 400) -> np.ndarray:
    """Chances of the values [KNOTS] of a label that one read-out for all these frames learns."""
    logits = torch.zeros(1, len(FAR), KNOTS, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        near_error(logits.expand(len(frames.labels), -1, -1), frames).backward()
        optimizer.step()
    return logits.detach().softmax(-1)[0, list(FAR).index(label)].numpy()


def test_a_distance_that_is_here_or_nowhere_is_told_as_either_and_never_as_the_mean(frames: Batch) -> None:
    labels = frames.labels.clone()
    labels[..., LABEL_NAMES.index("red_light_gap")] = torch.tensor([0.0, 60.0, 60.0, 60.0]).repeat(4)[:, None]
    chances = told(replace(frames, labels=labels), "red_light_gap")
    assert chances[0] == pytest.approx(0.25, abs=0.02) and chances[-1] == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("gap_m", [0.5, 3.0, 7.7, 24.0, 60.0, 75.0])
def test_a_distance_is_told_by_the_two_values_around_it_closer_together_the_nearer(frames: Batch, gap_m: float) -> None:
    labels = frames.labels.clone()
    labels[..., LABEL_NAMES.index("gap_ahead")] = gap_m
    chances = told(replace(frames, labels=labels), "gap_ahead")
    likely = np.where(chances > 0.02, chances, 0.0)
    assert (likely > 0.0).sum() <= 2
    knot = likely @ np.arange(KNOTS) / likely.sum()
    value = 60.0 / BEND * np.sinh(knot / (KNOTS - 1) * np.arcsinh(BEND))
    assert value == pytest.approx(min(gap_m, 60.0), rel=0.05)


def test_an_error_of_the_steering_counts_more_at_speed_and_one_of_the_pedal_does_not() -> None:
    advice, off = torch.zeros(1, 2), 0.5
    for action, grows in ((torch.tensor([[off, 0.0]]), True), (torch.tensor([[0.0, off]]), False)):
        slow, fast = (float(advice_error(action, advice, torch.tensor([v]))) for v in (0.0, 15.0))
        assert (fast > 5.0 * slow) is grows and (grows or fast == slow)


@pytest.mark.parametrize("name", [*LABEL_NAMES, "collided", "off_road", "scan", "speed_limit_mps"])
def test_what_is_not_known_of_a_frame_teaches_nothing(learner: Learner, frames: Batch, name: str) -> None:
    def otherwise(batch: Batch) -> Batch:
        if name in LABEL_NAMES:
            labels = batch.labels.clone()
            labels[..., LABEL_NAMES.index(name)] += 1.0
            return replace(batch, labels=labels)
        if name in ("collided", "off_road"):
            field = {"collided": "collision_risk", "off_road": "off_road_risk"}[name]
            return replace(batch, **{field: 1.0 - getattr(batch, field)})
        return batch

    masked = without(frames, name)
    assert torch.equal(gradient(learner, masked), gradient(learner, otherwise(masked)))
    assert not torch.equal(gradient(learner, masked), gradient(learner, otherwise(frames)))


def test_the_speed_that_scales_the_steering_is_the_state_vectors(frames: Batch) -> None:
    state = frames.state.clone()
    state[..., SPEED] = 15.0
    learner = Learner(WorldModel(SMALL)).eval()
    learner.take_up("perception")
    learner.frames = FrameConfig(dropout=0.0, augmentation=STILL)
    with torch.no_grad():
        slow, fast = (float(learner(replace(frames, state=s))[1]["advice"]) for s in (frames.state, state))
    assert fast > 2.0 * slow
