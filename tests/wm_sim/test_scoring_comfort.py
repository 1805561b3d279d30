"""The six bounds of comfort and the filter in front of them."""

import numpy as np
import pytest

from wm_sim.scoring.comfort import BOUNDS, ComfortBounds, bounds_kept, comfort_share, comfortable, savgol

LIMITS = ComfortBounds()


@pytest.mark.parametrize(
    ("acceleration", "yaw_rate", "speed", "inside"),
    [
        (2.3, 0.0, 10.0, True),
        (2.5, 0.0, 10.0, False),
        (-4.0, 0.0, 10.0, True),
        (-4.1, 0.0, 10.0, False),
        (0.0, 0.48, 10.0, True),  # 4.8 m/s^2 sideways
        (0.0, 0.50, 10.0, False),  # 5.0
        (0.0, 0.94, 1.0, True),
        (0.0, 0.96, 1.0, False),
    ],
)
def test_each_steady_bound_is_where_nuplan_puts_it(
    acceleration: float, yaw_rate: float, speed: float, inside: bool
) -> None:
    ones = np.ones(30)
    assert comfortable(speed * ones, acceleration * ones, yaw_rate * ones, 0.1, LIMITS).all() == inside


def test_jerk_and_yaw_acceleration_have_bounds_too() -> None:
    ramp, zero, ten = np.arange(20) * 0.1, np.zeros(20), np.full(20, 10.0)
    assert comfortable(ten, 1.1 * ramp, zero, 0.1, LIMITS).all()
    assert not comfortable(ten, 4.2 * ramp - 4.0, zero, 0.1, LIMITS).any()
    assert not comfortable(0.1 * ten, zero, 2.0 * ramp - 0.9, 0.1, LIMITS).any()
    assert comfortable(0.1 * ten, zero, 0.9 * ramp - 0.9, 0.1, LIMITS).all()


def test_the_bound_that_was_broken_is_named() -> None:
    ones, time = np.ones(30), 0.1 * np.arange(30)
    kept = bounds_kept(10 * ones, 2.5 * ones, 0 * ones, time)
    assert kept == {name: name != "lon_accel" for name in BOUNDS}


def test_one_hard_brake_costs_the_2_s_in_which_it_falls() -> None:
    acceleration = np.zeros(100)
    acceleration[25:32] = -6.0  # inside the second of five pieces
    assert comfort_share(np.full(100, 10.0), acceleration, np.zeros(100), 0.1 * np.arange(100)) == pytest.approx(4 / 5)


def test_a_drive_shorter_than_the_filter_is_comfortable() -> None:
    hard = np.full(3, -9.0)
    assert comfort_share(np.ones(3), hard, np.zeros(3), 0.1 * np.arange(3)) == 1.0
    assert all(bounds_kept(np.ones(1), hard[:1], np.zeros(1), np.zeros(1)).values())


def test_the_filter_returns_a_parabola_unchanged_and_its_slope_exactly() -> None:
    t = np.arange(25) * 0.1
    values = 3.0 - 2.0 * t + 0.5 * t**2
    np.testing.assert_allclose(savgol(values), values, atol=1e-12)
    np.testing.assert_allclose(savgol(values, 0.1), -2.0 + t, atol=1e-11)


def test_the_filter_uses_the_published_seven_point_weights() -> None:
    impulse = np.zeros(15)
    impulse[7] = 1.0
    np.testing.assert_allclose(savgol(impulse)[4:11], np.array([-2, 3, 6, 7, 6, 3, -2]) / 21, atol=1e-12)
    np.testing.assert_allclose(savgol(impulse, 1.0)[4:11], np.array([3, 2, 1, 0, -1, -2, -3]) / 28, atol=1e-12)
