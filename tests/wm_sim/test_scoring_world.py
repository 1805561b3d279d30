"""What the score reads off a running world."""

import numpy as np
import pytest

from wm_sim.scoring import Scorer, sample_of
from wm_sim.world import World, WorldConfig

SEED = 500_000
BLIND = WorldConfig(camera=False, scan=False)


def drive(family: str, seed: int, action: tuple[float, float]) -> Scorer:
    """A drive with one action all along."""
    world, scorer = World(BLIND), Scorer()
    frame = world.reset(family, seed)
    scorer.add_frame(frame, world)
    while not (frame.terminated or frame.truncated):
        frame = world.step(action)
        scorer.add_frame(frame, world)
    return scorer


def test_looking_at_a_world_leaves_it_as_it_was() -> None:
    watched, alone = World(BLIND), World(BLIND)
    for world in (watched, alone):
        frame = world.reset("stop_go", SEED)
    for _ in range(20):
        sample_of(frame, watched)
        frame = watched.step((0.05, 0.3))
        other = alone.step((0.05, 0.3))
    np.testing.assert_array_equal(frame.state, other.state)
    assert frame.truth == other.truth


def test_the_start_of_a_drive_is_on_the_road_in_its_lane_and_in_no_danger() -> None:
    for seed in range(SEED, SEED + 5):
        world = World(BLIND)
        around = sample_of(world.reset("lane_follow", seed), world).around
        assert around.corner_out_m == 0.0 and not around.oncoming and not around.off_lane
        assert around.ttc_s > 1.0


def test_full_throttle_ends_in_a_fault_or_off_the_road_and_earns_nothing_from_nuplan() -> None:
    scores = [drive("stop_go", seed, (0.0, 1.0)).result() for seed in range(SEED, SEED + 12)]
    assert not any(score.success for score in scores) and all(score.nuplan_score == 0.0 for score in scores)
    crashes = [score for score in scores if score.collision]
    assert crashes
    assert all(score.at_fault and score.hit == "car" and score.min_ttc_s == 0.0 for score in crashes)
    assert all(score.driving_score == pytest.approx(100 * score.route_completion / 1.7, rel=0.2) for score in crashes)


def test_standing_still_runs_out_of_time_and_costs_the_timeout() -> None:
    score = drive("lane_follow", SEED, (0.0, -1.0)).result()
    assert score.end == "timeout" and score.timeout and not score.at_fault
    assert score.nuplan.making_progress == 0.0 and score.infractions.timeout == 1
