"""A model on disk: `config.yaml` and the files that it lists with their hashes."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from wm_perception.durable import write_text
from wm_perception.errors import ModelError
from wm_sim.observation import CAMERA_SHAPE, SCAN_MAX_M, SCAN_SIZE, STATE_NAMES, STEP_S

CONFIG_FILE = "config.yaml"


@dataclass(frozen=True)
class ObservationLayout:
    """What the model was trained to see; has to equal what the stack sends."""

    camera: tuple[int, ...] = CAMERA_SHAPE  # height, width, channels
    scan: int = SCAN_SIZE
    scans: int = 2  # the newest, and one of half a second before
    scan_max_m: float = SCAN_MAX_M
    state: tuple[str, ...] = tuple(STATE_NAMES)
    step_s: float = STEP_S


@dataclass(frozen=True)
class ModelConfig:
    """Everything about a model that is not a weight."""

    family: str
    model_id: str  # first 12 hex digits of the SHA-256 of the weights
    embedding_size: int
    belief_size: int
    horizon: int  # model steps that `score` imagines
    chunk: int  # candidates that one run of the score graph takes
    proposals: int  # policy sequences that `propose` returns
    gamma: float  # discount per model step
    disagreement_p95: float  # 95th percentile of the score graph's disagreement on held-out data
    surprise_p999: float  # 99.9th percentile of the surprise on held-out data, nats
    sizes: dict[str, int]  # what the family needs to build its networks
    # Risk -> share of the bad plans that may pass for safe -> probability from which on a plan is not safe.
    risk_thresholds: dict[str, dict[float, float]] = field(default_factory=dict)
    observation: ObservationLayout = field(default_factory=ObservationLayout)
    training: dict[str, Any] = field(default_factory=dict)  # bags by hash, frames, steps, seed
    files: dict[str, str] = field(default_factory=dict)  # file name to SHA-256

    def to_yaml(self) -> str:
        plain = asdict(self)
        plain["observation"]["camera"] = list(self.observation.camera)
        plain["observation"]["state"] = list(self.observation.state)
        return yaml.safe_dump(plain, sort_keys=False)


def file_sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_model_config(folder: Path | str) -> ModelConfig:
    """Configuration of a model folder, checked against the observation that this stack sends.

    Raises ModelError when the folder is missing, the configuration is unreadable, or the layout does not fit.
    """
    folder = Path(folder)
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise ModelError(f"model {folder}: no {CONFIG_FILE} there. Name a model folder, for example models/default.")
    try:
        plain = yaml.safe_load(path.read_text())
        layout = plain.pop("observation")
        layout.setdefault("scans", 1)  # of models before they looked back
        layout["camera"], layout["state"] = tuple(layout["camera"]), tuple(layout["state"])
        plain["risk_thresholds"] = {k: _by_miss_rate(v) for k, v in plain.get("risk_thresholds", {}).items()}
        config = ModelConfig(observation=ObservationLayout(**layout), **plain)
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"model {folder}: {CONFIG_FILE} is damaged ({_first_line(error)}). Export the model again with wm export."
        ) from error
    _check_layout(folder, config.observation)
    return config


def write_model_config(folder: Path | str, config: ModelConfig) -> None:
    """Replace the configuration of a model folder, whole or not at all."""
    path = Path(folder) / CONFIG_FILE
    write_text(path, config.to_yaml())


def verified_file(folder: Path | str, config: ModelConfig, name: str) -> Path:
    """Path of a file of the model, after its hash was found equal to the configuration's."""
    path = Path(folder) / name
    if not path.is_file():
        raise ModelError(f"model {folder}: {name} is missing. Export the model again with wm export.")
    if file_sha256(path) != config.files.get(name):
        raise ModelError(f"model {folder}: {name} is not the file that was exported (other hash). Export it again.")
    return path


def _check_layout(folder: Path, found: ObservationLayout) -> None:
    sent = ObservationLayout()
    for item in fields(ObservationLayout):
        of_model, of_stack = getattr(found, item.name), getattr(sent, item.name)
        if of_model != of_stack:
            raise ModelError(
                f"model {folder}: made for {item.name} {_words(of_model)}, this stack sends {_words(of_stack)}. "
                "Train again on bags of this stack, or name another model."
            )


def _by_miss_rate(found: Any) -> dict[float, float]:
    """Thresholds by miss rate; a model of an earlier version has one number, at 10 %."""
    return {float(k): float(v) for k, v in (found if isinstance(found, dict) else {0.1: found}).items()}


def _words(value: object) -> str:
    return "x".join(str(v) for v in value) if isinstance(value, tuple) else str(value)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
