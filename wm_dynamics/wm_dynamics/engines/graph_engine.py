"""An engine out of five graphs, whatever runs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from wm_dynamics.engines.score_lanes import Run, ScoreLanes
from wm_dynamics.protocols import Outcome
from wm_perception.model_folder import ModelConfig

GRAPHS = ("encode", "observe", "score", "propose", "decode")  # each `NAME.onnx` in a model folder


class GraphEngine:
    """`Engine` for one caller at a time. What it hands out is the caller's: no later call writes into it.

    `lanes`: the score graph on several threads or in several sizes, see `ScoreLanes`; otherwise `runs` has it.
    """

    def __init__(
        self, config: ModelConfig, runs: Mapping[str, Run], lanes: Sequence[Mapping[int, Run]] | None = None
    ) -> None:
        self.config = config
        self._encode, self._observe, self._propose, self._decode = (runs[name] for name in GRAPHS if name != "score")
        self._score = ScoreLanes(lanes or [{config.chunk: runs["score"]}])

    def encode(self, camera: np.ndarray, scans: np.ndarray, state: np.ndarray) -> np.ndarray:
        return self._encode(camera=camera, scans=scans, state=state)[0].copy()

    def initial_belief(self) -> np.ndarray:
        return np.zeros(self.config.belief_size, np.float32)

    def observe(self, belief: np.ndarray, action: np.ndarray, embedding: np.ndarray) -> tuple[np.ndarray, float]:
        posterior, surprise = self._observe(belief=belief, action=action, embedding=embedding)
        return posterior.copy(), float(surprise)

    def score(self, belief: np.ndarray, actions: np.ndarray) -> Outcome:
        chunk, horizon, count = self.config.chunk, self.config.horizon, len(actions)
        if actions.ndim != 3 or count % chunk or actions.shape[1:] != (horizon, 2):
            raise ValueError(f"candidates {actions.shape}; expected [N, {horizon}, 2] with N a multiple of {chunk}")
        return Outcome(*self._score(belief, actions))

    def propose(self, belief: np.ndarray) -> np.ndarray:
        return self._propose(belief=belief)[0].copy()

    def decode(self, belief: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        camera, state = self._decode(belief=belief)
        return camera.astype(np.uint8), state.copy()
