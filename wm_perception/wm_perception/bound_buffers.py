"""Arrays that a graph reads its inputs from, run after run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def fill(buffers: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray]) -> None:
    """Copy a run's inputs to where the graph reads them. ValueError for one of another shape: nothing is spread."""
    for key, buffer in buffers.items():
        value = inputs[key]
        if value.shape != buffer.shape:
            raise ValueError(f"{key} {value.shape}; expected {buffer.shape}")
        np.copyto(buffer, value)
