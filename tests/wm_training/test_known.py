"""What was not recorded is not learned: masked terms change no gradient, and masks stay with their frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from wm_dynamics.heads import LABEL_NAMES
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_training.bag_frames import KNOWN_NAMES
from wm_training.batches import Batch, BatchSource
from wm_training.losses import LossConfig, world_model_loss
from wm_training.open_loop import open_loop_errors, open_loop_figures
from wm_training.sequences import Sequences

SMALL = WorldModelConfig(rssm=RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))
HAZARDS = ("red_light_gap", "crossing_time")


@pytest.fixture
def batch() -> Batch:
    """Four windows of one made-up drive."""
    rng, frames = np.random.default_rng(0), 60

    def numbers(*shape: int) -> np.ndarray:
        return 0.1 * rng.normal(0, 1, (frames, *shape)).astype(np.float32)

    flags = {n: np.zeros(frames, bool) for n in ("taught", "collided", "off_road", "ran_red", "done")}
    scalars = ("reward", "lateral_error", "heading_error", "curvature", "gap_ahead", "closing_speed", "lane_width",
               "red_light_gap", "crossing_time")  # fmt: skip
    labels = {n: numbers() for n in scalars}
    sequences = Sequences(
        camera=rng.integers(0, 256, (frames, 64, 64, 3), dtype=np.uint8), scan=20 + numbers(72), state=numbers(15),
        action=numbers(2), episode_start=np.array([0, frames]), digest="made up", **flags, **labels,
    )  # fmt: skip
    return BatchSource(sequences, np.arange(1), 20, seed=0).draw(0, 4)


def gradient(batch: Batch) -> torch.Tensor:
    torch.manual_seed(0)
    model = WorldModel(SMALL)
    for parameter in model.heads.parameters():  # they start at zero, where nothing flows back
        torch.nn.init.normal_(parameter, std=0.1)
    torch.manual_seed(1)
    world_model_loss(model, batch, LossConfig())[0].backward()
    return torch.cat([p.grad.flatten() for n, p in model.named_parameters() if "encoder" not in n])


def without(batch: Batch, *names: str) -> Batch:
    known = batch.known.clone()
    known[..., [KNOWN_NAMES.index(name) for name in names]] = 0.0
    return replace(batch, known=known)


def test_windows_of_own_bags_know_everything_and_so_does_a_batch_made_by_hand(batch: Batch) -> None:
    assert batch.known.shape == (4, 20, len(KNOWN_NAMES)) and bool((batch.known == 1).all())
    by_hand = replace(batch, known=torch.ones(0))
    assert torch.equal(by_hand.known, batch.known)
    assert batch.select_times([slice(0, 5), slice(5, 10)]).known.shape == (8, 5, len(KNOWN_NAMES))


@pytest.mark.parametrize("name", ["reward", "collided", "off_road"])
def test_a_target_that_is_not_known_changes_no_gradient(batch: Batch, name: str) -> None:
    field = {"reward": "reward", "collided": "collision_risk", "off_road": "off_road_risk"}[name]
    masked = without(batch, name)
    other = replace(masked, **{field: 1.0 - getattr(batch, field)})
    assert torch.equal(gradient(masked), gradient(other))
    assert not torch.equal(gradient(batch), gradient(replace(batch, **{field: 1.0 - getattr(batch, field)})))


def test_one_unknown_label_leaves_the_others_learning(batch: Batch) -> None:
    masked, labels = without(batch, "curvature"), batch.labels.clone()
    labels[..., 2] += 1.0
    assert torch.equal(gradient(masked), gradient(replace(masked, labels=labels)))
    labels[..., 0] += 1.0
    assert not torch.equal(gradient(masked), gradient(replace(masked, labels=labels)))


def test_frames_with_a_scan_teach_beside_frames_without(batch: Batch) -> None:
    known = batch.known.clone()
    known[:2, :, KNOWN_NAMES.index("scan")] = 0.0
    half = replace(batch, known=known)
    _, terms = world_model_loss(WorldModel(SMALL), half, LossConfig())
    assert float(terms["sensors"].detach()) > 0.0
    assert not torch.equal(gradient(half), gradient(without(batch, "scan")))


def test_the_read_outs_of_hazards_learn_and_where_they_were_not_recorded_nothing_of_them(batch: Batch) -> None:
    def rows(batch: Batch) -> torch.Tensor:
        torch.manual_seed(0)
        model = WorldModel(SMALL)
        optimizer = torch.optim.SGD(model.parameters(), 1e-3)
        world_model_loss(model, batch, LossConfig())[0].backward()
        optimizer.step()
        return model.heads.out.weight[-2:].detach()

    assert LABEL_NAMES[-2:] == HAZARDS
    assert bool((rows(batch).abs().sum(-1) > 0).all())
    assert not rows(without(batch, *HAZARDS)).any()
    assert bool(rows(without(batch, "crossing_time"))[0].any())


def test_errors_of_what_was_not_recorded_are_not_measured(batch: Batch) -> None:
    model = WorldModel(SMALL).eval()
    states, belief = torch.zeros(4, 10, SMALL.rssm.belief), torch.zeros(4, SMALL.rssm.belief)
    with torch.inference_mode():
        parts = open_loop_errors(model, without(batch, "crossing_time"), states, belief, 9)
    figures = open_loop_figures(parts, "all")["mae"]
    assert figures["crossing_time"]["model"] == [None] * 10
    assert all(value is not None for value in figures["red_light_gap"]["model"])
