"""Is something in the path? Watches the scan without help from any model, and says how hard to brake.

The scan is coarse: 72 sectors of 5°, each with its nearest return. A return is therefore an arc at its range that spans
the sector, and counts only when a good part of that arc lies in the corridor that the car will sweep.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from wm_planner.safety.limits import Limits, effective_wheelbase
from wm_planner.safety.types import GateState, Inputs, ScanTrack

_VIEW_RAD = math.radians(80.0)  # sectors further to the side cannot hold anything in a drivable path
_RANGE_MAX_M = 59.9  # at and beyond: no return
_NEAR_M = 12.0  # up to here either path counts and one scan is enough; beyond, both paths must agree
_SHARED_OVERLAP = 0.15  # least part of each of two neighbouring sectors that see one thing
_SHARED_RANGE_M = 1.5
_CURVATURE_S = 0.3  # filter time of the curvature being driven
_PLANNED_S = 0.5
_JUMP_M = 3.0  # a gap further than this from its prediction is another thing
_FIRST = 0.7  # part believed of the first difference of two gaps
_ALPHA, _BETA = 0.6, 0.4  # gap and rate gains of the tracker after that
_CLOSING_MPS = 0.5  # closing slower than this is following
_STOP_SHORT_M = 0.5
_EARNEST = 1.4  # brake this much harder than the bare minimum: brakes differ, and take a while to bite
_DEEP = 0.3  # at this depth of an RSS violation, brake with all there is

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def update_track(inputs: Inputs, limits: Limits, memory: GateState) -> ScanTrack | None:
    """The nearest thing in the path after one more scan; None when the scan cannot be read."""
    if inputs.scan is None or inputs.scan_stamp_ns is None:
        return None
    before, stamp_ns = memory.track, inputs.scan_stamp_ns
    dt_s = 0.0 if before is None else max(0.0, (stamp_ns - before.stamp_ns) * 1e-9)
    driven = _driven_curvature(inputs, memory.speed_mps, before, dt_s, limits)
    planned = _planned_curvature(memory, driven, limits)
    gap_m = nearest_gap(inputs.scan, driven, planned, limits)
    if before is None or dt_s <= 0.0 or before.hits == 0:
        hits = 0 if math.isinf(gap_m) else 1
        return ScanTrack(stamp_ns, gap_m, 0.0, hits, driven)
    expected_m = before.gap_m + before.rate_mps * dt_s
    if math.isinf(gap_m):
        if before.hits >= 3 and not before.coasted:  # one scan may miss it
            return ScanTrack(stamp_ns, max(expected_m, 0.0), before.rate_mps, before.hits, driven, coasted=True)
        return ScanTrack(stamp_ns, math.inf, 0.0, 0, driven)
    error_m = gap_m - expected_m
    if abs(error_m) > _JUMP_M:
        return ScanTrack(stamp_ns, gap_m, 0.0, 1, driven)
    if before.hits == 1:
        rate = _FIRST * (gap_m - before.gap_m) / dt_s
    else:
        gap_m = max(0.0, expected_m + _ALPHA * error_m)
        rate = before.rate_mps + _BETA * error_m / dt_s
    # The thing ahead does not drive backwards: the gap closes at most at our own speed.
    return ScanTrack(stamp_ns, gap_m, max(rate, -memory.speed_mps), before.hits + 1, driven)


def scan_braking(memory: GateState, acceleration_mps2: float, limits: Limits) -> float | None:
    """Acceleration in m/s² (negative) that the path demands, or None while it is free enough.

    RSS longitudinal distance (Shalev-Shwartz et al. 2017, definition 1) with the limits' figures, or a short time to
    collision. Not closing, at the ordinary headway or more, is no violation. `acceleration_mps2` is what is wanted,
    `memory` holds the last command: throttle in force counts as speed that the car will still gain.
    """
    track, speed_mps = memory.track, memory.speed_mps
    if track is None or track.hits == 0:
        return None
    gap_m, closing = track.gap_m, max(0.0, -track.rate_mps)
    if speed_mps <= limits.standing_mps:
        pushing = gap_m < limits.standstill_gap_m and acceleration_mps2 >= 0.0
        return -limits.soft_stop_mps2 if pushing else None
    if track.hits == 1:
        return None  # its speed is not known yet
    lead_mps = max(0.0, speed_mps + track.rate_mps)
    throttle = 0.0 if memory.command is None else max(0.0, memory.command.acceleration_mps2)
    gain_mps = throttle * limits.actuator_lag_s
    safe_m = rss_distance(speed_mps + gain_mps, lead_mps, limits) + limits.standstill_gap_m
    ordinary_m = max(limits.following_headway_s * speed_mps, limits.standstill_gap_m)
    too_near = gap_m < safe_m and (gain_mps - track.rate_mps >= _CLOSING_MPS or gap_m < ordinary_m)
    too_soon = closing >= _CLOSING_MPS and gap_m < limits.ttc_min_s * closing
    if not (too_near or too_soon):
        return None
    needed = _EARNEST * closing * closing / (2.0 * max(gap_m - _STOP_SHORT_M, 0.1))
    depth = (1.0 - gap_m / safe_m) / _DEEP if too_near else 0.0
    return -min(limits.deceleration_max_mps2, max(needed, depth * limits.deceleration_max_mps2))


def rss_distance(rear_mps: float, front_mps: float, limits: Limits) -> float:
    """Least safe distance in m behind a car at `front_mps` that may brake as hard as it can (RSS, definition 1)."""
    response, accelerated = limits.rss_response_s, limits.rss_acceleration_mps2
    after = rear_mps + response * accelerated
    distance = rear_mps * response + 0.5 * accelerated * response * response
    distance += after * after / (2.0 * limits.rss_brake_min_mps2)
    return max(0.0, distance - front_mps * front_mps / (2.0 * limits.rss_brake_max_mps2))


def nearest_gap(scan: NDArray[np.float32], driven_1pm: float, planned_1pm: float, limits: Limits) -> float:
    """Metres from the front bumper along the path to the nearest return in it; inf when the path is free.

    Far away a little steering moves the path by a lane, so there a return counts only in both the path being driven and
    the path planned; near the car, either is enough.
    """
    front, cosines, sines = _sectors(len(scan))
    ranges = np.asarray(scan, dtype=np.float64)[front]  # [S]
    with np.errstate(invalid="ignore"):
        seen = (ranges > 0.0) & (ranges < _RANGE_MAX_M)  # NaN compares false
    if not seen.any():
        return math.inf
    ranges = np.where(seen, ranges, _RANGE_MAX_M)
    x = limits.lidar_x_m + ranges * cosines  # [3, S]: right edge, centre, left edge of each arc
    y = ranges * sines
    driven, gap_driven = _in_corridor(x, y, ranges, seen, driven_1pm, limits)
    if abs(planned_1pm - driven_1pm) < 1e-6:
        return float(np.min(gap_driven, where=driven, initial=math.inf))
    planned, gap_planned = _in_corridor(x, y, ranges, seen, planned_1pm, limits)
    gap = np.where(driven, gap_driven, gap_planned)
    counts = (driven & planned) | ((driven | planned) & (gap <= _NEAR_M))
    return float(np.min(gap, where=counts, initial=math.inf))


def _in_corridor(
    x: Floats, y: Floats, ranges: Floats, seen: Bools, curvature: float, limits: Limits
) -> tuple[Bools, Floats]:
    """Which returns lie in the corridor along an arc from base_link, and their gap to the front bumper, each [S]."""
    if abs(curvature) < 1e-5:
        curvature = 1e-5
    along, beside = curvature * x, 1.0 - curvature * y
    lateral = (1.0 - np.hypot(along, beside)) / curvature  # [3, S] m, left of the path positive
    gap = np.arctan2(along, beside).min(axis=0) if curvature > 0 else np.arctan2(along, beside).max(axis=0)
    gap = gap / curvature - limits.front_bumper_m
    half = limits.half_width_m + limits.corridor_margin_m
    low, high = np.minimum(lateral[0], lateral[2]), np.maximum(lateral[0], lateral[2])
    inside = np.clip(np.minimum(high, half) - np.maximum(low, -half), 0.0, None)  # m of the arc in the corridor
    part = inside / np.maximum(high - low, 1e-6)
    ahead = seen & (gap > -_STOP_SHORT_M) & (beside[1] > 0.0)
    counts = part >= limits.corridor_overlap
    # A car dead ahead and far away sits on the border of two sectors and fills neither.
    partly = (part >= _SHARED_OVERLAP) & ahead
    pair = partly[:-1] & partly[1:] & (np.abs(ranges[:-1] - ranges[1:]) < _SHARED_RANGE_M)
    pair &= inside[:-1] + inside[1:] >= half
    counts[:-1] |= pair
    counts[1:] |= pair
    return counts & ahead, np.maximum(gap, 0.0)


def _driven_curvature(inputs: Inputs, speed_mps: float, before: ScanTrack | None, dt_s: float, limits: Limits) -> float:
    """Curvature in 1/m of the path being driven, filtered: at 40 m a twitch of the wheel is a lane's width."""
    if speed_mps > 2.0 and math.isfinite(inputs.yaw_rate_radps):
        measured = inputs.yaw_rate_radps / speed_mps
    elif math.isfinite(inputs.steering_angle_rad):
        measured = math.tan(min(max(inputs.steering_angle_rad, -1.2), 1.2)) / effective_wheelbase(speed_mps, limits)
    else:
        measured = 0.0
    measured = min(max(measured, -0.5), 0.5)
    if before is None:
        return measured
    return before.curvature_1pm + (measured - before.curvature_1pm) * dt_s / (_CURVATURE_S + dt_s)


def _planned_curvature(memory: GateState, driven_1pm: float, limits: Limits) -> float:
    """Curvature in 1/m of the plan's first half second: the one driven, moved by the steering that the plan adds."""
    if memory.plan is None or memory.command is None:
        return driven_1pm
    plan = memory.plan
    steering = float(np.mean(plan.steering_angle[: max(1, round(_PLANNED_S / plan.dt_s))], dtype=np.float64))
    added = min(max(steering, -1.2), 1.2) - memory.command.steering_angle_rad
    return driven_1pm + added / effective_wheelbase(memory.speed_mps, limits)


@lru_cache(maxsize=4)
def _sectors(size: int) -> tuple[slice, Floats, Floats]:
    """The sectors in view, and cosine and sine [3, S] of their right edge, centre and left edge."""
    sector = 2.0 * math.pi / size
    centres = -math.pi + (np.arange(size) + 0.5) * sector
    in_view = np.flatnonzero(np.abs(centres) <= _VIEW_RAD)
    edges = centres[in_view] + np.array([[-0.5], [0.0], [0.5]]) * sector
    return slice(int(in_view[0]), int(in_view[-1]) + 1), np.cos(edges), np.sin(edges)
