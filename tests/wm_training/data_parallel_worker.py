"""One of several processes that torchrun starts: gradients of a step, then a whole small run. Argument: a folder."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig
from wm_training import losses
from wm_training import train as train_module
from wm_training.batches import BatchSource
from wm_training.devices import make_fabric, rank_seed
from wm_training.learner import Learner
from wm_training.sequences import Sequences

SMALL = WorldModelConfig(rssm=RssmConfig(recognised=16, deter=16, groups=4, classes=4, hidden=16, prior_hidden=8))


def gradients(folder: Path, sequences: Sequences) -> None:
    """Gradient of the loss on both processes' windows, without noise, written by the first."""
    losses.straight_through_sample = lambda probabilities: probabilities
    fabric = make_fabric("cpu", "auto", "32-true")
    fabric.launch()
    torch.manual_seed(7)
    learner = Learner(WorldModel(SMALL))
    learner.losses = losses.LossConfig(embedding_dropout=0.0)
    learner.take_up("whole model")
    module = fabric.setup_module(learner)
    source = BatchSource(sequences, np.array([0, 3]), 20, rank_seed(5, fabric.global_rank))
    loss, _ = module(source.draw(11, 3))
    fabric.backward(loss)
    found = {name: p.grad for name, p in learner.model.named_parameters() if p.grad is not None}
    if fabric.is_global_zero:
        save_file(found, folder / "gradients.safetensors")


def whole_run(folder: Path, sequences: Sequences) -> None:
    """`wm train` in all its phases; every process writes the weights that it ended with."""
    last: list[WorldModel] = []
    original = train_module.Learner

    def learner(model: WorldModel) -> Learner:
        last.append(model)
        return original(model)

    train_module.Learner = learner
    train_module.load_sequences = lambda *_, **__: sequences
    train_module.WorldModelConfig = lambda: SMALL
    train_module.export_model = lambda *_: (folder / "exported").touch(exist_ok=False)
    config = train_module.TrainConfig(
        out=folder / "run", perception_steps=2, joint_steps=2, dynamics_steps=2, imagination_steps=2,
        perception_batch=6, batch=3, dynamics_batch=4, imagination_batch=4, length=20, checkpoint_every=2,
        held_out=0.25, pictures_every=0, threads=1, accelerator="cpu",
    )  # fmt: skip
    answer = train_module.train(config)
    rank = torch.distributed.get_rank()
    assert (answer is None) == (rank > 0)
    if rank == 0:
        train_module.read_checkpoint(config.out)
    torch.distributed.barrier()
    checkpoint = train_module.read_checkpoint(config.out)
    weights = last[0].state_dict() if rank else checkpoint.part("model")  # the first one's model is the average now
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / f"weights{rank}.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    here = Path(sys.argv[1])
    with np.load(here / "sequences.npz") as arrays:
        made_up = Sequences(**{name: arrays[name] for name in arrays.files}, digest="made up")
    gradients(here, made_up)
    whole_run(here, made_up)
