"""What map files leave unsaid: which lanes lie inside a junction, and who goes first there."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

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
    starts = np.concatenate([lane.centre[:-1] for lane in lanes.values()])
    steps = np.concatenate([np.diff(lane.centre, axis=0) for lane in lanes.values()])
    owner = np.repeat(np.arange(len(lanes)), [len(lane.centre) - 1 for lane in lanes.values()])
    crossed: set[int] = set()
    for i in range(len(starts)):
        across = steps[i, 0] * steps[:, 1] - steps[i, 1] * steps[:, 0]
        away = starts - starts[i]
        with np.errstate(divide="ignore", invalid="ignore"):
            u = (away[:, 0] * steps[:, 1] - away[:, 1] * steps[:, 0]) / across
            v = (away[:, 0] * steps[i, 1] - away[:, 1] * steps[i, 0]) / across
        angle = np.abs(across) > math.sin(CROSS_RAD) * np.hypot(*steps[i]) * np.hypot(*steps.T)
        hit = angle & (u > 0.01) & (u < 0.99) & (v > 0.01) & (v < 0.99) & (owner != owner[i])
        if hit.any():
            crossed.add(int(owner[i]))
            crossed.update(owner[hit].tolist())
    names = list(lanes)
    found = {names[k] for k in crossed}
    forks = {before.id for before in lanes.values() if found & set(before.successors)}
    return found | {name for before in forks for name in lanes[before].successors if abs(turn_of(lanes[name])) > 0.3}


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
