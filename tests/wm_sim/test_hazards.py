"""What the truth tells of hazards: red lights and who crosses, as far as the reward fears them."""

import math

import numpy as np
import pytest

from wm_sim import scene as at
from wm_sim.observation import EGO_CENTRE_X_M, EGO_FRONT_X_M
from wm_sim.reward import crossing_danger, red_light_danger


def test_the_truth_tells_how_far_the_next_red_light_of_the_route_is(scenes):
    made = scenes.builder(speed=10.0)
    line_m = 20.0 + EGO_FRONT_X_M + 30.0  # of the first stop line: 30 m ahead of the bumper
    for stop_s, offset in ((line_m - 15.0, 0.0), (line_m, 12.0), (line_m + 10.0, 12.0)):  # green, red, red
        made.add_signal(0, stop_s, (stop_s, 3.0, 3.0), 0.0, (10.0, 2.0, 30.0), offset)
    world = scenes.world_of(made)
    assert world.sense().truth.red_light_gap_m == pytest.approx(30.0)
    frame = world.step((0.0, 0.0))
    gone = frame.truth.progress_m
    assert gone > 0.5 and frame.truth.red_light_gap_m == pytest.approx(30.0 - gone)


@pytest.mark.parametrize("path, ahead_m, offset", [(0, 30.0, 0.0), (0, 80.0, 12.0), (0, -10.0, 12.0), (1, 30.0, 12.0)])
def test_a_light_that_is_green_far_passed_or_of_another_way_is_none_to_the_truth(scenes, path, ahead_m, offset):
    made = scenes.builder([scenes.straight(), scenes.straight(y=10.0)], speed=10.0)
    stop_s = 20.0 + EGO_FRONT_X_M + ahead_m
    made.add_signal(path, stop_s, (stop_s, 3.0, 3.0), 0.0, (10.0, 2.0, 30.0), offset)
    assert scenes.world_of(made).sense().truth.red_light_gap_m == 60.0


def test_the_truth_tells_in_how_many_seconds_somebody_crosses(scenes):
    across = scenes.straight(120.0, x=50.0, y=-40.0, yaw=0.5 * np.pi)
    meeting = (50.0 - 20.0 - EGO_CENTRE_X_M) / 10.0  # s until the middle of the ego is where the paths cross
    for v, expected in ((10.0, meeting), (0.0, 6.0)):
        made = scenes.builder([scenes.straight(), across], speed=10.0)
        made.add_agent(scenes.road_user(at.STANDING if v == 0.0 else at.IDM, s=40.0 - 10.0 * meeting, v=v, path=1))
        world = scenes.world_of(made)
        assert world.sense().truth.crossing_time_s == pytest.approx(expected, abs=1e-3)
        assert world.sense().truth.red_light_gap_m == 60.0
    empty = scenes.world_of(scenes.builder(speed=10.0)).sense().truth
    assert empty.crossing_time_s == 6.0


@pytest.mark.parametrize("hazard", ["red light", "crossing"])
def test_the_reward_loses_what_the_hazard_of_the_truth_is_worth(scenes, hazard):
    def frames(with_it):
        across = scenes.straight(120.0, x=50.0, y=-40.0, yaw=0.5 * np.pi)
        made = scenes.builder([scenes.straight(), across], speed=10.0)
        if with_it and hazard == "red light":
            made.add_signal(0, 55.0, (55.0, 3.0, 3.0), 0.0, (10.0, 2.0, 30.0), 12.0)
        elif with_it:
            made.add_agent(scenes.road_user(at.IDM, s=11.0, v=10.0, path=1, desired=10.0))
        world = scenes.world_of(made)
        return [world.step((0.0, 0.0)) for _ in range(25)]

    seen = 0
    for feared, calm in zip(frames(True), frames(False), strict=True):
        truth, speed = feared.truth, feared.speed_mps
        if feared.terminated or truth.gap_ahead_m < 60.0:  # the one who crosses is ahead now: that counts too
            break
        danger = max(red_light_danger(speed, truth.red_light_gap_m), crossing_danger(speed, truth.crossing_time_s))
        assert calm.truth.reward - truth.reward == pytest.approx(1.5 * danger)
        seen += danger > 0.0
    assert seen > 3
    assert math.isclose(calm.truth.red_light_gap_m, 60.0) and calm.truth.crossing_time_s == 6.0
