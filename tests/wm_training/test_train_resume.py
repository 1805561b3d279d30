"""A run that is stopped loses nothing, and says how it goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file, save_file

from wm_dynamics.world_model import WorldModel
from wm_training import train as train_module
from wm_training.checkpoint import CHECKPOINT_FILE, read_checkpoint
from wm_training.ema import WeightAverage
from wm_training.errors import TrainingError
from wm_training.loop import Loop
from wm_training.train import TrainConfig, train

Weights = dict[str, torch.Tensor]
STEPS = 8  # of all phases: 2 each of perception, the whole model, dynamics and imagination


def interrupt(*_: object, **__: object) -> None:
    signal.raise_signal(signal.SIGINT)


@pytest.fixture
def stop_in_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Ctrl-C in the middle of the step given; None: never again."""
    original = Loop.step

    def arrange(at: int | None) -> None:
        def step(loop: Loop, batch: Any, number: int, rate: float) -> tuple[dict[str, float], float]:
            if number == at:
                interrupt()
            return original(loop, batch, number, rate)

        monkeypatch.setattr(Loop, "step", step)

    return arrange


def test_a_run_resumed_after_any_step_of_any_phase_equals_the_uninterrupted_one_bit_for_bit(
    config: TrainConfig, tiny_training: list[Weights], stop_in_step: Callable[[int | None], None]
) -> None:
    train(config)
    for step in range(STEPS - 1):
        run = replace(config, out=config.out.with_name(f"stopped{step}"))
        stop_in_step(step)
        with pytest.raises(TrainingError, match=f"stopped at step {step + 1}. Go on with --resume --out"):
            train(run)
        stop_in_step(None)
        train(replace(run, resume=True))
        whole, resumed = tiny_training[0], tiny_training[-1]
        assert all(torch.equal(whole[name], resumed[name]) for name in whole), f"stopped in step {step}"
        # Not the model alone: optimiser, average, actor-critic and the first phase's read-outs too.
        left, right = (load_file(folder / CHECKPOINT_FILE) for folder in (config.out, run.out))
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_run_resumed_again_and_again_equals_the_uninterrupted_one(
    config: TrainConfig, tiny_training: list[Weights], stop_in_step: Callable[[int | None], None]
) -> None:
    train(config)
    run = replace(config, out=config.out.with_name("often"))
    for step in range(STEPS - 1):
        stop_in_step(step)
        with pytest.raises(TrainingError, match=f"stopped at step {step + 1}"):
            train(replace(run, resume=step > 0))
    stop_in_step(None)
    train(replace(run, resume=True))
    assert all(torch.equal(tiny_training[0][name], value) for name, value in tiny_training[-1].items())


@pytest.mark.usefixtures("tiny_training")
@pytest.mark.parametrize(
    ("function", "stage", "advice"),
    [
        ("load_sequences", "reading the bags", "start again"),
        ("embed", "computing the embeddings", "Go on with --resume --out"),
        ("export_model", "measuring and writing the model", "Go on with --resume --out"),
    ],
)
def test_ctrl_c_outside_the_steps_says_what_was_stopped_and_how_to_go_on(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, function: str, stage: str, advice: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(train_module, function, interrupt)
        with pytest.raises(TrainingError, match=f"stopped while {stage}. .*{advice}"):
            train(config)
    assert not (config.out / "model").exists()
    train(replace(config, resume=(config.out / CHECKPOINT_FILE).exists()))
    assert read_checkpoint(config.out).step == STEPS


@pytest.mark.usefixtures("tiny_training")
def test_a_run_stopped_in_its_last_step_still_writes_its_model(
    config: TrainConfig, tiny_training: list[Weights], stop_in_step: Callable[[int | None], None]
) -> None:
    stop_in_step(STEPS - 1)
    train(config)
    assert len(tiny_training) == 1


@pytest.mark.usefixtures("tiny_training")
@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch": 5}, r"batch 3 \(now 5\)"),
        ({"ema_decay": 0.9}, r"ema_decay 0.998 \(now 0.9\)"),
        ({"seed": 1}, r"seed 0 \(now 1\)"),
        ({"perception_batch": 5}, r"perception_batch 6 \(now 5\)"),
        ({"imagination_steps": 3}, r"imagination_steps 2 \(now 3\)"),
    ],
)
def test_resuming_with_another_setting_is_refused_by_its_name(
    config: TrainConfig, change: dict[str, Any], named: str
) -> None:
    train(config)
    with pytest.raises(TrainingError, match=f"was trained with {named}. Resume with the same"):
        train(replace(config, resume=True, **change))


@pytest.mark.usefixtures("tiny_training")
def test_a_checkpoint_cut_anywhere_is_refused_in_one_sentence(config: TrainConfig) -> None:
    train(config)
    path = config.out / CHECKPOINT_FILE
    whole = path.read_bytes()
    for size in (0, 1, 8, 100, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(TrainingError, match="is damaged .*delete it and train again") as refused:
            train(replace(config, resume=True))
        assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("tiny_training")
def test_an_existing_run_is_not_overwritten_and_a_missing_one_not_resumed(config: TrainConfig) -> None:
    train(config)
    with pytest.raises(TrainingError, match="already holds a training run. Go on with --resume"):
        train(config)
    with pytest.raises(TrainingError, match="to resume from"):
        train(replace(config, resume=True, out=config.out / "elsewhere"))


@pytest.mark.usefixtures("tiny_training")
def test_a_write_that_breaks_off_leaves_the_old_checkpoint(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(replace(config, checkpoint_every=1))
    before = (config.out / CHECKPOINT_FILE).read_bytes()

    def full(_tensors: object, path: Path, **_: object) -> None:
        path.write_bytes(before[:500])
        raise OSError("no space left on device")

    monkeypatch.setattr("wm_training.checkpoint.save_file", full)
    with pytest.raises(OSError, match="no space"):
        train(replace(config, out=config.out.with_name("full")))
    assert not (config.out.with_name("full") / CHECKPOINT_FILE).exists()
    assert (config.out / CHECKPOINT_FILE).read_bytes() == before


def test_what_is_exported_is_the_average_of_the_weights(config: TrainConfig, tiny_training: list[Weights]) -> None:
    train(replace(config, dynamics_steps=0, imagination_steps=0))
    checkpoint = read_checkpoint(config.out)
    average, last = checkpoint.part("average"), checkpoint.part("model")
    assert all(torch.equal(tiny_training[0][name], average[name]) for name in average)
    assert any(not torch.equal(last[name], average[name]) for name in average)
    assert all(torch.equal(checkpoint.model_weights()[name], average[name]) for name in average)


def test_the_average_follows_its_formula(sequences: object) -> None:
    model = torch.nn.Linear(1, 1)
    average = WeightAverage(model, decay=0.5)
    expected = model.weight.detach().clone()
    for step in range(20):
        with torch.no_grad():
            model.weight.fill_(float(step))
        average.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    assert torch.allclose(average.weights["weight"], expected)


def test_a_checkpoint_of_before_averages_were_kept_is_exported_from_its_weights(tmp_path: Path) -> None:
    model = WorldModel(train_module.WorldModelConfig())
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    save_file(tensors, tmp_path / CHECKPOINT_FILE, metadata={"step": "7", "seconds": "12.5", "settings": "{}"})
    checkpoint = read_checkpoint(tmp_path)
    assert (checkpoint.step, checkpoint.spent.seconds) == (7, 12.5)
    model.load_state_dict(checkpoint.model_weights())


@pytest.mark.usefixtures("tiny_training")
def test_a_gradient_that_is_not_finite_never_reaches_the_checkpoint(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = Fabric.clip_gradients, []

    def second_overflows(*args: Any, **options: Any) -> torch.Tensor | None:
        calls.append(original(*args, **options))
        return calls[-1] if len(calls) == 1 else torch.tensor(float("inf"))

    monkeypatch.setattr(Fabric, "clip_gradients", second_overflows)
    with pytest.raises(TrainingError, match="the gradient is not finite at step 1. Train again with a lower"):
        train(replace(config, checkpoint_every=1))
    assert read_checkpoint(config.out).step == 1
