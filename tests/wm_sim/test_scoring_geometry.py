"""Time to collision, place in the lane and class of a collision, against scenes worked out by hand."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from wm_sim import scene, vehicle
from wm_sim.observation import EGO_CENTRE_X_M, EGO_FRONT_X_M, EGO_LENGTH_M, EGO_WIDTH_M
from wm_sim.scoring.contact import classify, struck, told_contact
from wm_sim.scoring.lane import lane_position
from wm_sim.scoring.sample import look_around
from wm_sim.scoring.ttc import time_to_collision

LANE = 3.6


def ego_at(x: float = 0.0, y: float = 0.0, yaw: float = 0.0, speed: float = 10.0) -> NDArray[np.float64]:
    ego = np.zeros(vehicle.EGO_STATE_SIZE)
    ego[[vehicle.X, vehicle.Y, vehicle.YAW, vehicle.SPEED]] = x, y, yaw, speed
    return ego


def agent(x: float, y: float = 0.0, yaw: float = 0.0, speed: float = 0.0, **columns: float) -> NDArray[np.float64]:
    """A car of 4 x 2 m whose middle is at (x, y)."""
    row = np.zeros(scene.AGENT_SIZE)
    row[[scene.CX, scene.CY, scene.CYAW, scene.V]] = x, y, yaw, speed
    row[[scene.LENGTH, scene.WIDTH, scene.ACTIVE]] = 4.0, 2.0, 1.0
    for name, value in columns.items():
        row[getattr(scene, name)] = value
    return row


def straight(left: float = 0.5 * LANE, right: float = 0.5 * LANE, oncoming: float = 0.0) -> NDArray[np.float64]:
    """A path along x of 100 m."""
    path = np.zeros((201, scene.PATH_SIZE))
    path[:, scene.LX], path[:, scene.LCOS] = 0.5 * np.arange(201), 1.0
    path[:, scene.LEFT_M], path[:, scene.RIGHT_M] = left, right
    path[:, scene.LANE_WIDTH_M], path[:, scene.ONCOMING_LEFT] = LANE, oncoming
    return path


def ttc(ego: NDArray[np.float64], *agents: NDArray[np.float64], beside: bool = False) -> float:
    return float(time_to_collision(ego, np.array(agents).reshape(-1, scene.AGENT_SIZE), beside))


def test_a_standing_car_15_m_ahead_is_hit_after_1_5_s_at_10_mps() -> None:
    # Its rear is 15 m from our front bumper; at 1.5 s the boxes touch.
    assert ttc(ego_at(), agent(EGO_FRONT_X_M + 15.0 - 1e-6 + 2.0)) == pytest.approx(1.5)
    assert ttc(ego_at(), agent(EGO_FRONT_X_M + 15.2 + 2.0)) == pytest.approx(1.6)  # steps of 0.1 s


def test_nothing_beyond_3_s_nothing_that_drives_away_and_nothing_for_a_standing_ego() -> None:
    assert ttc(ego_at(), agent(EGO_FRONT_X_M + 31.0 + 2.0)) == math.inf
    assert ttc(ego_at(), agent(20.0, speed=10.0)) == math.inf
    assert ttc(ego_at(speed=0.0), agent(20.0, yaw=math.pi, speed=10.0)) == math.inf
    assert ttc(ego_at(), agent(20.0, ACTIVE=0.0)) == math.inf
    assert ttc(ego_at()) == math.inf


def test_an_oncoming_car_closes_at_the_sum_of_the_speeds() -> None:
    assert ttc(ego_at(), agent(EGO_FRONT_X_M + 20.0 - 1e-6 + 2.0, yaw=math.pi, speed=10.0)) == pytest.approx(1.0)


def test_a_car_beside_counts_only_while_the_ego_is_between_lanes_and_one_behind_never() -> None:
    swerving = agent(EGO_CENTRE_X_M, 4.0, yaw=-math.pi / 4, speed=14.0)
    assert ttc(ego_at(), swerving) == math.inf
    assert ttc(ego_at(), swerving, beside=True) < 0.5
    chasing = agent(-8.0, 0.0, speed=20.0)
    assert ttc(ego_at(), chasing, beside=True) == math.inf


@given(st.floats(-math.pi, math.pi), st.floats(-50, 50), st.floats(-50, 50), st.floats(1, 25), st.floats(6, 60))
def test_the_time_does_not_depend_on_where_the_scene_lies(
    turn: float, x: float, y: float, speed: float, gap: float
) -> None:
    there = ttc(ego_at(x, y, turn, speed), agent(x + gap * math.cos(turn), y + gap * math.sin(turn), turn))
    here = ttc(ego_at(speed=speed), agent(gap))
    assert there == here or abs(there - here) <= 0.1 + 1e-9  # a touch within rounding of a step falls on either side


def test_a_car_in_the_middle_of_its_lane_is_on_the_road_and_in_one_lane() -> None:
    assert lane_position(ego_at(50.0), straight(), 100) == (0.0, 0.0, True, False)


def test_a_corner_is_out_by_half_the_width_and_the_offset_less_half_the_lane() -> None:
    out, middle_out, in_lane, oncoming = lane_position(ego_at(50.0, -1.2), straight(), 100)
    assert out == pytest.approx(1.2 + 0.5 * EGO_WIDTH_M - 0.5 * LANE)
    assert (middle_out, in_lane, oncoming) == (0.0, False, False)


def test_a_turned_car_has_its_front_corner_out() -> None:
    yaw = math.radians(-30.0)
    out = lane_position(ego_at(50.0, 0.0, yaw), straight(), 100)[0]
    corner = -EGO_FRONT_X_M * math.sin(yaw) + 0.5 * EGO_WIDTH_M * math.cos(yaw)
    assert out == pytest.approx(corner - 0.5 * LANE)


def test_the_oncoming_lane_is_road_but_the_wrong_one() -> None:
    half_over = lane_position(ego_at(50.0, 1.7), straight(oncoming=1.0), 100)
    assert half_over == (0.0, 0.0, False, False)
    whole = lane_position(ego_at(50.0, LANE), straight(oncoming=1.0), 100)
    assert whole[0] == 0.0 and whole[1] == 0.0 and whole[3]


def test_a_neighbouring_lane_of_ones_own_direction_is_a_lane_like_any_other() -> None:
    wide = straight(left=1.5 * LANE)
    assert lane_position(ego_at(50.0, LANE), wide, 100) == (0.0, 0.0, True, False)
    assert not lane_position(ego_at(50.0, 0.5 * LANE), wide, 100)[2]


@pytest.mark.parametrize(
    ("ego", "other", "kind", "at_fault"),
    [
        (ego_at(speed=0.0), agent(-4.0, speed=5.0), "stopped_ego", False),
        (ego_at(), agent(EGO_FRONT_X_M + 1.9), "stopped_track", True),
        (ego_at(), agent(EGO_FRONT_X_M + 1.9, speed=5.0), "active_front", True),
        (ego_at(), agent(EGO_FRONT_X_M - EGO_LENGTH_M - 1.9, speed=15.0), "active_rear", False),
        (ego_at(), agent(EGO_CENTRE_X_M - 0.5, 1.8, speed=12.0), "active_lateral", True),
    ],
)
def test_a_collision_gets_the_first_of_nuplans_classes_that_fits(
    ego: NDArray[np.float64], other: NDArray[np.float64], kind: str, at_fault: bool
) -> None:
    contact = classify(ego, other, in_lane=False)
    assert (contact.kind, contact.at_fault, contact.body) == (kind, at_fault, "car")


def test_being_hit_sideways_inside_ones_own_lane_is_the_others_fault() -> None:
    other = agent(EGO_CENTRE_X_M - 0.5, 1.8, speed=12.0, BODY=scene.CYCLIST)
    contact = classify(ego_at(), other, in_lane=True)
    assert contact.kind == "active_lateral" and not contact.at_fault and contact.body == "cyclist"


def test_an_events_detail_tells_what_was_hit_and_on_which_side() -> None:
    assert struck("pedestrian 3 at 4.2 m/s, left") == 3 and struck("car 12 at 5.0 m/s") == 12 and struck("") == -1
    assert told_contact("pedestrian 3 at 4.2 m/s, front", 5.0, 0.0, 4.0).kind == "active_front"
    assert told_contact("pedestrian 3 at 4.2 m/s, front", 5.0, 0.0, 4.0).body == "pedestrian"
    assert told_contact("car 1 at 4.2 m/s, rear", 5.0, 60.0, 0.0).kind == "active_rear"
    assert not told_contact("car 1 at 4.2 m/s, rear", 5.0, 60.0, 0.0).at_fault
    assert told_contact("car 1 at 4.2 m/s, left", 5.0, 0.0, 0.0).kind == "active_lateral"
    assert told_contact("barrier 0 at 4.2 m/s, right", 5.0, 60.0, 0.0).kind == "stopped_track"
    assert told_contact("car 0 at 5.0 m/s, front", 5.0, 0.0, 5.0).kind == "stopped_track"


def seen(ego: NDArray[np.float64], *agents: NDArray[np.float64]) -> Any:
    """What is seen on a straight road with an oncoming lane, the ego near 50 m."""
    path = straight(left=1.5 * LANE, oncoming=1.0)
    rows = np.array(agents).reshape(-1, scene.AGENT_SIZE)
    stage = SimpleNamespace(paths=path, first=np.array([0, len(path)]))
    world: Any = SimpleNamespace(ego=ego, cars=rows, scenario=SimpleNamespace(scene=stage), road_index=100)
    return look_around(world)[0]


def test_traffic_is_the_cars_that_drive_freely_the_same_way() -> None:
    ego = ego_at(50.0)
    others = [
        agent(70.0, speed=8.0, KIND=scene.IDM),
        agent(90.0, speed=12.0, KIND=scene.LOGGED),
        agent(80.0, LANE, yaw=math.pi, speed=20.0, KIND=scene.IDM),  # oncoming
        agent(60.0, 9.0, yaw=math.pi / 2, speed=20.0, KIND=scene.IDM),  # crossing
        agent(75.0, speed=20.0, KIND=scene.SCRIPTED),  # the scenario's actor
        agent(75.0, 3.0, speed=20.0, KIND=scene.IDM, BODY=scene.CYCLIST),
        agent(85.0, speed=20.0, KIND=scene.IDM, ACTIVE=0.0),
    ]
    assert seen(ego, *others).traffic_mps == pytest.approx(10.0)
    assert seen(ego, *others[2:]).traffic_mps is None


def test_the_oncoming_lane_is_excused_only_past_something_that_stands_in_the_own_lane() -> None:
    ego = ego_at(50.0, LANE)
    assert seen(ego).oncoming and seen(ego).off_lane
    blocking = agent(70.0, KIND=scene.STANDING)
    assert not seen(ego, blocking).oncoming and not seen(ego, blocking).off_lane
    parked = agent(70.0, -4.0, KIND=scene.STANDING, D=-4.0)
    assert seen(ego, parked).oncoming
    far = agent(95.0, KIND=scene.STANDING)
    assert seen(ego, far).oncoming
    assert seen(ego, agent(70.0, KIND=scene.IDM)).oncoming


def test_off_lane_begins_half_a_metre_beyond_the_lanes() -> None:
    assert not seen(ego_at(50.0, -0.5 * LANE - 0.49)).off_lane
    assert seen(ego_at(50.0, -0.5 * LANE - 0.51)).off_lane
