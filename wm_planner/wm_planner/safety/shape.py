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
) -> tuple[Command, float]:
    """The command inside `limits`, and the steering credit left.

    Steering may slew at its rate bound for the time since the last decision. Time in which it did not slew is saved up
    to `steering_burst_s`, so that a plan's 0.1 s step is not smeared over five decisions of 0.02 s, while the mean over
    any longer time keeps the bound.
    """
    speed = memory.speed_mps
    if memory.command is not None:
        before, credit_s = memory.command.steering_angle_rad, memory.steering_credit_s
    else:
        measured = measured_steering_rad if math.isfinite(measured_steering_rad) else 0.0
        before = min(max(measured, -limits.steering_max_rad), limits.steering_max_rad)
        credit_s = limits.steering_burst_s
    credit_s = min(credit_s + elapsed_s, limits.steering_burst_s)
    rate = steering_rate_bound(speed, before, limits)
    low, high = steering_range(speed, memory.yaw_rate_radps, before, limits)
    within = min(max(steering, low), high)
    step = rate * credit_s
    allowed = min(max(within, before - step), before + step)
    credit_s = max(0.0, credit_s - abs(allowed - before) / rate)

    accelerated = min(max(acceleration, -limits.deceleration_max_mps2), limits.acceleration_max_mps2)
    limited = abs(allowed - steering) > _NOTICED or abs(accelerated - acceleration) > _NOTICED
    slew_s = max(elapsed_s, limits.steering_burst_s)
    command = Command(
        steering_angle_rad=_float32(allowed),
        steering_rate_radps=_float32((allowed - before) / slew_s) if slew_s > 0.0 else 0.0,
        acceleration_mps2=_float32(accelerated),
        speed_mps=_float32(max(0.0, speed + accelerated * _EXPECTED_AHEAD_S)),
        source=source,
        limited=limited,
    )
    return command, credit_s


def _float32(value: float) -> float:
    """The value as the message carries it, so that in-process and ROS drives agree bit for bit."""
    return float(np.float32(value))
