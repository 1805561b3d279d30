"""A contact sheet of the drives that went worst: what the camera saw, and the road from above."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wm_training.errors import TrainingError

if TYPE_CHECKING:
    from wm_training.evaluate import Episode, EvalConfig

WORST = 6  # rows
COLUMNS = 7  # camera pictures of a row, evenly spaced, closer together towards the end
TILE = 160  # pixels
CAPTION = 22  # pixels


def contact_sheet(config: EvalConfig, episodes: list[Episode]) -> Path:
    """Drive the worst episodes again, keep their frames and write one PNG; its path."""
    import cv2

    if config.pictures is None:
        raise TrainingError("no folder for the contact sheet: name one with --pictures.")
    worst = sorted(episodes, key=lambda e: (e.score.success, e.score.driving_score))[:WORST]
    rows = [_row(config, episode) for episode in worst]
    path = config.pictures / f"worst_{config.agent.split(':')[0]}_{config.suite}.png"
    config.pictures.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), np.vstack(rows)[..., ::-1]):
        raise TrainingError(f"{path} cannot be written: choose another folder with --pictures.")
    return path


def _row(config: EvalConfig, episode: Episode) -> NDArray[np.uint8]:  # [CAPTION + TILE, (COLUMNS + 1) * TILE, 3]
    """One drive: the moments before its end, and where it went."""
    import cv2

    from wm_training.evaluate import replay

    frames, above = replay(replace(config, pictures=None), episode.family, episode.seed, TILE)
    ago = np.unique(np.minimum((np.arange(COLUMNS) ** 2 * 1.5).astype(int), len(frames) - 1))[
        ::-1
    ]  # steps before the end
    tiles = [cv2.resize(frames[-1 - a].camera, (TILE, TILE), interpolation=cv2.INTER_NEAREST) for a in ago]
    tiles = [np.zeros((TILE, TILE, 3), np.uint8)] * (COLUMNS - len(tiles)) + tiles + [above]
    picture = np.vstack([np.zeros((CAPTION, TILE * (COLUMNS + 1), 3), np.uint8), np.hstack(tiles)])
    score = episode.score
    text = (
        f"{episode.family} seed {episode.seed}: {score.end}, route {score.route_completion:.0%}, "
        f"score {score.driving_score:.0f}, after {score.duration_s:.1f} s; "
        f"pictures {', '.join(f'{-a / 10:.1f}' for a in ago.tolist())} s"
    )
    return np.asarray(
        cv2.putText(picture, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (230, 230, 230), 1, cv2.LINE_AA), np.uint8
    )
