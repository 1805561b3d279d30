"""Arrays of several bags seen as one, without copying them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class Joined:
    """Arrays [T_i, ...] one behind the other, read where they lie: a window copies its own frames and nothing else.

    Takes an integer, a slice, or an array of integers of any shape, as NumPy does along the first axis.
    """

    def __init__(self, parts: Sequence[np.ndarray]):
        kinds = {(part.dtype, part.shape[1:]) for part in parts}
        if len(kinds) != 1:
            raise ValueError(f"cannot join arrays of {sorted(map(str, kinds))}")
        self._parts = tuple(parts)
        self._offsets = np.cumsum([0, *(len(part) for part in parts)])  # first index of each part, and the end
        self.dtype, rest = kinds.pop()
        self.shape = (int(self._offsets[-1]), *rest)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, slice):
            return self._slice(*index.indices(len(self)))
        rows = np.asarray(index)
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        rows = np.where(rows < 0, rows + len(self), rows)
        if rows.size and not (rows.min() >= 0 and rows.max() < len(self)):
            raise IndexError(f"frame {index} of {len(self)}")
        return self._rows(rows.astype(np.int64))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.concatenate(self._parts).astype(dtype or self.dtype, copy=False)

    def _slice(self, start: int, stop: int, step: int) -> np.ndarray:
        part = int(np.searchsorted(self._offsets, start, side="right")) - 1
        if step == 1 and start < stop <= self._offsets[min(part + 1, len(self._parts))]:
            return self._parts[part][start - self._offsets[part] : stop - self._offsets[part]]
        return self._rows(np.arange(start, stop, step))

    def _rows(self, rows: np.ndarray) -> np.ndarray:
        flat = rows.reshape(-1)
        out = np.empty((len(flat), *self.shape[1:]), self.dtype)
        part = np.searchsorted(self._offsets, flat, side="right") - 1
        for k in np.unique(part).tolist():
            here = np.flatnonzero(part == k)
            out[here] = self._parts[k][flat[here] - self._offsets[k]]
        return out.reshape(*rows.shape, *self.shape[1:])
