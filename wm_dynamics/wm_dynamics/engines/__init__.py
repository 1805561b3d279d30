"""Engines that run a model folder; one line here makes an engine known."""

from __future__ import annotations

import importlib
from pathlib import Path

from wm_dynamics.errors import ModelError
from wm_dynamics.protocols import Engine

# Name to "module:class", imported only when asked for: driving never pays for PyTorch.
ENGINES = {
    "onnxruntime": "wm_dynamics.engines.onnx_engine:OnnxEngine",
    "openvino": "wm_dynamics.engines.openvino_engine:OpenVinoEngine",
    "openvino_bf16": "wm_dynamics.engines.openvino_engine:OpenVinoBf16Engine",
    "tensorrt": "wm_dynamics.engines.tensorrt_engine:TensorRtEngine",
    "tensorrt_fp32": "wm_dynamics.engines.tensorrt_engine:TensorRtFp32Engine",
    "torch": "wm_dynamics.engines.torch_engine:TorchEngine",
}


def load_engine(folder: Path | str, name: str = "onnxruntime", threads: int = 1) -> Engine:
    """Engine `name` on the model in `folder`. Raises ModelError in one sentence when it cannot run."""
    if name not in ENGINES:
        raise ModelError(f"unknown engine {name}: choose one of {', '.join(ENGINES)}.")
    module, _, cls = ENGINES[name].partition(":")
    try:
        factory = getattr(importlib.import_module(module), cls)
    except ImportError as error:
        raise ModelError(f"engine {name} needs {error.name}: install it or use engine onnxruntime.") from error
    return factory(folder, threads)
