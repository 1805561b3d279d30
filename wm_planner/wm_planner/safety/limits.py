"""What the gate allows, with units; loaded from YAML with every mistake said in one sentence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from wm_planner.errors import PlannerError

_PLACES = (
    "launch/params/limits.yaml",  # workspace
    "share/wm_bringup/params/limits.yaml",  # installed, one prefix for all packages
    "wm_bringup/share/wm_bringup/params/limits.yaml",  # installed, one prefix a package
)
MEASURABLE_MPS = 3.0  # slower than this, yaw rate says little about the car
_TIGHTEST, _WIDEST = 0.6, 2.0  # how far the measured car may move the nominal steering bound


def _limit(default: float, low: float, high: float, unit: str) -> Any:
    """A float field with its allowed range and unit."""
    return field(default=default, metadata={"low": low, "high": high, "unit": unit})


@dataclass(frozen=True)
class Limits:
    """Limits of the safety gate. Defaults follow the design's table; sources beside the figures."""

    # The car, as far as the gate knows it.
    wheelbase_m: float = _limit(2.75, 1.0, 6.0, "m")  # middle of the range met in training
    understeer_s2pm2: float = _limit(0.002, 0.0, 0.02, "s^2/m^2")  # yaw gain falls by 1 + K v^2
    half_width_m: float = _limit(0.805, 0.3, 2.0, "m")
    front_bumper_m: float = _limit(3.54, 0.5, 8.0, "m")  # ahead of base_link (rear axle)
    lidar_x_m: float = _limit(1.3, -2.0, 6.0, "m")  # ahead of base_link

    # Actuators and comfort bounds.
    steering_max_rad: float = _limit(0.6, 0.05, 1.2, "rad")
    steering_rate_max_radps: float = _limit(0.8, 0.05, 3.0, "rad/s")
    steering_burst_s: float = _limit(0.1, 0.02, 0.5, "s")  # slew saved up while a plan's step is held
    acceleration_max_mps2: float = _limit(3.0, 0.1, 10.0, "m/s^2")
    deceleration_max_mps2: float = _limit(6.0, 1.0, 12.0, "m/s^2")
    lateral_acceleration_max_mps2: float = _limit(3.0, 0.5, 10.0, "m/s^2")  # ISO 11270
    lateral_jerk_max_mps3: float = _limit(5.0, 0.5, 50.0, "m/s^3")  # ISO 11270
    throttle_jerk_max_mps3: float = _limit(60.0, 1.0, 200.0, "m/s^3")  # of acceleration that rises; braking is free
    throttle_burst_s: float = _limit(0.1, 0.02, 0.5, "s")  # rise saved up while a plan's step is held
    speed_max_mps: float = _limit(25.0, 1.0, 60.0, "m/s")
    speed_limit_share: float = _limit(1.1, 1.0, 10.0, "1")  # times the road's limit: faster, and the gate slows the car

    # Stops.
    soft_stop_mps2: float = _limit(2.5, 0.5, 6.0, "m/s^2")  # Autoware MRM
    soft_stop_jerk_mps3: float = _limit(5.0, 0.5, 50.0, "m/s^3")
    standing_mps: float = _limit(0.1, 0.01, 1.0, "m/s")

    # Time.
    plan_late_s: float = _limit(0.2, 0.05, 2.0, "s")
    plan_timeout_s: float = _limit(0.5, 0.1, 5.0, "s")
    plan_start_s: float = _limit(0.05, 0.0, 0.5, "s")  # a plan's first control begins this long after its frame
    hold_refused_s: float = _limit(0.1, 0.0, 1.0, "s")
    future_s: float = _limit(0.1, 0.0, 1.0, "s")  # stamps may run ahead of a clock that comes by message
    sensor_stale_s: float = _limit(0.3, 0.05, 5.0, "s")
    clock_frozen_s: float = _limit(1.0, 0.2, 30.0, "s")  # steady clock

    # Something in the path: RSS (Shalev-Shwartz et al. 2017) with what the car really does, and time to collision.
    rss_response_s: float = _limit(0.45, 0.0, 2.0, "s")  # a scan, a physics step and the brakes' lag
    rss_acceleration_mps2: float = _limit(1.5, 0.0, 6.0, "m/s^2")
    rss_brake_min_mps2: float = _limit(5.0, 1.0, 12.0, "m/s^2")  # of 6 asked, a car with weak brakes has so much
    rss_brake_max_mps2: float = _limit(8.0, 1.0, 12.0, "m/s^2")
    actuator_lag_s: float = _limit(0.25, 0.0, 1.0, "s")  # throttle goes on pushing for this long
    ttc_min_s: float = _limit(0.95, 0.0, 5.0, "s")
    corridor_margin_m: float = _limit(0.2, 0.0, 1.0, "m")  # beside the car
    corridor_widening: float = _limit(0.02, 0.0, 0.2, "m/m")  # more margin for every metre ahead
    corridor_overlap: float = _limit(0.35, 0.05, 1.0, "1")  # part of a sector's arc inside the corridor
    corridor_overlap_near: float = _limit(0.5, 0.05, 1.0, "1")  # the same up to 12 m ahead
    standstill_gap_m: float = _limit(0.6, 0.0, 5.0, "m")  # kept when all has stopped

    # Somebody on the way into the path.
    crossing_speed_max_mps: float = _limit(5.5, 0.0, 10.0, "m/s")  # faster ones are cars; 0: nobody is looked for
    crossing_margin_m: float = _limit(0.4, 0.0, 2.0, "m")  # beside the car

    # Off the route: the receiver's error (metres) plus a lane; a backstop, not lane keeping.
    departure_max_m: float = _limit(6.0, 1.0, 50.0, "m")  # of base_link from the route
    departure_ahead_s: float = _limit(0.8, 0.0, 3.0, "s")  # judged now and this much later

    # World model surprised: 0 switches it off (the model's own calibrated p99.9 belongs here).
    surprise_max_nats: float = _limit(0.0, 0.0, 1e6, "nats")

    def __post_init__(self) -> None:
        for item in fields(self):
            value, low, high = getattr(self, item.name), item.metadata["low"], item.metadata["high"]
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise PlannerError(f"limit {item.name}: {value!r} is not a number; give {item.metadata['unit']}.")
            if not low <= value <= high:  # NaN compares false
                raise PlannerError(
                    f"limit {item.name}: {value} is outside {low}..{high} {item.metadata['unit']}; change it."
                )
        if self.plan_late_s > self.plan_timeout_s:
            raise PlannerError(
                f"limit plan_late_s: {self.plan_late_s} s is above plan_timeout_s {self.plan_timeout_s} s; lower it."
            )


def load_limits(path: str | Path, under: Mapping[str, float] | None = None) -> Limits:
    """Limits from a YAML mapping of name to number, over those `under` it; names in neither keep their defaults."""
    import yaml  # here, so that the gate core itself needs the standard library and numpy only

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise PlannerError(f"limits {path}: {error.strerror}; give a readable YAML file.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PlannerError(f"limits {path}: not YAML; write one 'name: number' a line.") from error
    if under and (content is None or isinstance(content, dict)):
        content = {**under, **(content or {})}
    return limits_from(content, f"limits {path}")


@cache
def shipped_limits() -> Limits:
    """The limits of launch/params/limits.yaml, which the gate node and the in-process agent share."""
    for root in Path(__file__).resolve().parents:
        for place in _PLACES:
            if (root / place).is_file():
                return load_limits(root / place)
    raise PlannerError("params/limits.yaml is not installed with wm_bringup; build the workspace again: make setup.")


def limits_from(content: Any, origin: str = "limits") -> Limits:
    """Limits from a mapping; an unknown name, a wrong type or a value out of range is a PlannerError."""
    if content is None:
        return Limits()
    if not isinstance(content, dict):
        raise PlannerError(f"{origin}: found a {type(content).__name__}; write one 'name: number' a line.")
    known = {item.name for item in fields(Limits)}
    for name in content:
        if name not in known:
            raise PlannerError(f"{origin}: unknown limit '{name}'; known are {', '.join(sorted(known))}.")
    return Limits(**content)


def effective_wheelbase(speed_mps: float, limits: Limits) -> float:
    """Wheelbase in m of a car without understeer that would turn as this one does at `speed_mps`."""
    return limits.wheelbase_m * (1.0 + limits.understeer_s2pm2 * speed_mps * speed_mps)


def steering_bound(speed_mps: float, limits: Limits) -> float:
    """Largest steering angle in rad that keeps v² tan(d)/L within the lateral acceleration limit of a nominal car."""
    lateral = limits.lateral_acceleration_max_mps2 * effective_wheelbase(speed_mps, limits)
    return min(limits.steering_max_rad, math.atan2(lateral, speed_mps * speed_mps))


def steering_range(speed_mps: float, yaw_rate_radps: float, before_rad: float, limits: Limits) -> tuple[float, float]:
    """Least and largest steering angle in rad that keep the car within the lateral acceleration limit.

    What the car does now, v times its yaw rate under the command `before_rad`, tells how far this car differs from the
    nominal one (wheelbase, steering gain and bias, understeer, banking); the nominal bound is moved by that.
    """
    nominal = steering_bound(speed_mps, limits)
    if speed_mps < MEASURABLE_MPS:
        return -nominal, nominal
    most = limits.lateral_acceleration_max_mps2
    lateral = min(max(speed_mps * yaw_rate_radps, -2.0 * most), 2.0 * most)
    rad_per_mps2 = effective_wheelbase(speed_mps, limits) / (speed_mps * speed_mps)
    tight, wide = _TIGHTEST * nominal, min(_WIDEST * nominal, limits.steering_max_rad)
    high = min(max(before_rad + (most - lateral) * rad_per_mps2, tight), wide)
    low = max(min(before_rad - (most + lateral) * rad_per_mps2, -tight), -wide)
    return low, high


def steering_rate_bound(speed_mps: float, steering_rad: float, limits: Limits) -> float:
    """Largest steering rate in rad/s that keeps d/dt of v² tan(d)/L within the lateral jerk limit."""
    by_jerk = limits.lateral_jerk_max_mps3 * effective_wheelbase(speed_mps, limits) * math.cos(steering_rad) ** 2
    square = speed_mps * speed_mps
    if by_jerk >= limits.steering_rate_max_radps * square:
        return limits.steering_rate_max_radps
    return by_jerk / square
