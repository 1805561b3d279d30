"""What a node knows about its own health, and the DiagnosticArray made of it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from wm_ros.roll_call import PID, STATE

ERROR_SHOWN_S = 5.0  # how long an error keeps the level at ERROR
SEQ_MODULO = 1 << 32


@dataclass
class Flow:
    """Traffic on one topic, as seen by one node."""

    expected_hz: float | None
    count: int = 0  # in all
    missed: int = 0  # numbers that never came, by `seq`
    _window: int = 0
    _last_seq: int | None = None
    _silent_windows: int = 0

    def saw(self, seq: int | None = None) -> None:
        """One message passed. A seq that steps back means that the publisher began anew."""
        self.count += 1
        self._window += 1
        if seq is not None:
            if self._last_seq is not None:
                gap = (seq - self._last_seq - 1) % SEQ_MODULO
                if gap < SEQ_MODULO // 2:
                    self.missed += gap
            self._last_seq = seq

    def close_window(self, window_s: float) -> float:
        """Rate in Hz over the window that ends now."""
        rate = self._window / window_s
        self._silent_windows = 0 if self._window else self._silent_windows + 1
        self._window = 0
        return rate

    @property
    def silent(self) -> bool:
        """Whether a periodic topic that had flowed has stopped for two windows."""
        return self.expected_hz is not None and self.count > 0 and self._silent_windows >= 2


@dataclass
class Health:
    """Rates, latencies and the last error of one node."""

    node: str
    flows: dict[str, Flow] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)  # whatever else the node counts
    _latency_ms: dict[str, list[float]] = field(default_factory=dict)
    _last_error: str = ""
    _error_time: float = -1e9
    _window_start: float = field(default_factory=time.monotonic)

    def flow(self, label: str, expected_hz: float | None) -> Flow:
        """Start counting a topic; `label` reads like "in camera/image_raw". A second one of that name counts apart."""
        while label in self.flows:
            label += "'"
        self.flows[label] = Flow(expected_hz)
        return self.flows[label]

    def took(self, name: str, milliseconds: float) -> None:
        """One measured stretch of work."""
        self._latency_ms.setdefault(name, []).append(milliseconds)

    def error(self, sentence: str) -> None:
        """Remember what went wrong."""
        self._last_error = sentence
        self._error_time = time.monotonic()

    def report(self, state: str) -> DiagnosticArray:
        """Close the window and say how it went. `state`: label of the lifecycle state."""
        now = time.monotonic()
        window_s = max(now - self._window_start, 1e-3)
        self._window_start = now
        status = DiagnosticStatus(level=DiagnosticStatus.OK, name=self.node, message=state, hardware_id="")
        values = {STATE: state, PID: str(os.getpid())} | self.facts
        silent = []
        for label, flow in self.flows.items():
            values[f"{label}.rate_hz"] = f"{flow.close_window(window_s):.2f}"
            if flow.missed:
                values[f"{label}.missed"] = str(flow.missed)
            if flow.silent:
                silent.append(label.removeprefix("in ").removeprefix("out "))
        for name, samples in self._latency_ms.items():
            if samples:
                ordered = sorted(samples)
                values[f"{name}.p50_ms"] = f"{ordered[len(ordered) // 2]:.3f}"
                values[f"{name}.max_ms"] = f"{ordered[-1]:.3f}"
                samples.clear()
        values["last_error"] = self._last_error
        if silent:
            status.level = DiagnosticStatus.WARN
            status.message = f"silent: {', '.join(silent)}"
        if now - self._error_time < ERROR_SHOWN_S:
            status.level = DiagnosticStatus.ERROR
            status.message = self._last_error
        status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
        return DiagnosticArray(status=[status])
