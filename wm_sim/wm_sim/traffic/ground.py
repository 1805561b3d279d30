"""What the road users of one world drive on and obey."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Ground(NamedTuple):
    """The still parts of a scene that traffic reads, cut to what is used; columns in scene.py."""

    paths: NDArray[np.float64]  # [M, PATH_SIZE]
    paces: NDArray[np.float64]  # [M] speed that the curves from there on allow, m/s
    first: NDArray[np.int64]  # [P + 1]
    overlaps: NDArray[np.float64]  # [P, P, 3]
    conflicts: NDArray[np.float64]  # [C, CONFLICT_SIZE]
    signals: NDArray[np.float64]  # [G, SIGNAL_SIZE]
    scripts: NDArray[np.float64]  # [K, R, 3]
    tracks: NDArray[np.float64]  # [Q, T, 5]
