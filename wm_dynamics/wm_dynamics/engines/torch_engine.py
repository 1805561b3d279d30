"""A model folder on PyTorch: the reference that other engines are held against."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from wm_dynamics.graphs import DecodeGraph, EncodeGraph, ObserveGraph, ProposeGraph, ScoreGraph
from wm_dynamics.model_files import load_world_model
from wm_dynamics.protocols import Outcome
from wm_perception.model_folder import read_model_config


class TorchEngine:
    """`Engine` in PyTorch eager mode."""

    def __init__(self, folder: Path | str, threads: int = 1) -> None:
        torch.set_num_threads(threads)
        self.config = read_model_config(folder)
        model = load_world_model(folder, self.config)
        self._encode, self._observe = EncodeGraph(model), ObserveGraph(model)
        self._score, self._propose, self._decode = ScoreGraph(model), ProposeGraph(model), DecodeGraph(model)

    def encode(self, camera: np.ndarray, scans: np.ndarray, state: np.ndarray) -> np.ndarray:
        return _run(self._encode, camera, scans, state)[0]

    def initial_belief(self) -> np.ndarray:
        return np.zeros(self.config.belief_size, np.float32)

    def observe(self, belief: np.ndarray, action: np.ndarray, embedding: np.ndarray) -> tuple[np.ndarray, float]:
        posterior, surprise = _run(self._observe, belief, action, embedding)
        return posterior, float(surprise)

    def score(self, belief: np.ndarray, actions: np.ndarray) -> Outcome:
        return Outcome(*_run(self._score, belief, actions))

    def propose(self, belief: np.ndarray) -> np.ndarray:
        return _run(self._propose, belief)[0]

    def decode(self, belief: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        camera, state = _run(self._decode, belief)
        return camera, state


@torch.inference_mode()
def _run(graph: nn.Module, *inputs: np.ndarray) -> tuple[np.ndarray, ...]:
    out = graph(*(torch.from_numpy(np.ascontiguousarray(x)) for x in inputs))
    return tuple(x.numpy() for x in ((out,) if isinstance(out, Tensor) else out))
