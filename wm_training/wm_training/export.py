"""`wm export`: a checkpoint of a training run, measured on held-out drives, becomes a model folder; and a model folder
becomes an engine for a GPU."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wm_dynamics.model_files import renew_graphs, round_to_half, write_model_folder
from wm_dynamics.world_model import WorldModel, WorldModelConfig, labels_in
from wm_training.checkpoint import read_checkpoint
from wm_training.errors import TrainingError
from wm_training.interventions import measure_interventions
from wm_training.measure import measure_model
from wm_training.sequences import Sequences, load_sequences


@dataclass(frozen=True)
class ExportConfig:
    """Turn the checkpoint of a training run into a model folder, or a model folder into a TensorRT engine."""

    out: Path | None = None
    """Model folder to write; an existing one is replaced once the new one is complete."""
    run: Path = Path("runs/train")
    """Folder of the training run."""
    bags: tuple[Path, ...] = (Path("runs/bags"),)
    """The bags it was trained on: its held-out drives are measured again."""
    mapping: Path | None = None
    """The mapping file that it was trained with, if any."""
    engine: Literal["onnxruntime", "tensorrt"] = "onnxruntime"
    """A model folder holds all that onnxruntime and torch need; tensorrt compiles those of --model for a GPU."""
    model: Path = Path("models/default")
    """Model folder whose graphs TensorRT compiles, or --renew exports again."""
    renew: bool = False
    """Export the graphs of --model again from its weights; for folders that an earlier version wrote."""
    precision: Literal["fp16", "fp32"] = "fp16"
    """Precision of the TensorRT engine."""


def export(config: ExportConfig) -> Path:
    """Write the model folder or the engine; its path. Raises TrainingError or ModelError with what does not fit."""
    if config.engine == "tensorrt":
        from wm_dynamics.engines.tensorrt_export import build_engine

        return build_engine(config.model, config.precision, print)
    if config.renew:
        renew_graphs(config.model)
        return config.model
    if config.out is None:
        raise TrainingError("wm export: name the model folder to write with --out, or build --engine tensorrt.")
    checkpoint = read_checkpoint(config.run)
    weights = checkpoint.model_weights()
    model = WorldModel(WorldModelConfig(labels=labels_in(weights)))
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise TrainingError(f"{config.run}: trained by another version of the model. Train again.") from error
    sequences = load_sequences(config.bags, mapping=config.mapping)
    settings = checkpoint.settings
    if sequences.digest != settings["bags"]:
        raise TrainingError(f"{config.run} was trained on other bags. Name them with --bags.")
    _, held_out = split_episodes(sequences.episodes, settings["held_out"])
    figures = settings | {"steps_done": checkpoint.step} | checkpoint.spent.figures()
    export_model(model, sequences, held_out, config.out, figures)
    return config.out


def export_model(
    model: WorldModel, sequences: Sequences, held_out: np.ndarray, folder: Path, settings: dict[str, Any]
) -> None:
    """Measure a model on the episodes `held_out` and write its folder."""
    round_to_half(model)  # as it will be read again
    measured = measure_model(model, sequences, held_out, seed=settings["seed"])
    training = settings | {"frames": len(sequences), "episodes": sequences.episodes}
    parameters = sum(p.numel() for p in model.parameters())
    metrics = {"training": training | {"parameters": parameters}, "held_out": measured.metrics}
    metrics["interventions"] = measure_interventions(model)
    write_model_folder(
        folder, model, training=training, metrics=metrics,
        disagreement_p95=measured.disagreement_p95, surprise_p999=measured.surprise_p999,
        risk_thresholds=measured.risk_thresholds,
    )  # fmt: skip


def split_episodes(count: int, held_out: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and held-out episodes, spread evenly over the bags."""
    every = max(2, round(1.0 / held_out)) if held_out > 0 else count + 1
    index = np.arange(count)
    out = index % every == every - 1
    return index[~out], index[out]
