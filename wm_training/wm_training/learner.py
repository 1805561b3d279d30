"""What is trained, as one module with one forward: that is what data-parallel training wraps. And in what phases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from wm_dynamics.world_model import WorldModel
from wm_training.batches import Batch
from wm_training.frame_task import FrameConfig, FrameTeacher, frame_loss
from wm_training.imagination import ActorCritic, ImaginationConfig, imagination_loss
from wm_training.losses import LossConfig, world_model_loss

Task = Literal["perception", "whole model", "dynamics", "imagination"]


@dataclass(frozen=True)
class Phase:
    """A stretch of training: steps `first_step` up to `last_step`, the latter not among them.

    The camera is most of the work and is learned first, from single frames ("perception"), then together with all the
    rest ("whole model"). Then its embeddings are computed once, and the rest, which has to learn what actions lead to,
    sees many times more windows ("dynamics"); then the policy may drive in the finished model ("imagination"). A phase
    begins from the averaged weights that the one before left.
    """

    task: Task
    first_step: int
    last_step: int
    batch: int  # windows a step and process
    length: int  # frames a window
    pictures: int  # reconstructed per window
    peak_rate: float  # learning rate; see `rate_at`
    warmup: int  # steps until it is reached

    @property
    def finished_encoder(self) -> bool:
        return self.task in ("dynamics", "imagination")

    def rate_at(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to a twentieth; in imagination constant."""
        if self.task == "imagination":
            return self.peak_rate
        done, warmup = step - self.first_step, min(self.warmup, self.last_step - self.first_step)
        if done < warmup:
            return self.peak_rate * (done + 1) / warmup
        share = (done - warmup) / max(1, self.last_step - self.first_step - warmup)
        return self.peak_rate * (0.05 + 0.95 * 0.5 * (1.0 + math.cos(math.pi * min(1.0, share))))


class Learner(nn.Module):
    """The model and what its training needs beside it. `forward` is the loss of a batch."""

    def __init__(self, model: WorldModel) -> None:
        super().__init__()
        self.model, self.actor_critic, self.frame_teacher = model, ActorCritic(model), FrameTeacher(model.config)
        self.task: Task = "whole model"
        self.frames, self.losses, self.imagination = FrameConfig(), LossConfig(), ImaginationConfig()

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        if self.task == "perception":
            return frame_loss(self.model, self.frame_teacher, batch, self.frames)
        if self.task == "imagination":
            return imagination_loss(self.model, self.actor_critic, batch, self.imagination)
        return world_model_loss(self.model, batch, self.losses)

    def take_up(self, task: Task) -> None:
        """Choose the loss, and freeze all that this task does not change: weight decay touches nothing frozen."""
        self.task = task
        self.requires_grad_(False)
        if task == "perception":
            self.model.encoder.requires_grad_(True)
            self.frame_teacher.requires_grad_(True)
        elif task == "imagination":
            self.model.policy.requires_grad_(True)
            self.actor_critic.critic.requires_grad_(True)
        else:
            self.model.requires_grad_(True)
            self.model.encoder.requires_grad_(task == "whole model")

    def finish_step(self) -> None:
        """After the optimiser's."""
        if self.task == "imagination":
            self.actor_critic.finish_step(self.model, self.imagination)
