"""The Gymnasium environment keeps Gymnasium's rules."""

import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st

import wm_sim
from wm_sim import SimError


@pytest.fixture(scope="module")
def env():
    made = gymnasium.make("wm_sim/Driving-v0")
    yield made
    made.close()


@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_the_checker_finds_nothing_to_warn_about(render_mode):
    made = gymnasium.make("wm_sim/Driving-v0", render_mode=render_mode)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(made.unwrapped)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 999_999), family=st.sampled_from(["lane_follow", "stop_go"]))
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
        if terminated or truncated:
            break


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


def test_throttle_drives_and_brake_stops(env):
    env.reset(options={"family": "lane_follow", "seed": 3})
    before = env.unwrapped.world.ego[3]
    env.step(np.array([0.0, 1.0, 0.0], dtype=np.float32))
    observation, *_ = env.step(np.array([0.0, 1.0, 0.0], dtype=np.float32))
    assert observation["state"][0] > before
    for _ in range(3):
        observation, *_ = env.step(np.array([0.0, 0.0, 1.0], dtype=np.float32))
    assert observation["state"][1] < -1.0


def test_importing_the_package_loads_neither_numba_nor_opencv():
    script = "import sys, wm_sim.observation, wm_sim.action; print([m for m in ('numba', 'cv2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert wm_sim.SimError is SimError
