"""What the newest scans ask of every way to steer: braking that leaves room to stop before what they show.

The model may not see what the scan shows; a plan has to end in a stop before it all the same. It is the gate's own
measure (`safety/scan_check.py`), asked of candidates before one is chosen instead of the chosen one afterwards.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wm_planner.pull_away import ANGLES, may_pull_away
from wm_planner.safety.corridor import NEAR_M, in_corridor
from wm_planner.safety.crossing import crossing_braking
from wm_planner.safety.limits import Limits, effective_wheelbase
from wm_planner.safety.scan_check import ROAD_MPS, braking_for, update_edges, update_sightings
from wm_planner.safety.types import GateState, Inputs
from wm_sim.action import ACCEL_MAX_MPS2, STEER_MAX_RAD
from wm_sim.observation import ROUTE_LOOKAHEAD_M, STEP_S

Array = NDArray[np.float32]
Floats = NDArray[np.float64]

_STEPS = 4  # of a plan whose mean steering and mean braking are held against the scan
_LATER_MPS2 = 1.5  # less than this may be left to later plans
_ROUTE_M = (ROUTE_LOOKAHEAD_M[0] + ROUTE_LOOKAHEAD_M[1]) / 2.0  # where the stretch between these points lies


@dataclass(frozen=True, eq=False)
class BrakingAsked:
    """Deceleration in m/s² that what is in sight asks for along each of `ANGLES` of steering, [41]."""

    along_mps2: Floats

    @property
    def binding(self) -> bool:
        """Whether it makes any way to drive infeasible."""
        return bool(self.along_mps2.max() > _LATER_MPS2)

    def at_least_along(self, policy: Array) -> "BrakingAsked":
        """The same, but everywhere at least what is asked along the policy's own way [H, 2], in action units.

        Steering clear of what is ahead is the policy's to propose, who has learned where the road is: a search that
        may turn away from it instead of braking finds the verge.
        """
        return BrakingAsked(np.maximum(self.along_mps2, self._along(policy[:_STEPS, :1].mean(axis=0))))

    def risk(self, physical: Array) -> Array:
        """Braking asked over braking planned [N]: at most 1 where a plan can stop. physical [2, N, H]: rad, m/s²."""
        steering, acceleration = physical[..., :_STEPS].mean(axis=2)
        asked = self._along(steering / STEER_MAX_RAD)
        return np.asarray(asked / np.maximum(-acceleration, _LATER_MPS2), np.float32)

    def _along(self, steering: Array) -> Floats:
        """Steering [N] in action units."""
        return np.asarray(np.interp(steering, ANGLES, self.along_mps2))


class PathAhead:
    """What is in sight, followed from plan to plan."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._memory = GateState()

    def asks(
        self,
        scan: Array,
        speed_mps: float,
        yaw_rate_radps: float,
        before: Array,
        route_ahead: Array | None,
        stamp_ns: int | None = None,
    ) -> BrakingAsked | None:
        """After one more scan [72] m, with the action `before` [2] in force; None for a car at walking pace.

        `route_ahead` [4, 2], the observation's, tells how the road bends. `stamp_ns`: the scan's; None: a step on.
        """
        limits = self._limits
        sightings = self._follow(scan, speed_mps, yaw_rate_radps, float(before[0]) * STEER_MAX_RAD, stamp_ns).sightings
        if sightings is None or may_pull_away(speed_mps):
            return None
        road = sightings.curvature_1pm
        if route_ahead is not None and np.isfinite(route_ahead).all():
            road = _road_curvature(route_ahead)
        turns = np.tan(ANGLES * STEER_MAX_RAD) / effective_wheelbase(speed_mps, limits)
        inside, gap_m = in_corridor(sightings, 0.0, np.array([sightings.curvature_1pm, road, *turns]), limits)
        gain_mps = max(0.0, float(before[1])) * ACCEL_MAX_MPS2 * limits.actuator_lag_s
        asked = np.where(inside, braking_for(sightings, gap_m, speed_mps, gain_mps, limits), 0.0)  # [2 + 41, S]
        near = gap_m <= NEAR_M
        driven, along_road = np.where(near[0], 0.0, asked[0]), asked[1]
        if speed_mps <= ROAD_MPS:
            along_road = np.where(near[1], 0.0, along_road)
        # Far away a twitch of the wheel moves a path by a lane: what lies there counts in the path driven as well.
        turned = np.where(near[2:], asked[2:], np.minimum(asked[2:], driven)).max(axis=1)
        edges = self._memory.edges
        crossing = 0.0 if edges is None else crossing_braking(edges, 0.0, road, speed_mps, limits)
        return BrakingAsked(np.maximum(turned, max(float(along_road.max()), crossing)))

    def _follow(
        self, scan: Array, speed_mps: float, yaw_rate_radps: float, steering_rad: float, stamp_ns: int | None
    ) -> GateState:
        """The memory after one more scan."""
        limits, memory = self._limits, replace(self._memory, speed_mps=speed_mps, yaw_rate_radps=yaw_rate_radps)
        if stamp_ns is None:
            stamp_ns = (memory.scan_ns or 0) + round(STEP_S * 1e9)
        inputs = Inputs(
            engaged=True, yaw_rate_radps=yaw_rate_radps, steering_angle_rad=steering_rad, scan=scan,
            scan_stamp_ns=stamp_ns,
        )  # fmt: skip
        sightings, edges = update_sightings(inputs, limits, memory), update_edges(inputs, limits, memory)
        self._memory = replace(memory, scan_ns=stamp_ns, sightings=sightings, edges=edges)
        return self._memory


def _road_curvature(route_ahead: Array) -> float:
    """Mean curvature (1/m) of the road up to the second of the route's points [4, 2], for a car that drives along it.

    From the direction of the stretch between the first two: a receiver that is metres off hardly turns it.
    """
    x, y = np.asarray(route_ahead[1] - route_ahead[0], np.float64)
    return math.atan2(y, x) / _ROUTE_M
