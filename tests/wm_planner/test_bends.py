"""The bends that four points of the route tell of, and how hard to brake for them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_planner.bends import bend_curvatures, most_acceleration
from wm_sim.observation import ROUTE_LOOKAHEAD_M

MARKS_M = np.array(ROUTE_LOOKAHEAD_M, float)
STRAIGHT = np.stack([MARKS_M, np.zeros(4)], axis=1)


def circle(radius_m: float, begins_m: float = 0.0) -> np.ndarray:
    """Route points [4, 2] that go straight on and from `begins_m` to the left round a circle."""
    along = np.maximum(MARKS_M - begins_m, 0.0) / radius_m
    x = np.minimum(MARKS_M, begins_m) + radius_m * np.sin(along)
    return np.stack([x, radius_m * (1.0 - np.cos(along))], axis=1)


@given(st.floats(45.0, 2000.0))
def test_of_a_long_circle_they_know_the_curvature_on_either_side(radius_m):
    assert bend_curvatures(circle(radius_m))[1:] == pytest.approx(1.0 / radius_m, rel=0.12)
    assert bend_curvatures(circle(radius_m) * [1, -1])[1:] == pytest.approx(-1.0 / radius_m, rel=0.12)


@given(st.floats(-2.0, 2.0), st.floats(-2.0, 2.0), st.floats(-0.05, 0.05))
def test_a_receiver_that_is_off_changes_little(x_m, y_m, turned_rad):
    turn = np.array([[math.cos(turned_rad), math.sin(turned_rad)], [-math.sin(turned_rad), math.cos(turned_rad)]])
    true, seen = circle(40.0, begins_m=10.0), circle(40.0, begins_m=10.0) @ turn + [x_m, y_m]
    assert bend_curvatures(seen)[1:] == pytest.approx(bend_curvatures(true)[1:], abs=1e-9)
    assert abs(bend_curvatures(seen)[0] - bend_curvatures(true)[0]) < 0.03


@given(st.floats(0.0, 40.0))
def test_a_straight_road_asks_for_nothing(speed_mps):
    assert most_acceleration(speed_mps, STRAIGHT, 2.5, 1.0) == math.inf


def test_who_brakes_as_told_arrives_slow_enough_in_a_bend_that_was_seen_in_time():
    speed_mps, gone_m, radius_m, begins_m = 12.0, 0.0, 15.0, 60.0
    while gone_m < begins_m:
        ahead = circle(radius_m, begins_m - gone_m)
        braking = min(0.0, most_acceleration(speed_mps, ahead, 2.5, 1.0))
        speed_mps, gone_m = speed_mps + 0.1 * max(braking, -6.0), gone_m + 0.1 * speed_mps
    assert speed_mps**2 / radius_m < 3.3  # 2.5 within the bend; 9.6 as fast as before


@given(st.floats(0.0, 40.0), st.floats(5.0, 500.0), st.floats(0.0, 60.0), st.floats(0.2, 5.9))
def test_it_asks_for_braking_of_at_least_what_is_comfortable_or_for_nothing(speed_mps, radius_m, begins_m, comfort):
    most = most_acceleration(speed_mps, circle(radius_m, begins_m), 2.5, comfort)
    assert most == math.inf or most <= -comfort


def test_points_on_top_of_each_other_are_no_bend_without_end():
    assert np.isfinite(bend_curvatures(np.zeros((4, 2)))).all()
