"""A crossing of two roads, or a T where an arm is left out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wm_sim.errors import SimError
from wm_sim.network.generate import Layout
from wm_sim.network.lanes import Lane, RoadNetwork, Signal

ARMS = ("south", "east", "north", "west")  # counterclockwise
MAJOR_STRAIGHT, MAJOR_LEFT, MINOR_STRAIGHT, MINOR_LEFT = 3, 2, 1, 0  # priorities
HEAD_HEIGHT_M = 3.2


def junction(
    limit_mps: float,
    width_m: float,
    arms: Sequence[str] = ARMS,
    arm_m: float = 80.0,
    radius_m: float = 10.0,
    major: Sequence[str] = ("west", "east"),
    cycle_s: tuple[float, float, float] | None = None,
    yaw_rad: float = 0.0,
) -> Layout:
    """Two-lane roads that meet at the origin; right turns have radius_m, left turns a lane more.

    Routes are named from_to ("south_west"). Arms in `major` have the way; without any, who comes from the right.
    cycle_s (green, yellow, red): lights on every arm, the first one's turning green at time 0, the crossing road's half
    a cycle later.
    """
    if len(arms) < 3 or not set(arms) <= set(ARMS) or len(set(arms)) < len(arms):
        raise SimError(f"junction arms {tuple(arms)}: expected three or four of {', '.join(ARMS)}.")
    edge = radius_m + 0.5 * width_m  # where the lanes end, from the middle
    lanes: dict[str, Lane] = {}
    signals = []
    for arm in arms:
        out = _outward(arm, yaw_rad)
        lanes[f"{arm}_in"], lanes[f"{arm}_out"] = _arm(
            arm, out, edge, arm_m, width_m, limit_mps,
            tuple(f"{arm}_{other}" for other in arms if other != arm),
            stop=cycle_s is not None or (len(major) > 0 and arm not in major),
        )  # fmt: skip
        if cycle_s is not None:
            green, yellow, red = cycle_s
            along_first = (ARMS.index(arm) - ARMS.index(arms[0])) % 2 == 0
            offset_s = 0.0 if along_first else 0.5 * (green + yellow + red)
            x, y = ((edge - 1.0) * out + (width_m + 1.2) * _right(-out)).tolist()
            facing = math.atan2(-out[1], -out[0])
            head = Signal(f"{arm}_light", (f"{arm}_in",), x, y, HEAD_HEIGHT_M, facing, green, yellow, red, offset_s)
            signals.append(head)
    for start in arms:
        for end in arms:
            if start != end:
                lanes[f"{start}_{end}"] = _through(start, end, arms, edge, width_m, limit_mps, tuple(major), yaw_rad)
    routes: dict[str, tuple[str, ...]] = {
        f"{a}_{b}": (f"{a}_in", f"{a}_{b}", f"{b}_out") for a in arms for b in arms if a != b
    }
    return Layout(RoadNetwork(lanes, tuple(signals), smooth_m=1.0), routes)


def _outward(arm: str, yaw: float) -> NDArray[np.float64]:
    angle = yaw - 0.5 * math.pi + 0.5 * math.pi * ARMS.index(arm)
    return np.array([math.cos(angle), math.sin(angle)])


def _right(v: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([v[1], -v[0]])


def _arm(
    arm: str,
    out: NDArray[np.float64],
    edge: float,
    length: float,
    width: float,
    limit: float,
    successors: tuple[str, ...],
    stop: bool,
) -> tuple[Lane, Lane]:
    """The lanes into the junction and out of it."""
    along = np.linspace(edge + length, edge, max(2, math.ceil(length / 2.0) + 1))[:, None]
    middle, aside = along * out, width * _right(-out)
    into = Lane(
        f"{arm}_in", middle, middle + aside, limit, left_mark="dashed", successors=successors,
        left_neighbour=f"{arm}_out", left_oncoming=True, stop_line=stop,
    )  # fmt: skip
    from_it = Lane(
        f"{arm}_out", middle[::-1], (middle - aside)[::-1], limit, left_mark="dashed",
        left_neighbour=f"{arm}_in", left_oncoming=True, priority=MAJOR_STRAIGHT,
    )  # fmt: skip
    return into, from_it


def _through(
    start: str,
    end: str,
    arms: Sequence[str],
    edge: float,
    width: float,
    limit: float,
    major: tuple[str, ...],
    yaw: float,
) -> Lane:
    """The lane from one arm to another: straight on or a quarter circle."""
    turn = (ARMS.index(end) - ARMS.index(start)) % 4  # 1 right, 2 straight on, 3 left
    come, go = _outward(start, yaw), _outward(end, yaw)
    if turn == 2:
        along = np.linspace(edge, -edge, math.ceil(edge) + 1)[:, None]
        left, right = along * come, along * come + width * _right(-come)
        right_arm = ARMS[(ARMS.index(start) + 1) % 4]
        mark = "none" if right_arm in arms else "solid"
    else:
        corner = edge * (come + go)
        angle = np.linspace(0.0, 0.5 * math.pi, math.ceil(edge) + 1)[:, None]
        spoke = -np.cos(angle) * go - np.sin(angle) * come
        inner, outer = (edge - width, edge) if turn == 1 else (edge, edge + width)
        near, far = corner + inner * spoke, corner + outer * spoke
        left, right = (far, near) if turn == 1 else (near, far)
        mark = "solid" if turn == 1 else "none"
    first = not major or start in major
    priority = (MAJOR_LEFT if first else MINOR_LEFT) if turn == 3 else (MAJOR_STRAIGHT if first else MINOR_STRAIGHT)
    return Lane(
        f"{start}_{end}", left, right, limit, left_mark="none", right_mark=mark, successors=(f"{end}_out",),
        junction=True, priority=priority,
    )  # fmt: skip
