"""One topic of a bag as columns over all its messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rosbags.typesys.store import Typestore

from wm_training.bags.cdr import decode, stamps_ns
from wm_training.errors import TrainingError


class Columns:
    """Columns of a topic's messages, sorted by header stamp; of equal stamps the last one wins.

    Fields keep their CDR types. Messages of differing layouts (a longer frame_id, another scenario name) are joined.
    `shift`, int64[N], ns, is added to the stamps.
    """

    def __init__(
        self,
        topic: str,
        msgtype: str,
        messages: Sequence[bytes],
        types: Typestore | None = None,
        shift: np.ndarray | int = 0,
    ):
        self.topic = topic
        self._groups = decode(messages, msgtype, types) if messages else []
        stamps = np.zeros(len(messages), np.int64)
        for indices, table in self._groups:
            stamps[indices] = stamps_ns(table)
        stamps += shift
        order = np.argsort(stamps, kind="stable")
        last = np.ones(len(order), bool)
        last[:-1] = stamps[order][1:] != stamps[order][:-1]
        self._order = order[last]
        self.stamps = stamps[self._order]  # int64[N], ns, strictly increasing

    def __len__(self) -> int:
        return len(self.stamps)

    def rows_at(self, stamps: np.ndarray) -> np.ndarray:
        """Row of each stamp, -1 where there is none. int64[T]"""
        if not len(self.stamps):
            return np.full(len(stamps), -1)
        at = np.minimum(np.searchsorted(self.stamps, stamps), len(self.stamps) - 1)
        return np.where(self.stamps[at] == stamps, at, -1)

    def __contains__(self, field: str) -> bool:
        """Whether all messages have it: definitions have grown."""
        return all(field in (table.dtype.names or ()) for _, table in self._groups)

    def __getitem__(self, field: str) -> np.ndarray:
        """A column in order of stamps. [N, ...]"""
        if len(self._groups) == 1:
            return self._groups[0][1][field][self._order]
        columns = [table[field] for _, table in self._groups]
        shapes = {column.shape[1:] for column in columns}
        if len(shapes) != 1:
            raise TrainingError(f"{self.topic}: {field} changes its size within a bag; record with one sensor layout.")
        kind = np.result_type(*columns) if columns[0].dtype.kind == "S" else columns[0].dtype
        joined = np.zeros((sum(len(indices) for indices, _ in self._groups), *shapes.pop()), kind)
        for (indices, _), column in zip(self._groups, columns, strict=True):
            joined[indices] = column
        return joined[self._order]
