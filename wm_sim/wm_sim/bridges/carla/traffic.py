"""Traffic by CARLA's traffic manager, seen from the bridge: a process that gives the ticks and can be lost alone."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from wm_sim.bridges.carla.settings import CarlaSettings
from wm_sim.errors import SimError

START_S = 60.0  # a large map takes the traffic manager long
LEAVE_S = 8.0


class TrafficProcess:
    """Other vehicles, and the tick that moves them with the world."""

    def __init__(self, settings: CarlaSettings) -> None:
        self._settings = settings
        self._process = subprocess.Popen(
            [sys.executable, "-m", "wm_sim.bridges.carla.traffic_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._left_over = b""

    def populate(self, seed: int, taken: int) -> None:
        """Vehicles of an episode, in place of the last one's; none on the spawn point that is `taken`. Ticks once."""
        settings = self._settings
        request = {
            "do": "start", "host": settings.host, "port": settings.port, "tm_port": settings.tm_port, "seed": seed,
            "number": settings.traffic, "taken": taken, "timeout_s": settings.timeout_s,
            "tick_timeout_s": settings.tick_timeout_s,
        }  # fmt: skip
        self._ask(request, START_S)

    def tick(self, timeout_s: float) -> int:
        """One tick of the world and its traffic; the new frame's number."""
        return int(self._ask({"do": "tick"}, timeout_s)["frame"])

    def _ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            answer = json.loads(self._line(timeout_s))
        except (OSError, ValueError):
            raise SimError("carla: the traffic manager's process ended or did not answer in time.") from None
        if "error" in answer:
            raise SimError(f"carla: the traffic could not be made or moved ({answer['error']}).")
        return dict(answer)

    def _line(self, timeout_s: float) -> bytes:
        assert self._process.stdout is not None
        until = time.monotonic() + timeout_s
        while b"\n" not in self._left_over:
            left = until - time.monotonic()
            ready, _, _ = select.select([self._process.stdout], [], [], max(left, 0.0))
            data = self._process.stdout.read(65536) if ready else b""
            if not data:
                raise OSError("no answer")
            self._left_over += data
        line, _, self._left_over = self._left_over.partition(b"\n")
        return line

    def close(self) -> None:
        """End the process; it takes its vehicles with it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
