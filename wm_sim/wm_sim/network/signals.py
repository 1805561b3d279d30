"""Traffic lights of a network as rows for the kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wm_sim.network.lanes import RoadNetwork
from wm_sim.network.paths import Path
from wm_sim.scene import SIGNAL_SIZE

STOP_BEFORE_M = 0.5  # bumpers stay behind the painted line


def signal_rows(network: RoadNetwork, paths: Sequence[Path]) -> NDArray[np.float64]:
    """A row for every light that a path passes: [G, SIGNAL_SIZE]. A light on two paths has two rows."""
    rows = []
    for k, path in enumerate(paths):
        for signal in network.signals:
            for lane, end_s in zip(path.lanes[:-1], path.starts_s[1:], strict=True):
                if lane in signal.lanes:
                    where = (end_s - STOP_BEFORE_M, signal.x_m, signal.y_m, signal.z_m, signal.yaw_rad)
                    rows.append((k, *where, signal.green_s, signal.yellow_s, signal.red_s, signal.offset_s))
    return np.array(rows, dtype=np.float64).reshape(-1, SIGNAL_SIZE)
