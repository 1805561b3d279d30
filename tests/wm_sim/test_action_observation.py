"""The numbers that every part agrees on: actions, pedals, route ahead, state layout."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_sim import SimError
from wm_sim.action import from_pedals, from_physical, to_pedals, to_physical
from wm_sim.observation import ROUTE_LOOKAHEAD_M, STATE_NAMES, STATE_SIZE, RouteTracker, route_ahead, state_vector

units = st.floats(-1.0, 1.0, width=32)


@given(units, units)
def test_an_action_survives_pedals_and_physical_targets(steer, accel):
    action = np.array([steer, accel], dtype=np.float32)
    pedals = to_pedals(action)
    assert pedals[1] * pedals[2] == 0.0
    np.testing.assert_array_equal(from_pedals(pedals), action)
    np.testing.assert_allclose(from_physical(*to_physical(action)), action, atol=1e-6)


def test_full_scale_is_point_six_rad_three_and_minus_six_metres_per_second_squared():
    steering, acceleration = to_physical([[1.0, 1.0], [-1.0, -1.0], [5.0, 0.5]])
    np.testing.assert_allclose(steering, [0.6, -0.6, 0.6], rtol=1e-6)
    np.testing.assert_allclose(acceleration, [3.0, -6.0, 1.5], rtol=1e-6)


@given(st.floats(-500, 500), st.floats(-500, 500))
def test_targets_beyond_the_actuators_are_clipped(steering, acceleration):
    action = from_physical(steering, acceleration)
    assert action.dtype == np.float32
    assert np.all(np.abs(action) <= 1.0)


@given(st.floats(0.0, 80.0), st.floats(-3.0, 3.0), st.floats(-math.pi, math.pi))
def test_on_a_straight_route_the_points_lie_at_their_distances_whatever_the_pose(s, d, heading):
    direction = 0.7
    along = np.arange(0.0, 201.0, 2.0)
    route = np.stack([along * math.cos(direction), along * math.sin(direction)], axis=1)
    x = s * math.cos(direction) - d * math.sin(direction)
    y = s * math.sin(direction) + d * math.cos(direction)
    points = route_ahead(route, x, y, direction + heading).reshape(4, 2)
    expected = [
        (a * math.cos(heading) - d * math.sin(heading), -a * math.sin(heading) - d * math.cos(heading))
        for a in ROUTE_LOOKAHEAD_M
    ]
    np.testing.assert_allclose(points, expected, atol=1e-4)


def test_a_left_curve_lies_to_the_left_and_on_its_circle():
    angle = np.linspace(0.0, 2.0, 400)
    route = np.stack([100.0 * np.sin(angle), 100.0 - 100.0 * np.cos(angle)], axis=1)
    points = route_ahead(route, 0.0, 0.0, 0.0).reshape(4, 2)
    arc = np.array(ROUTE_LOOKAHEAD_M) / 100.0
    np.testing.assert_allclose(points, np.stack([100 * np.sin(arc), 100 - 100 * np.cos(arc)], axis=1), atol=0.01)


def test_beyond_its_end_the_route_goes_straight_on():
    route = np.array([[0.0, 0.0], [5.0, 0.0], [5.0, 5.0]])
    points = route_ahead(route, 0.0, 0.0, 0.0).reshape(4, 2)
    np.testing.assert_allclose(points, [[5.0, a - 5.0] for a in ROUTE_LOOKAHEAD_M], atol=1e-5)


def test_the_tracker_gives_what_the_plain_function_gives_along_a_winding_route():
    s = np.arange(0.0, 400.0, 2.0)
    route = np.stack([s, 20.0 * np.sin(s / 25.0)], axis=1)
    tracker = RouteTracker(route)
    rng = np.random.default_rng(0)
    for at in np.concatenate([np.arange(0.0, 390.0, 1.7), [3.0, 250.0]]):
        x, y = at + rng.normal(), 20.0 * math.sin(at / 25.0) + rng.normal()
        yaw = rng.uniform(-4, 4)
        np.testing.assert_array_equal(tracker.ahead(x, y, yaw), route_ahead(route, x, y, yaw))


def test_a_yaw_that_went_through_a_quaternion_gives_the_same_bits():
    route = np.stack([np.arange(0.0, 300.0, 2.0), np.zeros(150)], axis=1)
    rng = np.random.default_rng(1)
    for yaw in rng.uniform(-math.pi, math.pi, 500):
        z, w = math.sin(0.5 * yaw), math.cos(0.5 * yaw)
        back = 2.0 * math.atan2(z, w)
        np.testing.assert_array_equal(route_ahead(route, 3.0, 1.0, yaw), route_ahead(route, 3.0, 1.0, back))


@pytest.mark.parametrize(
    "route", [np.zeros((0, 2)), np.zeros((5, 2)), np.array([[0.0, 0.0], [np.nan, 1.0]]), np.zeros(4)]
)
def test_a_route_without_a_length_is_refused_with_a_sentence(route):
    with pytest.raises(SimError, match="expected"):
        route_ahead(route, 0.0, 0.0, 0.0)


def test_a_pose_that_is_not_finite_is_refused():
    with pytest.raises(SimError, match="not finite"):
        route_ahead(np.array([[0.0, 0.0], [9.0, 0.0]]), math.nan, 0.0, 0.0)


def test_the_state_holds_its_fields_in_the_order_of_their_names():
    state = state_vector(1, 2, 3, 4, [5, 6], 7, np.arange(8, 16))
    assert STATE_SIZE == len(STATE_NAMES) == 15
    assert STATE_NAMES[4:7] == ("previous_steer", "previous_accel", "speed_limit_mps")
    assert STATE_NAMES[-1] == "route_80_y"
    assert state.dtype == np.float32
    np.testing.assert_array_equal(state, np.arange(1, 16))
