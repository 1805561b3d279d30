"""The scan check's figures, one by one: how a thing in the path is followed, and how hard to brake for it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wm_planner.safety import Command, GateState, Inputs, Limits, PlanInput, Source
from wm_planner.safety.scan_check import nearest_gap, rss_distance, scan_braking, update_track
from wm_planner.safety.types import ScanTrack

LIMITS = Limits()
SECTOR_RAD = 2 * math.pi / 72


def on_arc(curvature: float, along: float, beside: float = 0.0) -> tuple[float, float]:
    """Bearing and range from the lidar of a place `along` the arc from base_link, `beside` it to the left."""
    bend = curvature * along
    x = math.sin(bend) / curvature - beside * math.sin(bend)
    y = (1 - math.cos(bend)) / curvature + beside * math.cos(bend)
    return math.atan2(y, x - LIMITS.lidar_x_m), math.hypot(x - LIMITS.lidar_x_m, y)


# Following it from scan to scan.


def tracked(before: ScanTrack | None, scan: np.ndarray, stamp_ns=10**9, speed=10.0, yaw_rate=0.0, angle=0.0, **memory):
    inputs = Inputs(True, None, speed, yaw_rate, angle, scan=scan, scan_stamp_ns=stamp_ns)
    return update_track(inputs, LIMITS, GateState(track=before, speed_mps=speed, **memory))


@pytest.fixture
def gap_of(seen):
    """The gap to a thing straight ahead at a range from the lidar."""
    return lambda metres: nearest_gap(seen(metres), 0.0, 0.0, LIMITS)


@pytest.fixture
def seen(scan_with):
    """The scan of a thing straight ahead at a range from the lidar."""
    return lambda metres: scan_with(l0=metres, r0=metres)


FREE = np.full(72, 60.0, np.float32)


def test_a_thing_seen_for_the_first_time_has_no_speed_yet(gap_of, seen):
    assert tracked(None, seen(20.0)) == ScanTrack(10**9, gap_of(20.0), 0.0, 1)
    assert tracked(None, FREE) == ScanTrack(10**9, math.inf, 0.0, 0)
    empty = ScanTrack(9 * 10**8, math.inf, 0.0, 0)
    assert tracked(empty, seen(20.0)) == ScanTrack(10**9, gap_of(20.0), 0.0, 1)
    same = ScanTrack(10**9, 15.0, -3.0, 4)
    assert tracked(same, seen(20.0)) == ScanTrack(10**9, gap_of(20.0), 0.0, 1)
    ahead_of_time = ScanTrack(2 * 10**9, 15.0, -3.0, 4)
    assert tracked(ahead_of_time, seen(20.0)).hits == 1


def test_the_second_sight_gives_a_cautious_speed(gap_of, seen):
    track = tracked(ScanTrack(8 * 10**8, gap_of(20.0) + 1.0, 0.0, 1), seen(20.0))
    assert track.hits == 2 and track.gap_m == pytest.approx(gap_of(20.0))
    assert track.rate_mps == pytest.approx(-0.7 * 1.0 / 0.2)


def test_from_then_on_gap_and_rate_are_filtered(gap_of, seen):
    gap = gap_of(20.0)
    track = tracked(ScanTrack(9 * 10**8, gap + 0.8, -4.0, 2), seen(20.0))
    error = gap - (gap + 0.8 - 0.4)
    assert track.gap_m == pytest.approx(gap + 0.4 + 0.6 * error)
    assert track.rate_mps == pytest.approx(-4.0 + 0.4 * error / 0.1)
    assert track.hits == 3 and not track.coasted


def test_a_gap_is_never_below_nothing_and_closes_at_most_at_our_own_speed(gap_of, seen):
    touching = tracked(ScanTrack(9 * 10**8, 0.1, -9.0, 5), seen(2.0))
    assert touching.gap_m == 0.0
    slow = tracked(ScanTrack(9 * 10**8, gap_of(20.0) + 2.0, -9.0, 5), seen(20.0), speed=3.0)
    assert slow.rate_mps == -3.0


def test_a_jump_of_more_than_three_metres_is_another_thing(gap_of, seen):
    near = gap_of(20.0)
    assert tracked(ScanTrack(9 * 10**8, near + 2.99, 0.0, 5), seen(20.0)).hits == 6
    assert tracked(ScanTrack(9 * 10**8, near - 2.99, 0.0, 5), seen(20.0)).hits == 6
    for off in (3.01, -3.01):
        track = tracked(ScanTrack(9 * 10**8, near + off, 0.0, 5), seen(20.0))
        assert track == ScanTrack(10**9, near, 0.0, 1)


def test_one_scan_may_miss_a_thing_that_three_have_seen():
    track = tracked(ScanTrack(9 * 10**8, 10.0, -4.0, 3), FREE)
    assert track == ScanTrack(10**9, pytest.approx(9.6), -4.0, 3, 0.0, coasted=True)
    gone = ScanTrack(10**9, math.inf, 0.0, 0)
    assert tracked(ScanTrack(9 * 10**8, 10.0, -4.0, 2), FREE) == gone
    assert tracked(replace(track, stamp_ns=9 * 10**8), FREE) == gone
    assert tracked(ScanTrack(9 * 10**8, 0.1, -4.0, 3), FREE).gap_m == 0.0


def test_the_curvature_goes_on_with_the_track_whatever_is_seen(gap_of, seen):
    def bent(before, scan):
        return tracked(replace(before, stamp_ns=9 * 10**8, curvature_1pm=0.004), scan).curvature_1pm

    kept = 0.004 * (1.0 - 0.1 / 0.4)
    for before in (ScanTrack(0, 10.0, -4.0, 3), ScanTrack(0, 10.0, -4.0, 2), ScanTrack(0, math.inf, 0.0, 0)):
        assert bent(before, FREE) == pytest.approx(kept)
    for gap in (gap_of(20.0), gap_of(20.0) + 9.0):
        assert bent(ScanTrack(0, gap, 0.0, 5), seen(20.0)) == pytest.approx(kept)
    assert bent(ScanTrack(0, 10.0, -4.0, 2), FREE) == bent(ScanTrack(0, math.inf, 0.0, 0), FREE)
    gone = tracked(ScanTrack(9 * 10**8, 10.0, -4.0, 2, curvature_1pm=0.004), FREE)
    assert (gone.gap_m, gone.rate_mps, gone.hits, gone.coasted) == (math.inf, 0.0, 0, False)


def test_without_a_scan_there_is_no_track():
    inputs = Inputs(True, scan=None, scan_stamp_ns=5)
    assert update_track(inputs, LIMITS, GateState()) is None
    assert update_track(replace(inputs, scan=FREE, scan_stamp_ns=None), LIMITS, GateState()) is None


def test_the_curvature_driven_comes_from_the_yaw_rate_and_at_a_crawl_from_the_steering():
    assert tracked(None, FREE, speed=10.0, yaw_rate=0.3).curvature_1pm == pytest.approx(0.03)
    assert tracked(None, FREE, speed=2.01, yaw_rate=0.2, angle=0.5).curvature_1pm == pytest.approx(0.2 / 2.01)
    by_wheel = math.tan(0.5) / (2.75 * (1 + 0.002 * 4))
    assert tracked(None, FREE, speed=2.0, yaw_rate=0.2, angle=0.5).curvature_1pm == pytest.approx(by_wheel)
    assert tracked(None, FREE, speed=1.0, angle=9.0).curvature_1pm == 0.5
    assert tracked(None, FREE, speed=1.0, angle=-9.0).curvature_1pm == -0.5
    assert tracked(None, FREE, speed=10.0, yaw_rate=90.0).curvature_1pm == 0.5
    assert tracked(None, FREE, speed=10.0, yaw_rate=-90.0).curvature_1pm == -0.5
    assert tracked(None, FREE, speed=10.0, yaw_rate=math.nan, angle=0.1).curvature_1pm == pytest.approx(
        math.tan(0.1) / (2.75 * 1.2)
    )
    assert tracked(None, FREE, speed=1.0, angle=math.nan).curvature_1pm == 0.0


def test_a_wheel_beyond_reason_is_taken_for_one_at_its_stop():
    long = replace(LIMITS, wheelbase_m=6.0)
    for angle, sign in ((9.0, 1), (-9.0, -1)):
        inputs = Inputs(True, None, 1.0, 0.0, angle, scan=FREE, scan_stamp_ns=1)
        curvature = update_track(inputs, long, GateState(speed_mps=1.0)).curvature_1pm
        assert curvature == pytest.approx(sign * math.tan(1.2) / (6.0 * 1.002))


def test_the_curvature_driven_is_filtered():
    track = tracked(ScanTrack(9 * 10**8, math.inf, 0.0, 0, curvature_1pm=0.01), FREE, yaw_rate=0.5)
    assert track.curvature_1pm == pytest.approx(0.01 + (0.05 - 0.01) * 0.1 / 0.4)


def test_the_path_planned_is_that_of_the_first_half_second():
    sharp = 0.08
    bearing, metres = on_arc(sharp, 14.0)
    scan = np.full(72, 60.0, np.float32)
    scan[int((bearing + math.pi) / SECTOR_RAD)] = metres
    wheel = sharp * 2.75 * (1 + 0.002 * 25)

    def track(steering, dt_s=0.1, last=0.0):
        plan = PlanInput(1, 0, dt_s, np.array(steering, np.float32), np.zeros(len(steering), np.float32))
        command = Command(last, 0.0, 0.0, 0.0, Source.PLAN, False)
        return tracked(None, scan, speed=5.0, plan=plan, command=command)

    assert track([wheel] * 5 + [0.0] * 7).hits == 1
    assert track([0.0] * 5 + [wheel] * 7).hits == 0
    assert track([wheel] * 12, last=wheel).hits == 0  # the car is under way straight, the plan adds nothing
    assert track([wheel], dt_s=1.0).hits == 1
    assert track([0.0, wheel, wheel], dt_s=1.0).hits == 0
    assert track([5 * wheel] + [0.0] * 4 + [9.0] * 7).hits == 1  # the mean counts
    assert track([9.0] * 12, last=1.2 - wheel).hits == 1  # believed up to 1.2 rad
    mirrored = scan[::-1].copy()
    plan = PlanInput(1, 0, 0.1, np.full(12, -9.0, np.float32), np.zeros(12, np.float32))
    command = Command(wheel - 1.2, 0.0, 0.0, 0.0, Source.PLAN, False)
    assert tracked(None, mirrored, speed=5.0, plan=plan, command=command).hits == 1
    assert tracked(None, mirrored, speed=5.0, plan=plan).hits == 0  # no command yet: the path driven alone


# Braking for it.


def braking(gap, rate=0.0, speed=10.0, hits=5, wanted=0.0, throttle=None, limits=LIMITS) -> float | None:
    command = None if throttle is None else Command(0.0, 0.0, throttle, 0.0, Source.PLAN, False)
    track = ScanTrack(0, gap, rate, hits)
    return scan_braking(GateState(track=track, speed_mps=speed, command=command), wanted, limits)


def test_nothing_in_the_path_asks_for_nothing():
    assert scan_braking(GateState(speed_mps=10.0), 1.0, LIMITS) is None
    assert braking(math.inf, hits=0) is None
    assert braking(1.0, rate=-9.0, hits=1) is None
    assert braking(1.0, rate=-9.0, hits=2) is not None


def test_standing_the_car_is_kept_from_pushing_what_stands_before_it():
    assert braking(0.59, speed=0.1, wanted=0.0) == -2.5
    assert braking(0.59, speed=0.1, wanted=0.5, hits=1) == -2.5
    assert braking(0.59, speed=0.0, wanted=-0.1) is None
    assert braking(0.6, speed=0.0, wanted=1.0) is None
    assert braking(0.3, rate=0.0, speed=0.11, wanted=-0.1) is not None  # moving: distance counts


def test_the_rss_distance_is_kept_with_what_is_left_at_a_stand():
    safe = rss_distance(10.0, 5.0, LIMITS) + 0.6
    assert braking(safe + 0.01, rate=-5.0) is None
    deep = braking(safe - 0.5, rate=-5.0)
    needed = 1.4 * 25.0 / (2.0 * (safe - 0.5 - 0.5))
    assert deep == pytest.approx(-max(needed, (0.5 / safe) / 0.3 * 6.0))
    assert braking(2.0, rate=-5.0) == -6.0
    assert braking(0.55, rate=-0.6, speed=3.0) == -6.0


def test_how_hard_it_brakes_is_what_is_needed_or_how_deep_the_violation_is():
    safe = rss_distance(10.0, 1.0, LIMITS) + 0.6
    assert braking(safe - 0.01, rate=-9.0) == pytest.approx(-1.4 * 81.0 / (2.0 * (safe - 0.51)), rel=1e-6)
    even = rss_distance(10.0, 10.0, LIMITS) + 0.6
    assert even > 4.9
    assert braking(4.9) == pytest.approx(-(1.0 - 4.9 / even) / 0.3 * 6.0)


def test_the_throttle_in_force_counts_as_speed_still_to_come():
    gain = 2.0 * 0.25
    safe = rss_distance(10.0 + gain, 8.0, LIMITS) + 0.6
    assert braking(safe - 0.05, rate=-2.0, throttle=2.0) is not None
    assert braking(safe - 0.05, rate=-2.0, throttle=0.0) is None
    assert braking(safe - 0.05, rate=-2.0, throttle=-6.0) is None
    assert braking(safe + 0.01, rate=-2.0, throttle=2.0) is None


def test_any_throttle_in_force_counts_and_no_more_than_it_is():
    safe = rss_distance(10.0 + 0.5 * 0.25, 8.0, LIMITS) + 0.6
    assert braking(safe + 0.01, rate=-2.0, throttle=0.5) is None
    assert braking(rss_distance(10.0, 8.0, LIMITS) + 0.61, rate=-2.0, throttle=0.0) is None


def test_close_up_what_is_needed_grows_without_end():
    short = replace(LIMITS, rss_response_s=0.0, rss_brake_min_mps2=12.0, standstill_gap_m=0.0, following_headway_s=0.0)
    asked = braking(0.9, rate=-1.0, speed=1.0, limits=short)
    assert asked == pytest.approx(-1.4 / (2.0 * 0.4))
    assert braking(0.55, rate=-0.6, speed=0.6, limits=short) == pytest.approx(-1.4 * 0.36 / (2.0 * 0.1))


def test_a_lead_that_has_stopped_counts_as_standing():
    safe = rss_distance(4.0, 0.0, LIMITS) + 0.6
    assert braking(safe - 0.01, rate=-4.0, speed=4.0) is not None


def test_following_evenly_at_the_ordinary_headway_is_no_violation():
    assert braking(5.01, rate=-0.49) is None  # within the RSS distance of 5.2 m, but not closing
    assert braking(5.01, rate=-0.5) is not None
    assert braking(4.99, rate=-0.1) is not None
    assert braking(5.01, rate=0.0, throttle=2.0) is not None  # will close
    assert braking(0.61, rate=0.0, speed=1.0) is None
    assert braking(0.59, rate=0.0, speed=1.0) is not None


def test_a_lead_that_draws_away_counts_with_its_own_speed():
    assert rss_distance(10.0, 14.0, LIMITS) + 0.6 < 3.0
    assert braking(3.0, rate=4.0) is None


def test_a_short_time_to_collision_alone_is_enough():
    short = replace(LIMITS, rss_response_s=0.0, rss_brake_min_mps2=12.0, rss_brake_max_mps2=6.0)
    assert rss_distance(10.0, 4.0, short) < 3.0
    needed = 1.4 * 36.0 / (2.0 * (5.69 - 0.5))
    assert braking(5.69, rate=-6.0, limits=short) == pytest.approx(-needed)
    assert braking(5.71, rate=-6.0, limits=short) is None
    assert (
        braking(0.95 * 0.45, rate=-0.45, limits=replace(short, following_headway_s=0.0, standstill_gap_m=0.0)) is None
    )
    barely = replace(short, following_headway_s=0.0, standstill_gap_m=0.0)
    assert braking(0.47, rate=-0.5, speed=0.6, limits=barely) is not None


def test_rss_adds_up_as_in_the_paper():
    limits = replace(LIMITS, rss_response_s=0.5, rss_acceleration_mps2=2.0, rss_brake_min_mps2=4.0)
    after = 10.0 + 1.0
    expected = 10.0 * 0.5 + 0.5 * 2.0 * 0.25 + after**2 / 8.0 - 36.0 / 16.0
    assert rss_distance(10.0, 6.0, limits) == pytest.approx(expected)
    assert rss_distance(1.0, 10.0, limits) == 0.0
