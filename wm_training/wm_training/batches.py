"""Windows of recorded drives for the trainer, drawn without state so that training resumes exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from wm_dynamics.heads import LABEL_NAMES
from wm_perception.scan_memory import earlier_frames
from wm_sim.scene import CROSSING_MAX_S, RED_LIGHT_MAX_M
from wm_training.bag_frames import KNOWN_NAMES
from wm_training.errors import TrainingError
from wm_training.joined import Joined
from wm_training.sequences import Sequences

RISK_STEPS = 8  # a frame is risky when the accident comes within so many steps of 0.1 s
HARDEST_BRAKING_MPS2 = 6.0
NEAR_GAP_M = 40.0
RARE_WINDOWS = 1 / 4  # of a batch's windows show a red light or one who crosses


@dataclass(frozen=True)
class Batch:
    """B windows of T frames; float32 unless said. Frames past the end of an episode repeat its last and are invalid."""

    camera: Tensor  # uint8 [B, T, 64, 64, 3]; T is 0 where embeddings are known
    earlier_scan: Tensor  # [B, T, 72] half a second before; T is 0 where embeddings are known
    embedding: Tensor  # [B, T, E] of a finished encoder; T is 0 while the encoder learns
    pictures: Tensor  # uint8 [B, K, 64, 64, 3] to reconstruct
    picture_times: Tensor  # int64 [B, K] frames of the window that they show
    scan: Tensor  # [B, T, 72]
    state: Tensor  # [B, T, 15]
    action: Tensor  # [B, T, 2] decided at the frame
    advice: Tensor  # [B, T, 2] what an expert would have done there; NaN where none was asked
    reward: Tensor  # [B, T] earned by arriving at the frame
    alive: Tensor  # [B, T] 0 at a frame that is a collision, off the road or over a red light: nothing good follows
    collision_risk: Tensor  # [B, T]
    off_road_risk: Tensor  # [B, T] of leaving the road, or of going where a red light forbids
    labels: Tensor  # [B, T, 7] in the units of LABEL_NAMES
    taught: Tensor  # [B, T] 1 where the action was chosen by a driver that sees more than the sensors
    valid: Tensor  # [B, T]
    known: Tensor = field(default_factory=lambda: torch.ones(0))  # [B, T, K] 1 where recorded, KNOWN_NAMES; [0]: all

    def __post_init__(self) -> None:
        if not self.known.numel():
            object.__setattr__(self, "known", self.valid.new_ones(*self.valid.shape, len(KNOWN_NAMES)))

    @property
    def scans(self) -> Tensor:
        """[B, T, 2, 72] the newest scan and the earlier one, as the encoder takes them."""
        return torch.stack((self.scan, self.earlier_scan), dim=2)

    def knows(self, *names: str) -> Tensor:
        """[B, T] 1 where all of these were recorded: names out of KNOWN_NAMES."""
        return self.known[..., [KNOWN_NAMES.index(name) for name in names]].prod(-1)

    def knows_each(self, names: Sequence[str]) -> Tensor:
        """[B, T, len(names)] 1 where each of these was recorded."""
        return self.known[..., [KNOWN_NAMES.index(name) for name in names]]

    def select_times(self, windows: list[slice]) -> Batch:
        """The same fields at several stretches of time, stacked along B; without pictures, which nobody imagines."""
        numbers = {f.name: torch.cat([getattr(self, f.name)[:, w] for w in windows]) for f in fields(self)[5:]}
        nothing = {f.name: getattr(self, f.name)[:, :0] for f in fields(self)[:5]}
        return Batch(**nothing, **numbers)


class BatchSource:
    """Draws windows from sequences; the windows of a step depend on the seed and the step alone."""

    def __init__(
        self, sequences: Sequences, episodes: np.ndarray, length: int, seed: int, embedding: np.ndarray | None = None
    ) -> None:
        """episodes: indices of the episodes to draw from, ascending. length: frames of a window. embedding: of all
        frames [T, E], once the encoder has been trained."""
        self.sequences, self.length, self.seed = sequences, length, seed
        self._embedding = embedding
        forbidden = np.asarray(sequences.off_road) | np.asarray(sequences.ran_red)
        self._earlier = earlier_frames(sequences.episode_start[:-1], len(sequences))
        self._alive = ~(np.asarray(sequences.collided) | forbidden)
        self._collision_risk = collision_risk(sequences)
        self._off_road_risk = happens_soon(forbidden, sequences.episode_start)
        self._labels = np.stack([np.asarray(getattr(sequences, name)) for name in LABEL_NAMES], axis=-1)
        begin, end = sequences.episode_start[:-1][episodes], sequences.episode_start[1:][episodes]
        if not len(begin):
            raise TrainingError("no episode to train on: record more with wm collect.")
        self._begin, self._end = begin, end
        # Every frame is equally likely to be drawn as the start of a window.
        self._share = np.cumsum(end - begin) / (end - begin).sum()

    def draw_frames(self, step: int, count: int) -> Batch:
        """`count` single frames for training step `step`: one half any, the other from where something is up.

        A light is red on one frame in fifty; to read it the encoder has to see it more often than that. Each of the
        things in `eventful` has an equal share of that half.
        """
        rng = np.random.default_rng((self.seed, step))
        sets = [found for found in self._eventful if len(found)]
        eventful = count // 2 if sets else 0
        _, _, anywhere = self._draw_anywhere(rng, count - eventful)
        at = np.concatenate((anywhere, _draw_evenly(rng, sets, eventful)))
        return self.windows(at, at + 1, np.zeros((count, 0), np.int64))

    @cached_property
    def _eventful(self) -> list[np.ndarray]:
        """Frames of these episodes with a red light, one who crosses, somebody near ahead, or danger; int64 each."""
        mine = np.zeros(len(self.sequences), bool)
        for begin, end in zip(self._begin, self._end, strict=True):
            mine[begin:end] = True
        red, crossing, gap = (
            np.asarray(getattr(self.sequences, n)) for n in ("red_light_gap", "crossing_time", "gap_ahead")
        )
        up = (
            red < RED_LIGHT_MAX_M,
            crossing < CROSSING_MAX_S,
            gap < NEAR_GAP_M,
            self._collision_risk,
            self._off_road_risk,
        )
        return [np.flatnonzero(flags & mine) for flags in up]

    def _draw_anywhere(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First and end frame of episodes, and a frame of each, every frame as likely as any. int64[count] each"""
        episode = np.searchsorted(self._share, rng.random(count), side="right").clip(max=len(self._begin) - 1)
        begin, end = self._begin[episode], self._end[episode]
        return begin, end, begin + (rng.random(count) * (end - begin)).astype(np.int64)

    def draw(self, step: int, count: int, pictures: int = 1) -> Batch:
        """`count` windows for training step `step`, each with some `pictures` to reconstruct.

        A quarter shows a red light or somebody who crosses, at any place in the window: of what is rare a memory keeps
        little unless it is asked for often. Windows of one frame are drawn as `draw_frames` says.
        """
        if self.length == 1:
            return self.draw_frames(step, count)
        rng = np.random.default_rng((self.seed, step))
        red_and_crossing = [found for found in self._eventful[:2] if len(found)]
        rare = _draw_evenly(rng, red_and_crossing, round(count * RARE_WINDOWS))
        begin, end, any_start = self._draw_anywhere(rng, count - len(rare))
        episode = np.searchsorted(self._begin, rare, side="right") - 1
        rare_start = np.maximum(rare - rng.integers(0, self.length, len(rare)), self._begin[episode])
        start = np.concatenate((rare_start, any_start))
        begin = np.concatenate((self._begin[episode], begin))
        end = np.concatenate((self._end[episode], end))
        # A start near the end moves back, so that how a drive ends is seen often.
        start = np.maximum(np.minimum(start, end - self.length), begin)
        return self.windows(start, end, rng.integers(0, self.length, (count, pictures)))

    def windows(self, start: np.ndarray, end: np.ndarray, picture_times: np.ndarray) -> Batch:
        """Windows that begin at frames `start` [B], valid before frames `end` [B]; picture_times int64 [B, K]."""
        index = start[:, None] + np.arange(self.length)  # [B, T]
        valid = index < end[:, None]
        index = np.minimum(index, end[:, None] - 1)
        sequences = self.sequences
        sensed = index if self._embedding is None else index[:, :0]
        return Batch(
            camera=torch.from_numpy(np.asarray(sequences.camera[sensed])),
            earlier_scan=_floats(sequences.scan, self._earlier[sensed]),
            embedding=_floats(self._embedding, index) if self._embedding is not None else torch.zeros(len(start), 0),
            pictures=torch.from_numpy(np.asarray(sequences.camera[np.take_along_axis(index, picture_times, 1)])),
            picture_times=torch.from_numpy(picture_times),
            scan=_floats(sequences.scan, index),
            state=_floats(sequences.state, index),
            action=_floats(sequences.action, index),
            advice=_floats(sequences.advice, index),
            taught=_floats(sequences.taught, index),
            reward=_floats(sequences.reward, index),
            alive=_floats(self._alive, index),
            collision_risk=_floats(self._collision_risk, index),
            off_road_risk=_floats(self._off_road_risk, index),
            labels=_floats(self._labels, index),
            valid=torch.from_numpy(valid.astype(np.float32)),
            known=_floats(sequences.known, index),
        )


def _draw_evenly(rng: np.random.Generator, sets: list[np.ndarray], count: int) -> np.ndarray:
    """int64[count] frames, as many from each of these sets; none where there is no set."""
    if not sets:
        return np.zeros(0, np.int64)
    shares = np.array_split(rng.random(count), len(sets))
    return np.concatenate(
        [found[(share * len(found)).astype(np.int64)] for found, share in zip(sets, shares, strict=True)]
    )


def collision_risk(sequences: Sequences) -> np.ndarray:
    """bool [T]: a collision follows within RISK_STEPS, or full braking could no longer prevent it."""
    gap = np.maximum(np.asarray(sequences.gap_ahead), 0.1)
    closing = np.maximum(np.asarray(sequences.closing_speed), 0.0)
    unavoidable = closing**2 / (2.0 * gap) > HARDEST_BRAKING_MPS2
    return happens_soon(np.asarray(sequences.collided), sequences.episode_start) | unavoidable


def happens_soon(event: np.ndarray, episode_start: np.ndarray) -> np.ndarray:
    """bool [T]: `event` is true at this frame or one of the next RISK_STEPS of the same episode."""
    soon = np.zeros(len(event), dtype=bool)
    at = np.flatnonzero(event)
    first = episode_start[np.searchsorted(episode_start, at, side="right") - 1]
    for begin, end in zip(np.maximum(at - RISK_STEPS, first), at, strict=True):
        soon[begin : end + 1] = True
    return soon


def _floats(array: np.ndarray | Joined, index: np.ndarray) -> Tensor:
    return torch.from_numpy(np.asarray(array[index], dtype=np.float32))
