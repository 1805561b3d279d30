"""Is something in the path? Watches the scan without help from any model, and says how hard to brake for it.

The path driven follows from the yaw rate; the path wanted, from the steering that the car is about to get. No later
step of the plan is believed: what a plan says of the future is a promise.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from wm_planner.safety.corridor import BESIDE_M, NEAR_M, in_corridor
from wm_planner.safety.crossing import Edges, crossing_braking, follow_edges
from wm_planner.safety.limits import Limits, effective_wheelbase, steering_range
from wm_planner.safety.route import Route, bend_ahead
from wm_planner.safety.sightings import Floats, Sightings, sight
from wm_planner.safety.types import GateState, Inputs

_CURVATURE_S = 0.3  # filter time of the curvature being driven
_CLOSING_MPS = 0.5  # closing slower than this is following
_EARNEST = 1.4  # brake this much harder than the bare minimum: brakes differ, and take a while to bite
_DEEP = 0.3  # at this depth of an RSS violation, brake with all there is
_TURNS = np.array([0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0])  # from the path driven to the one wanted
_TURN_MIN_RAD = 2e-3
ROAD_MPS = 6.0  # slower, a car may be on its way round a thing that stands in its lane
_REFUSED_MPS2, _WORSE = 2.0, 1.25  # a turn over something that asks for so much more braking than there is is refused
_SHARP_RAD, _NO_BETTER = 0.04, 0.97  # and so is a sharp one that does not lead out of what there is


@dataclass(frozen=True)
class Demand:
    """What the path asks for."""

    braking_mps2: float = 0.0  # deceleration; 0: the path is free enough
    keep_steering: bool = False  # the turn that is wanted leads into something


def update_sightings(inputs: Inputs, limits: Limits, memory: GateState) -> Sightings | None:
    """The sightings after one more scan; None without one."""
    if inputs.scan is None or inputs.scan_stamp_ns is None:
        return None
    before, speed_mps = memory.sightings, memory.speed_mps
    measured = filtered = _measured_curvature(inputs, speed_mps, limits)
    if before is not None:
        dt_s = max(0.0, (inputs.scan_stamp_ns - before.stamp_ns) * 1e-9)
        filtered = before.curvature_1pm + (measured - before.curvature_1pm) * dt_s / (_CURVATURE_S + dt_s)
    sightings = sight(inputs.scan, inputs.scan_stamp_ns, before, speed_mps)
    return replace(sightings, curvature_1pm=filtered, measured_1pm=measured)


def update_edges(inputs: Inputs, limits: Limits, memory: GateState) -> Edges | None:
    """The inner edges of things after one more scan; None without one, or where nobody is to be looked for."""
    if inputs.scan is None or inputs.scan_stamp_ns is None or limits.crossing_speed_max_mps <= 0.0:
        return None
    speed_mps, turning_radps = memory.speed_mps, memory.yaw_rate_radps
    return follow_edges(inputs.scan, inputs.scan_stamp_ns, memory.edges, speed_mps, turning_radps, limits)


def _measured_curvature(inputs: Inputs, speed_mps: float, limits: Limits) -> float:
    """Curvature in 1/m of the path being driven."""
    curvature = 0.0
    if speed_mps > 2.0 and math.isfinite(inputs.yaw_rate_radps):
        curvature = inputs.yaw_rate_radps / speed_mps
    elif math.isfinite(inputs.steering_angle_rad):
        wheel = min(max(inputs.steering_angle_rad, -1.2), 1.2)
        curvature = math.tan(wheel) / effective_wheelbase(speed_mps, limits)
    return min(max(curvature, -0.5), 0.5)


def watch_path(
    memory: GateState, route: Route | None, age_s: float, steering: float, acceleration: float, limits: Limits
) -> Demand:
    """What stands or drives in the path asks for. steering (rad), acceleration (m/s²): wanted; age_s: of the scan.

    Far away, where a twitch of the wheel moves the path by a lane, a thing counts in both the path driven and the path
    wanted, or along the road; near the car in what the wheels do or are about to do, and at speed along the road too.
    `memory` holds the last command: throttle in force counts as speed that the car will still gain.
    """
    sightings, speed_mps = memory.sightings, memory.speed_mps
    if sightings is None:
        return Demand()
    last = steering if memory.command is None else memory.command.steering_angle_rad
    low, high = steering_range(speed_mps, memory.yaw_rate_radps, last, limits)
    goal = min(max(steering, low), high)  # as far as the gate would let it go
    paths = _paths(memory, route, goal - last, goal, limits)
    inside, gap = in_corridor(sightings, age_s, paths, limits)
    near = gap <= NEAR_M
    inside[:4] &= ~near[:4]
    inside[4] &= (~near[4] | (speed_mps > ROAD_MPS)) & (route is not None and memory.pose is not None)
    inside[5:] &= near[5:]
    if speed_mps <= limits.standing_mps:
        touching = (inside[5] | inside[8]) & (np.minimum(gap[5], gap[8]) < limits.standstill_gap_m)
        return Demand(limits.soft_stop_mps2 if acceleration >= 0.0 and bool(touching.any()) else 0.0)
    throttle = 0.0 if memory.command is None else max(0.0, memory.command.acceleration_mps2)
    asked = braking_for(sightings, gap, speed_mps, throttle * limits.actuator_lag_s, limits)
    asked = np.where(inside, asked, 0.0)  # [9, S]
    both = np.minimum(asked[0], asked[3])
    braking = float(max(both.max(), asked[4].max(), asked[5].max(), asked[8].max()))
    into = float(max(asked[1:4].max(), asked[6:].max()))
    already = float(max(asked[0].max(), asked[5].max()))
    goal_asks = float(max(asked[3].max(), asked[8].max()))
    worse = into >= _WORSE * already + _REFUSED_MPS2
    no_better = goal_asks >= max(_NO_BETTER * already, _REFUSED_MPS2)
    turn = abs(goal - last)
    refused = (turn > _TURN_MIN_RAD and worse) or (turn > _SHARP_RAD and no_better)
    if refused:
        braking = max(braking, into)
    if memory.edges is not None:
        braking = max(braking, crossing_braking(memory.edges, age_s, float(paths[4]), speed_mps, limits))
    return Demand(min(braking, limits.deceleration_max_mps2), keep_steering=refused)


def _paths(memory: GateState, route: Route | None, turn_rad: float, goal_rad: float, limits: Limits) -> Floats:
    """Curvatures in 1/m of nine paths: for far things four from the one driven to the one wanted, and the road; for
    near ones four from what the wheels do this moment to what they are about to do."""
    assert memory.sightings is not None
    driven, measured = memory.sightings.curvature_1pm, memory.sightings.measured_1pm
    wheelbase = effective_wheelbase(memory.speed_mps, limits)
    road = driven
    if route is not None and memory.pose is not None:
        stop_m = float(rss_distance(memory.speed_mps, np.zeros(1), limits)[0])
        ahead_m = max(stop_m, NEAR_M) + limits.front_bumper_m
        road = bend_ahead(route, memory.pose[0], memory.pose[1], ahead_m)
    near = measured + (math.tan(goal_rad) / wheelbase - measured) * _TURNS
    return np.concatenate([driven + turn_rad / wheelbase * _TURNS, [road], near])


def braking_for(sightings: Sightings, gap_m: Floats, speed_mps: float, gain_mps: float, limits: Limits) -> Floats:
    """Deceleration in m/s² that each sighting asks for if it lies `gap_m` ahead, [..., S] as gap_m; not bounded.

    RSS longitudinal distance (Shalev-Shwartz et al. 2017, definition 1) with the limits' figures, or a short time to
    collision. Within the distance but not closing, the distance is won back gently. gain_mps: speed still to come.
    """
    closing, lead_mps = np.maximum(0.0, -sightings.rate_mps), np.maximum(0.0, speed_mps + sightings.rate_mps)
    safe_m = rss_distance(speed_mps + gain_mps, lead_mps, limits) + limits.standstill_gap_m
    near = gap_m < safe_m
    depth = np.where(near, (1.0 - gap_m / np.maximum(safe_m, 1e-6)) / _DEEP, 0.0)
    nearing = near & (gain_mps - sightings.rate_mps >= _CLOSING_MPS)
    soon = (closing >= _CLOSING_MPS) & (gap_m < limits.ttc_min_s * closing)
    needed = _EARNEST * closing * closing / (2.0 * np.maximum(gap_m - BESIDE_M, 0.1))
    hard = np.maximum(needed, depth * limits.deceleration_max_mps2)
    gentle = np.minimum(1.0, depth) * limits.soft_stop_mps2
    known = (sightings.hits > 1) | (gap_m <= NEAR_M)  # far away one scan is not enough
    return np.where(known, np.where(nearing | soon, hard, gentle), 0.0)


def rss_distance(rear_mps: float, front_mps: Floats, limits: Limits) -> Floats:
    """Least safe distance in m behind cars at `front_mps` that may brake as hard as they can (RSS, definition 1)."""
    response, accelerated = limits.rss_response_s, limits.rss_acceleration_mps2
    after = rear_mps + response * accelerated
    distance = rear_mps * response + 0.5 * accelerated * response * response
    distance += after * after / (2.0 * limits.rss_brake_min_mps2)
    return np.maximum(0.0, distance - front_mps * front_mps / (2.0 * limits.rss_brake_max_mps2))
