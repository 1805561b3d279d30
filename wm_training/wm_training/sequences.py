"""Bags → sequences: what the trainer reads.

Frames are joined by the stamp of the camera picture. The state vector is rebuilt by wm_sim.observation, as simulator
and perception node build it, so all three agree bit for bit. The result lies beside each bag, memory-mapped. Bags
that are not from this stack are read by a mapping file.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from wm_ros.topic_table import STATUS
from wm_training.bag_frames import KNOWN_NAMES
from wm_training.bags.reader import find_bags, find_topic, open_bag
from wm_training.errors import TrainingError
from wm_training.joined import Joined
from wm_training.mapping.spec import Mapping, read_mapping
from wm_training.sequence_cache import BagSequences, bag_sequences

LOG = logging.getLogger("wm_training")
LARGE = ("camera", "scan")


@dataclass(frozen=True)
class Sequences:
    """All episodes of some bags, one behind the other. T frames, E episodes."""

    camera: np.ndarray | Joined  # uint8[T, 64, 64, 3]
    scan: np.ndarray | Joined  # float32[T, 72], m
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
    red_light_gap: np.ndarray  # float32[T], m to the next stop line in red, 60 where none
    crossing_time: np.ndarray  # float32[T], s until somebody who crosses is too near, 6 where nobody
    episode_start: np.ndarray  # int64[E + 1], first frame of each episode, and T
    digest: str  # of the bags' contents
    known: np.ndarray = field(default_factory=lambda: np.ones((0, 0), bool))  # bool[T, K], KNOWN_NAMES; [0, 0]: all
    # float32[T, 2], what an expert would have done at frame t; NaN where none was asked. [0, 2]: nowhere.
    advice: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.float32))

    def __post_init__(self) -> None:
        if not self.advice.size:
            object.__setattr__(self, "advice", np.broadcast_to(np.float32(np.nan), (len(self.reward), 2)))
        if not self.known.size:
            object.__setattr__(self, "known", np.broadcast_to(True, (len(self.reward), len(KNOWN_NAMES))))

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self.episode_start) - 1


ARRAYS = tuple(f.name for f in fields(Sequences) if f.name not in ("episode_start", "digest", "known", "advice"))


def load_sequences(
    paths: Path | str | Collection[Path | str], *, workers: int = 1, mapping: Path | str | None = None
) -> Sequences:
    """All episodes of the bags at `paths` (bags, or folders of bags), in order.

    mapping: YAML file that says where our fields are in bags that are not from this stack. Camera and scan stay on
    disk, memory-mapped; the rest, about 150 bytes a frame, is joined in memory. Names the bag and the topic where one
    is missing, and logs what was left out.
    """
    means = read_mapping(mapping) if mapping else None
    parts = _convert(find_sources(paths, means is not None), workers, means)
    for note in (note for part in parts for note in part.notes):
        LOG.warning(note)
    starts = [part.arrays["episode_start"] for part in parts]
    offsets = np.cumsum([0, *(int(start[-1]) for start in starts)])
    shifted = [start[:-1] + offset for start, offset in zip(starts, offsets, strict=False)]
    episode_start = np.concatenate([*shifted, offsets[-1:]]).astype(np.int64)
    if len(episode_start) < 2:
        raise TrainingError("the bags hold no two consecutive complete frames; record a longer drive.")
    joined: dict[str, Any] = {name: _join(name, parts) for name in ARRAYS}
    if any("known" in part.arrays for part in parts):
        joined["known"] = np.concatenate([_known(part) for part in parts])
    if any("advice" in part.arrays for part in parts):
        joined["advice"] = np.concatenate([_advice(part) for part in parts])
    digests = "".join(part.digest for part in parts)
    digest = digests if len(parts) == 1 else hashlib.sha256(digests.encode()).hexdigest()
    return Sequences(**joined, episode_start=episode_start, digest=digest)


def find_sources(paths: Path | str | Collection[Path | str], mapped: bool) -> list[Path]:
    """The bags that `paths` name; with a mapping also ROS 1 bags, which are single files."""
    given = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
    found: list[Path] = []
    for path in given:
        old = sorted(path.glob("*.bag")) if path.is_dir() else [path] if path.suffix == ".bag" else []
        found += [p.resolve() for p in old if p.is_file()] if mapped else []
        if not (mapped and old and not any(path.glob("*/metadata.yaml"))):
            found += find_bags(path)
    return list(dict.fromkeys(found))


def is_ours(bag: Path) -> bool:
    """Whether a bag holds the vehicle status of this stack, so that it needs no mapping."""
    if bag.suffix == ".bag":
        return False
    with open_bag(bag) as reader:
        status = find_topic(reader, STATUS.name)
        return status is not None and status.msgtype == STATUS.type


def _convert(bags: list[Path], workers: int, mapping: Mapping | None) -> list[BagSequences]:
    mappings = [None if mapping is None or is_ours(bag) else mapping for bag in bags]
    if workers > 1 and len(bags) > 1:
        from joblib import Parallel, delayed

        jobs = (delayed(_fill_cache)(*job) for job in zip(bags, mappings, strict=True))
        Parallel(n_jobs=min(workers, len(bags)))(jobs)
    return [bag_sequences(*job) for job in zip(bags, mappings, strict=True)]


def _fill_cache(bag: Path, mapping: Mapping | None) -> None:
    bag_sequences(bag, mapping)


def _join(name: str, parts: list[BagSequences]) -> np.ndarray | Joined:
    """One array as it lies, small ones of several bags in memory, large ones where they are."""
    arrays = [part.arrays[name] for part in parts]
    if len(arrays) == 1:
        return arrays[0]
    return Joined(arrays) if name in LARGE else np.concatenate(arrays)


def _advice(part: BagSequences) -> np.ndarray:
    nobody = np.broadcast_to(np.float32(np.nan), (len(part.arrays["reward"]), 2))
    return part.arrays.get("advice", nobody)


def _known(part: BagSequences) -> np.ndarray:
    everything = np.broadcast_to(True, (len(part.arrays["reward"]), len(KNOWN_NAMES)))
    return part.arrays.get("known", everything)
