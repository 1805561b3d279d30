"""The score, against drives whose figures are worked out by hand."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_sim.comfort import ComfortBounds, comfortable, savgol
from wm_sim.scoring import (
    Sample,
    min_ttc,
    score_episode,
    summarise,
    wilson,
)

BOUNDS = ComfortBounds()


def cruise(steps: int = 100, speed: float = 10.0, route_m: float = 100.0, **last: object) -> list[Sample]:
    """A straight drive at constant speed; `last` changes its final sample."""
    drive = [
        Sample(
            time_s=0.1 * i,
            speed_mps=speed,
            acceleration_mps2=0.0,
            yaw_rate_radps=0.0,
            lateral_error_m=0.1,
            lane_width_m=3.5,
            gap_ahead_m=60.0,
            closing_speed_mps=0.0,
            progress_m=0.1 * i * speed,
            route_length_m=route_m,
            reward=0.0 if i == 0 else 1.0,
        )
        for i in range(steps + 1)
    ]
    drive[-1] = dataclasses.replace(drive[-1], **last)
    return drive


def test_a_clean_drive_to_the_end_scores_100() -> None:
    score = score_episode(cruise(route_done=True))
    assert score.driving_score == 100.0
    assert score.success and score.end == "route_done"
    assert score.km == pytest.approx(0.1)
    assert score.duration_s == pytest.approx(10.0)
    assert score.steps == 100 and score.total_reward == 100.0
    assert score.comfort == 1.0 and score.min_ttc_s is None
    assert score.lateral_error_m == pytest.approx(0.1)


def test_a_collision_half_way_scores_half_over_1_7() -> None:
    score = score_episode(cruise(50, collided=True, gap_ahead_m=0.0, closing_speed_mps=4.0))
    assert score.route_completion == pytest.approx(0.5)
    assert score.driving_score == pytest.approx(100 * 0.5 / 1.7)
    assert not score.success and score.end == "collision"


def test_the_way_off_lane_takes_its_share_of_the_score() -> None:
    drive = cruise(100, route_done=True)
    drive[81:] = [dataclasses.replace(s, lateral_error_m=-1.8) for s in drive[81:]]
    score = score_episode(drive)
    assert score.off_lane_share == pytest.approx(0.2)
    assert score.driving_score == pytest.approx(80.0)


def test_a_drive_that_leaves_the_road_is_no_success_even_at_the_end_of_the_route() -> None:
    score = score_episode(cruise(off_road=True, lateral_error_m=1.9, route_done=True))
    assert not score.success and score.off_road and score.end == "off_road"


def test_a_metre_short_of_the_end_is_no_success() -> None:
    score = score_episode(cruise(route_m=101.0, timeout=True))
    assert not score.success and score.route_completion == pytest.approx(100 / 101)


def test_running_out_of_time_is_neither_success_nor_fault() -> None:
    score = score_episode(cruise(40, timeout=True))
    assert score.end == "timeout" and not score.success and not score.at_fault
    assert score.driving_score == pytest.approx(40.0)


@pytest.mark.parametrize(
    ("contact", "kind", "at_fault"),
    [
        ({"gap_ahead_m": 0.0, "closing_speed_mps": 4.0}, "active_front", True),
        ({"gap_ahead_m": 0.0, "closing_speed_mps": 10.0}, "stopped_track", True),
        ({"gap_ahead_m": 60.0}, "active_lateral", True),
        ({"gap_ahead_m": 60.0, "hit_from": "rear"}, "active_rear", False),
        ({"gap_ahead_m": 0.5, "speed_mps": 0.0, "closing_speed_mps": -2.0}, "stopped_ego", False),
    ],
)
def test_fault_follows_nuplans_collision_classes(contact: dict, kind: str, at_fault: bool) -> None:
    score = score_episode(cruise(50, collided=True, **contact))
    assert (score.collision_class, score.at_fault) == (kind, at_fault)
    assert score.collision


def test_the_smallest_time_to_collision_is_gap_over_closing_speed() -> None:
    drive = cruise(3)
    drive[1] = dataclasses.replace(drive[1], gap_ahead_m=20.0, closing_speed_mps=5.0)
    drive[2] = dataclasses.replace(drive[2], gap_ahead_m=9.0, closing_speed_mps=3.0)
    drive[3] = dataclasses.replace(drive[3], gap_ahead_m=1.0, closing_speed_mps=-3.0)
    assert min_ttc(drive) == pytest.approx(3.0)


def test_one_hard_brake_costs_the_segment_in_which_it_falls() -> None:
    drive = cruise(99)
    drive[25:32] = [dataclasses.replace(s, acceleration_mps2=-6.0) for s in drive[25:32]]
    assert score_episode(drive).comfort == pytest.approx(4 / 5)


@pytest.mark.parametrize(
    ("acceleration", "yaw_rate", "speed", "inside"),
    [
        (2.3, 0.0, 10.0, True),
        (2.5, 0.0, 10.0, False),
        (-4.0, 0.0, 10.0, True),
        (-4.1, 0.0, 10.0, False),
        (0.0, 0.48, 10.0, True),
        (0.0, 0.50, 10.0, False),
        (0.0, 0.94, 1.0, True),
        (0.0, 0.96, 1.0, False),
    ],
)
def test_each_steady_comfort_bound_is_where_nuplan_puts_it(
    acceleration: float, yaw_rate: float, speed: float, inside: bool
) -> None:
    ones = np.ones(30)
    assert comfortable(speed * ones, acceleration * ones, yaw_rate * ones, 0.1, BOUNDS).all() == inside


def test_jerk_and_yaw_acceleration_have_bounds_too() -> None:
    ramp, zero, ten = np.arange(20) * 0.1, np.zeros(20), np.full(20, 10.0)
    assert comfortable(ten, 1.1 * ramp, zero, 0.1, BOUNDS).all()
    assert not comfortable(ten, 4.2 * ramp - 4.0, zero, 0.1, BOUNDS).any()
    assert not comfortable(0.1 * ten, zero, 2.0 * ramp - 0.9, 0.1, BOUNDS).any()
    assert comfortable(0.1 * ten, zero, 0.9 * ramp - 0.9, 0.1, BOUNDS).all()


def test_the_filter_returns_a_parabola_unchanged_and_its_slope_exactly() -> None:
    t = np.arange(25) * 0.1
    values = 3.0 - 2.0 * t + 0.5 * t**2
    np.testing.assert_allclose(savgol(values), values, atol=1e-12)
    np.testing.assert_allclose(savgol(values, 0.1), -2.0 + t, atol=1e-11)


def test_the_filter_uses_the_published_seven_point_weights() -> None:
    impulse = np.zeros(15)
    impulse[7] = 1.0
    np.testing.assert_allclose(savgol(impulse)[4:11], np.array([-2, 3, 6, 7, 6, 3, -2]) / 21, atol=1e-12)
    np.testing.assert_allclose(savgol(impulse, 1.0)[4:11], np.array([3, 2, 1, 0, -1, -2, -3]) / 28, atol=1e-12)


def test_wilson_gives_14_points_either_side_at_58_percent_of_50() -> None:
    low, high = wilson(29, 50)  # 58 % of 50: about +-14 points
    assert low == pytest.approx(0.4423, abs=1e-3) and high == pytest.approx(0.7062, abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(50, 50)[1] == pytest.approx(1.0) and wilson(50, 50)[0] == pytest.approx(0.9287, abs=1e-3)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_stays_inside_0_and_1_and_holds_the_share(case: tuple[int, int]) -> None:
    wins, trials = case
    low, high = wilson(wins, trials)
    assert 0.0 <= low <= wins / trials + 1e-12 and wins / trials - 1e-12 <= high <= 1.0


def test_a_summary_counts_episodes_and_means_their_scores() -> None:
    clean = score_episode(cruise(route_done=True))
    crash = score_episode(cruise(50, collided=True, gap_ahead_m=0.0, closing_speed_mps=4.0))
    out = summarise([clean, crash])
    assert out["episodes"] == 2 and out["success_rate"] == 0.5
    assert out["success_ci95"] == list(wilson(1, 2))
    assert (out["collisions"], out["at_fault_collisions"], out["off_road"]) == (1, 1, 0)
    assert out["driving_score"] == pytest.approx((100 + 50 / 1.7) / 2)
    assert out["km"] == pytest.approx(0.15)
    assert out["min_ttc_s"] == 0.0
    assert out["return_mean"] == pytest.approx(75.0)
    assert out["return_sem"] == pytest.approx(math.sqrt(1250.0) / math.sqrt(2))


def test_a_drive_without_samples_is_refused_with_a_remedy() -> None:
    with pytest.raises(ValueError, match="add the frame that reset returned first"):
        score_episode([])
