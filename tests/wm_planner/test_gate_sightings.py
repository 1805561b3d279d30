"""What the gate makes of scan after scan, sector by sector: range, rate, how often seen."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wm_planner.safety.sightings import FAR_M, Sightings, sectors, sight

NOW = 10**9
STEP_NS = 10**8
R0, L0, L1 = 15, 16, 17  # of the sectors in view: the one right of ahead, those left of it
V = 10.0


@pytest.fixture
def seen(scan_with):
    """The sightings after scans 0.1 s apart: `seen({"l0": 20.0}, {"l0": 19.0}, speed=5.0)`."""

    def run(*scans, speed=V, before=None, step_ns=STEP_NS) -> Sightings:
        stamp = NOW if before is None else before.stamp_ns + step_ns
        for ranges in scans:
            before = sight(scan_with(**ranges), stamp, before, speed)
            stamp += step_ns
        return before

    return run


def told(sightings: Sightings, sector: int) -> tuple[float, float, int]:
    return float(sightings.range_m[sector]), float(sightings.rate_mps[sector]), int(sightings.hits[sector])


def test_what_is_seen_for_the_first_time_counts_as_standing(seen):
    first = seen({"l0": 20.0})
    assert told(first, L0) == (20.0, -V, 1)
    assert told(first, R0) == (FAR_M, -V, 0)
    assert (first.stamp_ns, first.size) == (NOW, 72) and not first.coasted.any()


@pytest.mark.parametrize("nothing", [0.0, -1.0, 59.9, 60.0, math.nan, math.inf, -math.inf])
def test_a_range_that_is_no_return_is_none(seen, nothing):
    assert seen({"l0": nothing}).hits.sum() == 0
    again = seen({"l0": 20.0}, {"l0": nothing})
    assert told(again, L0) == (FAR_M, -V, 0)


def test_the_second_sight_gives_a_cautious_rate(seen):
    assert told(seen({"l0": 20.0}, {"l0": 19.0}), L0) == (19.0, pytest.approx(-7.0), 2)
    assert told(seen({"l0": 20.0}, {"l0": 20.5}), L0) == (20.5, pytest.approx(3.5), 2)


def test_from_then_on_range_and_rate_are_filtered(seen):
    before = seen({"l0": 20.0}, {"l0": 19.5})  # 19.5, -3.5 m/s
    after = seen({"l0": 19.0}, before=before)
    error = 19.0 - (19.5 - 0.35)
    assert told(after, L0) == (pytest.approx(19.15 + 0.6 * error), pytest.approx(-3.5 + 0.4 * error / 0.1), 3)


def test_a_range_closes_at_most_at_our_own_speed_and_grows_at_most_at_sixty(seen):
    assert told(seen({"l0": 20.0}, {"l0": 18.0}, speed=5.0), L0)[1] == -5.0
    assert told(seen({"l0": 20.0}, {"l0": 22.9}, step_ns=20_000_000), L0)[1] == 60.0


def test_a_jump_of_more_than_three_metres_is_another_thing(seen):
    for jump in (2.75, -2.75):
        assert told(seen({"l0": 20.0}, {"l0": 20.0 + jump}), L0)[2] == 2
    for jump in (3.25, -3.25):
        assert told(seen({"l0": 20.0}, {"l0": 20.0 + jump}), L0) == (20.0 + jump, -V, 1)


def test_a_thing_keeps_its_rate_when_it_wanders_into_the_next_sector(seen):
    before = seen({"l0": 20.0}, {"l0": 19.5}, {"l0": 19.0})
    for neighbour in ("r0", "l1"):
        sector = R0 if neighbour == "r0" else L1
        after = seen({neighbour: 18.5}, before=before)
        assert told(after, sector)[2] == 4 and told(after, sector)[1] == pytest.approx(-4.6, abs=1.0)
    assert told(seen({"l2": 18.5}, before=before), L1 + 1) == (18.5, -V, 1)  # two sectors on: another thing
    edge = seen({"r15": 20.0}, {"r15": 19.5})
    assert told(edge, 0)[2] == 2  # the last sector in view has one neighbour


def test_of_two_things_the_better_fit_goes_on(seen):
    before = seen({"r0": 20.0, "l0": 22.0}, {"r0": 20.0, "l0": 22.0})
    after = seen({"l0": 20.1}, before=before)
    assert told(after, L0)[2] == 3 and abs(told(after, L0)[1]) < 1.0
    same = seen({"r0": 20.0, "l0": 20.0}, {"r0": 20.0}, {"r0": 20.0, "l0": 20.0})
    assert told(same, R0)[2] == 3


def test_one_scan_may_miss_what_three_have_seen(seen):
    often = seen({"l0": 20.0}, {"l0": 19.5}, {"l0": 19.0})
    range_m, rate, hits = told(often, L0)
    missed = seen({}, before=often)
    assert told(missed, L0) == (pytest.approx(range_m + 0.1 * rate), rate, hits) and missed.coasted[L0]
    assert missed.coasted.sum() == 1
    assert told(seen({}, before=missed), L0)[2] == 0
    assert told(seen({}, before=seen({"l0": 20.0}, {"l0": 19.5})), L0)[2] == 0
    found = seen({"l0": 18.3}, before=missed)
    assert told(found, L0)[2] == hits + 1 and not found.coasted[L0]


def test_what_a_neighbour_goes_on_with_is_not_missed(seen):
    often = seen({"l0": 20.0}, {"l0": 19.5}, {"l0": 19.0})
    moved = seen({"l1": 18.5}, before=often)
    assert told(moved, L0)[2] == 0 and not moved.coasted.any()


def test_a_coasting_range_is_never_below_nothing(seen):
    near = seen({"l0": 1.0}, {"l0": 0.6}, {"l0": 0.2})
    assert told(seen({}, before=near), L0)[0] == 0.0
    assert seen({"l0": 0.01}, before=seen({"l0": 0.02}, before=near)).range_m[L0] >= 0.0


def test_a_scan_that_is_not_later_or_of_another_size_begins_anew(seen, scan_with):
    before = seen({"l0": 20.0}, {"l0": 19.5})
    for stamp in (before.stamp_ns, before.stamp_ns - 1):
        assert told(sight(scan_with(l0=19.0), stamp, before, V), L0) == (19.0, -V, 1)
    other = sight(np.full(36, 19.0, np.float32), before.stamp_ns + STEP_NS, before, V)
    assert other.size == 36 and set(other.hits) == {1}


def test_scans_that_follow_at_once_say_little_about_speeds(seen):
    hasty = seen({"l0": 20.0}, {"l0": 19.5}, step_ns=1, speed=50.0)
    assert told(hasty, L0)[1] == pytest.approx(-0.7 * 0.5 / 0.02)


def test_only_what_is_within_eighty_degrees_is_looked_at():
    front, cosines, sines = sectors(72)
    assert (front.start, front.stop) == (20, 52)
    assert cosines.shape == sines.shape == (3, 32)
    assert np.degrees(np.arctan2(sines[1], cosines[1]))[[0, -1]] == pytest.approx([-77.5, 77.5])
    assert np.degrees(np.arctan2(sines[:, L0], cosines[:, L0])) == pytest.approx([0.0, 2.5, 5.0])


def test_whatever_the_scans_sightings_are_finite():
    rng = np.random.default_rng(0)
    before, stamp = None, 0
    for _ in range(300):
        size = int(rng.choice([72, 72, 72, 8, 100]))
        scan = rng.choice([math.nan, math.inf, -math.inf, 0.0, 1e30, 5.0, 20.0, 59.0], size).astype(np.float32)
        stamp += int(rng.choice([0, 1, 10**8, 2**60]))
        before = sight(scan, stamp, before, float(rng.choice([0.0, 10.0, 100.0])))
        assert np.isfinite(before.range_m).all() and np.isfinite(before.rate_mps).all()
        assert (before.range_m >= 0.0).all() and (before.rate_mps <= 60.0).all()
    assert replace(before, curvature_1pm=0.1).curvature_1pm == 0.1
