"""Training on several processes, at other precisions, with what it says meanwhile."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_training import devices as devices_module
from wm_training import losses, progress
from wm_training.batches import Batch, BatchSource
from wm_training.checkpoint import read_checkpoint
from wm_training.devices import make_fabric, rank_seed, seed_step
from wm_training.errors import TrainingError
from wm_training.feed import Feed
from wm_training.learner import Learner
from wm_training.outlook import binned
from wm_training.progress import TrainingProgress
from wm_training.sequences import Sequences
from wm_training.train import TrainConfig, train

SMALL = WorldModelConfig(rssm=RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))


@pytest.fixture
def two_processes(sequences: Sequences, tmp_path: Path) -> Path:
    """What two processes that torchrun starts here leave behind."""
    arrays = {f.name: getattr(sequences, f.name) for f in fields(sequences) if f.name != "digest"}
    np.savez(tmp_path / "sequences.npz", **arrays)
    worker = Path(__file__).with_name("data_parallel_worker.py")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*torchrun, worker, tmp_path], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return tmp_path


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_from_the_joined_windows(
    two_processes: Path, sequences: Sequences, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "straight_through_sample", lambda probabilities: probabilities)
    torch.manual_seed(7)
    learner = Learner(WorldModel(SMALL))
    parts = [BatchSource(sequences, np.array([0, 3]), 20, rank_seed(5, rank)).draw(11, 3) for rank in (0, 1)]
    assert not torch.equal(parts[0].state, parts[1].state)
    joined = Batch(**{f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Batch)})
    learner.losses = losses.LossConfig(embedding_dropout=0.0)
    learner(joined)[0].backward()
    found = load_file(two_processes / "gradients.safetensors")
    for name, parameter in learner.model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-3, atol=1e-4, msg=name)
    # And a whole run: one checkpoint, one model, the same weights everywhere.
    weights = [load_file(two_processes / f"weights{rank}.safetensors") for rank in (0, 1)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert (two_processes / "exported").exists()
    checkpoint = read_checkpoint(two_processes / "run")
    assert (checkpoint.step, checkpoint.settings["processes"]) == (8, 2)
    assert checkpoint.spent.frames == 2 * (2 * 6 + 20 * (2 * 3 + 2 * 4 + 2 * 4))


def test_processes_draw_other_windows_and_other_noise_and_the_first_those_of_a_single_one() -> None:
    assert rank_seed(3, 0) == 3
    drawn = set()
    for rank in range(4):
        for step in range(4):
            seed_step(3, step, rank)
            drawn.add(float(torch.rand(())))
    assert len(drawn) == 16
    assert len({rank_seed(3, rank) for rank in range(4)}) == 4


def test_torchrun_says_how_many_processes_and_nodes_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(devices_module, "Fabric", lambda **options: asked.update(options))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("WORLD_SIZE", "8")
    make_fabric("cpu", "auto", "32-true")
    assert (asked["devices"], asked["num_nodes"]) == (4, 2)


@pytest.mark.parametrize(
    ("accelerator", "devices", "precision", "sentence"),
    [
        ("cpu", "none", "32-true", "--devices none: give auto or the number"),
        ("cpu", "0", "32-true", "--devices 0: give auto"),
        ("cpu", "auto", "16-mixed", "needs a GPU. Take bf16-mixed"),
    ],
)
def test_what_this_machine_cannot_do_is_refused_in_a_sentence(
    accelerator: devices_module.Accelerator, devices: str, precision: devices_module.Precision, sentence: str
) -> None:
    with pytest.raises(TrainingError, match=sentence):
        make_fabric(accelerator, devices, precision)


def test_half_precision_gives_nearly_the_loss_and_leaves_the_batch_as_it_is(sequences: Sequences) -> None:
    torch.manual_seed(0)
    learner, batch = Learner(WorldModel(SMALL)), BatchSource(sequences, np.arange(4), 20, seed=0).draw(0, 4)
    values = []
    for precision in ("32-true", "bf16-mixed"):
        fabric = make_fabric("cpu", "1", precision)
        module = fabric.setup_module(learner)
        seed_step(0, 0, 0)
        loss, _ = module(batch)
        assert loss.dtype == torch.float32
        fabric.backward(loss)
        values.append(float(loss.detach()))
    assert all(torch.isfinite(p.grad).all() for p in learner.model.parameters())
    assert values[1] == pytest.approx(values[0], rel=0.02)


@pytest.mark.usefixtures("tiny_training")
def test_the_log_holds_losses_rate_gradient_waiting_dreams_and_calibration(config: TrainConfig) -> None:
    train(replace(config, pictures_every=2))
    events = EventAccumulator(str(config.out / "tensorboard"))
    events.Reload()
    scalars = set(events.Tags()["scalars"])
    assert {"loss/kl_dyn", "loss/camera", "loss/actor", "loss/pull", "loss/critic"} <= scalars
    assert {"step/learning_rate", "step/gradient_norm", "step/waiting"} <= scalars
    assert set(events.Tags()["images"]) == {"dreams/truth_above_imagined_below", "calibration/risks"}
    strip = events.Images("dreams/truth_above_imagined_below")[0]
    assert (strip.width, strip.height) == (12 * 64, 4 * 2 * 64)


@pytest.mark.usefixtures("tiny_training")
def test_time_memory_and_rate_are_kept_and_said(config: TrainConfig, capsys: pytest.CaptureFixture[str]) -> None:
    train(config)
    figures = read_checkpoint(config.out).spent.figures()
    assert set(figures) == {"seconds", "frames_per_s", "peak_memory_mib"}
    assert figures["peak_memory_mib"] > 10
    assert read_checkpoint(config.out).spent.frames == 2 * 6 + 20 * (2 * 3 + 2 * 4 + 2 * 4)
    assert f"{figures['frames_per_s']} frames/s, {figures['peak_memory_mib']} MiB at most" in capsys.readouterr().out


def test_without_a_terminal_a_line_is_said_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    out = io.StringIO()
    with TrainingProgress("dynamics", 100, 400, shown=True, console=Console(file=out)) as shown:
        for done in range(101, 401):
            now[0] += 1.0
            shown.update(done, f"loss {done}")
    lines = [line for line in out.getvalue().splitlines() if line]
    assert len(lines) == 5
    assert lines[0] == "dynamics: step 160/400, 0:04:00 left, loss 160"
    assert lines[-1] == "dynamics: step 400/400, 0:00:00 left, loss 400"


def test_other_processes_than_the_first_are_silent() -> None:
    out = io.StringIO()
    with TrainingProgress("dynamics", 0, 2, shown=False, console=Console(file=out)) as silent:
        silent.update(2, "done")
    assert not out.getvalue()


def test_the_feed_gives_what_the_source_draws_in_any_order(sequences: Sequences) -> None:
    source = BatchSource(sequences, np.arange(4), 20, seed=0)
    with Feed(source, 3, 1, last_step=10) as feed:
        for step in (4, 5, 9, 0, 1):
            assert torch.equal(feed.take(step).state, source.draw(step, 3).state)
        assert feed.waited_s >= 0.0


def test_calibration_bins_hold_predicted_and_observed_risk() -> None:
    predicted, observed = binned(np.array([0.0, 0.05, 0.55, 1.0]), np.array([0.0, 1.0, 1.0, 1.0]))
    assert predicted == pytest.approx([0.025, 0.55, 1.0])
    assert observed == pytest.approx([0.5, 1.0, 1.0])
