"""`wm train`: bags in, world model out."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from wm_dynamics.model_files import load_world_model
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_perception.model_folder import read_model_config
from wm_training.batches import BatchSource
from wm_training.checkpoint import CHECKPOINT_FILE, load_checkpoint, save_checkpoint
from wm_training.errors import TrainingError
from wm_training.export import export_model, split_episodes
from wm_training.interrupt import asked_to_stop
from wm_training.losses import LossConfig, world_model_loss
from wm_training.sequences import Sequences, load_sequences

JOINT_PICTURES, DYNAMICS_PICTURES = 7, 1  # of a window's frames are reconstructed


@dataclass(frozen=True)
class TrainConfig:
    """Train a world model on bags; leaves checkpoints, TensorBoard logs and a model folder in OUT."""

    bags: Annotated[tuple[Path, ...], tyro.conf.arg(aliases=("-b",))] = (Path("runs/bags"),)
    """Bags, or folders of bags."""
    out: Path = Path("runs/train")
    """Folder for checkpoints and logs; the model is OUT/model."""
    start_from: Path | None = None
    """Model folder to go on from, for example with more or other bags; None: a new model."""
    joint_steps: int = 4800
    """Steps of the whole model; a step sees batch x length frames."""
    dynamics_steps: int = 2700
    """Steps after those, with the encoder finished: everything behind it, on more windows a step."""
    batch: int = 24
    """Windows a step of the whole model."""
    dynamics_batch: int = 96
    """Windows a step once the encoder is finished."""
    length: int = 30
    """Frames a window, 0.1 s each."""
    learning_rate: float = 8e-4
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
        fixed = ("bags", "out", "start_from", "threads", "checkpoint_every", "resume")
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name not in fixed}

    @property
    def steps(self) -> int:
        return self.joint_steps + self.dynamics_steps


@dataclass(frozen=True)
class Phase:
    """A stretch of training. The camera is most of the work and is learned first; then its embeddings are computed
    once, and the rest, which has to learn what actions lead to, sees many times more windows."""

    name: str
    last_step: int
    batch: int
    pictures: int  # reconstructed per window
    finished_encoder: bool


def embed(model: WorldModel, sequences: Sequences, batch: int = 256) -> np.ndarray:
    """Embeddings float32 [T, E] of all frames by the encoder as it is now."""
    out = np.empty((len(sequences), model.config.rssm.embedding), np.float32)
    with torch.inference_mode():
        for start in range(0, len(out), batch):
            part = slice(start, start + batch)
            frames = (sequences.camera[part], sequences.scan[part], sequences.state[part])
            out[part] = model.encoder(*(torch.from_numpy(np.array(x)) for x in frames)).numpy()
    return out


def train(config: TrainConfig) -> Path:
    """Train and write the model folder; its path. Ctrl-C keeps a checkpoint and raises TrainingError."""
    torch.set_num_threads(config.threads)
    _check_out(config)
    sequences = load_sequences(config.bags)
    training, held_out = split_episodes(len(sequences.episode_start) - 1, config.held_out)
    torch.manual_seed(config.seed)
    model, start = _first_model(config)
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay, eps=1e-6)
    settings = config.settings() | {"bags": sequences.digest} | ({"start_from": start} if start else {})
    first, seconds = load_checkpoint(config.out, model, optimizer, settings) if config.resume else (0, 0.0)
    config.out.mkdir(parents=True, exist_ok=True)
    phases = (
        Phase("whole model", config.joint_steps, config.batch, JOINT_PICTURES, finished_encoder=False),
        Phase("dynamics", config.steps, config.dynamics_batch, DYNAMICS_PICTURES, finished_encoder=True),
    )
    for phase in phases:
        if first < phase.last_step:
            embedding = embed(model, sequences) if phase.finished_encoder else None
            source = BatchSource(sequences, training, config.length, config.seed, embedding)
            seconds = _loop(config, model, optimizer, source, phase, first, seconds, settings)
            first = phase.last_step
    folder = config.out / "model"
    export_model(model, sequences, held_out, folder, settings | {"steps_done": first, "seconds": round(seconds)})
    return folder


def _first_model(config: TrainConfig) -> tuple[WorldModel, str]:
    """The model that training begins with, and the id of the one it was taken from ("" for a new one)."""
    if config.start_from is None:
        return WorldModel(WorldModelConfig()), ""
    found = read_model_config(config.start_from)
    return load_world_model(config.start_from, found).train(), found.model_id


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
    phase: Phase,
    first: int,
    seconds: float,
    settings: dict[str, Any],
) -> float:
    """Steps `first` to the end of the phase; `seconds` and what they took. Ctrl-C ends it after a whole step."""
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
    try:
        with asked_to_stop() as stop, Progress(*columns) as progress:
            bar = progress.add_task(phase.name, total=phase.last_step, completed=first, note="")
            for step in range(first, phase.last_step):
                terms = _step(config, model, optimizer, source, phase, step, loss_config)
                done, spent = step + 1, time.monotonic() - began
                if step % 25 == 0 or done == phase.last_step:
                    _log(writer, step, terms)
                    rate = (done - first) * phase.batch * config.length / spent
                    progress.update(bar, note=f"loss {sum(terms.values()):.2f}, {rate:.0f} frames/s")
                progress.update(bar, completed=done)
                if done % config.checkpoint_every == 0 or done == phase.last_step or stop():
                    save_checkpoint(config.out, model, optimizer, done, seconds + spent, settings)
                if stop() and done < config.steps:
                    raise TrainingError(f"stopped at step {done}. Go on with --resume --out {config.out}.")
    finally:
        writer.close()
    return seconds + time.monotonic() - began


def _step(
    config: TrainConfig,
    model: WorldModel,
    optimizer: torch.optim.Optimizer,
    source: BatchSource,
    phase: Phase,
    step: int,
    loss_config: LossConfig,
) -> dict[str, float]:
    """One update; the terms of the loss. Depends on weights, optimiser, seed and step only, so resuming is exact."""
    torch.manual_seed((config.seed << 32) + step)
    batch = source.draw(step, phase.batch, phase.pictures)
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
