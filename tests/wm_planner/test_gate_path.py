"""The gate brakes for what is in the path, and only for that; and refuses to turn into it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wm_planner.safety import Command, GateState, Inputs, Limits, Reason, Source, State, route_from
from wm_planner.safety.scan_check import Demand, braking_for, rss_distance, update_sightings, watch_path
from wm_planner.safety.sightings import Sightings, sight

LIMITS = Limits()
BUMPER_M = LIMITS.front_bumper_m
FREE = np.full(72, 60.0, np.float32)
BRAKING_MPS2 = 5.1  # that a car with weak brakes reaches when 6 are asked


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
        gate.sense(speed_mps=now, yaw_rate_radps=now * curvature, steering_angle_rad=steering)
        decision = gate.step(scan=scan_of([place]), steering=steering, acceleration=accel)
        decisions.append(decision)
        lead_now = lead(step) if callable(lead) else lead
        done = max(decision.command.acceleration_mps2, -BRAKING_MPS2) if react else accel
        after = max(0.0, now + 0.1 * done)
        gaps.append(gaps[-1] + 0.1 * (lead_now - 0.5 * (now + after)))
        speeds.append(after)
        if gaps[-1] < 0.1:
            break
    return decisions, np.array(gaps), np.array(speeds)


def brakes(decision) -> bool:
    return bool(decision.reasons & Reason.OBSTACLE)


# On the road.


@pytest.mark.parametrize("accel", [0.0, 3.0])
@pytest.mark.parametrize("speed", [5.0, 10.0, 15.0, 20.0])
def test_it_stops_for_a_car_standing_dead_ahead(fresh_gate, scan_of, box, speed, accel):
    decisions, gaps, speeds = follow(fresh_gate, scan_of, box, 52.0, speed, 0.0, 200, accel=accel)
    assert gaps.min() > 0.1 and speeds[-1] < 1.0
    braking = [d for d in decisions if brakes(d)]
    assert all(d.state is State.ACTIVE for d in decisions)
    assert all(d.command.source is Source.SCAN_BRAKE for d in braking[:3])


@pytest.mark.parametrize("speed", [8.0, 12.0])
@pytest.mark.parametrize("radius", [60.0, -60.0, 150.0])
def test_it_stops_for_a_standing_car_on_a_curve(fresh_gate, scan_of, box, speed, radius):
    if speed**2 / abs(radius) > 2.5:
        pytest.skip("faster than the curve allows")
    _, gaps, speeds = follow(fresh_gate, scan_of, box, 45.0, speed, 0.0, 200, curvature=1 / radius)
    assert gaps.min() > 0.2 and speeds[-1] < 1.0


@pytest.mark.parametrize("speed", [3.0, 6.0, 10.0, 14.0, 20.0])
@pytest.mark.parametrize("headway", [1.6, 2.2])
@pytest.mark.parametrize("radius", [math.inf, 200.0, -100.0])
def test_it_never_fires_in_ordinary_following(fresh_gate, scan_of, box, speed, headway, radius):
    if speed**2 / abs(radius) > 2.5:
        pytest.skip("faster than the curve allows")
    rng = np.random.default_rng(0)
    gap = max(headway * speed, 3.5)
    decisions, _, _ = follow(
        fresh_gate, scan_of, box, gap, speed, lambda _: speed + rng.normal(0, 0.2), 80, 1 / radius, react=False
    )
    assert not any(map(brakes, decisions))


def test_following_too_near_it_wins_the_distance_back_gently(fresh_gate, scan_of, box):
    decisions, gaps, _ = follow(fresh_gate, scan_of, box, 5.0, 12.0, 12.0, 60)
    assert all(-2.5 <= d.command.acceleration_mps2 <= 0.0 for d in decisions[2:10])
    assert gaps[-1] > 9.0


@pytest.mark.parametrize("side", [-3.2, 3.2])
@pytest.mark.parametrize("radius", [math.inf, 150.0, -150.0])
def test_a_car_standing_in_the_next_lane_does_not_stop_us(fresh_gate, scan_of, box, side, radius):
    speed = 10.0 if math.isinf(radius) else 12.0
    decisions, _, _ = follow(fresh_gate, scan_of, box, 50.0, speed, 0.0, 45, 1 / radius, offset=side, react=False)
    assert not any(map(brakes, decisions))


@pytest.mark.parametrize("side", [-3.2, 3.2])
def test_fast_the_car_is_slowed_until_its_sectors_tell_the_next_lane_from_ours(fresh_gate, scan_of, box, side):
    decisions, _, speeds = follow(fresh_gate, scan_of, box, 50.0, 15.0, 0.0, 60, offset=side)
    assert any(map(brakes, decisions)) and speeds[-1] > 11.0
    assert not any(map(brakes, decisions[-10:]))


@pytest.mark.parametrize("braking", [4.0, 8.0])
def test_a_full_throttle_never_hits_a_lead_that_brakes_as_hard_as_it_can(fresh_gate, scan_of, box, braking):
    lead = lambda step: max(0.0, 12.0 - 0.1 * braking * max(0, step - 40))  # noqa: E731
    decisions, gaps, _ = follow(fresh_gate, scan_of, box, 15.0, 12.0, lead, 150, accel=3.0)
    assert gaps.min() > 0.1
    after = [k for k, d in enumerate(decisions) if k > 40 and d.command.acceleration_mps2 < -2.0]
    assert after[0] <= 46  # within 0.6 s of the lead's braking


def test_a_braking_that_is_not_needed_any_more_ends(fresh_gate, scan_of, box):
    decisions, _, _ = follow(fresh_gate, scan_of, box, 6.0, 10.0, lambda step: 8.0 + 0.4 * step, 40)
    assert any(map(brakes, decisions)) and not brakes(decisions[-1])
    assert decisions[-1].state is State.ACTIVE


def test_standing_behind_a_car_it_lets_the_planner_creep(fresh_gate, scan_of, box):
    for _ in range(10):
        decision = fresh_gate.step(scan=scan_of([box(BUMPER_M + 2.5, 0.0)]), speed_mps=0.0, acceleration=0.5)
        assert not brakes(decision)
    assert decision.command.acceleration_mps2 == pytest.approx(0.5)


def test_standing_nose_to_tail_it_does_not_let_the_car_push(fresh_gate, scan_of, box):
    scan = scan_of([box(BUMPER_M + 0.3, 0.0)])
    for _ in range(5):
        decision = fresh_gate.step(scan=scan, speed_mps=0.0, acceleration=1.0)
    assert brakes(decision) and decision.command.acceleration_mps2 == -2.5
    decision = fresh_gate.step(scan=scan, speed_mps=0.0, acceleration=-1.0)
    assert decision.command.source is Source.PLAN


def test_far_away_a_twitch_of_the_plan_does_not_put_the_neighbour_into_the_path(fresh_gate, scan_of, box):
    for _ in range(3):
        decision = fresh_gate.step(scan=scan_of([box(35.0, 3.2)]), steering=0.014)
    assert not brakes(decision)


# Turning into something.


def approach(gate, scan_of, place, start_m, steps=4, **wanted):
    """Towards a standing thing at 10 m/s; the last decision. place: the box at a distance ahead."""
    for step in range(steps):
        decision = gate.step(scan=scan_of([place(start_m - step)]), **(wanted if step == steps - 1 else {}))
    return decision


@pytest.mark.parametrize("side", [1, -1])
def test_a_turn_into_a_car_that_stands_beside_the_path_is_refused_and_braked_for(gate, scan_of, box, side):
    beside = lambda x: box(x, side * 2.7)  # noqa: E731
    decision = approach(gate, scan_of, beside, 12.0, steering=side * 0.6, acceleration=3.0)
    assert decision.command.steering_angle_rad == 0.0 and decision.command.acceleration_mps2 <= -2.0
    assert decision.reasons == Reason.OBSTACLE | Reason.LIMITED and decision.command.limited
    decision = gate.step(scan=scan_of([beside(8.0)]), steering=-side * 0.6)
    assert decision.command.steering_angle_rad * side < 0.0


def test_without_that_turn_the_car_passes_it(gate, scan_of, box):
    for step in range(15):
        decision = gate.step(scan=scan_of([box(16.0 - step, 2.7)]), acceleration=0.5)
        assert not brakes(decision)


def test_later_steps_of_a_plan_take_nothing_out_of_the_path(gate, scan_of, box):
    for step in range(5):
        gate.wait(0.1)
        gate.sense(scan=scan_of([box(BUMPER_M + 18.0 - step, 0.0)]))
        plan = gate.plan(steering=0.6, acceleration=3.0)
        plan.steering_angle[0] = 0.0
        gate.hear(plan)
        decision = gate.decide()
    assert decision.command.acceleration_mps2 < -2.0


# What each thing asks for.


def one(gap: float, rate: float = 0.0, hits: int = 5) -> Sightings:
    """A single sighting."""
    return Sightings(0, 72, np.array([gap]), np.array([rate]), np.array([hits]), np.zeros(1, bool))


def asked(gap, rate=0.0, speed=10.0, hits=5, gain=0.0, limits=LIMITS) -> float:
    return float(braking_for(one(gap, rate, hits), np.array([gap]), speed, gain, limits)[0])


def safe(speed, lead, limits=LIMITS) -> float:
    return float(rss_distance(speed, np.array(lead), limits)) + limits.standstill_gap_m


def test_rss_distances_are_those_of_the_paper():
    limits = replace(LIMITS, rss_response_s=0.5, rss_acceleration_mps2=2.0, rss_brake_min_mps2=4.0)
    expected = 10.0 * 0.5 + 0.5 * 2.0 * 0.25 + 11.0**2 / 8.0 - 36.0 / 16.0
    assert rss_distance(10.0, np.array([6.0]), limits) == pytest.approx([expected])
    assert rss_distance(1.0, np.array([10.0]), limits) == [0.0]
    assert safe(10.0, 10.0) == pytest.approx(4.5 + 0.75 * 0.45**2 + 10.675**2 / 10.0 - 100.0 / 16.0 + 0.6)


def test_beyond_the_safe_distance_nothing_is_asked_and_deep_within_it_all():
    limit = safe(10.0, 5.0)
    assert asked(limit + 0.01, -5.0) == 0.0
    needed = 1.4 * 25.0 / (2.0 * (limit - 0.5 - 0.5))
    assert asked(limit - 0.5, -5.0) == pytest.approx(max(needed, 0.5 / limit / 0.3 * 6.0))
    assert asked(0.7 * limit, -5.0) == pytest.approx(6.0)
    assert asked(0.55, -0.6, speed=3.0) > 6.0


def test_a_thing_that_does_not_come_nearer_is_left_behind_gently():
    limit = safe(10.0, 10.0)
    assert asked(limit + 0.01) == 0.0
    assert asked(limit * 0.85) == pytest.approx(0.5 * 2.5)
    assert asked(0.1) == 2.5
    assert asked(limit * 0.85, -0.49) == pytest.approx(2.5 * (1 - limit * 0.85 / safe(10.0, 9.51)) / 0.3)
    assert asked(limit * 0.85, -0.5) > 2.5
    assert asked(3.0, 4.0) == pytest.approx(2.5 * min(1.0, (1 - 3.0 / safe(10.0, 14.0)) / 0.3), abs=1e-9)


def test_the_throttle_in_force_counts_as_speed_still_to_come():
    limit = safe(10.5, 8.0)
    assert asked(limit - 0.05, -2.0, gain=0.5) > 0.0
    assert asked(limit + 0.01, -2.0, gain=0.5) == 0.0
    assert asked(limit - 0.05, -2.0, gain=0.0) == 0.0
    assert asked(safe(10.5, 10.0) - 1.0, 0.0, gain=0.5) > asked(safe(10.5, 10.0) - 1.0, 0.0, gain=0.49)


def test_a_lead_that_has_stopped_counts_as_standing():
    assert asked(safe(4.0, 0.0) - 0.01, -4.0, speed=4.0) > 0.0
    assert asked(safe(4.0, 0.0) + 0.01, -9.0, speed=4.0, limits=replace(LIMITS, ttc_min_s=0.0)) == 0.0


def test_a_short_time_to_collision_alone_is_enough():
    short = replace(LIMITS, rss_response_s=0.0, rss_brake_min_mps2=12.0, rss_brake_max_mps2=6.0, standstill_gap_m=0.0)
    assert safe(10.0, 4.0, short) < 3.0
    assert asked(5.69, -6.0, limits=short) == pytest.approx(1.4 * 36.0 / (2.0 * (5.69 - 0.5)))
    assert asked(5.71, -6.0, limits=short) == 0.0
    assert asked(0.46, -0.49, speed=0.6, limits=short) == 0.0
    assert asked(0.47, -0.5, speed=0.6, limits=short) > 0.0


def test_close_up_what_is_needed_grows_without_end():
    short = replace(LIMITS, rss_response_s=0.0, rss_brake_min_mps2=12.0, standstill_gap_m=0.0)
    assert asked(0.9, -1.0, speed=1.0, limits=short) == pytest.approx(1.4 / (2.0 * 0.4))
    assert asked(0.55, -0.6, speed=0.6, limits=short) == pytest.approx(1.4 * 0.36 / (2.0 * 0.1))


def test_far_away_one_scan_is_not_enough():
    assert asked(12.01, -20.0, speed=20.0, hits=1) == 0.0
    assert asked(12.0, -20.0, speed=20.0, hits=1) > 6.0
    assert asked(12.01, -20.0, speed=20.0, hits=2) > 6.0


# Which path.


def at(scan: np.ndarray, curvature=0.0, speed=10.0, measured=None) -> Sightings:
    """What was seen, all of it standing and often seen."""
    sightings = sight(scan, 1, None, speed)
    measured = curvature if measured is None else measured
    return replace(sightings, hits=5 * sightings.hits, curvature_1pm=curvature, measured_1pm=measured)


def demand(
    scan, steering=0.0, last=0.0, wanted=0.0, throttle=0.0, age_s=0.0, route=None, pose=None, **driven
) -> Demand:
    speed = driven.get("speed", 10.0)
    command = None if last is None else Command(last, 0.0, throttle, 0.0, Source.PLAN, False)
    memory = GateState(sightings=at(scan, **driven), speed_mps=speed, command=command, pose=pose)
    return watch_path(memory, route, age_s, steering, wanted, LIMITS)


def test_nothing_in_the_path_asks_for_nothing(scan_with):
    assert watch_path(GateState(speed_mps=10.0), None, 0.0, 0.0, 1.0, LIMITS) == Demand()
    assert demand(FREE) == Demand()
    assert demand(scan_with(l9=5.0)) == Demand()


def test_standing_the_car_is_kept_from_pushing_what_stands_before_it(scan_with):
    touching = scan_with(l0=2.5, r0=2.5)  # 0.25 m before the bumper
    assert demand(touching, speed=0.1) == Demand(2.5)
    assert demand(touching, speed=0.1, wanted=-0.1) == Demand()
    assert demand(scan_with(l0=2.9, r0=2.9), speed=0.0, wanted=1.0) == Demand()
    assert demand(touching, speed=0.11, wanted=-0.1).braking_mps2 > 0.0


def test_far_away_both_paths_have_to_agree(scan_with):
    far = scan_with(l0=15.0, r0=15.0)
    assert demand(far).braking_mps2 > 2.0
    assert demand(far, steering=0.1) == Demand()  # steers away
    assert demand(far, curvature=0.03, measured=0.0, last=-0.1) == Demand()


def test_near_the_path_driven_or_the_path_wanted_is_enough(scan_with):
    near = scan_with(l0=13.0, r0=13.0)
    assert demand(near, steering=0.1) == Demand(6.0)
    assert demand(near, measured=0.08).braking_mps2 == 6.0
    assert demand(near, measured=0.08, steering=0.3, last=0.3, speed=4.0) == Demand()


def test_along_the_road_far_things_count_whatever_the_wheels_do(scan_with):
    bent = on_a_bend(0.01, 22.0)
    road = route_from([(100 * math.sin(a / 100), 100 * (1 - math.cos(a / 100))) for a in range(0, 100, 2)])
    sharp = route_from([(33 * math.sin(a / 33), 33 * (1 - math.cos(a / 33))) for a in range(0, 40, 2)])
    straight = route_from([(0.0, 0.0), (100.0, 0.0)])
    assert demand(bent, speed=12.0, route=road) == Demand()  # where on it is not known
    assert demand(bent, speed=12.0, route=straight, pose=(0.0, 0.0, 0.0)) == Demand()
    assert demand(bent, speed=12.0, route=road, pose=(0.0, 0.0, 0.0)).braking_mps2 > 0.0
    for speed, counts in ((6.0, False), (6.1, True)):  # near the car: only at speed
        near = demand(on_a_bend(0.03, 10.5), speed=speed, route=sharp, pose=(0.0, 0.0, 0.0))
        assert (near.braking_mps2 > 0.0) == counts


def on_a_bend(curvature: float, along: float) -> np.ndarray:
    """A scan with one return on an arc."""
    x, y = math.sin(curvature * along) / curvature, (1 - math.cos(curvature * along)) / curvature
    scan = np.full(72, 60.0, np.float32)
    scan[int((math.atan2(y, x - LIMITS.lidar_x_m) + math.pi) / (2 * math.pi / 72))] = math.hypot(x - 1.3, y)
    return scan


def test_a_turn_is_refused_if_it_leads_into_something_that_is_not_in_the_way_already(scan_with):
    beside = scan_with(l3=8.0, l2=8.0)
    assert demand(beside) == Demand()
    assert demand(beside, steering=0.09) == Demand(6.0, keep_steering=True)
    assert demand(beside, steering=0.6) == Demand(6.0, keep_steering=True)
    assert demand(beside, steering=-0.6) == Demand()
    far = scan_with(l1=18.0)
    assert demand(far, speed=11.0) == Demand()
    assert demand(far, speed=11.0, steering=0.03).keep_steering


def test_before_something_a_sharp_turn_that_does_not_lead_past_it_is_refused_and_a_slight_one_is_not(scan_with):
    ahead = scan_with(l0=6.0, r0=6.0, l1=6.5, r1=6.5)
    for steering, refused in ((0.6, True), (-0.6, True), (0.03, False), (-0.03, False)):
        assert demand(ahead, steering=steering) == Demand(6.0, keep_steering=refused)
    farther = scan_with(l0=13.0, r0=13.0)
    assert not demand(farther, steering=0.6).keep_steering  # leads past


def test_between_two_scans_things_come_nearer(scan_with):
    ahead = scan_with(l0=19.5, r0=19.5)
    assert demand(ahead) == Demand()
    assert demand(ahead, age_s=0.15).braking_mps2 > 0.0


def test_a_decision_between_two_scans_knows_that_the_car_went_on(gate, scan_of, box):
    for step in range(6):
        decision = gate.step(scan=scan_of([box(BUMPER_M + 22.0 - step, 0.0)]))
        assert not brakes(decision)
    gate.wait(0.15)
    assert brakes(gate.decide())


def test_a_decision_watches_the_bend_of_the_road_where_route_and_pose_are_known(gate):
    road = route_from([(100 * math.sin(a / 100), 100 * (1 - math.cos(a / 100))) for a in range(0, 100, 2)])
    for known, counts in ((None, False), (road, True)):
        for step in range(6):
            pose = (1.2 * step, 0.0, 0.0)
            decision = gate.step(
                scan=on_a_bend(0.01, 27.0 - 1.2 * step), speed_mps=12.0, yaw_rate_radps=0.0, route=known, pose=pose
            )
        assert brakes(decision) == counts


def test_throttle_in_force_makes_the_path_shorter(scan_with):
    ahead = scan_with(l0=19.3, r0=19.3)
    assert demand(ahead, throttle=3.0).braking_mps2 > demand(ahead).braking_mps2
    assert demand(ahead, throttle=-3.0) == demand(ahead) == demand(ahead, last=None)


# The path driven.


def curvature(before=None, speed=10.0, yaw_rate=0.0, angle=0.0, limits=LIMITS) -> float:
    inputs = Inputs(True, None, speed, yaw_rate, angle, scan=FREE, scan_stamp_ns=10**9)
    sightings = update_sightings(inputs, limits, GateState(sightings=before, speed_mps=speed))
    assert before is not None or sightings.measured_1pm == sightings.curvature_1pm
    return sightings.curvature_1pm


def test_the_curvature_driven_comes_from_the_yaw_rate_and_at_a_crawl_from_the_steering():
    assert curvature(yaw_rate=0.3) == pytest.approx(0.03)
    assert curvature(speed=2.01, yaw_rate=0.2, angle=0.5) == pytest.approx(0.2 / 2.01)
    assert curvature(speed=2.0, yaw_rate=0.2, angle=0.5) == pytest.approx(math.tan(0.5) / (2.75 * (1 + 0.002 * 4)))
    assert curvature(yaw_rate=math.nan, angle=0.1) == pytest.approx(math.tan(0.1) / (2.75 * 1.2))
    assert curvature(speed=1.0, angle=math.nan) == 0.0
    for extreme in ({"yaw_rate": 90.0}, {"speed": 1.0, "angle": 9.0}):
        assert curvature(**extreme) == 0.5
        assert curvature(**{name: -abs(v) if name != "speed" else v for name, v in extreme.items()}) == -0.5


def test_a_wheel_beyond_reason_is_taken_for_one_at_its_stop():
    long = replace(LIMITS, wheelbase_m=6.0)
    for angle, sign in ((9.0, 1), (-9.0, -1)):
        assert curvature(speed=1.0, angle=angle, limits=long) == pytest.approx(sign * math.tan(1.2) / (6.0 * 1.002))


def test_the_curvature_driven_is_filtered():
    before = replace(sight(FREE, 9 * 10**8, None, 10.0), curvature_1pm=0.01)
    assert curvature(before, yaw_rate=0.5) == pytest.approx(0.01 + (0.05 - 0.01) * 0.1 / 0.4)
    ahead_of_time = replace(before, stamp_ns=2 * 10**9)
    assert curvature(ahead_of_time, yaw_rate=0.5) == 0.01


def test_without_a_scan_there_are_no_sightings():
    inputs = Inputs(True, scan=None, scan_stamp_ns=5)
    assert update_sightings(inputs, LIMITS, GateState()) is None
    assert update_sightings(replace(inputs, scan=FREE, scan_stamp_ns=None), LIMITS, GateState()) is None
