"""Everything that training needs to go on, in one safetensors file written atomically. No pickle.

Windows, noise and learning rate of a step follow from seed, step and process, so no state of theirs has to be kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from wm_perception.durable import put_in_place
from wm_training.ema import WeightAverage
from wm_training.errors import TrainingError
from wm_training.learner import Learner

CHECKPOINT_FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class Spent:
    """What a run has cost so far, over all its resumptions."""

    seconds: float = 0.0  # of training; loading, embedding and measuring not counted
    frames: int = 0  # seen by all processes, each as often as it was drawn
    peak_memory_mib: int = 0  # of one process

    def more(self, seconds: float, frames: int, peak_memory_mib: int) -> Spent:
        peak = max(self.peak_memory_mib, peak_memory_mib)
        return Spent(self.seconds + seconds, self.frames + frames, peak)

    def figures(self) -> dict[str, int]:
        """For metrics.json and config.yaml."""
        rate = round(self.frames / self.seconds) if self.seconds > 0 else 0
        return {"seconds": round(self.seconds), "frames_per_s": rate, "peak_memory_mib": self.peak_memory_mib}


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read from its file."""

    tensors: dict[str, Tensor]
    step: int
    spent: Spent
    settings: dict[str, Any]
    scaler: dict[str, Any]  # of mixed precision with 16 bits, else empty

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors of model, average, actor_critic, frame_teacher or optimizer, under their own names."""
        start = name + "/"
        return {key.removeprefix(start): value for key, value in self.tensors.items() if key.startswith(start)}

    def model_weights(self) -> dict[str, Tensor]:
        """What the run would export: the averaged weights, or the last ones where no average was kept."""
        return self.part("average") or self.part("model")


@dataclass(frozen=True)
class Training:
    """What changes while training, beside the step."""

    learner: Learner
    average: WeightAverage
    optimizer: torch.optim.Optimizer


def save_checkpoint(
    folder: Path, training: Training, step: int, spent: Spent, settings: dict[str, Any], scaler: dict[str, Any]
) -> None:
    """Write all of it, and the settings that a resumed run has to share. The old one stays until this one is whole."""
    learner = training.learner
    tensors = dict(_named("model", learner.model.state_dict().items()))
    tensors |= _named("average", training.average.weights.items())
    tensors |= _named("actor_critic", learner.actor_critic.state_dict().items())
    tensors |= _named("frame_teacher", learner.frame_teacher.state_dict().items())
    for index, state in training.optimizer.state_dict()["state"].items():
        tensors |= _named(f"optimizer/{index}", state.items())
    said = {"step": step, "spent": asdict(spent), "settings": settings, "scaler": scaler}
    path = folder / CHECKPOINT_FILE
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata={key: json.dumps(value) for key, value in said.items()})
    put_in_place(partial, path)


def restore(checkpoint: Checkpoint, training: Training, settings: dict[str, Any], folder: Path) -> None:
    """Put a checkpoint of `folder` back. TrainingError when it is of other settings or of another model."""
    before = checkpoint.settings
    changed = [name for name in settings if before.get(name) != settings[name]]
    if changed:
        found = ", ".join(f"{name} {before.get(name)} (now {settings[name]})" for name in changed)
        raise TrainingError(f"{folder} was trained with {found}. Resume with the same or choose another --out.")
    try:
        training.learner.model.load_state_dict(checkpoint.part("model"))
        training.learner.actor_critic.load_state_dict(checkpoint.part("actor_critic"))
        training.learner.frame_teacher.load_state_dict(checkpoint.part("frame_teacher"))
        training.average.load(checkpoint.part("average"))
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in checkpoint.part("optimizer").items():
            index, key = name.split("/")
            state.setdefault(int(index), {})[key] = tensor
        groups = training.optimizer.state_dict()["param_groups"]
        training.optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (RuntimeError, KeyError, ValueError) as error:
        raise TrainingError(
            f"{folder} was trained by another version of the model. Train again with another --out."
        ) from error


def read_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in a run's folder. TrainingError when there is none or it is damaged."""
    path = folder / CHECKPOINT_FILE
    if not path.is_file():
        raise TrainingError(f"{folder}: no {CHECKPOINT_FILE} there. Name the folder of a training run.")
    try:
        with safe_open(path, framework="pt") as file:
            said = {key: json.loads(value) for key, value in file.metadata().items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        spent = _spent(said)
        return Checkpoint(tensors, int(said["step"]), spent, dict(said["settings"]), said.get("scaler", {}))
    except (SafetensorError, AttributeError, KeyError, ValueError, TypeError, OSError) as error:
        raise TrainingError(f"{path} is damaged ({error}). Put a copy back, or delete it and train again.") from error


def _spent(said: dict[str, Any]) -> Spent:
    known = {f.name for f in fields(Spent)}
    if "spent" in said:
        return Spent(**{name: value for name, value in said["spent"].items() if name in known})
    return replace(Spent(), seconds=float(said["seconds"]))  # of runs that kept the time alone


def _named(prefix: str, tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    return {f"{prefix}/{name}": value.detach().cpu().contiguous() for name, value in tensors}
