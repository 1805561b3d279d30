"""The trainer on a tiny made-up drive: what it promises, not how well it drives."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wm_dynamics.heads import LABEL_NAMES
from wm_dynamics.model_files import load_world_model, write_model_folder
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig, with_every_label
from wm_sim.scene import RED_LIGHT_MAX_M
from wm_training.batches import RISK_STEPS, BatchSource, collision_risk, happens_soon
from wm_training.errors import TrainingError
from wm_training.export import split_episodes
from wm_training.losses import LossConfig, filter_sequence, free_of_teaching, lambda_returns, world_model_loss
from wm_training.sequences import Sequences
from wm_training.train import TrainConfig, train

SMALL = WorldModelConfig(rssm=RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))


def test_windows_never_cross_episodes_and_mark_what_is_padding(sequences: Sequences) -> None:
    source = BatchSource(sequences, np.arange(4), 20, seed=0)
    for step in range(30):
        batch = source.draw(step, 8)
        assert batch.valid.sum(1).min() >= 12
        # Padding repeats the last frame, so reward differences are zero exactly where frames are invalid.
        repeated = (batch.reward[:, 1:] == batch.reward[:, :-1]).float()
        assert torch.equal(repeated, 1.0 - batch.valid[:, 1:])


def test_the_windows_of_a_step_depend_on_the_step_alone(sequences: Sequences) -> None:
    first, second = (BatchSource(sequences, np.arange(4), 20, seed=5) for _ in range(2))
    second.draw(0, 3)
    assert torch.equal(first.draw(7, 3).state, second.draw(7, 3).state)
    assert not torch.equal(first.draw(8, 3).state, second.draw(7, 3).state)


def test_a_quarter_of_the_windows_shows_the_one_red_light_there_is(sequences: Sequences) -> None:
    red = np.full_like(sequences.red_light_gap, RED_LIGHT_MAX_M)
    red[int(sequences.episode_start[2])] = 12.0
    source = BatchSource(replace(sequences, red_light_gap=red), np.arange(4), 12, seed=0)
    at = LABEL_NAMES.index("red_light_gap")
    shown = [(source.draw(step, 8).labels[..., at] < RED_LIGHT_MAX_M).any(dim=1).sum() for step in range(10)]
    assert min(shown) >= 2
    plain = BatchSource(sequences, np.arange(4), 12, seed=0)
    assert not any((plain.draw(step, 8).labels[..., at] < RED_LIGHT_MAX_M).any() for step in range(10))


def test_risk_begins_some_steps_before_the_accident_and_stays_in_its_episode(sequences: Sequences) -> None:
    soon = happens_soon(sequences.collided, sequences.episode_start)
    at = int(np.flatnonzero(sequences.collided)[0])
    assert soon[at - RISK_STEPS : at + 1].all()
    assert soon.sum() == RISK_STEPS + 1


def test_a_gap_that_braking_cannot_save_is_a_collision_risk(sequences: Sequences) -> None:
    gap, closing = sequences.gap_ahead.copy(), sequences.closing_speed.copy()
    gap[:2], closing[:2] = (10.0, 10.0), (12.0, 8.0)  # 7.2 and 3.2 m/s2 needed
    risk = collision_risk(replace(sequences, gap_ahead=gap, closing_speed=closing))
    assert risk[0]
    assert not risk[1]


def test_returns_stop_at_an_accident_and_bootstrap_elsewhere(sequences: Sequences) -> None:
    source = BatchSource(sequences, np.arange(4), 5, seed=0)
    end = int(sequences.episode_start[2])
    batch = source.windows(np.array([end - 5, 0]), np.array([end, 40]), np.zeros((2, 1), np.int64))
    value = torch.full((2, 5), 10.0)
    returns = lambda_returns(batch, value, gamma=0.5, lam=1.0)
    crash, open_end = returns
    assert crash[-1] == 0.0
    assert crash[-2] == pytest.approx(float(batch.reward[0, -1]))
    assert open_end[-1] == 10.0
    assert open_end[-2] == pytest.approx(float(batch.reward[1, -1]) + 5.0)


def test_the_loss_falls_and_every_part_of_the_model_learns(sequences: Sequences) -> None:
    torch.manual_seed(0)
    model = WorldModel(SMALL)
    source = BatchSource(sequences, np.arange(4), 20, seed=0)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    batch, losses = source.draw(0, 4), []
    grey = torch.full_like(batch.camera, 180)  # noise cannot be learned
    batch = replace(batch, camera=grey, pictures=grey[:, :1])
    for _ in range(25):
        loss, _ = world_model_loss(model, batch, LossConfig())
        optimizer.zero_grad()
        loss.backward()
        missing = [name for name, p in model.named_parameters() if p.grad is None]
        assert not missing
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_the_trained_filter_is_the_exported_filter(sequences: Sequences) -> None:
    """Windows that carry the expectation must run exactly as ObserveGraph does when driving."""
    from wm_dynamics.graphs import EncodeGraph, ObserveGraph

    torch.manual_seed(0)
    model = WorldModel(SMALL).eval()
    batch = BatchSource(sequences, np.arange(4), 20, seed=0).draw(0, 16)
    torch.manual_seed(1)
    beliefs, _, _ = filter_sequence(model, batch)
    torch.manual_seed(1)
    expectation = int(torch.nonzero(torch.rand(16, 1)[:, 0] >= 0.5)[0])
    belief = torch.zeros(SMALL.rssm.belief)
    encode, observe = EncodeGraph(model), ObserveGraph(model)
    for step in range(20):
        frame = batch.camera[expectation, step], batch.scans[expectation, step], batch.state[expectation, step]
        belief, _ = observe(belief, batch.state[expectation, step, 4:6], encode(*frame))
        assert torch.allclose(belief, beliefs[expectation, step], atol=1e-5)


@pytest.mark.usefixtures("tiny_training")
def test_a_loss_that_is_not_finite_names_its_term(config: TrainConfig, sequences: Sequences) -> None:
    sequences.reward[:] = np.nan
    with pytest.raises(TrainingError, match=r"not finite at step 0 \(.*reward"):
        train(replace(config, perception_steps=0))


@pytest.mark.usefixtures("tiny_training")
def test_a_share_that_holds_out_no_drive_is_refused_before_training(config: TrainConfig) -> None:
    with pytest.raises(TrainingError, match="none to measure on with --held-out 0.001. Record more"):
        train(replace(config, held_out=0.001))
    assert not config.out.exists()


def test_held_out_episodes_are_never_trained_on() -> None:
    training, held_out = split_episodes(100, 0.1)
    assert len(held_out) == 10
    assert not set(training) & set(held_out)


def test_every_phase_warms_up_to_its_rate_and_falls_to_a_twentieth_and_imagination_keeps_its_own() -> None:
    config = TrainConfig(perception_steps=300, joint_steps=400, dynamics_steps=600, imagination_steps=50, warmup=100)
    phases = config.phases
    assert [(p.first_step, p.last_step) for p in phases] == [(0, 300), (300, 700), (700, 1300), (1300, 1350)]
    assert [p.length for p in phases] == [1, config.length, config.length, config.length]
    for phase in phases[:3]:
        shares = np.array([phase.rate_at(step) for step in range(phase.first_step, phase.last_step)])
        shares /= config.learning_rate
        np.testing.assert_allclose(shares[:100], np.arange(1, 101) / 100)
        assert shares.max() == pytest.approx(1.0) and shares[-1] == pytest.approx(0.05, abs=1e-3)
        assert (np.diff(shares[100:]) < 0).all()
        assert shares[100 + (len(shares) - 100) // 2] == pytest.approx(0.525, abs=1e-6)
    assert {phases[3].rate_at(step) for step in range(1300, 1350)} == {config.imagination_rate}


def test_a_phase_shorter_than_its_warm_up_reaches_its_rate_and_one_without_steps_is_left_out() -> None:
    (short,) = TrainConfig(perception_steps=4, joint_steps=0, dynamics_steps=0, imagination_steps=0).phases
    rates = [short.rate_at(step) for step in range(4)]
    assert rates == pytest.approx([0.25 * k * short.peak_rate for k in (1, 2, 3, 4)])


def test_a_new_models_encoder_is_trained_and_a_finished_ones_left_alone_unless_asked_for() -> None:
    new, onward = TrainConfig(), TrainConfig(start_from=Path("models/default"))
    assert new.phases[0].task == "perception" and new.settings()["perception_steps"] == new.encoder_steps > 0
    assert onward.phases[0].task == "dynamics" and onward.settings()["perception_steps"] == 0
    assert replace(onward, perception_steps=7).phases[0].last_step == 7


def test_imagination_learns_only_from_actions_that_no_expert_had_a_say_in() -> None:
    taught = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0, 0.0]])
    free = free_of_teaching(taught, horizon=3)
    assert free[0].tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 0], [1, 0, 0]]


def test_a_taught_action_changes_no_gradient_of_the_priors(sequences: Sequences) -> None:
    model = WorldModel(SMALL)
    batch = BatchSource(sequences, np.arange(4), 20, seed=0).draw(0, 4)
    everything_taught = replace(batch, taught=torch.ones_like(batch.taught))
    loss, _ = world_model_loss(model, everything_taught, LossConfig())
    loss.backward()
    assert model.rssm.prior_hidden.weight.grad.abs().max() == 0.0
    model.zero_grad()
    world_model_loss(model, batch, LossConfig())[0].backward()
    assert model.rssm.prior_hidden.weight.grad.abs().max() > 0.0


def test_training_goes_on_from_a_finished_model(
    config: TrainConfig, tiny_training: list[dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    first = WorldModel(SMALL)
    write_model_folder(tmp_path / "first", first, training={}, metrics={}, disagreement_p95=1.0, surprise_p999=1.0)
    steps = {"perception_steps": 0, "joint_steps": 0, "dynamics_steps": 1, "imagination_steps": 0}
    train(replace(config, start_from=tmp_path / "first", learning_rate=1e-6, **steps))
    (weights,) = tiny_training
    for name, value in first.state_dict().items():
        assert torch.allclose(weights[name], value, atol=1e-4)
    assert any(not torch.equal(weights[name], value) for name, value in first.state_dict().items())
    assert all(torch.equal(weights[name], value) for name, value in first.state_dict().items() if "encoder" in name)


def test_training_goes_on_from_a_model_that_had_fewer_labels(
    config: TrainConfig, tiny_training: list[dict[str, torch.Tensor]], tmp_path: Path
) -> None:
    torch.manual_seed(1)
    first = WorldModel(replace(SMALL, labels=5))
    torch.nn.init.normal_(first.heads.out.weight)
    write_model_folder(tmp_path / "first", first, training={}, metrics={}, disagreement_p95=1.0, surprise_p999=1.0)
    grown = with_every_label(load_world_model(tmp_path / "first"))
    assert torch.equal(grown.heads.out.weight[:-2], first.heads.out.weight) and not grown.heads.out.weight[-2:].any()
    assert torch.equal(grown.heads.out.bias[:-2], first.heads.out.bias) and not grown.heads.out.bias[-2:].any()
    steps = {"perception_steps": 0, "joint_steps": 0, "dynamics_steps": 1, "imagination_steps": 0}
    train(replace(config, start_from=tmp_path / "first", learning_rate=1e-6, **steps))
    (weights,) = tiny_training
    assert torch.allclose(weights["heads.out.weight"], grown.heads.out.weight, atol=1e-4)
    assert weights["heads.out.weight"][-2:].any()
    for name, value in first.state_dict().items():
        if not name.startswith("heads.out"):
            assert torch.allclose(weights[name], value, atol=1e-4), name
