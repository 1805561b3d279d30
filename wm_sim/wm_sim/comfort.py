"""Comfort after nuPlan: six bounds on Savitzky-Golay smoothed signals of a drive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW = 7  # Savitzky-Golay samples
ORDER = 2
SEGMENT = 20  # samples of a comfort segment, 2 s


@dataclass(frozen=True)
class ComfortBounds:
    """nuPlan's comfort bounds (devkit, `ego_is_comfortable`)."""

    lon_accel_min_mps2: float = -4.05
    lon_accel_max_mps2: float = 2.40
    lat_accel_mps2: float = 4.89
    jerk_mps3: float = 8.37
    lon_jerk_mps3: float = 4.13
    yaw_rate_radps: float = 0.95
    yaw_accel_radps2: float = 1.93


def comfort_share(
    speed: NDArray[np.float64],  # [T] m/s
    acceleration: NDArray[np.float64],  # [T] m/s^2
    yaw_rate: NDArray[np.float64],  # [T] rad/s
    time: NDArray[np.float64],  # [T] s
    bounds: ComfortBounds | None = None,
) -> float:
    """Share of 2 s segments in which all six bounds hold; a drive shorter than a filter window counts as 1."""
    if len(speed) < WINDOW:
        return 1.0
    step_s = float(np.mean(np.diff(time)))
    inside = comfortable(speed, acceleration, yaw_rate, step_s, bounds or ComfortBounds())
    return float(np.mean([inside[i : i + SEGMENT].all() for i in range(0, len(inside), SEGMENT)]))


def comfortable(
    speed: NDArray[np.float64],  # [T] m/s
    acceleration: NDArray[np.float64],  # [T] m/s^2
    yaw_rate: NDArray[np.float64],  # [T] rad/s
    step_s: float,
    bounds: ComfortBounds,
) -> NDArray[np.bool_]:  # [T]
    """Which samples keep all six bounds. Jerk is the derivative of the acceleration's magnitude, as nuPlan takes it."""
    lon = savgol(acceleration)
    lat = savgol(speed * yaw_rate)
    jerk = savgol(np.hypot(acceleration, speed * yaw_rate), step_s)
    lon_jerk = savgol(acceleration, step_s)
    return (
        (lon >= bounds.lon_accel_min_mps2)
        & (lon <= bounds.lon_accel_max_mps2)
        & (np.abs(lat) <= bounds.lat_accel_mps2)
        & (np.abs(jerk) <= bounds.jerk_mps3)
        & (np.abs(lon_jerk) <= bounds.lon_jerk_mps3)
        & (np.abs(savgol(yaw_rate)) <= bounds.yaw_rate_radps)
        & (np.abs(savgol(yaw_rate, step_s)) <= bounds.yaw_accel_radps2)
    )


def savgol(
    values: NDArray[np.float64],  # [T]
    derivative_step_s: float | None = None,
    window: int = WINDOW,
    order: int = ORDER,
) -> NDArray[np.float64]:  # [T]
    """Savitzky & Golay 1964: local least-squares polynomial, its value or its first derivative at each sample.

    The ends are read off the polynomial of the first and the last full window.
    """
    half = window // 2
    offsets = np.arange(-half, half + 1, dtype=np.float64)
    fit = np.linalg.pinv(np.vander(offsets, order + 1, increasing=True))  # [order+1, window]
    scale = 1.0 if derivative_step_s is None else 1.0 / derivative_step_s
    which = 0 if derivative_step_s is None else 1
    out = np.empty(len(values), dtype=np.float64)
    out[half : len(values) - half] = np.correlate(values, fit[which], mode="valid")
    powers = np.vander(offsets, order + 1, increasing=True)  # [window, order+1]
    if which == 1:
        powers = np.hstack([np.zeros((window, 1)), powers[:, :-1] * np.arange(1, order + 1)])
    out[:half] = (powers @ (fit @ values[:window]))[:half]
    out[len(values) - half :] = (powers @ (fit @ values[-window:]))[window - half :]
    return out * scale
