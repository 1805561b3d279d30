"""Random actions in random settings: nothing breaks, and every observation lies in its space.

WM_FUZZ_EPISODES=10000 python -m pytest tests/wm_sim/test_fuzz.py     drives so many; 300 unless told.
"""

import math
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from wm_sim.scenarios import FAMILIES
from wm_sim.vector_env import DrivingVectorEnv

EPISODES = int(os.environ.get("WM_FUZZ_EPISODES", "300"))
BATCH = 25  # worlds at once, each driven to its end at least once
STEPS = 420  # more than the longest drive

ON = st.sampled_from([True, False])
configurations = st.fixed_dictionaries(
    {
        "camera": ON,
        "scan": ON,
        "noise": ON,
        "density": st.one_of(st.just(1.0), st.floats(0.0, 2.0)),
        "camera_size": st.sampled_from([(64, 64), (8, 8), (24, 40), (48, 27)]),
        "route_length_m": st.one_of(st.none(), st.floats(20.0, 600.0)),
        "time_limit_s": st.one_of(st.just(20.0), st.floats(0.05, 40.0)),
    }
)
manners = st.sampled_from(["smooth", "uniform", "flat out", "standing", "broken"])


def actions_of(manner, rng, last):
    """Pedals [N, 3] of random drivers; "broken" ones send what is no number, or far out of range."""
    count = len(last)
    if manner == "standing":
        return np.tile(np.array([0.0, 0.0, 1.0], dtype=np.float32), (count, 1))
    drawn = rng.uniform([-1.0, 0.0, 0.0], 1.0, (count, 3)).astype(np.float32)
    if manner == "smooth":
        return (0.95 * last + 0.05 * drawn * [1.0, 1.5, 0.5]).astype(np.float32)
    if manner == "flat out":
        return (drawn * [0.02, 0.0, 0.0] + [0.0, 1.0, 0.0]).astype(np.float32)
    if manner == "broken":
        wrong = rng.choice(np.array([np.nan, np.inf, -np.inf, 1e30], dtype=np.float32), (count, 3))
        return np.where(rng.random((count, 3)) < 0.02, wrong, drawn)
    return drawn


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.timeout(1800)
def test_random_drives_neither_break_anything_nor_leave_the_observation_space(family):
    share = math.ceil(EPISODES / len(FAMILIES))  # episodes of this family

    @settings(
        max_examples=math.ceil(share / BATCH), deadline=None, derandomize=True, database=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(options=configurations, manner=manners, seed=st.integers(0, 900_000))
    def drive(options, manner, seed):
        envs = DrivingVectorEnv(BATCH, family=family, copy=False, **options)
        check(envs.observation_space, envs.reset(seed=seed)[0])
        rng = np.random.default_rng(seed)
        last = np.zeros((BATCH, 3), dtype=np.float32)
        ended = np.zeros(BATCH, dtype=bool)
        for _ in range(STEPS):
            last = actions_of(manner, rng, last)
            seen, reward, terminated, truncated, infos = envs.step(last)
            check(envs.observation_space, seen)
            assert np.isfinite(reward).all()
            for name, values in infos["truth"].items():
                assert values.dtype == object or np.isfinite(values).all(), name
            ended |= terminated | truncated
            if ended.all():
                break
        assert ended.all(), "some drives did not end"

    drive()


def check(space, seen):
    for name, box in space.items():
        values = seen[name]
        assert values.dtype == box.dtype, name
        assert np.isfinite(values).all(), name
        assert (values >= box.low).all(), name
        assert (values <= box.high).all(), name
