"""Windows seen through a model as driving sees them: filtered frame by frame, then imagined open loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wm_dynamics.rssm import categorical_kl
from wm_dynamics.world_model import WorldModel
from wm_training.batches import Batch, BatchSource
from wm_training.errors import TrainingError
from wm_training.sequences import Sequences

PREVIOUS_ACTION = slice(4, 6)  # columns of the state


@dataclass(frozen=True)
class Filtered:
    """What the exported filter makes of B windows of T frames: it carries the posterior's expectation."""

    beliefs: Tensor  # [B, T, L] once the frame was seen
    foretold: Tensor  # [B, T, L] before it was seen
    surprise: Tensor  # [B, T] nats


@dataclass(frozen=True)
class Windows:
    """Where windows lie in their sequences; B of them."""

    start: np.ndarray  # int64 [B] first frame
    end: np.ndarray  # int64 [B] frame behind the last of the episode
    episode: np.ndarray  # int64 [B]

    def __len__(self) -> int:
        return len(self.start)

    def part(self, chosen: slice) -> Windows:
        """Some of the windows."""
        return Windows(self.start[chosen], self.end[chosen], self.episode[chosen])

    def batches(self, size: int) -> Iterator[Windows]:
        """All of them, so many at a time."""
        return (self.part(slice(first, first + size)) for first in range(0, len(self), size))


def draw_windows(sequences: Sequences, episodes: np.ndarray, length: int, count: int, seed: int) -> Windows:
    """`count` windows, every frame equally likely as the start; a start near the end moves back, as in training."""
    frame, episode = _frames_of(sequences, episodes)
    chosen = np.random.default_rng(seed).integers(0, len(frame), count)
    begin, end = sequences.episode_start[episode[chosen]], sequences.episode_start[episode[chosen] + 1]
    return Windows(np.maximum(np.minimum(frame[chosen], end - length), begin), end, episode[chosen])


def draw_free_windows(
    sequences: Sequences, episodes: np.ndarray, seen: int, steps: int, count: int, seed: int
) -> Windows | None:
    """`count` windows of which `seen` frames are filtered, then `steps` imagined without a taught action among them.

    Those that reach the end of their drive earlier count too, so that accidents do. None where no window is like that.
    """
    frame, episode = _frames_of(sequences, episodes)
    end = sequences.episode_start[episode + 1]
    long_enough = frame + seen < end  # an action of the drive is imagined
    frame, episode, end = frame[long_enough], episode[long_enough], end[long_enough]
    first, last = frame + seen - 1, np.minimum(frame + seen - 1 + steps, end - 1)  # actions first..last - 1
    taught = np.concatenate(([0], np.cumsum(sequences.taught)))  # [T + 1] before each frame
    free = np.flatnonzero(taught[last] == taught[first])
    if not len(free):
        return None
    chosen = free[np.random.default_rng(seed).integers(0, len(free), count)]
    return Windows(frame[chosen], end[chosen], episode[chosen])


def _frames_of(sequences: Sequences, episodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every frame of the episodes, and the episode of each; int64 [N] both."""
    begin, end = sequences.episode_start[:-1][episodes], sequences.episode_start[1:][episodes]
    if not len(begin) or not (end > begin).any():
        raise TrainingError("no drive to measure on: hold some out with --held-out, or name other bags.")
    frame = np.concatenate([np.arange(a, b) for a, b in zip(begin, end, strict=True)])
    return frame, np.repeat(np.asarray(episodes), end - begin)


def batch_of(source: BatchSource, windows: Windows) -> Batch:
    """The frames of the windows; their pictures to reconstruct are not meant to be used."""
    return source.windows(windows.start, windows.end, np.zeros((len(windows.start), 1), np.int64))


def filter_windows(model: WorldModel, camera: Tensor, scans: Tensor, state: Tensor) -> Filtered:
    """camera uint8 [B, T, 64, 64, 3], scans [B, T, 2, 72] in m, state [B, T, 15] in SI units."""
    frames, steps = scans.shape[:2]
    rssm = model.rssm
    embedding = model.encoder(camera.flatten(0, 1), scans.flatten(0, 1), state.flatten(0, 1))
    embedding = embedding.unflatten(0, (frames, steps))
    belief = rssm.initial(frames, scans.device)
    beliefs, foretold, surprise = [], [], []
    for step in range(steps):
        deter = rssm.advance(belief, state[:, step, PREVIOUS_ACTION])
        prior, posterior = rssm.prior(deter).mean(dim=0), rssm.posterior(deter, embedding[:, step])
        belief = torch.cat((deter, posterior.flatten(-2)), dim=-1)
        beliefs.append(belief)
        foretold.append(torch.cat((deter, prior.flatten(-2)), dim=-1))
        surprise.append(categorical_kl(posterior, prior))
    return Filtered(torch.stack(beliefs, 1), torch.stack(foretold, 1), torch.stack(surprise, 1))


def imagine(model: WorldModel, belief: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
    """Beliefs [B, K, L] after each of the actions [B, K, 2] from `belief` [B, L], and the heads' spread [B, K]."""
    states, spreads = [], []
    for step in range(action.shape[1]):
        belief, spread = model.rssm.imagine(belief, action[:, step])
        states.append(belief)
        spreads.append(spread)
    return torch.stack(states, 1), torch.stack(spreads, 1)
