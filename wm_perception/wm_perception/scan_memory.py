"""The scan of half a second ago beside the newest: how fast something comes nearer cannot be read off one scan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wm_sim.observation import STEP_S

LOOK_BACK_S = 0.5
LOOK_BACK_FRAMES = round(LOOK_BACK_S / STEP_S)
_TOLERANCE_S = 0.5 * STEP_S


class ScanMemory:
    """Remembers the scans of one episode, and pairs each with the one that lies LOOK_BACK_S before it."""

    def __init__(self) -> None:
        self._scans: dict[int, NDArray[np.float32]] = {}  # by stamp in ns, oldest first

    def clear(self) -> None:
        """A new episode: what was seen before is of another place."""
        self._scans.clear()

    def pair(self, stamp_ns: int, scan: NDArray[np.float32]) -> NDArray[np.float32]:
        """[2, 72] m: the newest scan, and the earlier one; the newest twice where none is old enough."""
        if self._scans and stamp_ns < next(reversed(self._scans)):
            self.clear()  # time began anew
        self._scans[stamp_ns] = scan
        oldest_ns = stamp_ns - round((LOOK_BACK_S + _TOLERANCE_S) * 1e9)
        self._scans = {stamp: kept for stamp, kept in self._scans.items() if stamp >= oldest_ns}
        wanted_ns = stamp_ns - round(LOOK_BACK_S * 1e9)
        nearest = min(self._scans, key=lambda stamp: abs(stamp - wanted_ns))
        old_enough = abs(nearest - wanted_ns) <= _TOLERANCE_S * 1e9
        return np.stack([scan, self._scans[nearest] if old_enough else scan])

    def step(self, scan: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `pair`, of frames that come STEP_S apart."""
        newest_ns = next(reversed(self._scans), 0)
        return self.pair(newest_ns + round(STEP_S * 1e9), scan)


def earlier_frames(episode_start: NDArray[np.int64], frames: int) -> NDArray[np.int64]:
    """int64[T]: of every recorded frame the one that `ScanMemory` would pair its scan with; itself where none is.

    episode_start [E]: first frames of the episodes, ascending.
    """
    own = np.arange(frames)
    first = episode_start[np.searchsorted(episode_start, own, side="right") - 1]
    return np.where(own - LOOK_BACK_FRAMES >= first, own - LOOK_BACK_FRAMES, own)
