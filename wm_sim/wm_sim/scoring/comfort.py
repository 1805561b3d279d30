"""Comfort after nuPlan: six bounds on Savitzky-Golay smoothed signals of a drive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW = 7  # Savitzky-Golay samples
ORDER = 2
SEGMENT = 20  # samples of a comfort segment, 2 s
BOUNDS = ("lon_accel", "lat_accel", "jerk", "lon_jerk", "yaw_rate", "yaw_accel")


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
    """Share of 2 s segments in which all six bounds hold, as Bench2Drive counts smoothness."""
    inside = comfortable(speed, acceleration, yaw_rate, _step_s(time), bounds or ComfortBounds())
    return float(np.mean([inside[i : i + SEGMENT].all() for i in range(0, len(inside), SEGMENT)]))


def bounds_kept(
    speed: NDArray[np.float64],  # [T] m/s
    acceleration: NDArray[np.float64],  # [T] m/s^2
    yaw_rate: NDArray[np.float64],  # [T] rad/s
    time: NDArray[np.float64],  # [T] s
    bounds: ComfortBounds | None = None,
) -> dict[str, bool]:
    """Which of the six bounds hold all through a drive; nuPlan calls it comfortable where all do."""
    inside = inside_bounds(speed, acceleration, yaw_rate, _step_s(time), bounds or ComfortBounds())
    return {name: bool(kept.all()) for name, kept in inside.items()}


def comfortable(
    speed: NDArray[np.float64],  # [T] m/s
    acceleration: NDArray[np.float64],  # [T] m/s^2
    yaw_rate: NDArray[np.float64],  # [T] rad/s
    step_s: float,
    bounds: ComfortBounds,
) -> NDArray[np.bool_]:  # [T]
    """Which samples keep all six bounds."""
    return np.logical_and.reduce(list(inside_bounds(speed, acceleration, yaw_rate, step_s, bounds).values()))


def inside_bounds(
    speed: NDArray[np.float64],  # [T] m/s
    acceleration: NDArray[np.float64],  # [T] m/s^2
    yaw_rate: NDArray[np.float64],  # [T] rad/s
    step_s: float,
    bounds: ComfortBounds,
) -> dict[str, NDArray[np.bool_]]:  # [T] each
    """Which samples keep each bound. Jerk is the derivative of the acceleration's magnitude, as nuPlan takes it.

    A drive shorter than the filter's window keeps all of them.
    """
    if len(speed) < WINDOW:
        return {name: np.ones(len(speed), dtype=bool) for name in BOUNDS}
    lon = savgol(acceleration)
    jerk = savgol(np.hypot(acceleration, speed * yaw_rate), step_s)
    return {
        "lon_accel": (lon >= bounds.lon_accel_min_mps2) & (lon <= bounds.lon_accel_max_mps2),
        "lat_accel": np.abs(savgol(speed * yaw_rate)) <= bounds.lat_accel_mps2,
        "jerk": np.abs(jerk) <= bounds.jerk_mps3,
        "lon_jerk": np.abs(savgol(acceleration, step_s)) <= bounds.lon_jerk_mps3,
        "yaw_rate": np.abs(savgol(yaw_rate)) <= bounds.yaw_rate_radps,
        "yaw_accel": np.abs(savgol(yaw_rate, step_s)) <= bounds.yaw_accel_radps2,
    }


def _step_s(time: NDArray[np.float64]) -> float:
    return float(np.mean(np.diff(time))) if len(time) > 1 else 1.0


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
