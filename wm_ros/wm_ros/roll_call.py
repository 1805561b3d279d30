"""Which nodes are there and in what state, by their reports on /diagnostics. No ROS import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SILENT_S = 3.0  # a node reports every second; after so long without a word it is not there
STATE, PID = "state", "pid"  # the values by which a node's report is told from any other status


@dataclass(frozen=True)
class Report:
    """What a node last said of itself."""

    level: int
    message: str
    values: Mapping[str, str]
    heard_s: float  # steady clock


class RollCall:
    """Keeps the last report of every node and counts how often each was started again."""

    def __init__(self) -> None:
        self.reports: dict[str, Report] = {}
        self.restarts: Counter[str] = Counter()

    def hear(self, name: str, level: int, message: str, values: Mapping[str, str], now_s: float) -> None:
        """One status of /diagnostics; what is no node's own report is passed over."""
        if STATE not in values:
            return
        known = self.reports.get(name)
        if known is not None and known.values.get(PID) != values.get(PID):
            self.restarts[name] += 1
        self.reports[name] = Report(level, message, values, now_s)

    def state(self, name: str, now_s: float) -> str:
        """Its lifecycle state, or in words that it is not there."""
        report = self.reports.get(name)
        if report is None:
            return "not heard"
        silent_s = now_s - report.heard_s
        return f"silent for {silent_s:.0f} s" if silent_s > SILENT_S else report.values[STATE]

    def is_active(self, name: str, now_s: float) -> bool:
        return self.state(name, now_s) == "active"

    def absent(self, names: Iterable[str], now_s: float) -> list[str]:
        """Those of the nodes that are not active, each with its state in words."""
        return [f"{name} is {self.state(name, now_s)}" for name in names if not self.is_active(name, now_s)]
