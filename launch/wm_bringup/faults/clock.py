"""Clocks that go wrong, as functions of the true time. No ROS import."""

from __future__ import annotations

from wm_bringup.faults.fault import ClockKind

JUMP_NS = 5_000_000_000
SLOW = 0.25  # seconds of the wrong clock a true second


def wrong_time(kind: ClockKind, now_ns: int, began_ns: int) -> int:
    """What the wrong clock says at `now_ns` when it was right until `began_ns`; never below 0, all in ns."""
    if kind == "frozen":
        return began_ns
    if kind == "slow":
        return began_ns + round(SLOW * (now_ns - began_ns))
    return max(0, now_ns + (JUMP_NS if kind == "forward" else -JUMP_NS))
