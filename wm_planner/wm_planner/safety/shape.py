"""Makes a wanted control one that the car may execute: finite, inside the bounds, not too fast in steering."""

import math

import numpy as np

from wm_planner.safety.limits import Limits, steering_range, steering_rate_bound
from wm_planner.safety.reasons import Source
from wm_planner.safety.types import Command, GateState

_EXPECTED_AHEAD_S = 0.1
_NOTICED = 1e-4  # a difference below this (rad, m/s²) is not worth the word "limited"


def shape(
    steering: float,
    acceleration: float,
    source: Source,
    memory: GateState,
    measured_steering_rad: float,
    elapsed_s: float,
    limits: Limits,
) -> tuple[Command, float, float]:
    """The command inside `limits`, and the credits left for steering and for rising acceleration, in s.

    Steering may slew at its rate bound for the time since the last decision. Time in which it did not slew is saved up
    to `steering_burst_s`, so that a plan's 0.1 s step is not smeared over five decisions of 0.02 s, while the mean over
    any longer time keeps the bound. Acceleration may rise in the same way at its jerk bound; it may fall at once.
    """
    before, allowed, steering_s = _steered(steering, memory, measured_steering_rad, elapsed_s, limits)
    accelerated, throttle_s = _accelerated(acceleration, memory, elapsed_s, limits)
    command = Command(
        steering_angle_rad=float32(allowed),
        steering_rate_radps=float32((allowed - before) / max(elapsed_s, limits.steering_burst_s)),
        acceleration_mps2=float32(accelerated),
        speed_mps=float32(max(0.0, memory.speed_mps + accelerated * _EXPECTED_AHEAD_S)),
        source=source,
        limited=abs(allowed - steering) > _NOTICED or abs(accelerated - acceleration) > _NOTICED,
    )
    return command, steering_s, throttle_s


def _steered(
    steering: float, memory: GateState, measured_rad: float, elapsed_s: float, limits: Limits
) -> tuple[float, float, float]:
    """Steering before and allowed now, in rad, and the credit left in s."""
    if memory.command is not None:
        before, credit_s = memory.command.steering_angle_rad, memory.steering_credit_s
    else:
        measured = measured_rad if math.isfinite(measured_rad) else 0.0
        before = min(max(measured, -limits.steering_max_rad), limits.steering_max_rad)
        credit_s = limits.steering_burst_s
    credit_s = min(credit_s + elapsed_s, limits.steering_burst_s)
    rate = steering_rate_bound(memory.speed_mps, before, limits)
    low, high = steering_range(memory.speed_mps, memory.yaw_rate_radps, before, limits)
    within = min(max(steering, low), high)
    step = rate * credit_s
    allowed = min(max(within, before - step), before + step)
    return before, allowed, max(0.0, credit_s - abs(allowed - before) / rate)


def _accelerated(acceleration: float, memory: GateState, elapsed_s: float, limits: Limits) -> tuple[float, float]:
    """Acceleration allowed now in m/s², and the credit left in s. The first command of all may be any inside bounds."""
    risen, credit_s = acceleration, limits.throttle_burst_s
    if memory.command is not None:
        last, jerk = memory.command.acceleration_mps2, limits.throttle_jerk_max_mps3
        credit_s = min(memory.throttle_credit_s + elapsed_s, limits.throttle_burst_s)
        risen = min(acceleration, last + jerk * credit_s)
        credit_s = max(0.0, credit_s - max(0.0, risen - last) / jerk)
    return min(max(risen, -limits.deceleration_max_mps2), limits.acceleration_max_mps2), credit_s


def float32(value: float) -> float:
    """The value as the message carries it, so that in-process and ROS drives agree bit for bit."""
    return float(np.float32(value))
