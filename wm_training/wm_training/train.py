"""`wm train`: bags in, world model out."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_training.batches import BatchSource
from wm_training.checkpoint import CHECKPOINT_FILE, load_checkpoint, save_checkpoint
from wm_training.errors import TrainingError
from wm_training.export import export_model, split_episodes
from wm_training.losses import LossConfig, world_model_loss
from wm_training.sequences import load_sequences


@dataclass(frozen=True)
class TrainConfig:
    """Train a world model on bags; leaves checkpoints, TensorBoard logs and a model folder in OUT."""

    bags: Annotated[tuple[Path, ...], tyro.conf.arg(aliases=("-b",))] = (Path("runs/bags"),)
    """Bags, or folders of bags."""
    out: Path = Path("runs/train")
    """Folder for checkpoints and logs; the model is OUT/model."""
    steps: int = 4500
    """Training steps; a step sees batch x length frames."""
    batch: int = 24
    """Windows a step."""
    length: int = 32
    """Frames a window, 0.1 s each."""
    learning_rate: float = 6e-4
    warmup: int = 200
    """Steps until the learning rate is reached; it then falls along a half cosine to a twentieth."""
    weight_decay: float = 1e-4
    clip_norm: float = 20.0
    """Largest norm of the gradient."""
    seed: int = 0
    threads: int = 2
    """CPU threads."""
    held_out: float = 0.04
    """Share of the episodes kept for measuring, never trained on."""
    checkpoint_every: int = 250
    """Steps between checkpoints."""
    resume: bool = False
    """Go on from the checkpoint in OUT."""

    def settings(self) -> dict[str, Any]:
        """What has to be equal for a resumed run to equal the uninterrupted one."""
        names = ("steps", "batch", "length", "learning_rate", "warmup", "weight_decay", "clip_norm", "seed", "held_out")
        return {name: getattr(self, name) for name in names}


def train(config: TrainConfig) -> Path:
    """Train and write the model folder; its path. Ctrl-C keeps a checkpoint and raises TrainingError."""
    torch.set_num_threads(config.threads)
    _check_out(config)
    sequences = load_sequences(config.bags)
    training, held_out = split_episodes(len(sequences.episode_start) - 1, config.held_out)
    source = BatchSource(sequences, training, config.length, config.seed)
    torch.manual_seed(config.seed)
    model = WorldModel(WorldModelConfig())
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay, eps=1e-6)
    settings = config.settings() | {"bags": sequences.digest}
    first = load_checkpoint(config.out, model, optimizer, settings) if config.resume else 0
    config.out.mkdir(parents=True, exist_ok=True)
    seconds = _loop(config, model, optimizer, source, first, settings)
    folder = config.out / "model"
    export_model(model, sequences, held_out, folder, settings | {"seconds": round(seconds)})
    return folder


def learning_rate_share(step: int, config: TrainConfig) -> float:
    """Share of the learning rate at a step: linear warm-up, then half a cosine down to 5 %."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))


def _check_out(config: TrainConfig) -> None:
    if config.resume == (config.out / CHECKPOINT_FILE).exists():
        return
    if config.resume:
        raise TrainingError(f"{config.out}: no {CHECKPOINT_FILE} to resume from. Start without --resume.")
    raise TrainingError(f"{config.out} already holds a training run. Go on with --resume or choose another --out.")


def _loop(
    config: TrainConfig,
    model: WorldModel,
    optimizer: torch.optim.Optimizer,
    source: BatchSource,
    first: int,
    settings: dict[str, Any],
) -> float:
    """Steps `first` to the end; the seconds they took."""
    began, loss_config = time.monotonic(), LossConfig()
    writer = SummaryWriter(str(config.out / "tensorboard"), purge_step=first)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    step = first
    try:
        with Progress(*columns) as progress:
            bar = progress.add_task("training", total=config.steps, completed=first, note="")
            for step in range(first, config.steps):
                terms = _step(config, model, optimizer, source, step, loss_config)
                if step % 25 == 0 or step + 1 == config.steps:
                    _log(writer, step, terms)
                    rate = (step + 1 - first) * config.batch * config.length / (time.monotonic() - began)
                    progress.update(bar, note=f"loss {sum(terms.values()):.2f}, {rate:.0f} frames/s")
                progress.update(bar, completed=step + 1)
                if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
                    save_checkpoint(config.out, model, optimizer, step + 1, settings)
    except KeyboardInterrupt:
        save_checkpoint(config.out, model, optimizer, step, settings)
        raise TrainingError(f"stopped at step {step}. Go on with --resume --out {config.out}.") from None
    finally:
        writer.close()
    return time.monotonic() - began


def _step(
    config: TrainConfig,
    model: WorldModel,
    optimizer: torch.optim.Optimizer,
    source: BatchSource,
    step: int,
    loss_config: LossConfig,
) -> dict[str, float]:
    """One update; the terms of the loss. Depends on weights, optimiser, seed and step only, so resuming is exact."""
    torch.manual_seed((config.seed << 32) + step)
    batch = source.draw(step, config.batch)
    for group in optimizer.param_groups:
        group["lr"] = config.learning_rate * learning_rate_share(step, config)
    loss, terms = world_model_loss(model, batch, loss_config)
    if not torch.isfinite(loss):
        broken = [name for name, value in terms.items() if not torch.isfinite(value)]
        raise TrainingError(
            f"the loss is not finite at step {step} ({', '.join(broken)}). Resume with a lower --learning-rate."
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
    optimizer.step()
    return {name: float(value.detach()) for name, value in terms.items()}


def _log(writer: SummaryWriter, step: int, terms: dict[str, float]) -> None:
    for name, value in terms.items():
        writer.add_scalar(f"loss/{name}", value, step)
