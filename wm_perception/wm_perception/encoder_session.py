"""The encoder of a model folder, ready to run on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wm_perception.model_folder import ModelConfig, read_model_config
from wm_perception.onnx_session import BoundRun, open_session
from wm_sim.observation import CAMERA_SHAPE, SCAN_SIZE, STATE_SIZE


class EncoderSession:
    """Observation to embedding on a CPU. Raises ModelError when the folder cannot be used."""

    def __init__(self, folder: Path | str, threads: int = 1) -> None:
        self.config: ModelConfig = read_model_config(folder)
        self._run = BoundRun(open_session(folder, self.config, "encode.onnx", threads))

    def encode(self, camera: np.ndarray, scans: np.ndarray, state: np.ndarray) -> np.ndarray:
        """camera uint8 [64, 64, 3], scans float32 [2, 72] m, state float32 [15] -> embedding float32 [E]."""
        if camera.shape != CAMERA_SHAPE or scans.shape != (2, SCAN_SIZE) or state.shape != (STATE_SIZE,):
            raise ValueError(
                f"observation of camera {camera.shape}, scans {scans.shape}, state {state.shape}; "
                f"expected {CAMERA_SHAPE}, (2, {SCAN_SIZE}), ({STATE_SIZE},)"
            )
        return self._run(camera=camera, scans=scans, state=state)[0].copy()
