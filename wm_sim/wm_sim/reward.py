"""What a step is worth: progress along the lane, less what a careful driver avoids."""

from __future__ import annotations

from wm_sim.kernel import lean_kernel
from wm_sim.vehicle import STEER_RATE_MAX_RADPS

CRASH_REWARD = -3.0  # of a step into a collision, off the road or over a red light, instead of the sum below


@lean_kernel
def ramp(value: float, start: float, full: float) -> float:
    """0 up to `start`, 1 from `full` on, linear between; start > full ramps the other way."""
    return min(max((value - start) / (full - start), 0.0), 1.0)


@lean_kernel
def danger(speed_mps: float, gap_m: float, closing_mps: float) -> float:
    """0 where the car ahead is no concern, up to 1: braking beyond 1.5 m/s², headway under 1 s, gap under 3 m."""
    needed = max(closing_mps, 0.0) ** 2 / (2.0 * max(gap_m - 2.0, 0.5))
    braking = ramp(needed, 1.5, 5.0)
    headway = ramp(gap_m / max(speed_mps, 0.1), 1.0, 0.3) if speed_mps > 1.0 else 0.0
    close = ramp(gap_m, 3.0, 1.0)
    return min(1.0, braking + 0.5 * headway + close)


@lean_kernel
def crossing_danger(speed_mps: float, time_s: float) -> float:
    """0 while nobody will be crossing the way within 2.5 s or the ego stands, up to 1. time_s may be infinite."""
    return ramp(time_s, 2.5, 0.8) * ramp(speed_mps, 0.5, 2.0)


@lean_kernel
def red_light_danger(speed_mps: float, distance_m: float) -> float:
    """0 while 1.5 m/s² stop before the line of a red light, up to 1. distance_m may be infinite."""
    return ramp(speed_mps * speed_mps / (2.0 * max(distance_m, 0.5)), 1.5, 5.0)


@lean_kernel
def step_reward(
    duration_s: float,
    advanced_m: float,
    lateral_m: float,
    lane_width_m: float,
    speed_mps: float,
    limit_mps: float,
    unsafe: float,
    jerk_mps3: float,
    steer_rate_radps: float,
) -> float:
    """Reward of a step that did not end in a crash, within about [-2.6, 1] and mostly in [-1.5, 1].

    Speeds in m/s, lengths in m; unsafe: the greatest of the dangers above.
    """
    if duration_s <= 0.0:
        return 0.0
    progress = min(max(advanced_m / (limit_mps * duration_s), 0.0), 1.0)
    off_centre = min((lateral_m / (0.5 * lane_width_m)) ** 2, 1.0)
    overspeed = ramp(speed_mps / limit_mps, 1.0, 1.2)
    jerk = min((jerk_mps3 / 20.0) ** 2, 1.0)
    steering = min((steer_rate_radps / STEER_RATE_MAX_RADPS) ** 2, 1.0)
    return progress - 0.5 * off_centre - 0.5 * overspeed - 1.5 * unsafe - 0.05 * jerk - 0.05 * steering
