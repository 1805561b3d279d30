"""A model folder on ONNX Runtime: what drives on a CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wm_dynamics.protocols import Outcome
from wm_perception.encoder_session import EncoderSession
from wm_perception.onnx_session import OnnxSession


class OnnxEngine:
    """`Engine` on the CPU. `threads` work on one plan; encoding and filtering need only one."""

    def __init__(self, folder: Path | str, threads: int = 1) -> None:
        self._encoder = EncoderSession(folder)
        self.config = self._encoder.config
        self._observe = OnnxSession(folder, self.config, "observe.onnx", 1)
        self._score = OnnxSession(folder, self.config, "score.onnx", threads)
        self._propose = OnnxSession(folder, self.config, "propose.onnx", 1)
        self._decode = OnnxSession(folder, self.config, "decode.onnx", 1)

    def encode(self, camera: np.ndarray, scan: np.ndarray, state: np.ndarray) -> np.ndarray:
        return self._encoder.encode(camera, scan, state)

    def initial_belief(self) -> np.ndarray:
        return np.zeros(self.config.belief_size, np.float32)

    def observe(self, belief: np.ndarray, action: np.ndarray, embedding: np.ndarray) -> tuple[np.ndarray, float]:
        posterior, surprise = self._observe.run(belief=belief, action=action, embedding=embedding)
        return posterior, float(surprise)

    def score(self, belief: np.ndarray, actions: np.ndarray) -> Outcome:
        chunk = self.config.chunk
        if actions.ndim != 3 or len(actions) % chunk or actions.shape[1:] != (self.config.horizon, 2):
            raise ValueError(
                f"candidates {actions.shape}; expected [N, {self.config.horizon}, 2] with N a multiple of {chunk}"
            )
        parts = [
            self._score.run(belief=belief, actions=actions[start : start + chunk])
            for start in range(0, len(actions), chunk)
        ]
        return Outcome(*(np.concatenate(field) for field in zip(*parts, strict=True)))

    def propose(self, belief: np.ndarray) -> np.ndarray:
        return self._propose.run(belief=belief)[0]

    def decode(self, belief: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        camera, state = self._decode.run(belief=belief)
        return camera, state
