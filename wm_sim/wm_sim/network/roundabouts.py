"""A roundabout of one lane, driven counterclockwise."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from wm_sim.errors import SimError
from wm_sim.network.generate import Layout
from wm_sim.network.lanes import Lane, RoadNetwork

ENTRY_RADIUS_M = 14.0
RING_EXTRA_M = 0.8  # the ring is this much wider than the lanes that lead to it
STEP_M = 1.0


def roundabout(
    limit_mps: float,
    width_m: float,
    inner_m: float = 20.0,
    arms: int = 4,
    arm_m: float = 80.0,
    yaw_rad: float = 0.0,
    entry_radius_m: float = ENTRY_RADIUS_M,
) -> Layout:
    """An island of radius inner_m at the origin; arm k leads away at the angle yaw + 2π k / arms.

    Routes are named from_to ("0_2"; "0_0" turns back). Who is on the ring has the way.
    """
    ring_width = width_m + RING_EXTRA_M
    ring = inner_m + 0.5 * ring_width
    # Entries and exits are arcs that touch the arm's lane and the ring; `open` is where they do, seen from the arm.
    opening = math.asin((entry_radius_m + 0.5 * width_m) / (ring + entry_radius_m))
    reach = (ring + entry_radius_m) * math.cos(opening)  # where the arm's lanes end
    if arms < 2 or 2.0 * opening > 2.0 * math.pi / arms - 1.0 / ring:
        raise SimError(f"roundabout of {arms} arms around {inner_m} m: fewer arms or a larger island are needed.")
    lanes: dict[str, Lane] = {}
    for k in range(arms):
        phi = yaw_rad + 2.0 * math.pi * k / arms
        after = (k + 1) % arms
        out, left_of = np.array([math.cos(phi), math.sin(phi)]), np.array([-math.sin(phi), math.cos(phi)])
        along = np.linspace(reach + arm_m, reach, max(2, math.ceil(arm_m / 2.0) + 1))[:, None]
        middle, aside = along * out, width_m * left_of
        lanes[f"{k}_in"] = Lane(
            f"{k}_in", middle, middle + aside, limit_mps, left_mark="dashed", successors=(f"{k}_entry",),
            left_neighbour=f"{k}_out", left_oncoming=True, stop_line=True,
        )  # fmt: skip
        lanes[f"{k}_out"] = Lane(
            f"{k}_out", middle[::-1], (middle - aside)[::-1], limit_mps, left_mark="dashed",
            left_neighbour=f"{k}_in", left_oncoming=True, priority=1,
        )  # fmt: skip
        # Arcs about a point beside the arm, on the entry's side and on the exit's.
        for name, side, onward in (("entry", 1.0, f"{k}_ring"), ("exit", -1.0, f"{k}_out")):
            pivot = reach * out + side * (0.5 * width_m + entry_radius_m) * left_of
            sweep = 0.5 * math.pi - opening
            turn = np.linspace(0.0, sweep, math.ceil(sweep * entry_radius_m / STEP_M) + 1)
            if side < 0.0:
                turn = turn[::-1]
            spoke = -np.sin(turn)[:, None] * out - side * np.cos(turn)[:, None] * left_of
            half = 0.5 * width_m
            lanes[f"{k}_{name}"] = Lane(
                f"{k}_{name}", pivot + (entry_radius_m + half) * spoke, pivot + (entry_radius_m - half) * spoke,
                limit_mps, left_mark="none", successors=(onward,), junction=True, priority=int(side < 0.0),
            )  # fmt: skip
        lanes[f"{k}_across"] = _arc(
            f"{k}_across", ring, ring_width, phi - opening, phi + opening, limit_mps, (f"{k}_ring",), "none"
        )
        lanes[f"{k}_ring"] = _arc(
            f"{k}_ring", ring, ring_width, phi + opening, phi + 2.0 * math.pi / arms - opening, limit_mps,
            (f"{after}_across", f"{after}_exit"), "solid",
        )  # fmt: skip
    routes = {f"{a}_{b}": _route(a, b, arms) for a in range(arms) for b in range(arms)}
    return Layout(RoadNetwork(lanes, smooth_m=1.5), routes)


def _arc(
    name: str, radius: float, width: float, start: float, end: float, limit: float, onward: tuple[str, ...], mark: str
) -> Lane:
    """A piece of the ring between two angles."""
    angle = np.linspace(start, end, max(2, math.ceil((end - start) * radius / STEP_M) + 1))
    spoke: NDArray[np.float64] = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Lane(
        name, (radius - 0.5 * width) * spoke, (radius + 0.5 * width) * spoke, limit, left_mark="kerb", right_mark=mark,
        successors=onward, junction=True, priority=1,
    )  # fmt: skip


def _route(start: int, end: int, arms: int) -> tuple[str, ...]:
    names = [f"{start}_in", f"{start}_entry", f"{start}_ring"]
    k = (start + 1) % arms
    while k != end:
        names += [f"{k}_across", f"{k}_ring"]
        k = (k + 1) % arms
    return (*names, f"{end}_exit", f"{end}_out")
