"""Does an engine compute what PyTorch computes? Asked at export and by `wm doctor`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wm_dynamics.engines import load_engine
from wm_dynamics.errors import ModelError
from wm_dynamics.protocols import Engine
from wm_sim.observation import CAMERA_SHAPE, SCAN_MAX_M, SCAN_SIZE, STATE_SIZE

TOLERANCE = 1e-3  # largest difference of any output, in its own unit (probability, nats, reward)
FRAMES = 5


def parity_error(folder: Path | str, engine: str = "onnxruntime") -> float:
    """Largest difference between an engine and PyTorch over a short filtered, scored drive of random frames."""
    left, right = (_outputs(load_engine(folder, name)) for name in ("torch", engine))
    pairs = zip(left, right, strict=True)
    return max(float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max()) for a, b in pairs)


def check_parity(folder: Path | str, engine: str = "onnxruntime") -> float:
    """As `parity_error`; raises ModelError beyond the tolerance."""
    error = parity_error(folder, engine)
    if not error <= TOLERANCE:
        raise ModelError(
            f"model {folder}: engine {engine} differs from PyTorch by {error:.2g} (tolerance {TOLERANCE:g}). "
            "Export the model again; if it stays, use engine torch and report it."
        )
    return error


def _outputs(engine: Engine) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    belief, out = engine.initial_belief(), []
    for _ in range(FRAMES):
        camera = rng.integers(0, 256, CAMERA_SHAPE, dtype=np.uint8)
        scan = rng.uniform(0.5, SCAN_MAX_M, SCAN_SIZE).astype(np.float32)
        state = rng.normal(0.0, 3.0, STATE_SIZE).astype(np.float32)
        embedding = engine.encode(camera, scan, state)
        belief, surprise = engine.observe(belief, rng.uniform(-1, 1, 2).astype(np.float32), embedding)
        out += [embedding, belief, np.array([surprise])]
    actions = rng.uniform(-1, 1, (engine.config.chunk, engine.config.horizon, 2)).astype(np.float32)
    outcome = engine.score(belief, actions)
    out += [outcome.ret, outcome.collision, outcome.off_road, outcome.disagreement, engine.propose(belief)]
    return out
