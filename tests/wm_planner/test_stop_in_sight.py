"""With stop_in_sight a plan can stop before what the scan shows, whatever the model believes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_planner.planner import Planner, PlannerConfig
from wm_planner.pull_away import WALKING_MPS
from wm_planner.safety import Limits
from wm_planner.stop_in_sight import ANGLES, BrakingAsked, PathAhead
from wm_sim.observation import SCAN_SIZE, STEP_S

LIMITS = Limits()
STRAIGHT = ANGLES.size // 2
BUMPER_M = LIMITS.front_bumper_m
STILL = np.zeros(2, np.float32)
STRAIGHT_ROUTE = np.array([[10, 0], [20, 0], [40, 0], [80, 0]], np.float32)


@pytest.fixture
def asked(scan_of, box):
    """What is asked along ANGLES [41] after some scans on the way at `speed_mps`, `gap_m` before a thing at rest."""

    def ask(gap_m=60.0, speed_mps=10.0, left_m=0.0, thing_mps=0.0, frames=4, route=STRAIGHT_ROUTE) -> np.ndarray:
        path = PathAhead(LIMITS)
        for step in range(frames):
            still_m = (frames - 1 - step) * STEP_S * (speed_mps - thing_mps)
            scan = scan_of([box(BUMPER_M + gap_m + still_m, left_m)])
            found = path.asks(scan, speed_mps, 0.0, STILL, route)
        assert found is not None
        return found.along_mps2

    return ask


def physical(acceleration_mps2, steering_rad=0.0) -> np.ndarray:
    """One plan that does the same all the while, [2, 1, 12]."""
    return np.array([[[steering_rad] * 12], [[acceleration_mps2] * 12]], np.float32)


def test_an_empty_road_asks_for_nothing(scan_of):
    found = PathAhead(LIMITS).asks(scan_of([]), 15.0, 0.0, STILL, STRAIGHT_ROUTE)
    assert not found.along_mps2.any()
    assert found.risk(physical(3.0)) == 0.0


def test_what_stands_ahead_asks_for_more_the_nearer_it_is(asked):
    straight = [asked(gap_m)[STRAIGHT] for gap_m in (50.0, 15.5, 13.0, 9.0)]
    assert straight[0] == 0.0
    assert np.all(np.diff(straight) > 0.0)


def test_before_it_a_plan_that_brakes_is_feasible_and_one_that_goes_on_is_not(asked):
    found = BrakingAsked(asked(14.0))
    assert found.risk(physical(0.0))[0] > 1.0
    assert found.risk(physical(-6.0))[0] <= 1.0


def test_a_car_that_drives_ahead_with_room_asks_for_nothing_that_cannot_wait(asked):
    assert BrakingAsked(asked(15.0, thing_mps=10.0)).risk(physical(0.0))[0] <= 1.0


def test_what_stands_beside_the_road_asks_only_those_who_steer_at_it(asked):
    along = asked(4.0, speed_mps=5.0, left_m=2.4)
    assert along[STRAIGHT] == 0.0
    assert along.max() > 1.5
    assert ANGLES[np.argmax(along)] > 0.2


def test_a_slow_car_may_steer_round_what_stands_in_its_lane(asked):
    along = asked(3.0, speed_mps=4.0, left_m=-1.0)
    assert along[-1] == 0.0 < along[STRAIGHT]


def test_turning_away_from_the_policys_way_is_no_substitute_for_the_braking_asked_along_it(asked):
    along, ahead = asked(3.0, speed_mps=4.0, left_m=-1.0), np.zeros((12, 2), np.float32)
    found = BrakingAsked(along).at_least_along(ahead)
    assert BrakingAsked(along).risk(physical(0.0, 0.6))[0] == 0.0
    assert found.risk(physical(0.0, 0.6))[0] == found.risk(physical(0.0))[0] > 1.0


def test_who_follows_a_policy_that_steers_clear_is_asked_for_nothing(asked):
    along, left = asked(3.0, speed_mps=4.0, left_m=-1.0), np.tile(np.array([1.0, 0.0], np.float32), (12, 1))
    found = BrakingAsked(along).at_least_along(left)
    assert found.risk(physical(0.0, 0.6))[0] == 0.0 < found.risk(physical(0.0))[0]


def test_a_fast_car_brakes_for_what_stands_on_the_road_wherever_it_steers(asked):
    assert asked(10.0, speed_mps=10.0).min() > 1.5


def test_far_away_the_bend_of_the_road_tells_what_is_in_the_way(scan_of, box):
    bend = np.array([[10, 0.5], [20, 2], [40, 8], [80, 30]], np.float32)  # to the left, of 100 m radius

    def least(route) -> float:
        path, speed_mps = PathAhead(LIMITS), 14.0
        for x in BUMPER_M + 20.0 + speed_mps * STEP_S * np.arange(3, -1, -1):
            found = path.asks(scan_of([box(x, 4.0)]), speed_mps, 0.0, STILL, route)
        return float(found.along_mps2.min())

    assert least(bend) > 1.5
    assert least(STRAIGHT_ROUTE) == 0.0


@pytest.mark.parametrize("route", [None, np.full((4, 2), np.nan, np.float32)], ids=["none", "not finite"])
def test_without_a_route_the_road_goes_on_as_the_car_does(asked, route):
    assert np.array_equal(asked(13.0, route=route), asked(13.0))


def test_somebody_who_walks_into_the_way_is_braked_for(scan_of, box):
    path, speed_mps = PathAhead(LIMITS), 8.0
    for step in range(15):
        walker = box(BUMPER_M + 24.0 - speed_mps * STEP_S * step, -5.0 + 1.8 * STEP_S * step, length=0.5, width=0.6)
        found = path.asks(scan_of([walker]), speed_mps, 0.0, STILL, STRAIGHT_ROUTE)
    assert found.along_mps2.min() > 1.5


def test_at_walking_pace_nothing_is_asked(scan_of, box):
    wall = scan_of([box(BUMPER_M + 1.0, 0.0)])
    assert PathAhead(LIMITS).asks(wall, WALKING_MPS - 0.01, 0.0, STILL, STRAIGHT_ROUTE) is None


def test_a_scan_without_a_single_number_asks_for_nothing():
    found = PathAhead(LIMITS).asks(np.full(SCAN_SIZE, np.nan, np.float32), 10.0, 0.0, STILL, None)
    assert not found.along_mps2.any()


@given(
    along=st.lists(st.floats(0.0, 200.0), min_size=ANGLES.size, max_size=ANGLES.size),
    steering=st.floats(-0.6, 0.6),
    braking=st.lists(st.floats(0.0, 6.0), min_size=2, max_size=2),
)
@settings(max_examples=100, deadline=None)
def test_who_brakes_harder_is_never_at_more_risk(along, steering, braking):
    found = BrakingAsked(np.array(along))
    less, more = (found.risk(physical(-b, steering))[0] for b in sorted(braking))
    assert 0.0 <= more <= less < np.inf


@pytest.fixture
def gap_left(lane_engine, car, scan_of, box):
    """How far, m, before a wall 40 m ahead a planner ends up whose model sees nothing, in six seconds from 10 m/s."""

    def run(**settings) -> float:
        planner, action = Planner(lane_engine, PlannerConfig(**settings)), STILL
        gap_m, speed_mps = 40.0, 10.0
        for _ in range(60):
            state = np.zeros(15, np.float32)
            state[0], state[4:6], state[7:] = speed_mps, action, STRAIGHT_ROUTE.ravel()
            scan = scan_of([box(BUMPER_M + gap_m, 0.0, width=12.0)])
            plan = planner.plan_from(car(speed=speed_mps, lead=speed_mps), state, scan=scan)
            action, slower_mps = plan.actions[0], speed_mps
            speed_mps = float(plan.speed[0])
            gap_m -= 0.5 * (slower_mps + speed_mps) * STEP_S
            if gap_m <= 0.0:
                break
        return gap_m

    return run


def test_the_planner_stops_before_what_only_the_scan_sees(gap_left):
    assert gap_left(stop_in_sight=False) <= 0.0
    assert 0.0 < gap_left() < 10.0


def test_it_brakes_on_the_policys_way_instead_of_swerving_into_what_looks_free(lane_engine, car, scan_of, box):
    state = np.zeros(15, np.float32)
    state[0], state[7:] = 5.0, STRAIGHT_ROUTE.ravel()
    planner = Planner(lane_engine, PlannerConfig())
    for gap_m in (6.0, 5.5, 5.0):
        plan = planner.plan_from(car(speed=5.0), state, scan=scan_of([box(BUMPER_M + gap_m, -0.8)]))
    assert plan.acceleration[0] < -3.0
    assert np.abs(plan.steering_angle[:4]).mean() < 0.05


def test_switched_on_while_driving_it_holds_from_the_next_plan_on(lane_engine, car, scan_of, box):
    state = np.zeros(15, np.float32)
    state[0], state[7:] = 10.0, STRAIGHT_ROUTE.ravel()
    planner, scan = Planner(lane_engine, PlannerConfig(stop_in_sight=False)), scan_of([box(BUMPER_M + 9.0, 0.0)])
    assert planner.plan_from(car(), state, scan=scan).acceleration[0] > -1.0
    planner.reconfigure(PlannerConfig())
    assert planner.plan_from(car(), state, scan=scan).acceleration[0] < -4.0
    assert planner.plan_from(car(), state).acceleration[0] > -6.0  # without a scan the model is on its own
