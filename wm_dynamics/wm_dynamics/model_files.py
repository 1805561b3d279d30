"""Writing a model folder from a trained WorldModel, and building the WorldModel back from one."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from wm_dynamics.engines.score_lanes import CANDIDATES
from wm_dynamics.errors import ModelError
from wm_dynamics.graphs import PROPOSALS, DecodeGraph, EncodeGraph, ObserveGraph, ProposeGraph
from wm_dynamics.half_weights import keep_halves
from wm_dynamics.lean_score import LeanScoreGraph
from wm_dynamics.rssm import RssmConfig
from wm_dynamics.world_model import WorldModel, WorldModelConfig, labels_in
from wm_perception.durable import put_in_place, write_text
from wm_perception.model_folder import CONFIG_FILE, ModelConfig, file_sha256, read_model_config, verified_file
from wm_sim.observation import CAMERA_SHAPE, SCAN_SIZE, STATE_SIZE

WEIGHTS_FILE = "weights.safetensors"
METRICS_FILE = "metrics.json"
CHUNK = 64
OPSET = 18


def write_model_folder(
    folder: Path | str,
    model: WorldModel,
    *,
    training: dict[str, Any],
    metrics: dict[str, Any],
    disagreement_p95: float,
    surprise_p999: float,
    risk_thresholds: dict[str, dict[float, float]] | None = None,
) -> ModelConfig:
    """Write weights, graphs, what PyTorch computes, configuration and metrics; whole or not at all.

    An existing model of the same name is replaced only once the new one is complete and its ONNX graphs agree
    with PyTorch.
    """
    from wm_dynamics.engines import load_engine  # engines import this module
    from wm_dynamics.parity import REFERENCE_FILE, check_parity, outputs, write_reference

    folder = Path(folder)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model = round_to_half(model.eval())
    halves = {k: v.detach().cpu().half().contiguous() for k, v in model.state_dict().items()}
    save_file(halves, partial / WEIGHTS_FILE)
    graphs = export_graphs(model, partial)
    sizes = model.config.rssm
    config = ModelConfig(
        family="rssm",
        model_id=hashlib.sha256((partial / WEIGHTS_FILE).read_bytes()).hexdigest()[:12],
        embedding_size=sizes.embedding,
        belief_size=sizes.belief,
        horizon=model.config.horizon,
        chunk=CHUNK,
        proposals=PROPOSALS,
        gamma=model.config.gamma,
        disagreement_p95=disagreement_p95,
        surprise_p999=surprise_p999,
        risk_thresholds=risk_thresholds or {},
        sizes={k: v for k, v in asdict(sizes).items() if isinstance(v, int)},
        training=training,
        files={name: file_sha256(partial / name) for name in (WEIGHTS_FILE, *graphs)},
    )
    (partial / CONFIG_FILE).write_text(config.to_yaml())
    write_reference(partial / REFERENCE_FILE, outputs(load_engine(partial, "torch")))
    config = replace(config, files=config.files | {REFERENCE_FILE: file_sha256(partial / REFERENCE_FILE)})
    (partial / CONFIG_FILE).write_text(config.to_yaml())
    (partial / METRICS_FILE).write_text(json.dumps(metrics, indent=1) + "\n")
    check_parity(partial)
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    put_in_place(partial, folder)
    shutil.rmtree(old, ignore_errors=True)
    return config


def renew_graphs(folder: Path | str) -> None:
    """Export a model's graphs again from its weights, as this version does; all else in the folder stays as it is."""
    folder = Path(folder)
    config = read_model_config(folder)
    write_model_folder(
        folder,
        load_world_model(folder, config),
        training=config.training,
        metrics=json.loads((folder / METRICS_FILE).read_text()),
        disagreement_p95=config.disagreement_p95,
        surprise_p999=config.surprise_p999,
        risk_thresholds=config.risk_thresholds,
    )


@torch.no_grad()
def round_to_half(model: WorldModel) -> WorldModel:
    """Round the weights to the 16 bits that a folder keeps of each, so that graphs and weights are of one model.

    Half the size, and less than a thousandth off: far less than a step of training.
    """
    for value in model.state_dict().values():
        value.copy_(value.half())
    return model


def write_metrics(folder: Path | str, metrics: dict[str, Any]) -> None:
    """Replace metrics.json of a model atomically."""
    write_text(Path(folder) / METRICS_FILE, json.dumps(metrics, indent=1) + "\n")


def export_graphs(model: WorldModel, folder: Path) -> list[str]:
    """ONNX files of the five graphs; their names."""
    sizes = model.config.rssm
    belief, action = torch.zeros(sizes.belief), torch.zeros(2)
    camera = torch.zeros(CAMERA_SHAPE, dtype=torch.uint8)
    graphs: dict[str, tuple[nn.Module, dict[str, torch.Tensor], list[str]]] = {
        "encode.onnx": (
            EncodeGraph(model),
            {"camera": camera, "scans": torch.zeros(2, SCAN_SIZE), "state": torch.zeros(STATE_SIZE)},
            ["embedding"],
        ),
        "observe.onnx": (
            ObserveGraph(model),
            {"belief": belief, "action": action, "embedding": torch.zeros(sizes.embedding)},
            ["posterior", "surprise"],
        ),
        "score.onnx": (
            LeanScoreGraph(model),
            {"belief": belief, "actions": torch.zeros(CHUNK, model.config.horizon, 2)},
            ["ret", "collision", "off_road", "disagreement"],
        ),
        "propose.onnx": (ProposeGraph(model), {"belief": belief}, ["proposals"]),
        "decode.onnx": (DecodeGraph(model), {"belief": belief}, ["decoded_camera", "decoded_state"]),
    }
    for name, (graph, inputs, outputs) in graphs.items():
        with warnings.catch_warnings():
            # The TorchScript exporter is deprecated but needs no further package and unrolls our loop as it is.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                graph.eval(),
                tuple(inputs.values()),
                str(folder / name),
                input_names=list(inputs),
                output_names=outputs,
                dynamic_axes={key: {0: CANDIDATES} for key in ("actions", *outputs)} if name == "score.onnx" else None,
                opset_version=OPSET,
                dynamo=False,
            )
    keep_halves(folder / "decode.onnx")  # the largest of what no drive waits for
    return list(graphs)


def load_world_model(folder: Path | str, config: ModelConfig | None = None) -> WorldModel:
    """The PyTorch model of a folder, in evaluation mode, with as many labels as its weights have."""
    config = config or read_model_config(folder)
    if config.family != "rssm":
        raise ModelError(f"model {folder}: unknown family {config.family}; this version knows rssm.")
    path = verified_file(folder, config, WEIGHTS_FILE)
    weights, sizes = load_file(path), replace(RssmConfig(), **config.sizes)
    model = WorldModel(WorldModelConfig(sizes, config.horizon, config.gamma, labels_in(weights)))
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"model {folder}: {WEIGHTS_FILE} does not fit its {CONFIG_FILE}. Export it again.") from error
    return model.eval()
