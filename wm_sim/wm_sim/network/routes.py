"""Routes: the shortest way through a network, as lane names."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable

from wm_sim.errors import SimError
from wm_sim.network.lanes import RoadNetwork, some
from wm_sim.network.line import length_along

CHANGE_COST_M = 40.0  # a change of lane counts as this much way


def shortest_route(network: RoadNetwork, start: str, goals: Collection[str]) -> tuple[str, ...]:
    """Lanes from `start` to the nearest of `goals`, over successors and neighbours of the same direction.

    SimError where no way leads there.
    """
    network.lane(start)
    for goal in goals:
        network.lane(goal)
    cost = {start: 0.0}
    came: dict[str, str] = {}
    queue = [(0.0, start)]
    while queue:
        so_far, name = heapq.heappop(queue)
        if name in goals:
            route = [name]
            while route[-1] != start:
                route.append(came[route[-1]])
            return tuple(reversed(route))
        if so_far > cost[name]:
            continue
        lane = network.lanes[name]
        length = float(length_along(lane.centre)[-1])
        onward = [(successor, length) for successor in lane.successors]
        if lane.left_neighbour is not None and not lane.left_oncoming:
            onward.append((lane.left_neighbour, CHANGE_COST_M))
        if lane.right_neighbour is not None and not lane.right_oncoming:
            onward.append((lane.right_neighbour, CHANGE_COST_M))
        for following, more in onward:
            total = so_far + more
            if total < cost.get(following, math.inf):
                cost[following], came[following] = total, name
                heapq.heappush(queue, (total, following))
    raise SimError(f"no way leads from lane {start} to {some(goals)}.")


def straight_on(network: RoadNetwork, start: str, avoid: Iterable[str] = ()) -> tuple[str, ...]:
    """Lanes from `start` on, each time to the successor that turns least, until there is none or one comes again."""
    route = [start]
    seen = {start, *avoid}
    while True:
        lane = network.lane(route[-1])
        ahead = math.atan2(*(lane.centre[-1] - lane.centre[-2])[::-1])
        best, least = "", math.inf
        for name in lane.successors:
            centre = network.lanes[name].centre
            turn = abs(math.remainder(math.atan2(*(centre[-1] - centre[-2])[::-1]) - ahead, 2.0 * math.pi))
            if name not in seen and turn < least:
                best, least = name, turn
        if not best:
            return tuple(route)
        route.append(best)
        seen.add(best)
