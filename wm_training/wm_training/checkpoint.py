"""Everything that training needs to go on, in one safetensors file written atomically. No pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from wm_training.errors import TrainingError

CHECKPOINT_FILE = "checkpoint.safetensors"


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    seconds: float,
    settings: dict[str, Any],
) -> None:
    """Weights, optimiser state, step, seconds spent, and the settings that have to be the same on resume."""
    tensors: dict[str, Tensor] = {f"model/{k}": v.contiguous() for k, v in model.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{k}": v.contiguous() for k, v in state.items()}
    path = folder / CHECKPOINT_FILE
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={"step": str(step), "seconds": str(seconds), "settings": json.dumps(settings)})
    with open(partial, "rb") as written:
        os.fsync(written.fileno())
    partial.replace(path)


def load_checkpoint(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, settings: dict[str, Any]
) -> tuple[int, float]:
    """Put a checkpoint back; its step and the seconds spent so far. TrainingError when damaged or of other settings."""
    tensors, step, seconds, before = read_checkpoint(folder)
    changed = [name for name in settings if before.get(name) != settings[name]]
    if changed:
        found = ", ".join(f"{name} {before.get(name)} (now {settings[name]})" for name in changed)
        raise TrainingError(f"{folder} was trained with {found}. Resume with the same or choose another --out.")
    model.load_state_dict(model_weights(tensors))
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return step, seconds


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], int, float, dict[str, Any]]:
    """Tensors, step, seconds and settings of the checkpoint in a run's folder."""
    path = folder / CHECKPOINT_FILE
    if not path.is_file():
        raise TrainingError(f"{folder}: no {CHECKPOINT_FILE} there. Name the folder of a training run.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        return tensors, int(metadata["step"]), float(metadata["seconds"]), json.loads(metadata["settings"])
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise TrainingError(f"{path} is damaged ({error}). Start again without --resume.") from error


def model_weights(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The model's own state_dict among a checkpoint's tensors."""
    return {name.removeprefix("model/"): value for name, value in tensors.items() if name.startswith("model/")}
