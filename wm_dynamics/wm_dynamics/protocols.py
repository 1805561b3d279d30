"""What a world model offers to those who filter and plan with it, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from wm_perception.model_folder import ModelConfig


@dataclass(frozen=True)
class Outcome:
    """What imagination says about N candidate action sequences."""

    ret: np.ndarray  # [N] discounted return over the horizon, value bootstrap included
    collision: np.ndarray  # [N] highest predicted collision risk along the sequence, 0..1
    off_road: np.ndarray  # [N] highest predicted risk of leaving the lane, 0..1
    disagreement: np.ndarray  # [N] spread of the prior heads; divide by config.disagreement_p95


class Engine(Protocol):
    """A world model ready to run: encode, filter, score, propose, decode.

    All arrays are float32 unless said otherwise; E, L, H are `config.embedding_size`, `.belief_size`, `.horizon`.
    """

    config: ModelConfig

    def encode(self, camera: np.ndarray, scans: np.ndarray, state: np.ndarray) -> np.ndarray:
        """Embedding [E] of one observation: camera uint8 [64, 64, 3], scans [2, 72] in m, state [15] in SI units."""
        ...

    def initial_belief(self) -> np.ndarray:
        """Belief [L] before the first observation of an episode."""
        ...

    def observe(self, belief: np.ndarray, action: np.ndarray, embedding: np.ndarray) -> tuple[np.ndarray, float]:
        """Posterior belief [L] and surprise in nats, after `action` [2] led to the observation `embedding` [E]."""
        ...

    def score(self, belief: np.ndarray, actions: np.ndarray) -> Outcome:
        """Imagine `actions` [N, H, 2] from `belief` [L]; N is a multiple of `config.chunk`."""
        ...

    def propose(self, belief: np.ndarray) -> np.ndarray:
        """Action sequences [P, H, 2] that the learned policy would drive; the first is its mean."""
        ...

    def decode(self, belief: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Camera uint8 [64, 64, 3] and state [15] that `belief` [L] stands for."""
        ...
