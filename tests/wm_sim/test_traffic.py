"""Every kind of road user does what scene.py says, and nobody runs into whom it could have seen."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_sim import scene as at
from wm_sim.geometry import boxes_overlap
from wm_sim.observation import EGO_CENTRE_X_M, EGO_FRONT_X_M, EGO_LENGTH_M
from wm_sim.traffic.idm import idm
from wm_sim.vehicle import SPEED, X


@pytest.mark.parametrize(
    ("speed", "desired", "gap", "closing", "expected"),
    [
        (0.0, 20.0, math.inf, 0.0, 1.8),  # a: the whole acceleration
        (10.0, 20.0, math.inf, 0.0, 1.8 * (1.0 - 1.0 / 16.0)),  # a (1 - (v / v0)^4)
        (20.0, 20.0, math.inf, 0.0, 0.0),
        (10.0, 20.0, 33.0, 0.0, 1.8 * (15.0 / 16.0 - 0.25)),  # s* = 2.5 + 14 = 16.5 m, half the gap
        (10.0, 20.0, 53.0, 2.0 * math.sqrt(4.5), 1.8 * (15.0 / 16.0 - 0.25)),  # s* = 2.5 + 14 + 10 = 26.5 m
        (10.0, 20.0, 25.0, -50.0, 1.8 * (15.0 / 16.0 - 0.01)),  # the lead gets away: s* = s0 = 2.5 m
        (15.0, 10.0, math.inf, 0.0, -1.4 * 2.5),  # too fast: eased off, not a (1 - 5.06)
        (20.0, 20.0, 1.0, 20.0, -8.0),  # no more than the tyres hold
    ],
)
def test_idm_is_its_closed_form(speed, desired, gap, closing, expected):
    assert idm(speed, desired, gap, closing, 1.4, 2.5, 1.8, 2.5) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(
    speed=st.floats(0.0, 20.0),
    headways=st.lists(st.floats(1.0, 4.0), min_size=1, max_size=5),
    rate=st.floats(0.5, 8.0),
    low=st.floats(0.0, 8.0),
)
def test_idm_drivers_never_run_into_the_car_ahead(scenes, speed, headways, rate, low):
    made = scenes.builder([scenes.straight(2000.0)])
    script = [(speed, 1.0, 1.0), (low, rate, 4.0), (15.0, 2.0, 5.0)]
    made.add_agent(scenes.road_user(at.SCRIPTED, s=500.0, v=speed, d=10.0), script)
    s = 500.0
    for headway in headways:
        s -= 3.0 + headway * speed + 4.5
        made.add_agent(scenes.road_user(s=s, v=speed, d=10.0, desired=20.0))
    agents, _ = scenes.drive(scenes.world_of(made), 25.0)
    assert np.all(-np.diff(agents[:, :, at.S], axis=1) > 4.5)
    assert agents[:, :, at.V].min() >= 0.0


def test_a_scripted_car_brakes_waits_and_drives_on_as_written(scenes):
    made = scenes.builder()
    made.add_agent(scenes.road_user(at.SCRIPTED, v=10.0, d=10.0), [(10.0, 3.0, 1.0), (0.0, 2.0, 3.0), (6.0, 1.5, 9.0)])
    agents, _ = scenes.drive(scenes.world_of(made), 16.0)
    speed = agents[:, 0, at.V]
    assert 2.9 <= np.count_nonzero(speed == 0.0) * 0.1 <= 3.3
    assert np.diff(speed).min() >= -0.2 - 1e-9
    assert np.diff(speed).max() <= 0.15 + 1e-9
    assert speed[-1] == 6.0


def test_a_driver_brakes_for_the_ego_unless_it_is_blind_to_it(scenes):
    for sees in (1.0, 0.0):
        made = scenes.builder(speed=0.0)
        made.start_s = 200.0
        made.add_agent(scenes.road_user(s=100.0, v=12.0, REACTS_TO_EGO=sees))
        world = scenes.world_of(made)
        scenes.drive(world, 30.0, (0.0, -1.0))
        rear = 200.0 + EGO_CENTRE_X_M - 0.5 * EGO_LENGTH_M
        if sees:
            assert 1.0 < rear - world.cars[0, at.S] - 0.5 * 4.5 < 4.0
            assert world.cars[0, at.V] == 0.0
        else:
            assert world.cars[0, at.S] > 300.0


def test_a_car_holds_its_station_ahead_of_the_ego_then_cuts_in(scenes):
    made = scenes.builder(speed=10.0)
    made.add_agent(
        scenes.road_user(at.STATION, s=scenes.ego_at(12.0), d=3.5, v=10.0, desired=-2.0, TRIGGER_S=3.0,
                         TRIGGER_VALUE=12.0, SHIFT_TO=0.0, SHIFT_RATE=1.4)
    )  # fmt: skip
    world = scenes.world_of(made)
    agents, egos = scenes.drive(world, 8.0, (0.0, 0.2))
    front = egos[:, X] + EGO_FRONT_X_M
    gap = agents[:, 0, at.S] - 2.25 - front
    np.testing.assert_allclose(gap[1:30], 12.0, atol=1e-9)
    assert np.all(agents[:30, 0, at.D] == 3.5)
    left_after = np.flatnonzero(agents[:, 0, at.D] < 3.45)[0] * 0.1
    there_after = np.flatnonzero(agents[:, 0, at.D] < 0.05)[0] * 0.1
    assert left_after == pytest.approx(3.1, abs=0.11)
    assert there_after - left_after == pytest.approx(2.5, abs=0.3)
    assert agents[31:, 0, at.V].min() > 8.0  # follows its wish of 2 m/s less than the ego had
    assert agents[0, 0, at.CYAW] == 0.0
    assert agents[45, 0, at.CYAW] < -0.05  # and turns to do so


@pytest.mark.parametrize(("speed", "body"), [(10.0, at.PEDESTRIAN), (6.0, at.CYCLIST)])
def test_someone_crosses_when_the_ego_is_so_many_seconds_away_and_stands_at_the_end(scenes, speed, body):
    crossing = scenes.straight(12.0, x=120.0, y=-6.0, yaw=0.5 * math.pi)
    made = scenes.builder([scenes.straight(), crossing], speed=speed)
    walker = scenes.road_user(at.CROSSING, s=0.0, v=0.0, path=1, body=body, desired=1.5, LENGTH=0.5, WIDTH=0.5,
                              TRIGGER_S=120.0, TRIGGER_VALUE=3.0)  # fmt: skip
    made.add_agent(walker)
    world = scenes.world_of(made)
    agents, egos = scenes.drive(world, 25.0)
    moving = np.flatnonzero(agents[:, 0, at.V] > 0.0)
    away = (120.0 - egos[moving[0], X] - EGO_FRONT_X_M) / egos[moving[0], SPEED]
    assert away == pytest.approx(3.0, abs=0.15)
    assert agents[:, 0, at.V].max() == pytest.approx(1.5)
    assert agents[-1, 0, at.S] == pytest.approx(12.0)
    assert agents[-1, 0, at.ACTIVE] == 1.0
    assert agents[-1, 0, at.V] == 0.0


def test_a_driver_waits_for_someone_on_foot_in_its_way(scenes):
    made = scenes.builder([scenes.straight(), scenes.straight(8.0, x=150.0, y=-3.0, yaw=0.5 * math.pi)])
    made.start_s = 300.0
    walker = scenes.road_user(at.STANDING, s=3.0, v=0.0, path=1, body=at.PEDESTRIAN, LENGTH=0.5, WIDTH=0.5)
    made.add_agent(walker)
    made.add_agent(scenes.road_user(s=60.0, v=8.0))
    world = scenes.world_of(made)
    scenes.drive(world, 30.0)
    assert 1.0 < 150.0 - world.cars[1, at.S] - 2.25 < 5.0


def test_a_braking_lead_brakes_once_the_ego_is_near_and_not_before_its_time(scenes):
    made = scenes.builder(speed=12.0)
    made.add_agent(
        scenes.road_user(at.BRAKING, s=scenes.ego_at(30.0), v=12.0, TRIGGER_S=2.0, TRIGGER_VALUE=2.0),
        [(0.0, 6.0, 2.0), (10.0, 2.0, 9.0)],
    )
    world = scenes.world_of(made)
    agents, egos = scenes.drive(world, 8.0, (0.0, 0.25))
    gap = agents[:, 0, at.S] - 2.25 - egos[:, X] - EGO_FRONT_X_M
    begins = np.flatnonzero(agents[:, 0, at.A] < -5.0)[0]
    assert begins * 0.1 >= 2.0
    assert (gap / egos[:, SPEED])[begins] < 2.1
    assert np.all((gap / egos[:, SPEED])[20 : begins - 2] > 1.95)
    assert agents[:, 0, at.V].min() == 0.0


def recorded(x, v, missing=0):
    """A track [T, 5] along the x axis; absent in its first `missing` samples."""
    track = np.zeros((len(x), 5))
    track[:, at.TRACK_X], track[:, at.TRACK_Y], track[:, at.TRACK_V] = x, 20.0, v
    track[:, at.TRACK_ALONG] = x
    track[:missing, at.TRACK_X] = np.nan
    return track


def test_a_logged_car_is_where_and_when_it_was_recorded(scenes):
    time = np.arange(60) * 0.1
    made = scenes.builder([scenes.straight(), scenes.straight(y=20.0)])
    track = made.add_track(recorded(50.0 + 8.0 * time, 8.0, missing=10))
    made.add_agent(scenes.road_user(at.LOGGED, s=0.0, v=0.0, path=1, TRACK=track, ACTIVE=0.0))
    world = scenes.world_of(made)
    for step in range(80):
        there = 10 <= step < 60
        assert world.cars[0, at.ACTIVE] == there
        if there:
            assert world.cars[0, at.CX] == pytest.approx(50.0 + 0.8 * step, abs=1e-6)
            assert world.cars[0, at.CY] == 20.0
        world.tick()
        if there and step < 59:
            assert world.cars[0, at.CX] == pytest.approx(50.4 + 0.8 * step, abs=1e-6)
        world.tick()


def test_a_reactive_car_drives_as_recorded_but_stops_for_what_stands_there_now(scenes):
    time = np.arange(200) * 0.1
    for blocked in (False, True):
        made = scenes.builder([scenes.straight(), scenes.straight(y=20.0)])
        speed = np.interp(time, [4.0, 7.0, 9.0, 13.0], [9.0, 3.0, 3.0, 9.0])
        x = 40.0 + np.concatenate([[0.0], np.cumsum(0.05 * (speed[1:] + speed[:-1]))])
        track = made.add_track(recorded(x, speed))
        made.add_agent(scenes.road_user(at.REACTIVE, s=40.0, v=9.0, path=1, TRACK=track))
        if blocked:
            made.add_agent(scenes.road_user(at.STANDING, s=120.0, v=0.0, path=1))
        world = scenes.world_of(made)
        agents, _ = scenes.drive(world, 19.0)
        if blocked:
            assert 0.5 < 120.0 - 4.5 - agents[-1, 0, at.S] < 6.0
            assert agents[-1, 0, at.V] == pytest.approx(0.0, abs=0.05)
        else:
            np.testing.assert_allclose(agents[1:, 0, at.CX], x[1:191], atol=1.6)
            assert agents[80, 0, at.V] == pytest.approx(3.0, abs=0.6)


def three_lanes(scenes, cars, time_s=25.0):
    """Agents [T, K, AGENT_SIZE] of cars [(s, d, v, desired)] on three lanes about d = 0; slow ones keep their lane."""
    made = scenes.builder([scenes.straight(3000.0)])
    for s, d, v, desired in cars:
        lanes = {"LANES_LEFT": 1, "LANES_RIGHT": 1, "LANE_M": 3.5 * (desired > 8.0), "POLITENESS": 0.3}
        made.add_agent(scenes.road_user(s=s, d=d, v=v, desired=desired, **lanes))
    return scenes.drive(scenes.world_of(made), time_s)[0]


def test_a_driver_behind_a_slow_car_changes_to_a_free_lane(scenes):
    agents = three_lanes(scenes, [(560.0, 0.0, 8.0, 8.0), (500.0, 0.0, 16.0, 18.0)])
    assert abs(agents[-1, 1, at.D]) == pytest.approx(3.5, abs=0.05)
    assert agents[-1, 1, at.S] > agents[-1, 0, at.S] + 20.0
    assert abs(agents[-1, 0, at.D]) < 0.01


def test_a_driver_without_anything_to_gain_stays_in_its_lane(scenes):
    agents = three_lanes(scenes, [(600.0, 0.0, 15.0, 15.0), (500.0, 0.0, 14.0, 14.0), (550.0, 3.5, 9.0, 9.0)])
    assert np.all(agents[:, :2, at.D] == 0.0)


@pytest.mark.parametrize(("politeness", "changes"), [(0.0, True), (0.2, True), (0.24, False), (1.0, False)])
def test_a_change_is_made_where_mobil_says_that_it_pays(scenes, politeness, changes):
    # All drive 10 m/s, so that s* = 2.5 + 14 = 16.5 m. The lead 33 m ahead costs 1.8 / 4 = 0.45 m/s². Who is behind on
    # the other lane would lose 0.9: the gain is 0.45 - 0.9 p, more than the 0.25 asked for while p < 0.222.
    back = 16.5 * math.sqrt(1.8 / 0.9)
    made = scenes.builder([scenes.straight(3000.0)])
    made.add_agent(scenes.road_user(s=500.0, v=10.0, desired=20.0, POLITENESS=politeness, LANES_LEFT=1, LANE_M=3.5))
    made.add_agent(scenes.road_user(s=537.5, v=10.0, desired=20.0))
    made.add_agent(scenes.road_user(s=500.0 - 4.5 - back, d=3.5, v=10.0, desired=20.0))
    world = scenes.world_of(made)
    world.step((0.0, 0.0))
    assert (world.cars[0, at.SHIFT_TO] == 3.5) == changes


def test_nobody_changes_into_a_lane_whose_next_driver_would_have_to_brake_hard(scenes):
    # Both lanes beside are full of cars that come up from behind, faster.
    cars = [(530.0, 0.0, 6.0, 6.0), (500.0, 0.0, 10.0, 14.0)]
    cars += [(492.0 - 15.0 * i, side * 3.5, 17.0, 17.0) for i in range(3) for side in (-1, 1)]
    agents = three_lanes(scenes, cars, 2.5)
    assert np.all(agents[:, 1, at.D] == 0.0)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_drivers_who_change_lanes_never_touch(scenes, seed):
    rng = np.random.default_rng(seed)
    cars = [
        (300.0 + 14.0 * i + rng.uniform(0.0, 6.0), 3.5 * lane, v, v * rng.uniform(1.2, 2.0))
        for lane in (-1, 0, 1)
        for i in range(6)
        for v in [rng.uniform(5.0, 8.0)]
    ]
    agents = three_lanes(scenes, cars, 20.0)
    for t in range(0, len(agents), 2):
        rows = agents[t]
        for a in range(len(rows)):
            for b in range(a):
                if abs(rows[a, at.S] - rows[b, at.S]) < 6.0:
                    assert not boxes_overlap(*rows[a, [at.CX, at.CY, at.CYAW, at.LENGTH, at.WIDTH]],
                                             *rows[b, [at.CX, at.CY, at.CYAW, at.LENGTH, at.WIDTH]])  # fmt: skip


def test_a_lane_change_spares_the_ego_beside(scenes):
    made = scenes.builder([scenes.straight(3000.0)], speed=12.0, lateral=3.5)
    made.start_s = 100.0
    lanes = {"LANES_LEFT": 1, "LANES_RIGHT": 0, "LANE_M": 3.5}
    made.add_agent(scenes.road_user(s=100.0, v=12.0, desired=18.0, **lanes))
    made.add_agent(scenes.road_user(s=125.0, v=9.0))
    world = scenes.world_of(made)
    for _ in range(40):
        before = world.cars[0, at.D]
        frame = world.step((0.0, 0.0))
        assert not frame.truth.collided
        beside = abs(world.cars[0, at.S] - frame.true_pose[0] - EGO_CENTRE_X_M) < 5.0
        assert not beside or world.cars[0, at.D] <= before + 1e-9


def crossroads(scenes, way_speed, gap_m, way_path=1, yields_path=2):
    """Two roads that cross at (200, 0): traffic along x has the way, who comes along y yields."""
    paths = [scenes.straight(y=-400.0), scenes.straight(400.0), scenes.straight(400.0, 200.0, -200.0, 0.5 * math.pi)]
    made = scenes.builder(paths)
    made.conflicts = np.array([[yields_path, way_path, 197.5, 202.5, 197.5, 202.5, 195.0]])
    made.add_agent(scenes.road_user(s=200.0 - gap_m, v=way_speed, path=1))
    made.add_agent(scenes.road_user(s=150.0, v=8.0, path=2))
    return scenes.world_of(made)


def test_who_yields_waits_behind_the_line_for_who_comes_and_then_goes(scenes):
    agents, _ = scenes.drive(crossroads(scenes, 8.0, 60.0), 25.0)
    way_through = np.flatnonzero(agents[:, 0, at.S] - 2.25 > 202.5)[0]
    yield_in = np.flatnonzero(agents[:, 1, at.S] + 2.25 > 197.5)[0]
    assert yield_in >= way_through - 1
    assert agents[:way_through, 1, at.S].max() + 2.25 <= 195.0
    assert agents[-1, 1, at.S] > 210.0
    free = scenes.drive(crossroads(scenes, 8.0, 190.0), 12.0)[0]
    assert free[:, 1, at.V].min() > 7.5  # nobody near: no reason to slow down


def test_who_has_the_way_does_not_slow_down_for_who_waits(scenes):
    agents, _ = scenes.drive(crossroads(scenes, 8.0, 60.0), 12.0)
    assert agents[:, 0, at.V].min() > 7.9


@pytest.mark.parametrize("comes", [True, False])
def test_drivers_yield_to_the_ego_where_it_has_the_way(scenes, comes):
    paths = [scenes.straight(), scenes.straight(400.0, 120.0, -200.0, 0.5 * math.pi)]
    made = scenes.builder(paths, speed=8.0 if comes else 0.0)
    made.conflicts = np.array([[1, 0, 197.5, 202.5, 117.5, 122.5, 195.0]])
    made.add_agent(scenes.road_user(s=120.0, v=8.0, path=1))
    world = scenes.world_of(made)
    agents, egos = scenes.drive(world, 16.0, (0.0, 0.05 if comes else -1.0))
    assert not world.worlds.truth_columns()["collided"][0]
    if comes:
        through = np.flatnonzero(egos[:, X] - 1.0 > 122.5)[0]
        assert agents[: through - 1, 0, at.S].max() + 2.25 <= 197.5
    assert agents[-1, 0, at.S] > 200.0


def test_drivers_stop_at_red_run_no_light_and_start_at_green(scenes):
    made = scenes.builder([scenes.straight(y=-300.0), scenes.straight()])
    made.add_signal(1, 200.0, (200.0, 3.0, 3.0), 0.0, (10.0, 3.0, 14.0), 13.0)  # red until 14 s
    made.add_agent(scenes.road_user(s=100.0, v=12.0, path=1))
    made.add_agent(scenes.road_user(s=70.0, v=12.0, path=1))
    agents, _ = scenes.drive(scenes.world_of(made), 60.0)
    front = agents[:, 0, at.S] + 2.25
    assert 194.0 < front[139] < 200.0
    assert agents[139, 0, at.V] < 1.0
    assert front[170] > 200.5
    time = np.arange(len(agents)) * 0.1
    for k in range(2):
        crossed = time[np.flatnonzero(agents[:, k, at.S] + 2.25 > 200.0)[0]]
        assert (crossed + 13.0) % 27.0 < 13.0


def test_a_car_is_gone_at_the_end_of_its_path_and_slows_down_for_curves(scenes):
    made = scenes.builder([scenes.straight(y=-300.0), scenes.straight(150.0)])
    bend = made.paths[1]
    bend[120:180, at.LCURVATURE] = 1.0 / 12.0
    made.add_agent(scenes.road_user(s=20.0, v=14.0, path=1))
    agents, _ = scenes.drive(scenes.world_of(made), 30.0)
    inside = (agents[:, 0, at.S] > 62.0) & (agents[:, 0, at.S] < 88.0)
    assert agents[inside, 0, at.V].max() < 6.5
    assert agents[-1, 0, at.ACTIVE] == 0.0


def test_cars_on_paths_that_share_ground_follow_each_other(scenes):
    made = scenes.builder([scenes.straight(y=-300.0), scenes.straight(), scenes.straight(400.0, x=100.0)])
    table = np.tile(np.array([1.0, -1.0, 0.0]), (3, 3, 1))
    for p, length in enumerate((600.0, 600.0, 400.0)):
        table[p, p] = 0.0, length, 0.0
    table[1, 2], table[2, 1] = (100.0, 500.0, -100.0), (0.0, 400.0, 100.0)
    made.overlaps = table
    made.add_agent(scenes.road_user(s=90.0, v=12.0, path=1))
    made.add_agent(scenes.road_user(s=60.0, v=4.0, path=2))
    agents, _ = scenes.drive(scenes.world_of(made), 30.0)
    gap = agents[:, 1, at.S] + 100.0 - agents[:, 0, at.S] - 4.5
    assert gap.min() > 2.0
    assert agents[-1, 0, at.V] == pytest.approx(4.0, abs=0.2)


@settings(max_examples=200, deadline=None)
@given(
    x=st.floats(-6, 6), y=st.floats(-6, 6), yaw_a=st.floats(-4, 4), yaw_b=st.floats(-4, 4), length=st.floats(3.0, 9.0)
)
def test_boxes_overlap_exactly_when_some_point_lies_in_both(x, y, yaw_a, yaw_b, length):
    def inside(px, py, cx, cy, yaw, long, wide, slack):
        dx, dy = px - cx, py - cy
        along, across = dx * math.cos(yaw) + dy * math.sin(yaw), dy * math.cos(yaw) - dx * math.sin(yaw)
        return (np.abs(along) <= long / 2 + slack) & (np.abs(across) <= wide / 2 + slack)

    u, v = np.meshgrid(np.linspace(-0.5, 0.5, 120), np.linspace(-0.5, 0.5, 60))
    px = u * length * math.cos(yaw_a) - v * 2.0 * math.sin(yaw_a)
    py = u * length * math.sin(yaw_a) + v * 2.0 * math.cos(yaw_a)
    touching = boxes_overlap(0.0, 0.0, yaw_a, length, 2.0, x, y, yaw_b, 4.5, 1.8)
    if inside(px, py, x, y, yaw_b, 4.5, 1.8, 0.0).any():
        assert touching
    if touching:
        assert inside(px, py, x, y, yaw_b, 4.5, 1.8, 0.08).any()
