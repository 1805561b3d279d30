"""A standing car turns its wheels to where the gate lets it start."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_planner.gated import LockstepGate
from wm_planner.planner import PREVIOUS, SPEED, Planner, PlannerConfig
from wm_planner.pull_away import ANGLES, WALKING_MPS, may_pull_away, steering_to_start
from wm_planner.safety import Limits
from wm_planner.safety.types import Source
from wm_sim.action import STEER_MAX_RAD
from wm_sim.observation import SCAN_SIZE, STATE_NAMES

LIMITS = Limits()
STEERING = STATE_NAMES.index("steering_angle_rad")
SECTOR_DEG = 360.0 / SCAN_SIZE


def scan_of(*things):
    """A scan that sees nothing but things of (bearing in degrees, left positive; range in m)."""
    scan = np.full(SCAN_SIZE, 60.0, np.float32)
    for bearing, range_m in things:
        sector = int((bearing + 180.0) / SECTOR_DEG) % SCAN_SIZE
        scan[sector] = min(scan[sector], range_m)
    return scan


def corner_on_the_right():
    """What stands just before the right front of the car, as beside a parked car."""
    return scan_of(*((bearing, 2.4) for bearing in np.arange(-42.5, -30.0, SECTOR_DEG)))


def gate_lets_start(scan, steering):
    """Whether the gate lets a car start that stands with its wheels at `steering`, action units."""
    state = np.zeros(15, np.float32)
    state[STEERING] = steering * STEER_MAX_RAD
    gate = LockstepGate(LIMITS)
    for _ in range(3):
        wheel = np.full(12, steering * STEER_MAX_RAD, np.float32)
        gate.action(wheel, np.full(12, 0.5, np.float32), state, scan)
    return gate.last_decision.command.source is Source.PLAN


def test_on_a_free_road_nothing_changes():
    assert all(steering_to_start(scan_of(), wanted, 2.0, 0.0, LIMITS) is None for wanted in ANGLES)


def test_beside_a_parked_car_it_turns_away_from_it():
    scan = corner_on_the_right()
    assert not gate_lets_start(scan, -0.6)
    low, high = steering_to_start(scan, -0.6, 2.0, 0.0, LIMITS)
    assert -0.6 < low < high == 1.0
    assert gate_lets_start(scan, low)


def test_nothing_changes_where_it_would_take_more_than_the_turn_allowed():
    assert steering_to_start(corner_on_the_right(), -0.6, 0.05, 0.0, LIMITS) is None


def test_nothing_changes_where_no_way_is_free():
    wall = scan_of(*((bearing, 2.5) for bearing in np.arange(-77.5, 80.0, SECTOR_DEG)))
    assert steering_to_start(wall, 0.0, 2.0, 0.0, LIMITS) is None


@given(
    things=st.lists(st.tuples(st.floats(-80.0, 80.0), st.floats(0.3, 8.0)), min_size=1, max_size=12),
    wanted=st.floats(-1.0, 1.0),
)
@settings(max_examples=150, deadline=None)
def test_along_every_way_that_it_names_the_gate_lets_a_standing_car_start(things, wanted):
    scan = scan_of(*things)
    within = steering_to_start(scan, wanted, 2.0, 0.0, LIMITS)
    if within is None:
        return
    low, high = within
    assert not low <= ANGLES[np.argmin(np.abs(ANGLES - wanted))] <= high
    for steering in np.linspace(low, high, 9):
        assert gate_lets_start(scan, float(steering))


@pytest.mark.parametrize(
    ("speed_mps", "may"), [(0.0, True), (WALKING_MPS - 0.01, True), (WALKING_MPS, False), (math.nan, False)]
)
def test_only_a_car_that_hardly_moves_is_told(speed_mps, may):
    assert may_pull_away(speed_mps) is may


@pytest.fixture
def steering_of(lane_engine, car):
    """Where the first plan of a standing car steers to in the end, whose policy wants right, with a throttle."""

    def plan(accel=0.4, scan=None, speed_mps=0.0, **settings):
        lane_engine.propose = lambda belief: np.tile(np.array([-0.6, accel], np.float32), (8, 12, 1))
        state = np.zeros(15, np.float32)
        state[SPEED], state[PREVIOUS] = speed_mps, -0.6
        planner = Planner(lane_engine, PlannerConfig(solver="policy", **settings))
        return planner.plan_from(car(), state, scan=scan).actions[-1, 0]

    return plan


def test_the_plan_of_a_standing_car_turns_the_wheels_clear_before_it_goes(steering_of):
    scan = corner_on_the_right()
    assert steering_of() == pytest.approx(-0.6)
    low, _ = steering_to_start(scan, -0.6, 0.8, 0.0, LIMITS)
    assert steering_of(scan=scan) == pytest.approx(low, abs=1e-6)


def test_a_car_that_waits_or_drives_or_was_told_not_to_keeps_its_steering(steering_of):
    scan = corner_on_the_right()
    assert steering_of(accel=-0.2, scan=scan) == pytest.approx(-0.6)
    assert steering_of(scan=scan, pull_away_turn=0.0) == pytest.approx(-0.6)
    assert steering_of(scan=scan, speed_mps=2.0) == pytest.approx(-0.6)


def test_a_scan_without_a_single_number_changes_nothing(steering_of):
    assert steering_of(scan=np.full(SCAN_SIZE, np.nan, np.float32)) == pytest.approx(-0.6)
