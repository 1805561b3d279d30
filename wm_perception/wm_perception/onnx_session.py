"""One ONNX graph of a model folder on ONNX Runtime, hash-checked, its buffers bound once, its threads fixed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from wm_perception.bound_buffers import fill
from wm_perception.errors import ModelError
from wm_perception.model_folder import ModelConfig, verified_file

DTYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}


def open_session(folder: Path | str, config: ModelConfig, name: str, threads: int) -> onnxruntime.InferenceSession:
    """The graph `name` on the CPU. Raises ModelError when the file is missing, altered or not a graph."""
    path = verified_file(folder, config, name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning workers would take the second core from the other nodes of the stack.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own undocumented types
        reason = str(error).splitlines()[0]
        raise ModelError(f"model {folder}: ONNX Runtime cannot load {name} ({reason}). Export it again.") from error


class BoundRun:
    """Runs a session for one caller at a time; several of them may run one session side by side.

    Inputs and outputs lie in arrays that are bound to the graph for good, so that a run allocates nothing. `free`: the
    sizes, by name, of dimensions that the graph leaves open.
    """

    def __init__(self, session: onnxruntime.InferenceSession, free: Mapping[str, int] | None = None) -> None:
        self._session, self._binding = session, session.io_binding()
        self._inputs = {arg.name: _buffer(arg, free or {}) for arg in session.get_inputs()}
        self._outputs = [(arg.name, _buffer(arg, free or {})) for arg in session.get_outputs()]
        # A value made from an array shares its memory and keeps it alive.
        for key, array in self._inputs.items():
            self._binding.bind_ortvalue_input(key, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        for key, array in self._outputs:
            self._binding.bind_ortvalue_output(key, onnxruntime.OrtValue.ortvalue_from_numpy(array))

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Outputs in the graph's order, as they stay until the next run: copy what is to be kept."""
        fill(self._inputs, inputs)
        self._session.run_with_iobinding(self._binding)
        return [array for _, array in self._outputs]


def _buffer(arg: onnxruntime.NodeArg, free: Mapping[str, int]) -> np.ndarray:
    return np.zeros([free[size] if isinstance(size, str) else size for size in arg.shape], DTYPES[arg.type])
