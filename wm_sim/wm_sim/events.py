"""The events of a look in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wm_sim import arrays as at
from wm_sim import judge
from wm_sim.frame import Event
from wm_sim.scene import BARRIER, BODY, CAR, CYCLIST, PEDESTRIAN

if TYPE_CHECKING:
    from wm_sim.worlds import Worlds

BODY_NAMES = {CAR: "car", PEDESTRIAN: "pedestrian", CYCLIST: "cyclist", BARRIER: "barrier"}
_LATERAL, _PROGRESS = at.TRUTH_NAMES.index("lateral_error_m"), at.TRUTH_NAMES.index("progress_m")


def events_of(worlds: Worlds, n: int, leave_out: int = 0) -> list[Event]:
    """What happened in world n up to its last look, since the look before; not the kinds in `leave_out` (bits)."""
    bits = int(worlds.events[n]) & ~leave_out
    scenario = worlds.scenarios[n]
    if not bits or scenario is None:
        return []
    d, progress = float(worlds.truth[n, _LATERAL]), float(worlds.truth[n, _PROGRESS])
    found = []
    if bits & judge.RESET:
        found.append(Event("reset", 0.0, f"{scenario.family} {scenario.seed}"))
    if bits & judge.RED_LIGHT:
        found.append(Event("red_light", progress, f"stop line crossed at {progress:.0f} m"))
    if bits & judge.COLLISION:
        clock = worlds.arrays.clock[n]
        hit, impact = int(clock[at.HIT]), float(worlds.arrays.memory[n, at.IMPACT_MPS])
        body, side = BODY_NAMES[int(worlds.arrays.agents[n, hit, BODY])], judge.SIDES[clock[at.HIT_SIDE]]
        found.append(Event("collision", impact, f"{body} {hit} at {impact:.1f} m/s, {side}"))
    if bits & judge.OFF_ROAD:
        found.append(Event("off_road", abs(d), f"{abs(d):.2f} m {'left' if d > 0 else 'right'} of the lane centre"))
    if bits & judge.ROUTE_DONE:
        found.append(Event("route_done", progress, f"{scenario.route_length_m:.0f} m"))
    if bits & judge.TIMEOUT:
        found.append(Event("timeout", progress, f"after {scenario.time_limit_s:.0f} s"))
    return found
