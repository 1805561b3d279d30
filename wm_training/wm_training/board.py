"""The TensorBoard log of a run, written by the first process alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from wm_dynamics.world_model import WorldModel
from wm_training.batches import BatchSource
from wm_training.devices import move
from wm_training.outlook import SEEN, calibration_picture, look_ahead
from wm_training.sequences import Sequences

WINDOWS = 48  # held-out windows that dreams and calibration are drawn from, always the same


class Board:
    """Scalars and pictures by step. Without a folder, as in all processes but the first, it does nothing."""

    def __init__(self, folder: Path | None, first_step: int) -> None:
        self._writer = SummaryWriter(str(folder), purge_step=first_step) if folder else None

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def pictures(self, step: int, model: WorldModel, held_out: HeldOut) -> None:
        """Dreams and calibration of the risk heads, where there are held-out drives."""
        if self._writer is None or held_out.source is None:
            return
        batch = held_out.source.draw(0, WINDOWS)
        ahead = look_ahead(model, move(batch, next(model.parameters()).device))
        self._writer.add_image("dreams/truth_above_imagined_below", ahead.strips, step, dataformats="HWC")
        self._writer.add_image("calibration/risks", calibration_picture(ahead.risks), step, dataformats="HWC")


class HeldOut:
    """Windows of the drives that are never trained on, long enough to filter and then imagine."""

    def __init__(self, sequences: Sequences, episodes: np.ndarray, horizon: int, seed: int) -> None:
        length = SEEN + horizon
        self.source = BatchSource(sequences, episodes, length, seed) if len(episodes) else None
