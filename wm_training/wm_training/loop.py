"""The steps of a phase: draw, differentiate, clip, update, average; log and keep checkpoints by the way."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer

from wm_training.batches import Batch, BatchSource
from wm_training.board import Board, HeldOut
from wm_training.checkpoint import Spent, Training, save_checkpoint
from wm_training.devices import move, peak_memory_mib, seed_step
from wm_training.errors import StoppedError, TrainingError
from wm_training.feed import Feed
from wm_training.interrupt import asked_to_stop, how_to_go_on
from wm_training.learner import Phase
from wm_training.progress import TrainingProgress

LOG_EVERY = 25  # steps


@dataclass(frozen=True)
class LoopConfig:
    """What the steps need to know of a run."""

    out: Path
    seed: int
    clip_norm: float
    steps: int  # of all phases
    checkpoint_every: int
    pictures_every: int  # 0: never
    settings: dict[str, Any]


class Loop:
    """Trains one phase after the other."""

    def __init__(self, config: LoopConfig, fabric: Fabric, training: Training, held_out: HeldOut, spent: Spent) -> None:
        self.config, self.fabric, self.training, self.held_out = config, fabric, training, held_out
        self.spent = spent
        self._optimizer = cast(_FabricOptimizer, fabric.setup_optimizers(training.optimizer))
        self._module: _FabricModule | None = None

    def begin(self, phase: Phase, first: int) -> None:
        """Prepare for step `first` of a phase; a phase begins from the averaged weights that the one before left."""
        learner, average = self.training.learner, self.training.average
        if first == phase.first_step:
            average.store(learner.model)
            if phase.task == "imagination":
                learner.actor_critic.begin(learner.model)
        learner.take_up(phase.task)
        self._module = self.fabric.setup_module(learner)  # anew: data-parallel training has to know what is frozen

    def run(self, phase: Phase, source: BatchSource, first: int) -> None:
        """Steps `first` to the end of a phase that has begun. Ctrl-C ends it after a whole step, with a checkpoint."""
        config, main = self.config, self.fabric.is_global_zero
        board_folder = config.out / "tensorboard" if main else None
        began, before = time.monotonic(), self.spent
        frames = phase.batch * phase.length * self.fabric.world_size
        with (
            asked_to_stop() as stop,
            Board(board_folder, first) as board,
            Feed(source, phase.batch, phase.pictures, phase.last_step) as feed,
            TrainingProgress(phase.task, first, phase.last_step, shown=main) as progress,
        ):
            for step in range(first, phase.last_step):
                rate = phase.rate_at(step)
                terms, norm = self.step(feed.take(step), step, rate)
                done, seconds = step + 1, time.monotonic() - began
                self.spent = before.more(seconds, (done - first) * frames, peak_memory_mib())
                note = None
                if step % LOG_EVERY == 0 or done == phase.last_step:
                    figures = {"learning_rate": rate, "gradient_norm": norm, "waiting": feed.waited_s / seconds}
                    board.scalars(step, {f"loss/{name}": value for name, value in terms.items()})
                    board.scalars(step, {f"step/{name}": value for name, value in figures.items()})
                    note = f"loss {sum(terms.values()):.2f}, {(done - first) * frames / seconds:.0f} frames/s"
                progress.update(done, note)
                if config.pictures_every and done % config.pictures_every == 0:
                    board.pictures(step, self.training.learner.model, self.held_out)
                stopping = self._anybody(stop())
                if done % config.checkpoint_every == 0 or done == phase.last_step or stopping:
                    self.save(done)
                if stopping and done < config.steps:
                    raise StoppedError(f"stopped at step {done}. {how_to_go_on(config.out)}")

    def step(self, batch: Batch, step: int, rate: float) -> tuple[dict[str, float], float]:
        """One update: terms of the loss and norm of the gradient. It depends on the checkpoint, seed and step alone."""
        fabric, training, module = self.fabric, self.training, self._module
        assert module is not None, "begin a phase first"
        seed_step(self.config.seed, step, fabric.global_rank)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        loss, tensors = module(move(batch, fabric.device))
        values = torch.stack([value.detach() for value in tensors.values()]).tolist()  # one transfer
        terms = dict(zip(tensors, values, strict=True))
        _check_finite(terms, step)
        self._optimizer.zero_grad(set_to_none=True)
        fabric.backward(loss)
        clipped = fabric.clip_gradients(
            module, self._optimizer, max_norm=self.config.clip_norm, error_if_nonfinite=False
        )
        norm = float(cast(torch.Tensor, clipped))
        if not math.isfinite(norm) and not self._scaler():  # with 16 bits the scaler skips such a step
            raise TrainingError(f"the gradient is not finite at step {step}. Train again with a lower --learning-rate.")
        self._optimizer.step()
        training.learner.finish_step()
        training.average.update(training.learner.model, step)
        return terms, norm

    def save(self, done: int) -> None:
        """Write the checkpoint after `done` steps, by the first process."""
        if self.fabric.is_global_zero:
            save_checkpoint(self.config.out, self.training, done, self.spent, self.config.settings, self._scaler())

    def _scaler(self) -> dict[str, Any]:
        """State of the loss scale of 16 bits; empty at other precisions."""
        return self.fabric.strategy.precision.state_dict()

    def _anybody(self, asked: bool) -> bool:
        """Whether any process was asked to stop: all have to stop after the same step."""
        if self.fabric.world_size == 1:
            return asked
        flag = torch.tensor(float(asked), device=self.fabric.device)
        return float(cast(torch.Tensor, self.fabric.all_reduce(flag, reduce_op="sum"))) > 0.0


def _check_finite(terms: dict[str, float], step: int) -> None:
    broken = [name for name, value in terms.items() if not math.isfinite(value)]
    if broken:
        raise TrainingError(
            f"the loss is not finite at step {step} ({', '.join(broken)}). Train again with a lower --learning-rate."
        )
