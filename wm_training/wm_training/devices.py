"""Where training runs: one CPU, one GPU, or many of them on many nodes, by Lightning Fabric."""

from __future__ import annotations

import os
import resource
from dataclasses import fields, replace
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision

from wm_training.batches import Batch
from wm_training.errors import TrainingError

Accelerator = Literal["auto", "cpu", "cuda"]
Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


class ForwardOnly(MixedPrecision):
    """Mixed precision that leaves batches as they are: labels and raw observations keep all their digits."""

    def convert_input(self, data: Any) -> Any:
        return data


def make_fabric(accelerator: Accelerator, devices: str, precision: Precision) -> Fabric:
    """Fabric for this process. Under torchrun its processes and nodes are used, else `devices` ("auto" or a number).

    Raises TrainingError for a GPU or a precision that this machine does not have.
    """
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise TrainingError("PyTorch finds no GPU here. Take --accelerator cpu or install PyTorch with CUDA.")
    if devices != "auto" and not (devices.isdecimal() and int(devices) > 0):
        raise TrainingError(f"--devices {devices}: give auto or the number of processes a node.")
    kind = "cpu" if accelerator == "cpu" or not torch.cuda.is_available() else "cuda"
    if kind == "cpu" and precision == "16-mixed":
        raise TrainingError("--precision 16-mixed needs a GPU. Take bf16-mixed or 32-true.")
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "0"))  # set by torchrun
    nodes = int(os.environ["WORLD_SIZE"]) // local if local else 1
    count: int | str = local or (devices if devices == "auto" else int(devices))
    plugin = None if precision == "32-true" else ForwardOnly(precision, kind)
    return Fabric(accelerator=kind, devices=count, num_nodes=nodes, plugins=plugin)


def rank_seed(seed: int, rank: int) -> int:
    """Seed of the windows that a process draws; the first one's is `seed` itself."""
    return seed + (rank << 32)


def seed_step(seed: int, step: int, rank: int) -> None:
    """Everything random in a step depends on seed, step and process alone, so that nothing has to be stored."""
    torch.manual_seed((seed << 32) + (rank << 24) + step)


def move(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device; on the CPU the very same."""
    if device.type == "cpu":
        return batch
    return replace(batch, **{f.name: getattr(batch, f.name).to(device, non_blocking=True) for f in fields(batch)})


def peak_memory_mib() -> int:
    """Most memory that this process has held so far: resident, mapped bags included; with a GPU, what lay on that."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return round(torch.cuda.max_memory_allocated() / 2**20)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)
