"""Does an engine compute what PyTorch computes? Asked at export, when an engine is loaded, and by `wm doctor`."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from wm_dynamics.engines import load_engine
from wm_dynamics.errors import ModelError
from wm_dynamics.protocols import Engine
from wm_perception.model_folder import verified_file
from wm_sim.observation import CAMERA_SHAPE, SCAN_MAX_M, SCAN_SIZE, STATE_SIZE

# Largest difference of any output, in its own unit (probability, nats, reward) where the output stays below 1, and as
# a share of its largest value where it goes beyond.
TOLERANCE = 1e-3
TOLERANCE_FP16 = 1e-2  # activations have 11 bits; five steps of filtering and twelve imagined ones add up
TOLERANCE_BF16 = 4e-2  # 8 bits, in imagination alone
FRAMES = 5
REFERENCE_FILE = "parity.npz"  # in a model folder: what PyTorch computed at export

Outputs = dict[str, np.ndarray]


def parity_error(folder: Path | str, engine: str = "onnxruntime") -> float:
    """Largest difference between an engine and PyTorch over a short filtered, scored drive of random frames."""
    return difference(outputs(load_engine(folder, engine)), outputs(load_engine(folder, "torch")))[0]


def check_parity(folder: Path | str, engine: str = "onnxruntime") -> float:
    """As `parity_error`; raises ModelError beyond the tolerance."""
    return refuse_if_far(engine, folder, outputs(load_engine(folder, engine)), outputs(load_engine(folder, "torch")))


def hold_against_reference(engine: Engine, name: str, folder: Path | str, tolerance: float | None = None) -> None:
    """Raise ModelError where `engine` is far from what PyTorch computed at export, if the folder says what that was."""
    if REFERENCE_FILE in engine.config.files:
        reference = read_reference(verified_file(folder, engine.config, REFERENCE_FILE))
        refuse_if_far(name, folder, outputs(engine), reference, tolerance)


def refuse_if_far(
    name: str, folder: Path | str, found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray],
    tolerance: float | None = None,
) -> float:  # fmt: skip
    """The largest difference; raises ModelError beyond the tolerance."""
    tolerance = TOLERANCE if tolerance is None else tolerance
    error, where = difference(found, wanted)
    if not error <= tolerance:
        raise ModelError(
            f"model {folder}: engine {name} differs from PyTorch by {error:.2g} in {where} (tolerance {tolerance:g}). "
            "Export the model again; if it stays, use engine torch and report it."
        )
    return error


def difference(found: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray]) -> tuple[float, str]:
    """The largest difference and the output that has it; NaN, which no tolerance passes, wins over every number."""
    errors = {}
    for name, reference in wanted.items():
        right = reference.astype(np.float64)
        scale = max(1.0, float(np.abs(right).max()))
        errors[name] = float(np.abs(found[name].astype(np.float64) - right).max()) / scale
    worst = max(errors, key=lambda name: np.inf if np.isnan(errors[name]) else errors[name])
    return errors[worst], worst


def outputs(engine: Engine) -> Outputs:
    """What an engine makes of a short drive of random frames: filtered, scored, proposed, decoded."""
    rng = np.random.default_rng(0)
    belief, found = engine.initial_belief(), Outputs()
    for frame in range(FRAMES):
        camera = rng.integers(0, 256, CAMERA_SHAPE, dtype=np.uint8)
        scans = rng.uniform(0.5, SCAN_MAX_M, (2, SCAN_SIZE)).astype(np.float32)
        state = rng.normal(0.0, 3.0, STATE_SIZE).astype(np.float32)
        embedding = engine.encode(camera, scans, state)
        belief, surprise = engine.observe(belief, rng.uniform(-1, 1, 2).astype(np.float32), embedding)
        found |= {f"embedding {frame}": embedding, f"belief {frame}": belief, f"surprise {frame}": np.array([surprise])}
    actions = rng.uniform(-1, 1, (engine.config.chunk, engine.config.horizon, 2)).astype(np.float32)
    outcome = engine.score(belief, actions)
    found |= {"return": outcome.ret, "collision": outcome.collision, "off_road": outcome.off_road}
    found |= {"disagreement": outcome.disagreement, "proposals": engine.propose(belief)}
    picture, state = engine.decode(belief)
    # Means of 8 x 8 pixels: one grey level more or less is how a pixel is rounded, not how it is computed.
    height, width, channels = picture.shape
    blocks = picture.astype(np.float32).reshape(height // 8, 8, width // 8, 8, channels).mean(axis=(1, 3)) / 255.0
    return found | {"decoded camera": blocks, "decoded state": state}


def write_reference(path: Path, found: Mapping[str, np.ndarray]) -> None:
    np.savez(path, **found)  # type: ignore[arg-type]


def read_reference(path: Path) -> Outputs:
    """What `write_reference` wrote. ModelError where that cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} cannot be read ({error}). Export the model again.") from error
