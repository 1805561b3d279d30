"""The world repeats exactly, ends episodes for the right reason, and tells the observation no truth."""

import dataclasses
import hashlib
import subprocess
import sys

import numpy as np
import pytest

from wm_sim import SimError
from wm_sim.action import to_physical
from wm_sim.drivers import make_driver
from wm_sim.observation import LIDAR_X_M, STATE_NAMES, route_ahead
from wm_sim.scenarios import FAMILIES
from wm_sim.world import World, WorldConfig

FINGERPRINT = """
import hashlib, sys
import numpy as np
from wm_sim.world import World
world, digest = World(), hashlib.sha256()
for family in ("lane_follow", "junction"):
    frame = world.reset(family, 11)
    rng = np.random.default_rng(3)
    for _ in range(40):
        for part in (frame.camera, frame.scan, frame.state, np.array(frame.pose), np.array(frame.truth.reward)):
            digest.update(part.tobytes())
        frame = world.step(rng.uniform(-0.2, 0.3, 2))
print(digest.hexdigest())
"""


def test_same_seed_and_actions_give_the_same_frames_in_two_processes():
    runs = [
        subprocess.run([sys.executable, "-c", FINGERPRINT], capture_output=True, text=True, check=True) for _ in "ab"
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(runs[0].stdout.strip()) == 2 * hashlib.sha256().digest_size


def test_an_episode_does_not_depend_on_the_one_before_it():
    fresh, used = World(), World()
    used.reset("stop_go", 5)
    for _ in range(20):
        used.step([0.3, 1.0])
    a, b = fresh.reset("lane_follow", 8), used.reset("lane_follow", 8)
    np.testing.assert_array_equal(a.camera, b.camera)
    np.testing.assert_array_equal(a.state, b.state)
    for _ in range(20):
        a, b = fresh.step([0.1, 0.2]), used.step([0.1, 0.2])
    np.testing.assert_array_equal(a.camera, b.camera)
    assert a.truth == b.truth


@pytest.mark.parametrize("family", FAMILIES)
def test_sensors_do_not_change_the_drive(family):
    full, bare = World(), World(WorldConfig(camera=False, scan=False))
    full.reset(family, 4), bare.reset(family, 4)
    for _ in range(30):
        a, b = full.step([0.05, 0.4]), bare.step([0.05, 0.4])
    assert a.truth == b.truth
    np.testing.assert_array_equal(a.state, b.state)


def test_different_seeds_are_different_worlds():
    world = World()
    frames = [world.reset("lane_follow", seed) for seed in range(8)]
    assert len({frame.speed_limit_mps for frame in frames}) == 8
    assert len({frame.camera.tobytes() for frame in frames}) == 8


def test_a_command_reaches_the_wheels_half_a_step_later_and_status_reports_it():
    stepped, ticked = World(), World()
    stepped.reset("lane_follow", 1), ticked.reset("lane_follow", 1)
    frame = stepped.step([0.2, -0.5])
    ticked.tick()
    untouched = ticked.ego.copy()
    reference = World()
    reference.reset("lane_follow", 1)
    reference.tick()
    np.testing.assert_array_equal(untouched, reference.ego)
    ticked.command([0.2, -0.5])
    ticked.tick()
    np.testing.assert_array_equal(ticked.sense().state, frame.state)
    np.testing.assert_allclose(frame.state[4:6], [0.2, -0.5], atol=1e-6)


def test_an_action_beyond_its_range_is_clipped_and_one_that_is_no_number_brakes_fully():
    world = World()
    world.reset("lane_follow", 1)
    np.testing.assert_array_equal(world.step([7.0, 9.0]).commanded, [1.0, 1.0])
    np.testing.assert_array_equal(world.step([np.nan, np.nan]).commanded, [1.0, -1.0])
    assert np.isfinite(world.step([np.inf, -np.inf]).state).all()
    assert to_physical(world.sense().commanded)[1] == -6.0


def test_the_state_is_built_from_the_biased_pose_and_the_published_route():
    world = World()
    frame = world.reset("stop_go", 2)
    for _ in range(25):
        np.testing.assert_array_equal(frame.state[7:], route_ahead(world.route, *frame.pose))
        frame = world.step([0.0, 0.1])
    offset = np.hypot(frame.pose[0] - frame.true_pose[0], frame.pose[1] - frame.true_pose[1])
    assert 0.05 < offset < 6.0


def test_the_receiver_is_off_by_about_a_metre_and_a_degree():
    world = World(WorldConfig(camera=False, scan=False))
    errors = []
    for seed in range(300):
        frame = world.reset("lane_follow", seed)
        errors.append(np.array(frame.pose) - frame.true_pose)
    x, y, yaw = np.array(errors).T
    yaw = (yaw + np.pi) % (2 * np.pi) - np.pi
    assert 0.8 < x.std() < 1.2
    assert 0.8 < y.std() < 1.2
    assert 0.8 < np.degrees(yaw).std() < 1.2


def test_without_noise_the_pose_is_exact_and_the_road_is_the_same():
    clean, noisy = World(WorldConfig(noise=False)), World()
    a, b = clean.reset("stop_go", 6), noisy.reset("stop_go", 6)
    assert a.pose == a.true_pose
    np.testing.assert_array_equal(clean.route, noisy.route)
    assert a.truth == b.truth


def test_driving_off_the_lane_ends_the_episode_once():
    world = World(WorldConfig(camera=False))
    frame = world.reset("lane_follow", 0)
    while not frame.terminated:
        frame = world.step([0.4, 0.3])
    assert frame.truth.off_road
    assert [event.type for event in frame.events] == ["off_road"]
    assert frame.truth.reward == -3.0
    after = world.step([0.0, -1.0])
    assert after.terminated
    assert not after.events
    assert after.truth.reward == 0.0


def test_running_into_the_car_ahead_is_a_collision_with_its_speed():
    world = World(WorldConfig(camera=False))
    expert = make_driver("expert")
    for seed in range(30):
        frame = world.reset("stop_go", seed)
        expert.reset(world)
        while not (frame.terminated or frame.truncated):
            frame = world.step([expert.act(frame)[0], 1.0])
        if frame.truth.collided:
            break
    assert frame.truth.collided
    assert frame.events[-1].type == "collision"
    assert frame.events[-1].intensity > 0.5
    assert frame.scan[34:38].min() < 3.0


def test_the_scan_shows_the_gap_that_the_truth_tells():
    world = World(WorldConfig(camera=False))
    compared = 0
    for seed in range(60):
        frame = world.reset("stop_go", seed)
        if abs(frame.truth.curvature_1pm) < 1e-6 and frame.truth.gap_ahead_m < 12.0:
            bumper = frame.truth.gap_ahead_m + 3.544 - LIDAR_X_M
            assert frame.scan[34:38].min() == pytest.approx(bumper, abs=0.35)
            compared += 1
    assert compared >= 5


def test_a_world_that_waits_times_out_and_one_with_a_short_route_ends_early():
    world = World(WorldConfig(camera=False, scan=False, time_limit_s=3.0))
    frame = world.reset("lane_follow", 3)
    steps = 0
    while not (frame.terminated or frame.truncated):
        frame = world.step([0.0, -1.0])
        steps += 1
    assert frame.truncated
    assert not frame.terminated
    assert steps == 30
    assert frame.events[-1].type == "timeout"
    short = World(WorldConfig(camera=False, scan=False, route_length_m=40.0))
    assert short.reset("lane_follow", 3).truth.route_length_m == 40.0


def test_what_cannot_be_simulated_is_refused_with_what_can():
    with pytest.raises(SimError, match=r"Known are .*lane_follow"):
        World().reset("moon_base", 0)
    with pytest.raises(SimError, match="seed -1"):
        World().reset("lane_follow", -1)
    with pytest.raises(SimError, match="camera size"):
        World(WorldConfig(camera_size=(2, 2)))
    with pytest.raises(SimError, match="reset"):
        World().step([0.0, 0.0])
    with pytest.raises(SimError, match="route length"):
        World(WorldConfig(route_length_m=-5.0)).reset("lane_follow", 0)


def test_no_label_of_the_simulator_is_in_the_observation():
    world = World()
    observation = World.observation(world.reset("lane_follow", 0))
    assert set(observation) == {"camera", "scan", "state"}
    labels = {field.name for field in dataclasses.fields(world.sense().truth)}
    assert not labels & set(STATE_NAMES)


def test_the_picture_for_people_and_the_view_from_above_have_the_asked_size():
    world = World()
    world.reset("stop_go", 1)
    for _ in range(5):
        world.step([0.0, 0.2])
    assert world.picture((360, 640)).shape == (360, 640, 3)
    view = world.top_view(240)
    assert view.shape == (240, 240, 3)
    assert view.dtype == np.uint8
    assert view.std() > 10.0
