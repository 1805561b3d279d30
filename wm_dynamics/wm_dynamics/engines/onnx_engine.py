"""A model folder on ONNX Runtime: what drives on a CPU."""

from __future__ import annotations

from pathlib import Path

from wm_dynamics.engines.graph_engine import GRAPHS, GraphEngine
from wm_dynamics.engines.score_lanes import CANDIDATES, rows_for
from wm_dynamics.parity import hold_against_reference
from wm_perception.model_folder import read_model_config
from wm_perception.onnx_session import BoundRun, open_session


class OnnxEngine(GraphEngine):
    """`Engine` on the CPU. `threads` work on one plan; the other graphs need only one.

    Raises ModelError when it does not compute what PyTorch computed at export.
    """

    def __init__(self, folder: Path | str, threads: int = 1) -> None:
        config = read_model_config(folder)
        # One thread in a session: the threads of a plan run one session side by side.
        sessions = {name: open_session(folder, config, f"{name}.onnx", threads=1) for name in GRAPHS}
        score = sessions.pop("score")
        is_open = CANDIDATES in score.get_outputs()[0].shape
        sizes = rows_for(config.chunk, threads) if is_open else (config.chunk,)
        lanes = [{rows: BoundRun(score, {CANDIDATES: rows}) for rows in sizes} for _ in range(threads)]
        super().__init__(config, {name: BoundRun(session) for name, session in sessions.items()}, lanes)
        hold_against_reference(self, "onnxruntime", folder)
