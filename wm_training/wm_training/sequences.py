"""Bags → sequences: what the trainer reads.

Frames are joined by the stamp of the camera picture. The state vector is rebuilt by wm_sim.observation, as simulator
and perception node build it, so all three agree bit for bit. The result lies beside each bag, memory-mapped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from wm_sim.observation import STATE_NAMES
from wm_training.bag_frames import TRUTH_COLUMNS
from wm_training.bags.reader import find_bags
from wm_training.errors import TrainingError
from wm_training.sequence_cache import BagSequences, bag_sequences

# What a bag of somebody else may lack: columns of `Sequences.known`.
KNOWN_NAMES = (*STATE_NAMES, "scan", *TRUTH_COLUMNS, "reward", "collided", "off_road")


@dataclass(frozen=True)
class Sequences:
    """All episodes of some bags, one behind the other. T frames, E episodes."""

    camera: np.ndarray  # uint8[T, 64, 64, 3]
    scan: np.ndarray  # float32[T, 72], m
    state: np.ndarray  # float32[T, 15], wm_sim.observation.STATE_NAMES
    action: np.ndarray  # float32[T, 2], decided at frame t; zeros at the last frame of an episode
    taught: np.ndarray  # bool[T], the action was chosen by a driver that sees more than the sensors
    reward: np.ndarray  # float32[T], earned by arriving at frame t
    collided: np.ndarray  # bool[T]
    off_road: np.ndarray  # bool[T]
    ran_red: np.ndarray  # bool[T], went over a stop line while its light was red; the drive goes on
    done: np.ndarray  # bool[T], the episode ended here: collision, off the road or end of the route
    lateral_error: np.ndarray  # float32[T], m, left positive
    heading_error: np.ndarray  # float32[T], rad
    curvature: np.ndarray  # float32[T], 1/m
    gap_ahead: np.ndarray  # float32[T], m, 60 where nothing is ahead
    closing_speed: np.ndarray  # float32[T], m/s
    lane_width: np.ndarray  # float32[T], m
    episode_start: np.ndarray  # int64[E + 1], first frame of each episode, and T
    digest: str  # of the bags' contents
    known: np.ndarray = field(default_factory=lambda: np.ones((0, 0), bool))  # bool[T, K], KNOWN_NAMES; [0, 0]: all

    def __post_init__(self) -> None:
        if not self.known.size:
            object.__setattr__(self, "known", np.broadcast_to(True, (len(self.reward), len(KNOWN_NAMES))))

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self.episode_start) - 1


ARRAYS = tuple(f.name for f in fields(Sequences) if f.name not in ("episode_start", "digest", "known"))


def load_sequences(paths: Path | str | Collection[Path | str], *, workers: int = 1) -> Sequences:
    """All episodes of the bags at `paths` (bags, or folders of bags), in order.

    A single bag comes memory-mapped; several are joined in memory. Names the bag and the topic where one is missing.
    """
    parts = _convert(find_bags(paths), workers)
    starts = [part.arrays["episode_start"] for part in parts]
    offsets = np.cumsum([0, *(int(start[-1]) for start in starts)])
    shifted = [start[:-1] + offset for start, offset in zip(starts, offsets, strict=False)]
    episode_start = np.concatenate([*shifted, offsets[-1:]]).astype(np.int64)
    if len(episode_start) < 2:
        raise TrainingError("the bags hold no two consecutive complete frames; record a longer drive.")
    if len(parts) == 1:
        joined = {name: parts[0].arrays[name] for name in ARRAYS}
    else:
        joined = {name: _join([part.arrays[name] for part in parts]) for name in ARRAYS}
    digests = "".join(part.digest for part in parts)
    digest = digests if len(parts) == 1 else hashlib.sha256(digests.encode()).hexdigest()
    return Sequences(**joined, episode_start=episode_start, digest=digest)


def _convert(bags: list[Path], workers: int) -> list[BagSequences]:
    if workers == 1 or len(bags) == 1:
        return [bag_sequences(bag) for bag in bags]
    from joblib import Parallel, delayed

    Parallel(n_jobs=min(workers, len(bags)))(delayed(_fill_cache)(bag) for bag in bags)
    return [bag_sequences(bag) for bag in bags]


def _fill_cache(bag: Path) -> None:
    bag_sequences(bag)


def _join(arrays: list[np.ndarray]) -> np.ndarray:
    """Concatenate along time, letting go of each source page as soon as it is copied."""
    joined = np.empty((sum(len(a) for a in arrays), *arrays[0].shape[1:]), arrays[0].dtype)
    at = 0
    for array in arrays:
        joined[at : at + len(array)] = array
        at += len(array)
    return joined
