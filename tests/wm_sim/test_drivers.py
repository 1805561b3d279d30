"""The expert arrives everywhere and keeps the rules; blind drivers do not arrive."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_sim import SimError
from wm_sim.drivers import DRIVERS, make_driver
from wm_sim.drivers.forecast import FAR_M, project
from wm_sim.drivers.pace import stopping
from wm_sim.drivers.roles import lamp
from wm_sim.network.line import line_of_curvature
from wm_sim.observation import EGO_FRONT_X_M
from wm_sim.scenarios import FAMILIES
from wm_sim.scene import LAMP_GREEN, LAMP_RED, LAMP_YELLOW, SIGNAL_SIZE, STOP_S
from wm_sim.world import World, WorldConfig


@pytest.fixture(scope="module")
def world():
    return World(WorldConfig(camera=False, scan=False))


def drive(world, name, family, seed):
    frame, driver = world.reset(family, seed), make_driver(name, 1)
    driver.reset(world)
    frames = [frame]
    while not (frame.terminated or frame.truncated):
        frame = world.step(driver.act(frame))
        frames.append(frame)
    return frames


def happened(frames):
    return [event.type for frame in frames for event in frame.events if event.type != "reset"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_expert_arrives_and_breaks_no_rule(world, family):
    for seed in range(4):
        assert happened(drive(world, "expert", family, seed)) == ["route_done"], (family, seed)


@pytest.mark.parametrize("family", ["lane_follow", "stop_go"])
def test_the_lane_follower_arrives_where_nobody_has_to_be_let_pass(world, family):
    for seed in range(6):
        assert happened(drive(world, "idm", family, seed)) == ["route_done"], (family, seed)


@pytest.mark.parametrize("family", ["lane_follow", "stop_go"])
def test_the_expert_keeps_the_lane_centre_the_limit_and_comfort(world, family):
    for seed in range(6):
        frames = drive(world, "expert", family, seed)[20:]
        assert np.abs([f.truth.lateral_error_m for f in frames]).max() < 0.6
        assert max(f.speed_mps / f.speed_limit_mps for f in frames) < 1.02
        assert np.percentile([f.acceleration_mps2 for f in frames], 2) > -3.5


@pytest.mark.parametrize("name", ["constant", "random"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_driver_that_does_not_look_hardly_ever_arrives(world, name, family):
    ends = [happened(drive(world, name, family, seed)) for seed in range(5)]
    assert ends.count(["route_done"]) <= 1


def test_the_expert_stops_before_a_red_light_and_nowhere_near_beyond_it(world):
    stops = 0
    for seed in range(6):
        for frame in drive(world, "expert", "signal_stop", seed):
            scene = world.scenario.scene
            front = world.scenario.start_s + frame.truth.progress_m + EGO_FRONT_X_M
            to_line = [row[STOP_S] - front for row in scene.signals if row[STOP_S] > front - 1.0]
            shows = [lamp(row, frame.time_s)[0] for row in scene.signals if row[STOP_S] > front - 1.0]
            if shows and shows[0] == LAMP_RED and frame.speed_mps < 0.1 and to_line[0] < 8.0:
                assert 1.0 < to_line[0] < 4.0
                stops += 1
    assert stops > 0


def test_the_expert_swings_around_what_stands_in_its_lane(world):
    for seed in range(3):
        frames = drive(world, "expert", "static_block", seed)
        assert max(abs(f.truth.lateral_error_m) for f in frames) > 0.4


def test_proposals_pass_blocks_that_stop_a_lane_follower(world):
    arrived = {
        name: sum(happened(drive(world, name, "static_block", seed)) == ["route_done"] for seed in range(8))
        for name in ("pdm", "idm")
    }
    assert arrived["pdm"] > arrived["idm"]


@pytest.mark.parametrize("name", DRIVERS)
def test_a_driver_drives_the_same_seed_the_same_way(world, name):
    first, again = (drive(world, name, "stop_go", 3) for _ in range(2))
    assert [f.true_pose for f in first] == [f.true_pose for f in again]


def test_every_named_driver_answers_within_the_action_space(world):
    frame = world.reset("stop_go", 0)
    for name in DRIVERS:
        driver = make_driver(name)
        driver.reset(world)
        action = driver.act(frame)
        assert action.shape == (2,)
        assert action.dtype == np.float32
        assert np.all(np.abs(action) <= 1.0)
    with pytest.raises(SimError, match="expert, idm, pdm, constant, random"):
        make_driver("pilot")


@settings(deadline=None, max_examples=50)
@given(st.floats(5.0, 90.0), st.floats(-6.0, 6.0), st.floats(-3.0, 3.0), st.floats(-0.03, 0.03))
def test_a_point_beside_a_line_is_found_where_it_was_put(s, d, turn, curvature):
    line = line_of_curvature(np.full(201, curvature), 0.7)
    i = round(s / 0.5)
    x, y, yaw = line[i, 0] - d * line[i, 3], line[i, 1] + d * line[i, 2], line[i, 5] + turn
    found = np.empty((2, 3))
    project(line, np.array([[x, y, yaw], [np.nan, 0.0, 0.0]]), found)
    np.testing.assert_allclose(found[0], [i * 0.5, d, turn], atol=0.1)
    assert found[1, 1] == FAR_M


@settings(deadline=None, max_examples=50)
@given(st.floats(0.0, 15.0), st.floats(1.0, 2.0))
def test_the_stopping_law_stops_before_the_place(v, room):
    place = 2.0 + room * v * v / (2.0 * 3.0)
    s = 0.0
    for _ in range(2000):
        a = min(stopping(v, place - s, 6.0), 1.0)
        after = max(0.0, v + 0.05 * a)
        s, v = s + 0.5 * (v + after) * 0.05, after
    assert v == 0.0
    assert place - 1.5 < s < place + 0.3


def test_a_light_goes_through_its_phases():
    signal = np.zeros(SIGNAL_SIZE)
    signal[6:10] = 5.0, 2.0, 3.0, 1.0
    assert [lamp(signal, t)[0] for t in (0.0, 4.5, 6.5, 9.5)] == [LAMP_GREEN, LAMP_YELLOW, LAMP_RED, LAMP_GREEN]
    assert math.isclose(lamp(signal, 4.5)[1], 1.5)
