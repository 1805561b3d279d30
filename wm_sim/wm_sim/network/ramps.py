"""A ramp that joins a carriageway."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wm_sim.errors import SimError
from wm_sim.network.generate import Layout
from wm_sim.network.lanes import Lane, RoadNetwork
from wm_sim.network.line import offset
from wm_sim.scene import LINE_STEP_M

RAMP_M = 70.0
RAMP_ASIDE_M = 12.0  # how far off the ramp begins


def ramp_merge(
    line: NDArray[np.float64],
    limit_mps: float,
    width_m: float,
    lanes: int = 2,
    join_s: float = 120.0,
    beside_m: float = 30.0,
    taper_m: float = 35.0,
) -> Layout:
    """A carriageway whose rightmost lane is `line` and a ramp that comes beside it at arc length join_s.

    The ramp's lane runs beside for beside_m, then goes over within taper_m. Routes: ego (ramp, beside, taper, main0_c)
    and main0, main1, …. Traffic on the ramp gives way.
    """
    end_s = join_s + beside_m + taper_m
    if join_s < RAMP_M or end_s + 20.0 > (len(line) - 1) * LINE_STEP_M:
        raise SimError(f"a ramp that joins at {join_s} m needs {RAMP_M} m of road before and 20 m after its taper.")
    s = np.arange(len(line)) * LINE_STEP_M
    cut = [0, round(join_s / LINE_STEP_M), round(end_s / LINE_STEP_M), len(line) - 1]
    found: dict[str, Lane] = {}
    for part, first, last in zip("abc", cut[:-1], cut[1:], strict=True):
        piece = line[first : last + 1]
        for k in range(lanes):
            outer = "none" if part == "b" else "solid"
            found[f"main{k}_{part}"] = Lane(
                f"main{k}_{part}",
                offset(piece, (k + 0.5) * width_m),
                offset(piece, (k - 0.5) * width_m),
                limit_mps,
                offset(piece, k * width_m),
                left_mark="dashed" if k < lanes - 1 else "solid",
                right_mark="dashed" if k > 0 else outer,
                successors=(f"main{k}_{chr(ord(part) + 1)}",) if part != "c" else (),
                left_neighbour=f"main{k + 1}_{part}" if k < lanes - 1 else None,
                right_neighbour=f"main{k - 1}_{part}" if k > 0 else None,
                priority=1,
            )
    before = np.clip((join_s - s) / RAMP_M, 0.0, 1.0)
    over = np.clip((s - join_s - beside_m) / taper_m, 0.0, 1.0)
    d = -width_m * (1.0 - over**2 * (3.0 - 2.0 * over)) - RAMP_ASIDE_M * before**2
    cut = [round((join_s - RAMP_M) / LINE_STEP_M), cut[1], round((join_s + beside_m) / LINE_STEP_M), cut[2]]
    following = {"ramp": "beside", "beside": "taper", "taper": "main0_c"}
    for (name, onward), first, last in zip(following.items(), cut[:-1], cut[1:], strict=True):
        piece, aside = line[first : last + 1], d[first : last + 1]
        found[name] = Lane(
            name,
            offset(piece, aside + 0.5 * width_m),
            offset(piece, aside - 0.5 * width_m),
            limit_mps,
            offset(piece, aside),
            left_mark={"ramp": "solid", "beside": "dashed", "taper": "none"}[name],
            successors=(onward,),
            left_neighbour=None,
            junction=name == "taper",
        )
    routes = {f"main{k}": tuple(f"main{k}_{part}" for part in "abc") for k in range(lanes)}
    return Layout(RoadNetwork(found), {"ego": (*following, "main0_c"), **routes})
