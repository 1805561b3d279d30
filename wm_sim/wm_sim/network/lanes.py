"""Lanes and the network that they make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from wm_sim.errors import SimError

MARKS = ("solid", "dashed", "none", "kerb")


@dataclass(frozen=True)
class Lane:
    """A strip that one row of cars drives along. `centre`, `left` and `right` have as many points each."""

    id: str
    left: NDArray[np.float64] = field(repr=False)  # [n, 2] m
    right: NDArray[np.float64] = field(repr=False)  # [n, 2] m
    limit_mps: float
    centre: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)), repr=False)  # [n, 2]; empty: halfway
    left_mark: str = "solid"
    right_mark: str = "solid"
    successors: tuple[str, ...] = ()
    predecessors: tuple[str, ...] = ()  # filled in from the successors by RoadNetwork
    left_neighbour: str | None = None
    left_oncoming: bool = False  # whether traffic on the left neighbour comes towards this lane's
    right_neighbour: str | None = None
    right_oncoming: bool = False
    junction: bool = False
    priority: int = 0  # who comes along the lane with the higher one goes first
    stop_line: bool = False  # painted at its end

    def __post_init__(self) -> None:
        if not len(self.centre):
            object.__setattr__(self, "centre", 0.5 * (self.left + self.right))
        shapes = {np.shape(side) for side in (self.left, self.right, self.centre)}
        if len(shapes) > 1 or self.left.ndim != 2 or self.left.shape[1] != 2 or len(self.left) < 2:
            raise SimError(f"lane {self.id}: left, right and centre need two or more points, the same number each.")
        if not np.isfinite(self.left.sum() + self.right.sum() + self.centre.sum()):
            raise SimError(f"lane {self.id}: a coordinate is not a finite number.")
        for name in ("left", "right", "centre"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float64))
        if not 0.0 < self.limit_mps < 200.0:
            raise SimError(f"lane {self.id}: speed limit {self.limit_mps} m/s; expected more than 0, less than 200.")
        for mark in (self.left_mark, self.right_mark):
            if mark not in MARKS:
                raise SimError(f"lane {self.id}: marking {mark!r}; known are {', '.join(MARKS)}.")

    @property
    def width_m(self) -> NDArray[np.float64]:
        """Width at each point [n]."""
        return np.hypot(*(self.left - self.right).T)


@dataclass(frozen=True)
class Signal:
    """A traffic light: where it hangs, whom it stops, and its cycle of green, yellow, red."""

    id: str
    lanes: tuple[str, ...]  # traffic stops at the end of these lanes
    x_m: float
    y_m: float
    z_m: float
    yaw_rad: float  # of the traffic that it governs
    green_s: float
    yellow_s: float
    red_s: float
    offset_s: float = 0.0


@dataclass(frozen=True)
class Crosswalk:
    """A zebra crossing from one side of the road to the other, `width_m` along the road."""

    start: tuple[float, float]
    end: tuple[float, float]
    width_m: float = 3.0


@dataclass(frozen=True)
class RoadNetwork:
    """Lanes by name, with lights and crossings. Lanes that are named must be there; predecessors are filled in."""

    lanes: dict[str, Lane] = field(repr=False)
    signals: tuple[Signal, ...] = ()
    crosswalks: tuple[Crosswalk, ...] = ()
    smooth_m: float = 0.0  # how far paths are smoothed along the lanes: measured points scatter

    def __post_init__(self) -> None:
        if not self.lanes:
            raise SimError("a road network needs at least one lane.")
        before: dict[str, list[str]] = {name: [] for name in self.lanes}
        for lane in self.lanes.values():
            for kind, names in (
                ("successor", lane.successors),
                ("left neighbour", (lane.left_neighbour,)),
                ("right neighbour", (lane.right_neighbour,)),
            ):
                for name in names:
                    if name is not None and name not in self.lanes:
                        raise SimError(f"lane {lane.id}: its {kind} {name} is not in the network.")
            for name in lane.successors:
                before[name].append(lane.id)
        for signal in self.signals:
            for name in signal.lanes:
                if name not in self.lanes:
                    raise SimError(f"signal {signal.id}: its lane {name} is not in the network.")
        complete = {
            name: lane if lane.predecessors == tuple(before[name]) else replace(lane, predecessors=tuple(before[name]))
            for name, lane in self.lanes.items()
        }
        object.__setattr__(self, "lanes", complete)

    def lane(self, name: str) -> Lane:
        """The lane of that name."""
        if name not in self.lanes:
            raise SimError(f"lane {name}: unknown. Known are {some(self.lanes)}.")
        return self.lanes[name]

    def beside(self, name: str, left: bool) -> list[tuple[Lane, bool]]:
        """Lanes to one side of a lane, from the nearest to the outermost, and whether each is oncoming."""
        found: list[tuple[Lane, bool]] = []
        turned = False  # whether the lane reached is oncoming, so that its left is our right
        lane = self.lanes[name]
        seen = {name}
        while True:
            on_left = left != turned
            beyond = lane.left_neighbour if on_left else lane.right_neighbour
            if beyond is None or beyond in seen:
                return found
            turned ^= lane.left_oncoming if on_left else lane.right_oncoming
            seen.add(beyond)
            lane = self.lanes[beyond]
            found.append((lane, turned))


def some(names: Iterable[str], most: int = 8) -> str:
    """A few names for a message."""
    ordered = sorted(names, key=lambda name: (len(name), name))  # numbers in their order
    return ", ".join(ordered[:most]) + (" …" if len(ordered) > most else "")
