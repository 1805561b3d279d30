"""The score of whole drives, against drives whose figures are worked out by hand."""

import dataclasses
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wm_sim.errors import SimError
from wm_sim.scoring import Sample, Surroundings, score_episode, summarise, wilson
from wm_sim.scoring.carla import Infractions, driving_score, infractions_of, speed_shares
from wm_sim.scoring.contact import COLLISION_CLASSES, Contact
from wm_sim.scoring.nuplan import NuplanScore, direction_score, nuplan_score, speed_limit_score, wrong_way_m
from wm_sim.scoring.rss import DEFAULT, TUNED, safe_gap, violations

FRONT = Contact("car", "active_front")


def cruise(steps: int = 100, speed: float = 10.0, route_m: float = 100.0, **last: Any) -> list[Sample]:
    """A straight drive at constant speed, 1 m a step at 10 m/s; `last` changes its final sample."""
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
            limit_mps=12.0,
        )
        for i in range(steps + 1)
    ]
    drive[-1] = dataclasses.replace(drive[-1], **last)
    return drive


def around(drive: list[Sample], part: slice, **seen: Any) -> list[Sample]:
    """The drive with other surroundings in a part of it."""
    drive[part] = [dataclasses.replace(s, around=dataclasses.replace(s.around, **seen)) for s in drive[part]]
    return drive


def test_a_clean_drive_to_the_end_scores_100_twice() -> None:
    score = score_episode(cruise(route_done=True))
    assert score.driving_score == 100.0 and score.nuplan_score == 100.0
    assert score.success and score.end == "route_done"
    assert score.km == pytest.approx(0.1)
    assert score.duration_s == pytest.approx(10.0)
    assert score.steps == 100 and score.total_reward == 100.0
    assert score.comfort == 1.0 and score.min_ttc_s is None
    assert score.lateral_error_m == pytest.approx(0.1)


@pytest.mark.parametrize(("body", "penalty"), [("pedestrian", 1.0), ("car", 0.7), ("cyclist", 0.7), ("barrier", 0.6)])
def test_a_collision_half_way_scores_half_over_1_plus_c(body: str, penalty: float) -> None:
    score = score_episode(cruise(50, collided=True, contact=Contact(body, "active_front")))
    assert score.driving_score == pytest.approx(100 * 0.5 / (1 + penalty))
    assert not score.success and score.end == "collision" and score.hit == body


def test_a_red_light_and_the_time_limit_cost_two_fifths_each() -> None:
    red = score_episode(cruise(route_done=True, red_lights=1))
    assert red.driving_score == pytest.approx(100 / 1.4) and not red.success and red.red_lights == 1
    late = score_episode(cruise(40, timeout=True))
    assert late.driving_score == pytest.approx(40 / 1.4)  # 40 m of 100 m
    assert late.end == "timeout" and not late.success and not late.at_fault
    both = dataclasses.replace(cruise(40, timeout=True)[-1], red_lights=2)
    assert score_episode([*cruise(39), both]).driving_score == pytest.approx(40 / (1 + 0.4 + 2 * 0.4))


def test_infractions_add_up_before_they_divide() -> None:
    # 1.0 + 0.7 + 0.6 + 0.4 + 0.4 * (1 - 0.5) = 2.9; 80 % off-lane-free; half the route: 100 * 0.5 * 0.8 / 3.9
    wrong = Infractions(pedestrian=1, vehicle=1, static=1, red_light=1, min_speed=[0.5], off_lane=0.2)
    assert driving_score(0.5, wrong) == pytest.approx(40 / 3.9)


def test_the_way_off_lane_takes_its_share_of_the_score() -> None:
    score = score_episode(around(cruise(route_done=True), slice(81, None), off_lane=True))  # the last 20 of 100 steps
    assert score.off_lane_share == pytest.approx(0.2)
    assert score.driving_score == pytest.approx(80.0)


def test_each_quarter_of_the_route_slower_than_the_traffic_costs_its_share() -> None:
    # The first quarter at 10 of the traffic's 12.5 m/s (80 %), the rest without traffic: c = 0.4 * 0.2 = 0.08.
    drive = around(cruise(route_done=True, route_m=100.0), slice(0, 26), traffic_mps=12.5)
    drive = [dataclasses.replace(s, limit_mps=20.0) for s in drive]
    assert speed_shares(drive) == pytest.approx([0.8, 1.0, 1.0, 1.0])
    assert infractions_of(drive).min_speed == pytest.approx([0.8])
    assert score_episode(drive).driving_score == pytest.approx(100 / 1.08)


def test_nobody_has_to_drive_faster_than_the_limit_to_keep_up() -> None:
    drive = around(cruise(route_done=True), slice(None), traffic_mps=20.0)  # limit 12, ego 10
    assert speed_shares(drive) == pytest.approx([10 / 12] * 4)
    assert speed_shares(around(drive, slice(None), traffic_mps=9.0)) == [1.0] * 4


def test_a_part_of_the_route_that_was_not_finished_is_not_judged_for_speed() -> None:
    drive = around(cruise(40), slice(None), traffic_mps=11.0)  # 40 of 100 m: one whole quarter
    assert speed_shares(drive) == pytest.approx([10 / 11])


def test_a_drive_that_leaves_the_road_is_no_success_even_at_the_end_of_the_route() -> None:
    score = score_episode(cruise(off_road=True, lateral_error_m=1.9, route_done=True))
    assert not score.success and score.off_road and score.end == "off_road"


def test_a_metre_short_of_the_end_is_no_success() -> None:
    score = score_episode(cruise(route_m=101.0, timeout=True))
    assert not score.success and score.route_completion == pytest.approx(100 / 101)


def test_nuplans_measures_weigh_5_5_4_2() -> None:
    whole = NuplanScore(1, 1, 1, 1, 1, 1, 1, 1)
    assert whole.total == 100.0
    for name, weight in (("progress", 5), ("ttc", 5), ("speed_limit", 4), ("comfort", 2)):
        assert dataclasses.replace(whole, **{name: 0.0}).total == pytest.approx(100 * (16 - weight) / 16)
    for name in ("no_at_fault_collision", "drivable_area", "making_progress", "direction"):
        assert dataclasses.replace(whole, **{name: 0.5}).total == 50.0
        assert dataclasses.replace(whole, **{name: 0.0}).total == 0.0


def test_a_fault_with_a_thing_halves_nuplans_score_and_any_other_ends_it() -> None:
    # A barrier touched at the half: 0.5 * (5 * 0.5 + 5 * 0 (TTC is 0 in it) + 4 + 2) / 16 = 0.265625
    thing = score_episode(cruise(50, contact=Contact("barrier", "stopped_track"), collided=True))
    assert thing.nuplan_score == pytest.approx(26.5625)
    assert score_episode(cruise(50, contact=FRONT, collided=True)).nuplan_score == 0.0
    # Hit from behind at the half: (5 * 0.5 + 5 + 4 + 2) / 16
    rear = score_episode(cruise(50, contact=Contact("car", "active_rear"), collided=True))
    assert rear.nuplan_score == pytest.approx(100 * 13.5 / 16) and not rear.at_fault


def test_too_little_progress_ends_nuplans_score() -> None:
    assert score_episode(cruise(19)).nuplan_score == 0.0  # 19 of 100 m
    assert score_episode(cruise(20)).nuplan_score == pytest.approx(100 * (5 * 0.2 + 11) / 16)


def test_a_corner_may_leave_the_road_by_less_than_30_cm() -> None:
    assert score_episode(around(cruise(route_done=True), slice(50, 52), corner_out_m=0.29)).nuplan_score == 100.0
    assert score_episode(around(cruise(route_done=True), slice(50, 52), corner_out_m=0.31)).nuplan_score == 0.0


@pytest.mark.parametrize(("ttc", "score"), [(0.9, 1100 / 16), (1.0, 100.0)])
def test_a_time_to_collision_must_stay_above_0_95_s(ttc: float, score: float) -> None:
    drive = score_episode(around(cruise(route_done=True), slice(50, 51), ttc_s=ttc))
    assert drive.nuplan_score == pytest.approx(score) and drive.min_ttc_s == ttc


@pytest.mark.parametrize(("steps", "metres", "score"), [(2, 2.0, 1.0), (3, 3.0, 0.5), (6, 6.0, 0.5), (7, 7.0, 0.0)])
def test_metres_in_the_oncoming_lane_within_a_second_decide_the_direction(
    steps: int, metres: float, score: float
) -> None:
    # A metre a step against the traffic; those before it in the same second have to be made up first.
    drive = around(cruise(), slice(1, 1 + steps), oncoming=True)
    assert wrong_way_m(drive) == pytest.approx(metres)
    assert direction_score(drive) == score


def test_rolling_backwards_is_driving_against_the_traffic() -> None:
    drive = [dataclasses.replace(s, progress_m=-0.25 * i) for i, s in enumerate(cruise(20))]
    assert wrong_way_m(drive) == pytest.approx(0.25 * 11)  # nuPlan sums the steps of a second and the one before
    assert nuplan_score(drive, True).progress == 0.0  # 5 m backwards


def test_overspeed_counts_by_its_height_and_its_time() -> None:
    # 41 of 101 samples at 14 m/s where 12 are allowed: 1 - 41 * 2 * 0.1 / (2.23 * 10)
    drive = [dataclasses.replace(s, speed_mps=14.0) if i > 59 else s for i, s in enumerate(cruise())]
    assert speed_limit_score(drive) == pytest.approx(1 - 8.2 / 22.3)
    assert speed_limit_score([dataclasses.replace(s, speed_mps=20.0) for s in drive]) == 0.0


def test_the_safe_gap_at_10_mps_behind_an_equal_lead() -> None:
    # 10 * 0.2 + 0.75 * 0.04 + 10.3^2 / 12 - 100 / 16 = 2 + 0.03 + 8.8408 - 6.25
    assert safe_gap(10.0, 10.0, TUNED) == pytest.approx(4.6208, abs=1e-4)
    # 10 + 1.75 + 13.5^2 / 8 - 6.25
    assert safe_gap(10.0, 10.0, DEFAULT) == pytest.approx(28.28125)
    assert safe_gap(0.0, 20.0, DEFAULT) == 0.0


def test_rss_counts_only_samples_that_follow_something_and_move() -> None:
    drive = [dataclasses.replace(s, gap_ahead_m=5.0) for s in cruise(3)]
    drive[1] = dataclasses.replace(drive[1], gap_ahead_m=4.0)
    drive[2] = dataclasses.replace(drive[2], gap_ahead_m=60.0)
    drive[3] = dataclasses.replace(drive[3], speed_mps=0.0, gap_ahead_m=0.1)
    assert violations(drive, TUNED) == (1, 2)
    assert violations(drive, DEFAULT) == (2, 2)


@pytest.mark.parametrize(
    ("contact", "kind", "at_fault"),
    [
        ({"gap_ahead_m": 0.0, "closing_speed_mps": 4.0}, "active_front", True),
        ({"gap_ahead_m": 0.0, "closing_speed_mps": 10.0}, "stopped_track", True),
        ({"gap_ahead_m": 60.0}, "active_lateral", True),
        ({"gap_ahead_m": 0.5, "speed_mps": 0.0, "closing_speed_mps": -2.0}, "stopped_ego", False),
    ],
)
def test_a_collision_known_by_its_label_alone_gets_the_class_that_the_gap_suggests(
    contact: dict, kind: str, at_fault: bool
) -> None:
    score = score_episode(cruise(50, collided=True, **contact))
    assert (score.collision_class, score.at_fault) == (kind, at_fault)
    assert score.collision and score.hit == "car"


def test_wilson_gives_14_points_either_side_at_58_percent_of_50() -> None:
    low, high = wilson(29, 50)
    assert low == pytest.approx(0.4423, abs=1e-3) and high == pytest.approx(0.7062, abs=1e-3)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(50, 50)[1] == pytest.approx(1.0) and wilson(50, 50)[0] == pytest.approx(0.9287, abs=1e-3)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_stays_inside_0_and_1_and_holds_the_share(case: tuple[int, int]) -> None:
    wins, trials = case
    low, high = wilson(wins, trials)
    assert 0.0 <= low <= wins / trials + 1e-12 and wins / trials - 1e-12 <= high <= 1.0


INFRACTIONS = st.builds(
    Infractions,
    pedestrian=st.integers(0, 3),
    vehicle=st.integers(0, 3),
    static=st.integers(0, 3),
    red_light=st.integers(0, 5),
    timeout=st.integers(0, 1),
    min_speed=st.lists(st.floats(0, 1), max_size=4),
    off_lane=st.floats(0, 1),
)


@given(st.floats(0, 1), INFRACTIONS, st.sampled_from(["pedestrian", "vehicle", "static", "red_light", "timeout"]))
def test_the_driving_score_stays_in_0_to_100_and_no_infraction_raises_it(
    completion: float, wrong: Infractions, more: str
) -> None:
    score = driving_score(completion, wrong)
    assert 0.0 <= score <= 100.0
    assert driving_score(completion, dataclasses.replace(wrong, **{more: getattr(wrong, more) + 1})) <= score
    assert driving_score(completion, dataclasses.replace(wrong, off_lane=1.0)) == 0.0
    slower = dataclasses.replace(wrong, min_speed=[0.9 * share for share in wrong.min_speed])
    assert driving_score(completion, slower) <= score


UNITS = st.floats(0, 1)


@given(
    st.tuples(*[UNITS] * 8).map(lambda parts: NuplanScore(*parts)),
    st.sampled_from([field.name for field in dataclasses.fields(NuplanScore)]),
    UNITS,
)
def test_nuplans_score_stays_in_0_to_100_and_falls_with_every_part(parts: NuplanScore, name: str, less: float) -> None:
    assert 0.0 <= parts.total <= 100.0 + 1e-9
    assert dataclasses.replace(parts, **{name: less * getattr(parts, name)}).total <= parts.total + 1e-9


@given(
    st.lists(
        st.tuples(st.floats(0, 30), st.floats(-2, 3), st.booleans(), st.floats(0, 2), st.floats(0, 3), st.booleans()),
        min_size=2,
        max_size=40,
    ),
    st.sampled_from(["", *COLLISION_CLASSES]),
)
def test_any_drive_gets_scores_inside_their_ranges(steps: list[tuple], hit: str) -> None:
    drive, progress = cruise(len(steps) - 1), 0.0
    for i, (speed, advance, oncoming, out, ttc, off) in enumerate(steps):
        progress += advance
        seen = Surroundings(ttc, out, off, oncoming, speed)
        drive[i] = dataclasses.replace(drive[i], speed_mps=speed, progress_m=progress, around=seen)
    if hit:
        drive[-1] = dataclasses.replace(drive[-1], collided=True, contact=Contact("car", hit))
    score = score_episode(drive)
    assert 0.0 <= score.driving_score <= 100.0 and 0.0 <= score.nuplan_score <= 100.0
    assert 0.0 <= score.route_completion <= 1.0 and 0.0 <= score.off_lane_share <= 1.0 and 0.0 <= score.comfort <= 1.0
    assert score.collision == bool(hit) and (not hit or not score.success)


def test_a_summary_counts_episodes_and_means_their_scores() -> None:
    clean = score_episode(cruise(route_done=True))
    crash = score_episode(cruise(50, collided=True, contact=FRONT, gap_ahead_m=0.0, closing_speed_mps=4.0))
    out = summarise([clean, crash])
    assert out["episodes"] == 2 and out["success_rate"] == 0.5
    assert out["success_ci95"] == out["at_fault_ci95"] == list(wilson(1, 2))
    assert (out["collisions"], out["at_fault_collisions"], out["off_road"]) == (1, 1, 0)
    assert out["collision_classes"]["active_front"] == 1
    assert out["driving_score"] == pytest.approx((100 + 50 / 1.7) / 2)
    assert out["nuplan_score"] == 50.0 and out["nuplan"]["no_at_fault_collision"] == 0.5
    assert out["km"] == pytest.approx(0.15)
    assert out["min_ttc_s"] == 0.0
    assert out["rss_violations"] == out["rss_violations_default"] == 1.0  # the one sample that followed
    assert out["return_mean"] == pytest.approx(75.0)
    assert out["return_sem"] == pytest.approx(math.sqrt(1250.0) / math.sqrt(2))


def test_a_share_of_nothing_is_null_and_not_zero() -> None:
    out = summarise([score_episode(cruise(route_done=True))])
    assert out["rss_violations"] is None and out["min_ttc_s"] is None


def test_a_drive_without_samples_is_refused_with_a_remedy() -> None:
    with pytest.raises(SimError, match="add the frame that reset returned first"):
        score_episode([])
