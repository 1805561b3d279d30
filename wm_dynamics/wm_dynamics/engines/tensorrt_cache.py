"""Compiled engines on disk: where those of a model lie, whether they are whole, and what they were made from."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from wm_dynamics.engines.graph_engine import GRAPHS
from wm_dynamics.engines.tensorrt_library import Gpu, Library
from wm_dynamics.errors import ModelError
from wm_dynamics.parity import REFERENCE_FILE, read_reference, write_reference
from wm_perception.durable import put_in_place
from wm_perception.model_folder import ModelConfig, file_sha256

MANIFEST = "engine.json"
EVERY_GPU = "every GPU"


@dataclass(frozen=True)
class Key:
    """What an engine depends on; another value of any field is another engine."""

    model_id: str
    graphs: str  # SHA-256 over the hashes of the model's graphs
    library: str
    version: str
    precision: str
    gpu: str  # name and compute capability; EVERY_GPU where compiled ahead of time
    recipe: int = 1  # counts up when we prepare or compile graphs in another way

    @property
    def folder(self) -> Path:
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]
        return cache_root() / f"{self.model_id}-{self.precision}-{digest}"


def cache_root() -> Path:
    """Where engines lie: below $WM_ENGINE_CACHE, else below the user's cache folder."""
    if named := os.environ.get("WM_ENGINE_CACHE"):
        return Path(named).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "world-model-driving" / "tensorrt"


def key_for(config: ModelConfig, library: Library, precision: str, gpu: Gpu | None) -> Key:
    """Key of a model's engine. `gpu` may be None only for a library that compiles ahead of time."""
    graphs = hashlib.sha256(" ".join(config.files[f"{name}.onnx"] for name in GRAPHS).encode()).hexdigest()
    if library.ahead_of_time:
        where = EVERY_GPU
    else:
        assert gpu is not None
        where = f"{gpu.name}, compute capability {gpu.capability}"
    return Key(config.model_id, graphs, library.name, library.version, precision, where)


def store(key: Key, plans: Mapping[str, bytes], reference: Mapping[str, np.ndarray]) -> Path:
    """Write an engine: plans by graph, and what PyTorch computes. Whole or not at all; its folder."""
    folder = key.folder
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for name in GRAPHS:
            (partial / f"{name}.plan").write_bytes(plans[name])
        write_reference(partial / REFERENCE_FILE, reference)
        files = {path.name: file_sha256(path) for path in sorted(partial.iterdir())}
        (partial / MANIFEST).write_text(json.dumps({"key": asdict(key), "files": files}, indent=1) + "\n")
        shutil.rmtree(folder, ignore_errors=True)  # a damaged one
        put_in_place(partial, folder)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise ModelError(
            f"engine cache {cache_root()}: {error.strerror}. Name another with WM_ENGINE_CACHE."
        ) from error
    return folder


def why_not(key: Key) -> str | None:
    """None where the engine is there and whole, else what is wrong with it."""
    folder = key.folder
    if not (folder / MANIFEST).is_file():
        return "is not built"
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        made_from, files = manifest["key"], manifest["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return f"has a damaged {MANIFEST}"
    if made_from != asdict(key):
        wanted = asdict(key)
        other = [name for name in wanted if not isinstance(made_from, dict) or made_from.get(name) != wanted[name]]
        return f"was built for another {', '.join(other)}"
    for name in (*(f"{graph}.plan" for graph in GRAPHS), REFERENCE_FILE):
        path = folder / name
        if not path.is_file() or file_sha256(path) != files.get(name):
            return f"has a damaged {name}"
    return None


def load(key: Key) -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    """Plans by graph and PyTorch's outputs; call after `why_not` had nothing to say."""
    plans = {name: (key.folder / f"{name}.plan").read_bytes() for name in GRAPHS}
    return plans, read_reference(key.folder / REFERENCE_FILE)


def kernels_file(key: Key, graph: str, gpu: Gpu) -> Path:
    """Where kernels that were compiled for this GPU when the engine was first loaded are kept."""
    gpu_name = re.sub(r"\W+", "-", f"{gpu.name} {gpu.capability}")
    return key.folder / f"{graph}.{gpu_name}.kernels"
