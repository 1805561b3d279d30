"""Many worlds in one environment: Gymnasium's vector rules hold, and each world drives as the single one does."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

import wm_sim  # noqa: F401
from wm_sim import SimError

ID = "wm_sim/Driving-v0"
FULL_THROTTLE = np.array([0.4, 1.0, 0.0], dtype=np.float32)  # leaves the road within seconds


def vector(count=3, **options):
    return gymnasium.make_vec(ID, num_envs=count, vectorization_mode="vector_entry_point", **options)


def same(a, b):
    assert data_equivalence(a, b, exact=True)


@pytest.fixture
def envs():
    made = vector()
    yield made
    made.close()


def test_make_vec_takes_the_batched_environment_and_says_how_it_resets(envs):
    assert type(envs.unwrapped).__name__ == "DrivingVectorEnv"
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert envs.num_envs == 3
    assert envs.spec.id == ID
    assert envs.single_action_space.shape == (3,)
    assert envs.action_space.shape == (3, 3)
    assert type(gymnasium.make_vec(ID, num_envs=1).unwrapped).__name__ == "DrivingVectorEnv"


def test_observations_lie_in_the_batched_space(envs):
    observations, infos = envs.reset(seed=0)
    assert observations in envs.observation_space
    for _ in range(5):
        observations, rewards, terminated, truncated, infos = envs.step(envs.action_space.sample())
        assert observations in envs.observation_space
        assert rewards.shape == terminated.shape == truncated.shape == (3,)
        assert (rewards.dtype, terminated.dtype, truncated.dtype) == (np.float64, np.bool_, np.bool_)
    assert infos["truth"]["lateral_error_m"].shape == (3,)
    assert infos["truth"]["_lateral_error_m"].all()
    assert infos["pose"].shape == (3, 3)
    assert list(infos["truth"]["scenario"]) == ["lane_follow"] * 3


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("options", [{"family": "all"}, {"family": ["lane_follow", "stop_go"], "pool": 3}])
def test_it_gives_what_gymnasium_gives_for_single_environments(mode, options):
    """Bit for bit: observations, rewards, ends, infos, over many episodes."""
    count = 4
    ours = vector(count, autoreset_mode=mode, **options)
    theirs = SyncVectorEnv([lambda: gymnasium.make(ID, **options)] * count, autoreset_mode=mode)
    same(ours.reset(seed=5), theirs.reset(seed=5))
    rng = np.random.default_rng(0)
    ended = 0
    for _ in range(120):
        actions = np.clip(FULL_THROTTLE + rng.normal(0.0, 0.3, (count, 3)), [-1, 0, 0], 1).astype(np.float32)
        mine, other = ours.step(actions), theirs.step(actions)
        same(mine, other)
        over = mine[2] | mine[3]
        ended += over.sum()
        if mode is AutoresetMode.DISABLED and over.any():
            same(ours.reset(options={"reset_mask": over}), theirs.reset(options={"reset_mask": over}))
    assert ended >= 4
    ours.close()
    theirs.close()


@pytest.mark.parametrize("count", [1, 5])
def test_a_world_drives_the_same_in_any_batch_and_on_any_number_of_threads(count):
    options = {"family": "stop_go", "autoreset_mode": "Disabled"}
    one, many = vector(count, **options), vector(2 * count + 1, threads=2, **options)
    one.reset(seed=list(range(40, 40 + count)))
    many.reset(seed=list(range(40 - count - 1, 40 + count)))
    rng = np.random.default_rng(1)
    for _ in range(15):
        actions = rng.uniform([-0.05, 0.0, 0.0], [0.05, 0.5, 0.0], (2 * count + 1, 3)).astype(np.float32)
        small, large = one.step(actions[-count:]), many.step(actions)
        same(small[0], {name: values[-count:] for name, values in large[0].items()})
        same(small[1], large[1][-count:])


def test_next_step_resets_a_step_after_the_end(envs):
    envs.reset(seed=1)
    for _ in range(200):
        _, _, terminated, truncated, infos = envs.step(np.tile(FULL_THROTTLE, (3, 1)))
        if terminated.any():
            break
    over = terminated | truncated
    assert infos["_events"][over].all()
    _, rewards, terminated, _, infos = envs.step(np.tile(FULL_THROTTLE, (3, 1)))
    assert not terminated[over].any()
    assert (rewards[over] == 0.0).all()
    assert (infos["truth"]["step"][over] == 0).all()
    assert (infos["truth"]["step"][~over] > 0).all()


def test_a_disabled_environment_refuses_to_drive_on_after_the_end():
    envs = vector(2, autoreset_mode=AutoresetMode.DISABLED)
    envs.reset(seed=1)
    with pytest.raises(SimError, match="reset_mask"):
        for _ in range(300):
            envs.step(np.tile(FULL_THROTTLE, (2, 1)))


def test_a_masked_reset_leaves_the_other_worlds_alone():
    envs = vector(3, autoreset_mode=AutoresetMode.DISABLED)
    before, _ = envs.reset(seed=1)
    after, infos = envs.reset(seed=9, options={"reset_mask": np.array([False, True, False])})
    for name, values in before.items():
        np.testing.assert_array_equal(values[[0, 2]], after[name][[0, 2]])
    assert list(infos["_truth"]) == [False, True, False]
    assert infos["truth"]["episode"][1] == 10
    with pytest.raises(SimError, match="reset_mask"):
        envs.reset(options={"reset_mask": np.zeros(3, dtype=bool)})


def test_copies_are_kept_and_buffers_are_overwritten():
    for copy in (True, False):
        envs = vector(2, copy=copy)
        first, _ = envs.reset(seed=0)
        then, *_ = envs.step(np.tile(FULL_THROTTLE, (2, 1)))
        assert np.shares_memory(first["camera"], then["camera"]) is not copy


def test_a_pool_draws_few_seeds_and_forgets_nothing_else():
    envs = vector(4, pool=3, autoreset_mode="SameStep")
    _, infos = envs.reset()
    seen = set(infos["truth"]["episode"])
    for _ in range(100):
        *_, infos = envs.step(np.tile(FULL_THROTTLE, (4, 1)))
        seen |= set(infos["truth"]["episode"])
    assert seen <= {0, 1, 2}
    assert len(seen) > 1


def test_gymnasiums_vector_wrappers_work_on_it():
    envs = DictInfoToList(RecordEpisodeStatistics(vector(2)))
    envs.reset(seed=0)
    lengths = []
    for _ in range(100):
        *_, infos = envs.step(np.tile(FULL_THROTTLE, (2, 1)))
        lengths += [info["episode"]["l"] for info in infos if "episode" in info]
    assert lengths
    assert min(lengths) > 1


def test_pictures_are_drawn_of_every_world():
    envs = vector(2, render_mode="rgb_array")
    envs.reset(seed=0)
    pictures = envs.render()
    assert [picture.shape for picture in pictures] == [(360, 1000, 3)] * 2
    assert not np.array_equal(*pictures)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"autoreset_mode": "Sometimes"}, "NextStep"),
        ({"family": "rally"}, "stop_go"),
        ({"pool": 0}, "pool"),
        ({"wheels": 3}, "camera_size"),
        ({"render_mode": "ansi"}, "rgb_array"),
    ],
)
def test_a_wrong_option_is_named_with_what_is_known(options, said):
    with pytest.raises(SimError, match=said):
        vector(2, **options)


def test_wrong_calls_are_named(envs):
    with pytest.raises(SimError, match="reset"):
        envs.step(envs.action_space.sample())
    with pytest.raises(SimError, match="seeds"):
        envs.reset(seed=[1, 2])
    envs.reset(seed=0)
    with pytest.raises(SimError, match="shape"):
        envs.step(np.zeros((2, 3), dtype=np.float32))
