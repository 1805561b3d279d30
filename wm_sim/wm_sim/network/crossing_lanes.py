"""What map files leave unsaid: which lanes lie inside a junction, and who goes first there."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wm_sim.kernel import kernel
from wm_sim.network.lanes import Lane

CROSS_RAD = math.radians(15.0)  # lanes that meet at less than this run beside each other
TURN_RAD = math.radians(40.0)
STRAIGHT_PRIORITY, TURN_PRIORITY = 1, 0


def turn_of(lane: Lane) -> float:
    """By how much a lane turns from its begin to its end (rad, left positive)."""
    first, last = lane.centre[1] - lane.centre[0], lane.centre[-1] - lane.centre[-2]
    return math.remainder(math.atan2(last[1], last[0]) - math.atan2(first[1], first[0]), 2.0 * math.pi)


def crossing(lanes: dict[str, Lane]) -> set[str]:
    """Names of the lanes whose middles cross another lane's, and of those that fork off together with them."""
    segments = np.concatenate([np.hstack([lane.centre[:-1], lane.centre[1:]]) for lane in lanes.values()])
    owner = np.repeat(np.arange(len(lanes)), [len(lane.centre) - 1 for lane in lanes.values()])
    names = list(lanes)
    found = {names[k] for k in np.flatnonzero(_crossed(np.ascontiguousarray(segments), owner, len(lanes)))}
    forks = {before.id for before in lanes.values() if found & set(before.successors)}
    return found | {name for before in forks for name in lanes[before].successors if abs(turn_of(lanes[name])) > 0.3}


@kernel
def _crossed(segments: NDArray[np.float64], owner: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Which of `count` lanes have a segment (x, y, to x, to y) [n, 4] that crosses one of another lane."""
    crossed = np.zeros(count, dtype=np.bool_)
    least = math.sin(CROSS_RAD)
    for i in range(len(segments)):
        ax, ay, bx, by = segments[i]
        for j in range(i):
            cx, cy, dx, dy = segments[j]
            if (
                owner[i] == owner[j]
                or min(ax, bx) > max(cx, dx) or min(cx, dx) > max(ax, bx)
                or min(ay, by) > max(cy, dy) or min(cy, dy) > max(ay, by)
            ):  # fmt: skip
                continue
            ux, uy, vx, vy = bx - ax, by - ay, dx - cx, dy - cy
            across = ux * vy - uy * vx
            if abs(across) <= least * math.sqrt((ux * ux + uy * uy) * (vx * vx + vy * vy)):
                continue
            u = ((cx - ax) * vy - (cy - ay) * vx) / across
            v = ((cx - ax) * uy - (cy - ay) * ux) / across
            if 0.01 < u < 0.99 and 0.01 < v < 0.99:
                crossed[owner[i]] = True
                crossed[owner[j]] = True
    return crossed


def with_junctions(lanes: dict[str, Lane], inside: set[str]) -> dict[str, Lane]:
    """The lanes, those `inside` a junction marked as such: without paint, left turns giving way."""
    found = {}
    for lane in lanes.values():
        if lane.id in inside:
            priority = TURN_PRIORITY if turn_of(lane) > TURN_RAD else STRAIGHT_PRIORITY
            found[lane.id] = replace(lane, junction=True, priority=priority, left_mark="none", right_mark="none")
        else:
            found[lane.id] = replace(lane, priority=STRAIGHT_PRIORITY)
    return found
