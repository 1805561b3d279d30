"""A car that is off its route, or about to be, is stopped; errors of the receiver do not stop one that is on it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wm_planner.safety import Limits, Reason, State, route_from
from wm_planner.safety.route import bend_ahead, distance_to, off_route

STRAIGHT = route_from([[0.0, 0.0], [100.0, 0.0], [200.0, 0.0]])
CORNER = route_from([[0.0, 0.0], [100.0, 0.0], [100.0, 50.0]])


def test_the_distance_to_a_route_is_that_to_its_nearest_point():
    assert distance_to(STRAIGHT, 30.0, -4.0) == pytest.approx(4.0)
    assert distance_to(CORNER, 50.0, 7.0) == pytest.approx(7.0)
    assert distance_to(CORNER, 103.0, 20.0) == pytest.approx(3.0)
    assert distance_to(CORNER, 103.0, -4.0) == pytest.approx(5.0)  # outside the corner: to its point
    assert distance_to(CORNER, 98.0, 9.0) == pytest.approx(2.0)


def test_the_route_goes_straight_on_beyond_its_ends():
    assert distance_to(CORNER, -40.0, 2.0) == pytest.approx(2.0)
    assert distance_to(CORNER, 101.0, 90.0) == pytest.approx(1.0)


def test_a_middle_segment_ends_where_it_ends():
    bent = route_from([[0.0, 0.0], [100.0, 0.0], [100.0, 50.0], [200.0, 50.0]])
    assert distance_to(bent, 101.0, -30.0) == pytest.approx(math.hypot(1.0, 30.0))  # not on the way up, drawn on down
    assert distance_to(bent, 99.0, 80.0) == pytest.approx(math.hypot(1.0, 30.0))  # nor drawn on up
    assert distance_to(bent, 60.0, 51.0) == pytest.approx(40.0 + 1e-9, abs=0.02)


def test_the_bend_ahead_is_the_arc_to_where_the_route_will_be():
    turn = [(50 * math.sin(a / 50), 50 * (1 - math.cos(a / 50))) for a in range(0, 79)]
    left, right = route_from(turn), route_from([(x, -y) for x, y in turn])
    for aside in (0.0, 2.0, -3.0):  # the receiver may be metres off
        assert bend_ahead(left, 0.5, aside, 30.0) == pytest.approx(1 / 50, rel=0.05)
        assert bend_ahead(right, 0.5, aside, 30.0) == pytest.approx(-1 / 50, rel=0.05)
    half = math.radians(30)
    assert bend_ahead(left, 50 * math.sin(half), 50 * (1 - math.cos(half)), 20.0) == pytest.approx(1 / 50, rel=0.05)


def test_a_route_goes_straight_on_where_it_ends_and_before_it_begins():
    corner = route_from([(0.0, 0.0), (10.0, 0.0), (10.0, 10.0)])
    assert bend_ahead(corner, -20.0, 0.0, 15.0) == pytest.approx(0.0, abs=1e-9)
    assert bend_ahead(corner, 0.0, 0.0, 10.0) == pytest.approx(0.0, abs=1e-9)
    assert bend_ahead(corner, 0.0, 0.0, 20.0) == pytest.approx(2 * 10.0 / 200.0)
    assert bend_ahead(corner, 5.0, 0.0, 35.0) == pytest.approx(2 * 30.0 / (25.0 + 900.0))
    assert bend_ahead(corner, 10.0, 15.0, 5.0) == pytest.approx(0.0, abs=1e-9)
    assert bend_ahead(corner, 0.0, 0.0, 0.0) == 0.0


def test_points_that_coincide_are_no_way():
    doubled = route_from([[0.0, 0.0], [0.0, 0.0], [100.0, 0.0], [100.0, 0.0]])
    assert len(doubled.start) == 1
    assert distance_to(doubled, 50.0, 3.0) == pytest.approx(3.0)
    assert distance_to(route_from([[0, 0], [5e-7, 0.0], [0.0, 10.0]]), 2.0, 5.0) == pytest.approx(2.0)


@pytest.mark.parametrize(
    "points",
    [
        [],
        [[1.0, 2.0]],
        [[1.0, 2.0], [1.0, 2.0]],
        [[0.0, 0.0], [math.nan, 1.0]],
        [[0.0, 0.0], [math.inf, 1.0]],
        [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]],
        [0.0, 1.0],
        [[-1.5e308, 0.0], [1.5e308, 0.0]],
    ],
)
def test_what_is_no_route_is_none(points):
    with np.errstate(over="ignore"):
        assert route_from(points) is None


@pytest.mark.parametrize(
    ("pose", "speed", "yaw_rate", "off"),
    [
        ((50.0, 5.9, 0.0), 10.0, 0.0, False),
        ((50.0, -6.1, 0.0), 10.0, 0.0, True),
        ((99.0, 5.0, math.pi / 3), 4.0, 0.0, True),  # 5 + 3.2 sin 60 = 7.8
        ((50.0, 6.0, 0.0), 0.0, 0.0, False),  # at the limit is not beyond it
        ((50.0, 3.0, 0.5), 7.5, 0.0, False),  # 3 + 6 sin 0.5 = 5.88
        ((50.0, 3.0, 0.5), 8.0, 0.0, True),  # 3 + 6.4 sin 0.5 = 6.07
        ((50.0, 3.0, -0.5), 8.0, 0.0, False),
        ((50.0, 6.1, -0.5), 8.0, 0.0, True),  # coming back, still beyond
        ((50.0, 3.0, 0.3), 8.0, 0.6, True),  # 3 + 6.4 sin(0.3 + 0.24) = 6.29
        ((50.0, 3.0, 0.3), 8.0, 0.0, False),
        ((50.0, -3.0, -0.3), 8.0, -0.6, True),
        ((50.0, 0.0, 0.0), 10.0, 100.0, False),  # such a yaw rate is believed as 1.5 rad/s: 8 sin 0.6 = 4.5
        ((50.0, 0.0, 0.0), 12.0, 100.0, False),
        ((50.0, 0.0, 0.0), 14.0, 100.0, True),
        ((50.0, 0.0, 0.0), 12.0, -100.0, False),
        ((50.0, 0.0, 0.0), 14.0, -100.0, True),
    ],
)
def test_it_is_off_the_route_when_it_is_or_soon_will_be_too_far_away(pose, speed, yaw_rate, off):
    assert off_route(STRAIGHT, pose, speed, yaw_rate, Limits()) is off


def test_where_the_way_ahead_turns_a_car_that_does_not_turn_is_noticed_before_it_is_gone():
    pose = (99.0, 0.0, 0.0)
    assert off_route(CORNER, pose, 10.0, 0.0, Limits())  # 7 m past the corner
    assert not off_route(STRAIGHT, pose, 10.0, 0.0, Limits())
    assert not off_route(CORNER, (93.0, 0.0, math.pi / 3), 10.0, 0.0, Limits())  # to x = 97
    assert off_route(CORNER, (102.5, 20.0, math.pi / 3), 10.0, 0.0, Limits())  # to x = 106.5
    assert not off_route(CORNER, (101.5, 20.0, math.pi / 3), 10.0, 0.0, Limits())  # to x = 105.5


def test_without_a_route_or_a_pose_nothing_is_said():
    assert off_route(None, (0.0, 99.0, 0.0), 10.0, 0.0, Limits()) is False
    assert off_route(STRAIGHT, None, 10.0, 0.0, Limits()) is False


def test_off_the_route_the_gate_stops_softly_and_goes_on_when_it_is_back(gate):
    on, off = (50.0, 1.0, 0.0), (50.0, 9.0, 0.0)
    assert gate.step(route=STRAIGHT, pose=on, acceleration=1.0).reasons == 0
    decision = gate.step(pose=off, acceleration=1.0)
    assert decision.state is State.SOFT_STOP and decision.reasons == Reason.OFF_ROUTE
    assert decision.command.acceleration_mps2 == pytest.approx(-0.5)
    assert gate.step(pose=on, acceleration=1.0).state is State.ACTIVE


def test_a_car_off_its_route_is_not_engaged(fresh_gate):
    assert fresh_gate.step(route=STRAIGHT, pose=(50.0, 9.0, 0.0)).state is State.STOPPED
    assert fresh_gate.step(pose=(50.0, 0.0, 0.0)).state is State.ACTIVE


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_pose_that_is_not_finite_has_not_come(gate, at, bad):
    pose = [50.0, 0.0, 0.0]
    gate.step(route=STRAIGHT, pose=tuple(pose))
    pose[at] = bad
    for _ in range(3):
        assert gate.step(pose=tuple(pose)).state is State.ACTIVE
    decision = gate.step(pose=tuple(pose))
    assert decision.state is State.EMERGENCY and decision.reasons & Reason.ODOM_STALE


def test_the_margin_comes_from_the_limits(gate):
    gate.limits = replace(gate.limits, departure_max_m=2.0, departure_ahead_s=0.0)
    assert gate.step(route=STRAIGHT, pose=(50.0, 1.9, 1.0)).state is State.ACTIVE
    assert gate.step(pose=(50.0, 2.1, 0.0)).state is State.SOFT_STOP
