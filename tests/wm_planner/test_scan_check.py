"""The scan check brakes for what is in the path, and only for that."""

import math

import numpy as np
import pytest

from wm_planner.safety import GateState, Limits, Reason, Source, State
from wm_planner.safety.scan_check import nearest_gap, rss_distance, scan_braking
from wm_planner.safety.types import ScanTrack

BUMPER_M = Limits().front_bumper_m


def follow(gate, scan_of, box, gap, speed, lead, steps, curvature=0.0, accel=0.0, offset=0.0, react=True):
    """Drive behind a car (or at a standing one) on an arc; returns decisions and the gaps and speeds they left."""
    decisions, gaps, speeds = [], [gap], [speed]
    steering = math.atan(curvature * 2.75 * (1 + 0.002 * speed**2))
    for step in range(steps):
        along = gaps[-1] + BUMPER_M
        bend = curvature * along
        x = math.sin(bend) / curvature if curvature else along
        y = (1 - math.cos(bend)) / curvature if curvature else 0.0
        place = box(x - offset * math.sin(bend), y + offset * math.cos(bend), bend)
        now = speeds[-1]
        scan, yaw_rate = scan_of([place]), now * curvature
        gate.sense(speed_mps=now, yaw_rate_radps=yaw_rate, steering_angle_rad=steering)
        decision = gate.step(scan=scan, steering=steering, acceleration=accel)
        decisions.append(decision)
        lead_now = lead(step) if callable(lead) else lead
        done = decision.command.acceleration_mps2 if react else accel
        after = max(0.0, now + 0.1 * done)
        gaps.append(gaps[-1] + 0.1 * (lead_now - 0.5 * (now + after)))
        speeds.append(after)
        if gaps[-1] < 0.1:
            break
    return decisions, np.array(gaps), np.array(speeds)


def brakes(decision) -> bool:
    return bool(decision.reasons & Reason.OBSTACLE)


@pytest.mark.parametrize("speed", [5.0, 10.0, 15.0, 20.0])
def test_it_stops_for_a_car_standing_dead_ahead(fresh_gate, scan_of, box, speed):
    decisions, gaps, speeds = follow(fresh_gate, scan_of, box, gap=50.0, speed=speed, lead=0.0, steps=200)
    assert gaps.min() > 0.1  # no contact
    braking = [d for d in decisions if brakes(d)]
    assert braking
    assert all(d.state is State.ACTIVE for d in decisions)
    assert all(d.command.source is Source.SCAN_BRAKE for d in braking[:3])
    assert speeds[-1] < 1.0


@pytest.mark.parametrize("speed", [8.0, 12.0])
@pytest.mark.parametrize("radius", [60.0, -60.0, 150.0])
def test_it_stops_for_a_standing_car_on_a_curve(fresh_gate, scan_of, box, speed, radius):
    if speed**2 / abs(radius) > 2.5:
        pytest.skip("faster than the curve allows")
    _, gaps, speeds = follow(fresh_gate, scan_of, box, 45.0, speed, 0.0, 200, curvature=1 / radius)
    assert gaps.min() > 0.2 and speeds[-1] < 1.0


@pytest.mark.parametrize("speed", [3.0, 6.0, 10.0, 14.0, 20.0])
@pytest.mark.parametrize("headway", [0.6, 1.0, 2.0])
@pytest.mark.parametrize("radius", [math.inf, 200.0, -100.0])
def test_it_never_fires_in_ordinary_following(fresh_gate, scan_of, box, speed, headway, radius):
    if speed**2 / abs(radius) > 2.5:
        pytest.skip("faster than the curve allows")
    rng = np.random.default_rng(0)
    gap = max(headway * speed, 2.0)
    decisions, _, _ = follow(
        fresh_gate, scan_of, box, gap, speed, lambda _: speed + rng.normal(0, 0.2), 80, 1 / radius, react=False
    )
    assert not any(map(brakes, decisions))


@pytest.mark.parametrize("side", [-3.2, 3.2])
@pytest.mark.parametrize("radius", [math.inf, 150.0, -150.0])
def test_a_car_standing_in_the_next_lane_does_not_stop_us(fresh_gate, scan_of, box, side, radius):
    speed = 15.0
    decisions, _, _ = follow(fresh_gate, scan_of, box, 50.0, speed, 0.0, 30, 1 / radius, offset=side, react=False)
    assert not any(map(brakes, decisions))


def test_it_brakes_hard_when_the_lead_brakes_hard(fresh_gate, scan_of, box):
    lead = lambda step: max(0.0, 12.0 - 0.7 * max(0, step - 10))  # noqa: E731
    decisions, gaps, _ = follow(fresh_gate, scan_of, box, 12.0, 12.0, lead, 100)
    assert gaps.min() > 0.1  # no contact
    first = next(k for k, d in enumerate(decisions) if brakes(d))
    assert 10 < first <= 17  # within 0.6 s of the lead's braking


def test_a_braking_that_is_not_needed_any_more_ends(fresh_gate, scan_of, box):
    decisions, _, _ = follow(fresh_gate, scan_of, box, 6.0, 10.0, lambda step: 8.0 + 0.4 * step, 40)
    assert any(map(brakes, decisions)) and not brakes(decisions[-1])
    assert decisions[-1].state is State.ACTIVE


def test_standing_behind_a_car_it_lets_the_planner_creep(fresh_gate, scan_of, box):
    gate = fresh_gate
    for _ in range(10):
        decision = gate.step(scan=scan_of([box(BUMPER_M + 2.5, 0.0)]), speed_mps=0.0, acceleration=0.5)
        assert not brakes(decision)
    assert decision.command.acceleration_mps2 == pytest.approx(0.5)


def test_standing_nose_to_tail_it_does_not_let_the_car_push(fresh_gate, scan_of, box):
    scan = scan_of([box(BUMPER_M + 0.3, 0.0)])
    for _ in range(5):
        decision = fresh_gate.step(scan=scan, speed_mps=0.0, acceleration=1.0)
    assert brakes(decision) and decision.command.acceleration_mps2 < 0
    decision = fresh_gate.step(scan=scan, speed_mps=0.0, acceleration=-1.0)
    assert decision.command.source is Source.PLAN


def test_a_car_dead_ahead_at_40_m_is_seen_though_it_fills_no_sector(scan_of, box):
    gap = nearest_gap(scan_of([box(40.0 + 1.3, 0.0)]), 0.0, 0.0, Limits())
    assert gap == pytest.approx(40.0 + 1.3 - BUMPER_M, abs=0.5)


def test_a_free_scan_has_an_infinite_gap(scan_of):
    assert math.isinf(nearest_gap(scan_of([]), 0.0, 0.01, Limits()))
    assert math.isinf(nearest_gap(np.full(72, np.nan, np.float32), 0.0, 0.0, Limits()))


def test_a_car_beside_or_behind_us_is_not_in_the_path(scan_of, box):
    for place in (box(-1.0, 2.2), box(1.0, -2.2), box(-9.0, 0.0)):
        assert math.isinf(nearest_gap(scan_of([place]), 0.0, 0.0, Limits()))


def test_far_away_a_twitch_of_the_plan_does_not_put_the_neighbour_into_the_path(scan_of, box):
    scan = scan_of([box(35.0, 3.2)])
    assert math.isinf(nearest_gap(scan, 0.0, 0.005, Limits()))


def test_rss_distances_are_those_of_the_paper():
    limits = Limits()
    assert rss_distance(10.0, 10.0, limits) == pytest.approx(2.0 + 0.03 + 10.3**2 / 12 - 100 / 16)
    assert rss_distance(20.0, 0.0, limits) == pytest.approx(4.0 + 0.03 + 20.3**2 / 12)
    assert rss_distance(0.0, 20.0, limits) == 0.0


def test_a_short_time_to_collision_brakes_though_the_distance_is_safe():
    limits = Limits(rss_brake_max_mps2=6.0, rss_brake_min_mps2=12.0, rss_response_s=0.0)
    track = ScanTrack(0, gap_m=5.0, rate_mps=-6.0, hits=5)
    assert rss_distance(10.0, 4.0, limits) < 5.0
    braking = scan_braking(GateState(track=track, speed_mps=10.0), 0.0, limits)
    assert braking is not None and braking < -2.0


def test_one_scan_alone_does_not_brake():
    track = ScanTrack(0, 5.0, 0.0, hits=1)
    assert scan_braking(GateState(track=track, speed_mps=15.0), 1.0, Limits()) is None
