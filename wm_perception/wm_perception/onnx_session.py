"""One ONNX graph of a model folder on ONNX Runtime, hash-checked, with pinned threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from wm_perception.errors import ModelError
from wm_perception.model_folder import ModelConfig, verified_file


class OnnxSession:
    """Runs one graph on the CPU. Raises ModelError when the file is missing, altered or not a graph."""

    def __init__(self, folder: Path | str, config: ModelConfig, name: str, threads: int) -> None:
        path = verified_file(folder, config, name)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning workers would take the second core from the other nodes of the stack.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises its own undocumented types
            reason = str(error).splitlines()[0]
            raise ModelError(f"model {folder}: ONNX Runtime cannot load {name} ({reason}). Export it again.") from error

    def run(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Outputs in the graph's order."""
        return self._session.run(None, inputs)
