"""The Gymnasium environment keeps Gymnasium's rules."""

import builtins
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.play import PlayableGame
from hypothesis import given, settings
from hypothesis import strategies as st

import wm_sim
from wm_sim import SimError
from wm_sim.scenarios import FAMILIES
from wm_sim.world import World, WorldConfig

ID = "wm_sim/Driving-v0"


@pytest.fixture(scope="module")
def env():
    made = gymnasium.make(ID)
    yield made
    made.close()


@pytest.fixture
def no_display(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


@pytest.mark.parametrize("family", [*FAMILIES, "all"])
def test_the_checker_finds_nothing_to_warn_about(family, no_display):
    made = gymnasium.make(ID, family=family)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(made.unwrapped)


@pytest.mark.parametrize("render_mode", ["rgb_array", "human"])
def test_the_checker_finds_nothing_to_warn_about_in_any_render_mode(render_mode, no_display):
    made = gymnasium.make(ID, render_mode=render_mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(made.unwrapped)
    made.close()


@settings(max_examples=22, deadline=None)
@given(seed=st.integers(0, 999_999), family=st.sampled_from(sorted(FAMILIES)))
def test_observations_stay_in_their_space_under_random_actions(env, seed, family):
    observation, _ = env.reset(options={"family": family, "seed": seed})
    rng = np.random.default_rng(seed)
    for _ in range(60):
        assert env.observation_space.contains(observation)
        action = rng.uniform(env.action_space.low, env.action_space.high).astype(np.float32)
        observation, reward, terminated, truncated, info = env.step(action)
        assert -4.0 <= reward <= 1.0
        assert isinstance(reward, float)
        assert isinstance(info["truth"]["lateral_error_m"], float)
        assert isinstance(info["truth"]["collided"], bool)
        if terminated or truncated:
            assert info["events"][-1]["type"] in ("collision", "off_road", "route_done", "timeout")
            break


def test_it_drives_as_the_world_does(env):
    world = World()
    frame = world.reset("junction", 5)
    observation, info = env.reset(options={"family": "junction", "seed": 5})
    for k in range(30):
        np.testing.assert_array_equal(observation["camera"], frame.camera)
        np.testing.assert_array_equal(observation["scan"], frame.scan)
        np.testing.assert_array_equal(observation["state"], frame.state)
        assert tuple(info["pose"]) == frame.true_pose
        assert info["truth"]["gap_ahead_m"] == frame.truth.gap_ahead_m
        frame = world.step([0.01, 0.2 - 0.02 * k])
        observation, reward, _, _, info = env.step(np.array([0.01, max(0.2 - 0.02 * k, 0), max(0.02 * k - 0.2, 0)]))
        assert reward == pytest.approx(frame.truth.reward, abs=1e-6)


def test_reset_options_choose_the_episode_and_a_seed_alone_repeats_it(env):
    a, info = env.reset(options={"family": "stop_go", "seed": 17})
    assert (info["truth"]["scenario"], info["truth"]["episode"]) == ("stop_go", 17)
    b, _ = env.reset(options={"family": "stop_go", "seed": 17})
    np.testing.assert_array_equal(a["camera"], b["camera"])
    _, first = env.reset(seed=3)
    _, second = env.reset()
    assert first["truth"]["episode"] == 3
    assert second["truth"]["episode"] < 1_000_000
    with pytest.raises(SimError, match="unknown"):
        env.reset(options={"weather": "rain"})


def test_families_are_a_name_a_list_or_all():
    for family, expected in (("merge", {"merge"}), (["merge", "faults"], {"merge", "faults"}), ("all", set(FAMILIES))):
        made = gymnasium.make(ID, family=family, camera=False, scan=False)
        met = {made.reset(seed=seed)[1]["truth"]["scenario"] for seed in range(60)}
        assert met <= expected
        assert len(met) > 0.7 * len(expected)
    with pytest.raises(SimError, match="roundabout"):
        gymnasium.make(ID, family=["merge", "rally"])


@pytest.mark.parametrize("file", ["four_curves.xodr", "lanes_and_a_light.xml"])
def test_a_map_file_is_a_family_too(file):
    made = gymnasium.make(ID, family=f"road:{Path(__file__).parent / 'data' / file}", render_mode="rgb_array")
    observation, _ = made.reset(seed=0)
    for _ in range(40):
        assert observation in made.observation_space
        observation, *_ = made.step(np.array([0.0, 0.3, 0.0], dtype=np.float32))
    assert made.render().shape == (360, 1000, 3)


def test_a_pool_draws_its_seeds_only():
    made = gymnasium.make(ID, pool=4, camera=False)
    assert {made.reset()[1]["truth"]["episode"] for _ in range(40)} == {0, 1, 2, 3}


def test_fields_of_the_configuration_are_keywords():
    made = gymnasium.make(ID, camera_size=(32, 48), scan=False, config=WorldConfig(noise=False))
    assert set(made.observation_space.keys()) == {"camera", "state"}
    assert made.observation_space["camera"].shape == (32, 48, 3)
    assert made.unwrapped.world.config.noise is False
    observation, _ = made.reset(seed=0)
    assert observation in made.observation_space
    with pytest.raises(SimError, match="camera_size"):
        gymnasium.make(ID, wheels=3)


def test_throttle_drives_and_brake_stops(env):
    env.reset(options={"family": "lane_follow", "seed": 3})
    before = env.unwrapped.world.ego[3]
    env.step(np.array([0.0, 1.0, 0.0], dtype=np.float32))
    observation, *_ = env.step(np.array([0.0, 1.0, 0.0], dtype=np.float32))
    assert observation["state"][0] > before
    for _ in range(3):
        observation, *_ = env.step(np.array([0.0, 0.0, 1.0], dtype=np.float32))
    assert observation["state"][1] < -1.0


def test_pictures_for_people_show_camera_and_view_from_above():
    made = gymnasium.make(ID, family="signal_stop", render_mode="rgb_array")
    made.reset(seed=1)
    first = made.render()
    assert (first.shape, first.dtype) == ((360, 1000, 3), np.uint8)
    for _ in range(5):
        made.step(np.array([0.0, 1.0, 0.0], dtype=np.float32))
    assert not np.array_equal(first[:, 640:], made.render()[:, 640:])


def test_a_window_shows_every_step(no_display):
    pygame = pytest.importorskip("pygame")
    made = gymnasium.make(ID, render_mode="human")
    made.reset(seed=0)
    before = pygame.surfarray.array3d(pygame.display.get_surface())
    made.step(np.array([0.0, 1.0, 0.0], dtype=np.float32))
    after = pygame.surfarray.array3d(pygame.display.get_surface())
    assert before.shape == (1000, 360, 3)
    assert not np.array_equal(before, after)
    assert made.render() is None
    made.close()
    assert not pygame.display.get_init()


def test_without_pygame_a_window_is_refused_in_one_sentence(monkeypatch):
    load = builtins.__import__

    def without_pygame(name, *args, **kwargs):
        if name == "pygame":
            raise ImportError(name)
        return load(name, *args, **kwargs)

    made = gymnasium.make(ID, render_mode="human")
    monkeypatch.setattr(builtins, "__import__", without_pygame)
    with pytest.raises(SimError, match="pip install pygame-ce"):
        made.reset(seed=0)


def test_without_a_display_a_window_says_so_once_and_the_drive_goes_on(monkeypatch, capfd):
    pytest.importorskip("pygame")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    made = gymnasium.make(ID, render_mode="human")
    made.reset(seed=0)
    made.step(made.action_space.sample())
    made.close()
    assert capfd.readouterr().err.count("there is no display") == 1


def test_gymnasiums_tools_for_people_take_it(no_display):
    pytest.importorskip("pygame")
    made = gymnasium.make(ID, render_mode="rgb_array")
    keys = {(ord("w"),): np.array([0.0, 1.0, 0.0], dtype=np.float32)}
    made.reset(seed=0)
    assert PlayableGame(made, keys).video_size == (1000, 360)


def test_importing_the_package_loads_neither_numba_nor_opencv():
    script = "import sys, wm_sim.observation, wm_sim.action; print([m for m in ('numba', 'cv2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert wm_sim.SimError is SimError
