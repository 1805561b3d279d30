"""Clips: which stretch of a collected drive is kept, so that as many frames show more worlds."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from wm_sim.observation import STEP_S
from wm_training.bag_frames import MIN_FRAMES
from wm_training.collect_report import Episode
from wm_training.errors import TrainingError

ENDINGS = 1 / 3  # of the clips show how the drive ended, whatever comes before
ClipAt = Literal["anywhere", "dissent"]


def check_clips(clip_s: float | None, clip_at: ClipAt) -> None:
    """Refuse what is no clip. Raises TrainingError."""
    if clip_s is not None and not 0.0 < clip_s < math.inf:
        raise TrainingError(f"clip-s: {clip_s:g} is no length of a clip; give seconds above 0, or leave it out.")
    if clip_at == "dissent" and clip_s is None:
        raise TrainingError("clip-at dissent says which stretch is kept; --clip-s has to say how long it is.")


def stretch(frames: int, clip_s: float | None, episode: Episode, dissent: np.ndarray | None = None) -> tuple[int, int]:
    """Which frames [a, b) of a drive are kept: any stretch of that length, one in three the last one, how it ended.

    dissent [T-1]: how far driver and adviser were apart. With it every stretch is as likely as the dissent in it is
    large; the last one is no likelier than the others (near SafeDAgger, Zhang and Cho 2017: learn where they differ).
    """
    most = frames if clip_s is None else max(MIN_FRAMES, round(clip_s / STEP_S))
    if frames <= most:
        return 0, frames
    rng = np.random.default_rng([episode.seed, 1, *episode.family.encode()])
    if dissent is not None and dissent.sum() > 0.0:
        within = np.convolve(dissent, np.ones(most - 1), "valid")  # [frames - most + 1]
        end = most + int(rng.choice(len(within), p=within / within.sum()))
    else:
        end = frames if rng.random() < ENDINGS else int(rng.integers(most, frames + 1))
    return end - most, end


def dissent_of(commands: np.ndarray, advice: np.ndarray) -> np.ndarray:
    """How far what was done and what was advised [T-1, 2] are apart at each frame, squared: 0 to 4, [T-1]."""
    return np.asarray(np.square(commands - advice).max(axis=1), np.float64)
