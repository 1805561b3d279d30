"""Messages of several topics that belong to one moment. No ROS import."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

RESTART_NS = 2_000_000_000  # a whole moment that lies so far back was stamped by a simulator that started anew


class StampJoiner:
    """Collects one value a name for equal stamps and hands the set out when it is complete.

    Keeps the `depth` incomplete moments that began last, so that a stamp from nowhere is soon forgotten. Whatever is
    older than a complete moment is dropped, so answers never go back in time, except to a moment more than RESTART_NS
    ago: time began anew. A moment that is sent again is handed out again (the receiver decides whether that is news).
    """

    def __init__(self, *names: Hashable, depth: int = 4) -> None:
        self._names = frozenset(names)
        self._depth = depth
        self._waiting: dict[int, dict[Hashable, Any]] = {}
        self._newest = -1

    def add(self, name: Hashable, stamp_ns: int, value: Any) -> dict[Hashable, Any] | None:
        """Take one value; the whole set of its moment if this was the missing one."""
        if name not in self._names:
            raise KeyError(f"{name}: this joiner waits for {sorted(map(str, self._names))}")
        if self._newest - RESTART_NS <= stamp_ns < self._newest:
            return None
        moment = self._waiting.setdefault(stamp_ns, {})
        moment[name] = value
        if len(moment) == len(self._names):
            self._newest = stamp_ns
            self._waiting = {stamp: held for stamp, held in self._waiting.items() if stamp > stamp_ns}
            return moment
        while len(self._waiting) > self._depth:
            del self._waiting[next(iter(self._waiting))]
        return None

    def clear(self) -> None:
        """Forget everything, the newest answer too."""
        self._waiting.clear()
        self._newest = -1
