"""The expert arrives, the constant driver does not."""

import numpy as np
import pytest

from wm_sim import SimError
from wm_sim.drivers import DRIVERS, make_driver
from wm_sim.world import World, WorldConfig


@pytest.fixture(scope="module")
def world():
    return World(WorldConfig(camera=False, scan=False))


def drive(world, driver, family, seed):
    frame = world.reset(family, seed)
    driver.reset(world)
    frames = [frame]
    while not (frame.terminated or frame.truncated):
        frame = world.step(driver.act(frame))
        frames.append(frame)
    return frames


@pytest.mark.parametrize("name", ["expert", "idm"])
@pytest.mark.parametrize("family", ["lane_follow", "stop_go"])
def test_a_careful_driver_reaches_the_end(world, name, family):
    for seed in range(12):
        last = drive(world, make_driver(name), family, seed)[-1]
        assert last.events[-1].type == "route_done", (family, seed, last.events)


@pytest.mark.parametrize("family", ["lane_follow", "stop_go"])
def test_the_expert_keeps_the_lane_centre_the_limit_and_comfort(world, family):
    for seed in range(6):
        frames = drive(world, make_driver("expert"), family, seed)[20:]
        assert np.abs([f.truth.lateral_error_m for f in frames]).max() < 0.6
        assert max(f.speed_mps / f.speed_limit_mps for f in frames) < 1.02
        assert np.percentile([f.acceleration_mps2 for f in frames], 2) > -3.5


@pytest.mark.parametrize("name", ["constant", "random"])
@pytest.mark.parametrize("family", ["lane_follow", "stop_go"])
def test_a_driver_that_does_not_look_never_arrives(world, name, family):
    ends = [drive(world, make_driver(name, 1), family, seed)[-1].events[-1].type for seed in range(12)]
    assert "route_done" not in ends


def test_the_random_driver_repeats_with_its_seed(world):
    frame = world.reset("lane_follow", 0)
    first, second = make_driver("random", 3), make_driver("random", 3)
    first.reset(world), second.reset(world)
    np.testing.assert_array_equal(first.act(frame), second.act(frame))


def test_every_named_driver_answers_within_the_action_space(world):
    frame = world.reset("stop_go", 0)
    for name in DRIVERS:
        driver = make_driver(name)
        driver.reset(world)
        action = driver.act(frame)
        assert action.shape == (2,)
        assert action.dtype == np.float32
        assert np.all(np.abs(action) <= 1.0)
    with pytest.raises(SimError, match="expert, idm, constant, random"):
        make_driver("pilot")
