"""What is trained, as one module with one forward: that is what data-parallel training wraps. And in what phases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from wm_dynamics.world_model import WorldModel
from wm_training.batches import Batch
from wm_training.imagination import ActorCritic, ImaginationConfig, imagination_loss
from wm_training.losses import LossConfig, world_model_loss

Task = Literal["whole model", "dynamics", "imagination"]


@dataclass(frozen=True)
class Phase:
    """A stretch of training: steps `first_step` up to `last_step`, the latter not among them.

    The camera is most of the work and is learned first ("whole model"); then its embeddings are computed once, and the
    rest, which has to learn what actions lead to, sees many times more windows ("dynamics"); then the policy may drive
    in the finished model ("imagination"). A phase begins from the averaged weights that the one before left.
    """

    task: Task
    first_step: int
    last_step: int
    batch: int  # windows a step and process
    pictures: int  # reconstructed per window

    @property
    def finished_encoder(self) -> bool:
        return self.task != "whole model"


class Learner(nn.Module):
    """The model and what its training needs beside it. `forward` is the loss of a batch."""

    def __init__(self, model: WorldModel) -> None:
        super().__init__()
        self.model, self.actor_critic = model, ActorCritic(model)
        self.task: Task = "whole model"
        self.losses, self.imagination = LossConfig(), ImaginationConfig()

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        if self.task == "imagination":
            return imagination_loss(self.model, self.actor_critic, batch, self.imagination)
        return world_model_loss(self.model, batch, self.losses)

    def take_up(self, task: Task) -> None:
        """Choose the loss, and freeze all that this task does not change: weight decay touches nothing frozen."""
        self.task = task
        self.requires_grad_(False)
        if task == "imagination":
            self.model.policy.requires_grad_(True)
            self.actor_critic.critic.requires_grad_(True)
        else:
            self.model.requires_grad_(True)
            self.model.encoder.requires_grad_(task == "whole model")

    def finish_step(self) -> None:
        """After the optimiser's."""
        if self.task == "imagination":
            self.actor_critic.finish_step(self.model, self.imagination)
