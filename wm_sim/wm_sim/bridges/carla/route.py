"""Routes over a CARLA map: best-first search over waypoints, as CARLA's GlobalRoutePlanner plans, without its graph.

Waypoints are asked for as the search reaches them, so that it costs as much as the way is long and not as the map is
large. Lane changes are allowed where the markings allow them, and cost more than the metres that they take.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wm_sim.errors import SimError

if TYPE_CHECKING:
    import carla

STEP_M = 2.0
CHANGE_AHEAD_M = 16.0  # a lane change is a straight line over so much road
CHANGE_COST_M = 20.0
SAME_M = 1.0  # waypoints of one lane nearer than this are one
ARRIVED_M = 3.0
EXPANSIONS_MAX = 200_000
RUN_UP_M = 4.0

Key = tuple[int, int, int, int]


def waypoint_key(waypoint: carla.Waypoint) -> Key:
    """What tells waypoints apart."""
    return waypoint.road_id, waypoint.section_id, waypoint.lane_id, round(waypoint.s / SAME_M)


@dataclass(frozen=True)
class _Reached:
    waypoint: carla.Waypoint
    cost_m: float
    before: Key | None


def follow(waypoint: carla.Waypoint) -> list[tuple[carla.Waypoint, float]]:
    """Where one may go from a waypoint, and at what cost in m: on along the lane, or over to a neighbour."""
    found = [(ahead, STEP_M) for ahead in waypoint.next(STEP_M)]
    permitted = int(waypoint.lane_change)  # bits: 1 to the right, 2 to the left
    for bit, neighbour in ((1, waypoint.get_right_lane), (2, waypoint.get_left_lane)):
        other = neighbour() if permitted & bit else None
        if other is not None and _same_way(waypoint, other):
            found += [
                (ahead, CHANGE_AHEAD_M + CHANGE_COST_M)
                for ahead in other.next(CHANGE_AHEAD_M)
                if ahead.road_id == waypoint.road_id and ahead.lane_id == other.lane_id
            ]
    return found


def _same_way(one: carla.Waypoint, other: carla.Waypoint) -> bool:
    return str(other.lane_type) == "Driving" and one.lane_id * other.lane_id > 0


def _search(
    start: carla.Waypoint, remaining_m: Callable[[carla.Waypoint], float], done: Callable[[_Reached], bool]
) -> tuple[dict[Key, _Reached], list[Key]]:
    """Best first from `start`; all that was reached, and the waypoints where `done` said so (the first, or all)."""
    order = count()
    first = waypoint_key(start)
    reached = {first: _Reached(start, 0.0, None)}
    waiting = [(remaining_m(start), next(order), first)]
    closed: set[Key] = set()
    ends: list[Key] = []
    while waiting and len(closed) < EXPANSIONS_MAX:
        _, _, key = heapq.heappop(waiting)
        if key in closed:
            continue
        closed.add(key)
        here = reached[key]
        if done(here):
            ends.append(key)
            continue
        for ahead, cost in follow(here.waypoint):
            other, total = waypoint_key(ahead), here.cost_m + cost
            if other not in reached or (other not in closed and total < reached[other].cost_m):
                reached[other] = _Reached(ahead, total, key)
                heapq.heappush(waiting, (total + remaining_m(ahead), next(order), other))
    return reached, ends


def _way(reached: dict[Key, _Reached], end: Key) -> list[carla.Waypoint]:
    way: list[carla.Waypoint] = []
    key: Key | None = end
    while key is not None:
        way.append(reached[key].waypoint)
        key = reached[key].before
    return way[::-1]


def route_to(start: carla.Waypoint, goal: carla.Waypoint) -> list[carla.Waypoint]:
    """The shortest way (A*), waypoints about 2 m apart; SimError where there is none."""
    end = goal.transform.location

    def remaining(waypoint: carla.Waypoint) -> float:
        return float(waypoint.transform.location.distance(end))

    found: list[Key] = []

    def arrived(here: _Reached) -> bool:
        if found:
            return True  # nothing more is expanded
        same = (here.waypoint.road_id, here.waypoint.lane_id) == (goal.road_id, goal.lane_id)
        if same and remaining(here.waypoint) < ARRIVED_M:
            found.append(waypoint_key(here.waypoint))
        return bool(found)

    reached, _ = _search(start, remaining, arrived)
    if not found:
        place = f"({end.x:.0f}, {end.y:.0f})"
        raise SimError(f"carla: no way leads from the start to {place} on this map; choose another destination.")
    return _way(reached, found[0])


def route_of_length(start: carla.Waypoint, length_m: float, rng: np.random.Generator) -> list[carla.Waypoint]:
    """The shortest way to one of the places `length_m` from here, drawn; to the farthest one where roads end sooner."""
    reached, ends = _search(start, lambda _: 0.0, lambda here: here.cost_m >= length_m)
    if ends:
        return _way(reached, ends[int(rng.integers(len(ends)))])
    return _way(reached, max(reached, key=lambda key: reached[key].cost_m))


def route_points(way: list[carla.Waypoint]) -> NDArray[np.float64]:
    """The way's points [W, 2], m in map (REP-103)."""
    points = np.array([(w.transform.location.x, -w.transform.location.y) for w in way])
    if len(points) < 2 or (math.dist(points[0], points[-1]) < STEP_M and len(points) < 5):
        raise SimError("carla: the road ends where the car starts; choose another start.")
    return points


def with_run_up(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same route, begun RUN_UP_M sooner: it was planned from the middle of the car, and base_link stands behind."""
    step = points[1] - points[0]
    return np.concatenate([[points[0] - RUN_UP_M / float(np.hypot(*step)) * step], points])
