"""Scoring on several threads: the candidates of one call in a few large runs, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Protocol

import numpy as np

CANDIDATES = "candidates"  # the dimension that a score graph leaves open; older model folders fix it to the chunk
FIELDS = 4  # return, collision, off_road, disagreement
ROWS_MIN = 16  # a run of fewer candidates takes hardly less time


class Run(Protocol):
    """One run of a graph: outputs in its order, valid until the next run. ValueError for inputs of another shape."""

    def __call__(self, **inputs: np.ndarray) -> Sequence[np.ndarray]: ...


def rows_for(chunk: int, threads: int) -> tuple[int, int]:
    """How many candidates a run may take: what falls to each thread of a call of one chunk, and of two.

    Larger runs are cheaper a candidate, for hundreds of operators are begun whatever their size. Beyond two chunks what
    a run computes no longer stays in a core's cache beside the weights.
    """
    rows = chunk
    while threads > 1 and rows % 2 == 0 and rows > ROWS_MIN:
        rows, threads = rows // 2, threads // 2
    return rows, 2 * rows


def pieces(count: int, sizes: Sequence[int], lanes: int) -> list[slice]:
    """`count` candidates, a multiple of the least size, in runs of these sizes, none above a lane's equal share."""
    share = max(sizes[0], -(-count // lanes))
    cut, start = list[slice](), 0
    while start < count:
        size = max(size for size in sizes if size <= min(share, count - start) or size == sizes[0])
        cut.append(slice(start, start + size))
        start += size
    return cut


class ScoreLanes:
    """The score graph on as many threads as lanes. A lane is what one thread runs: the graph by candidates of a run.

    Threads sleep between calls. A candidate's scores do not depend on the lane or the run that it is in, where the
    runs compute every row alike.
    """

    def __init__(self, lanes: Sequence[Mapping[int, Run]]) -> None:
        self._lanes, self._sizes = lanes, sorted(lanes[0])
        self._pool = ThreadPoolExecutor(max(1, len(lanes) - 1), "score")  # begins a thread when it is first needed

    def __call__(self, belief: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """Fields [4, N] of candidates `actions` [N, H, 2] from `belief` [L]."""
        fields = np.empty((FIELDS, len(actions)), np.float32)
        cut = pieces(len(actions), self._sizes, len(self._lanes))

        def work(lane: int) -> None:
            for rows in cut[lane :: len(self._lanes)]:
                run = self._lanes[lane][rows.stop - rows.start]
                for field, part in zip(fields, run(belief=belief, actions=actions[rows]), strict=True):
                    field[rows] = part

        others = [self._pool.submit(work, lane) for lane in range(1, min(len(cut), len(self._lanes)))]
        try:
            work(0)
        finally:
            wait(others)  # also after an error: their buffers are in use until then
        for other in others:
            other.result()
        return fields
