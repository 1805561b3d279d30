"""The trainer on a tiny made-up drive: what it promises, not how well it drives."""

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wm_dynamics.model_files import write_model_folder
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_training import train as train_module
from wm_training.batches import RISK_STEPS, BatchSource, collision_risk, happens_soon
from wm_training.checkpoint import CHECKPOINT_FILE
from wm_training.errors import TrainingError
from wm_training.export import split_episodes
from wm_training.losses import LossConfig, filter_sequence, free_of_teaching, lambda_returns, world_model_loss
from wm_training.sequences import Sequences
from wm_training.train import TrainConfig, learning_rate_share, train

LENGTHS = (40, 25, 12, 60)
SMALL = WorldModelConfig(rssm=RssmConfig(embedding=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))


@pytest.fixture
def sequences() -> Sequences:
    """Four episodes; the second ends in a collision, the third off the road."""
    rng = np.random.default_rng(0)
    frames = sum(LENGTHS)
    episode_start = np.concatenate(([0], np.cumsum(LENGTHS))).astype(np.int64)

    def numbers(*shape: int) -> np.ndarray:
        return rng.normal(0, 1, (frames, *shape)).astype(np.float32)

    collided, off_road = np.zeros(frames, bool), np.zeros(frames, bool)
    collided[episode_start[2] - 1] = True
    off_road[episode_start[3] - 1] = True
    action = rng.uniform(-1, 1, (frames, 2)).astype(np.float32)
    return Sequences(
        camera=rng.integers(0, 256, (frames, 64, 64, 3), dtype=np.uint8),
        scan=rng.uniform(1, 60, (frames, 72)).astype(np.float32),
        state=0.05 * numbers(15), action=action, taught=np.zeros(frames, bool), reward=numbers(),
        collided=collided, off_road=off_road, ran_red=np.zeros(frames, bool),
        done=collided | off_road, lateral_error=numbers(), heading_error=numbers(), curvature=numbers(),
        gap_ahead=np.full(frames, 60, np.float32), closing_speed=np.zeros(frames, np.float32),
        lane_width=np.full(frames, 3.5, np.float32), episode_start=episode_start, digest="made up",
    )  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return TrainConfig(
        out=tmp_path / "run",
        joint_steps=2,
        dynamics_steps=2,
        batch=3,
        dynamics_batch=4,
        length=20,
        checkpoint_every=2,
        held_out=0.0,
        threads=1,
    )


@pytest.fixture
def tiny_training(sequences: Sequences, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, torch.Tensor]]:
    """wm train on the made-up drive with a small model; the weights that it would have exported."""
    exported: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(train_module, "load_sequences", lambda _: sequences)
    monkeypatch.setattr(train_module, "WorldModelConfig", lambda: SMALL)
    monkeypatch.setattr(train_module, "export_model", lambda model, *_: exported.append(model.state_dict()))
    return exported


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
        frame = batch.camera[expectation, step], batch.scan[expectation, step], batch.state[expectation, step]
        belief, _ = observe(belief, batch.state[expectation, step, 4:6], encode(*frame))
        assert torch.allclose(belief, beliefs[expectation, step], atol=1e-5)


def test_a_resumed_run_equals_the_uninterrupted_one(
    config: TrainConfig, tiny_training: list[dict[str, torch.Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    train(config)

    def interrupted(*args: object) -> dict[str, float]:
        if args[5] == 2:
            signal.raise_signal(signal.SIGINT)  # in the middle of the third step
        return original(*args)  # type: ignore[arg-type]

    original = train_module._step
    halved = replace(config, out=config.out.with_name("halved"))
    with monkeypatch.context() as patch:
        patch.setattr(train_module, "_step", interrupted)
        with pytest.raises(TrainingError, match="stopped at step 3. Go on with --resume"):
            train(halved)
    train(replace(halved, resume=True))
    whole, resumed = tiny_training
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.usefixtures("tiny_training")
def test_other_settings_a_damaged_checkpoint_and_an_existing_run_are_refused(config: TrainConfig) -> None:
    train(config)
    with pytest.raises(TrainingError, match="already holds a training run. Go on with --resume"):
        train(config)
    with pytest.raises(TrainingError, match=r"was trained with batch 3 \(now 5\)"):
        train(replace(config, resume=True, batch=5))
    path = config.out / CHECKPOINT_FILE
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="is damaged"):
        train(replace(config, resume=True))
    with pytest.raises(TrainingError, match="to resume from"):
        train(replace(config, resume=True, out=config.out / "elsewhere"))


@pytest.mark.usefixtures("tiny_training")
def test_a_loss_that_is_not_finite_names_its_term(config: TrainConfig, sequences: Sequences) -> None:
    sequences.reward[:] = np.nan
    with pytest.raises(TrainingError, match=r"not finite at step 0 \(.*reward"):
        train(config)


def test_held_out_episodes_are_never_trained_on() -> None:
    training, held_out = split_episodes(100, 0.1)
    assert len(held_out) == 10
    assert not set(training) & set(held_out)


def test_the_learning_rate_warms_up_and_falls() -> None:
    config = TrainConfig(joint_steps=400, dynamics_steps=600, warmup=100)
    shares = [learning_rate_share(step, config) for step in range(1000)]
    assert shares[0] == pytest.approx(0.01)
    assert max(shares) == pytest.approx(1.0, abs=1e-3)
    assert shares[-1] == pytest.approx(0.05, abs=1e-3)


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
    train(replace(config, start_from=tmp_path / "first", joint_steps=0, dynamics_steps=1, learning_rate=1e-6))
    (weights,) = tiny_training
    for name, value in first.state_dict().items():
        assert torch.allclose(weights[name], value, atol=1e-4)
    assert any(not torch.equal(weights[name], value) for name, value in first.state_dict().items())
    assert all(torch.equal(weights[name], value) for name, value in first.state_dict().items() if "encoder" in name)
