"""A model folder on ONNX Runtime: what drives on a CPU."""

from __future__ import annotations

from pathlib import Path

from wm_dynamics.engines.graph_engine import GRAPHS, GraphEngine
from wm_dynamics.parity import hold_against_reference
from wm_perception.model_folder import read_model_config
from wm_perception.onnx_session import OnnxSession


class OnnxEngine(GraphEngine):
    """`Engine` on the CPU. `threads` work on one plan; the other graphs need only one.

    Raises ModelError when it does not compute what PyTorch computed at export.
    """

    def __init__(self, folder: Path | str, threads: int = 1) -> None:
        config = read_model_config(folder)
        sessions = {
            name: OnnxSession(folder, config, f"{name}.onnx", threads if name == "score" else 1) for name in GRAPHS
        }
        super().__init__(config, {name: session.run for name, session in sessions.items()})
        hold_against_reference(self, "onnxruntime", folder)
