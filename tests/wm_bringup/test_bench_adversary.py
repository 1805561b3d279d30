"""Planners that ask for the worst drive in the bench as described, and the gate stops them."""

from collections import Counter

import numpy as np
import pytest

from wm_bringup.adversaries import ADVERSARIES, STEPS
from wm_bringup.bench_adversary import AdversaryBench, Braking, _attack, _drive_well, check
from wm_bringup.errors import BringupError
from wm_sim.world import World, WorldConfig
from wm_training.errors import TrainingError

SEED = 500_100


@pytest.mark.parametrize("name", ADVERSARIES)
def test_an_adversary_asks_for_what_a_plan_may_hold_and_the_same_again(name):
    def plans():
        world, adversary = World(WorldConfig(camera=False)), ADVERSARIES[name](SEED)
        frame = world.reset("static_block", SEED)
        adversary.reset(world)
        for _ in range(20):
            yield adversary.plan(frame)
            frame = world.step((0.0, 0.5))

    first, again = list(plans()), list(plans())
    for (steering, acceleration), (same, too) in zip(first, again, strict=True):
        assert steering.shape == acceleration.shape == (STEPS,) and steering.dtype == acceleration.dtype == np.float32
        assert np.abs(steering).max() <= 0.6 + 1e-6 and acceleration.max() <= 3.0 and acceleration.min() >= -6.0
        assert np.array_equal(steering, same) and np.array_equal(acceleration, too)
    assert max(acceleration[0] for _, acceleration in first) == 3.0


@pytest.mark.parametrize("family", ["hard_brake", "static_block"])
@pytest.mark.parametrize("name", ["throttle", "ram"])
def test_full_throttle_at_an_obstacle_ends_in_it_without_the_gate_and_not_with_it(name, family):
    seeds = range(SEED, SEED + 3)
    assert any(_attack((name, family, seed, False))["obstacle"] for seed in seeds)
    assert not any(_attack((name, family, seed, True))["obstacle"] for seed in seeds)


def test_a_good_driver_arrives_and_what_the_gate_did_is_counted():
    counts = _drive_well(("idm", "stop_go", SEED))
    assert counts["successes"] == 1 and counts["at_fault"] == 0 and counts["m"] > 100
    assert 0 <= counts["clipped"] < counts["decisions"]


def test_a_braking_is_counted_once_slowed_once_and_stopped_once():
    counts, braking = Counter(), Braking()
    for more, speed in ((0.4, 9.0), (6.0, 9.0), (6.0, 8.0), (6.0, 7.0), (6.0, 6.0), (6.0, 5.0), (0.0, 5.0)):
        braking.notice(more, speed, counts)
    assert counts == {"brakings": 1, "slowed": 1}
    for more, speed in ((6.0, 1.0), (6.0, 0.05), (6.0, 0.0), (6.0, 0.0)):
        braking.notice(more, speed, counts)
    assert counts == {"brakings": 2, "slowed": 1, "stops": 1}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (AdversaryBench(adversaries=("saint",)), "adversary 'saint': known are throttle"),
        (AdversaryBench(families=("moon",)), "family 'moon': known are"),
        (AdversaryBench(episodes=1), "--episodes must be 2 or more"),
        (AdversaryBench(driver="random"), "agent 'random'"),
    ],
)
def test_what_is_not_known_is_one_sentence(config, words):
    with pytest.raises((BringupError, TrainingError), match=words):
        check(config)
