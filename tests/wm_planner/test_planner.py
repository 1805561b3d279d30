"""The planner in a world model whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wm_dynamics.protocols import Outcome
from wm_planner import PlannerError
from wm_planner.objective import Objective, ObjectiveConfig
from wm_planner.plan_result import Status, predicted_speed
from wm_planner.planner import Planner, PlannerConfig
from wm_planner.solvers import ICemConfig

STILL = np.zeros(2, np.float32)


def test_a_plan_is_complete_and_inside_the_actuators(lane_engine, car):
    plan = Planner(lane_engine).plan(car(lateral=0.5), 10.0, STILL)
    assert plan.status is Status.OK and plan.samples == 448
    assert plan.actions.shape == (12, 2)
    for row in (plan.steering_angle, plan.acceleration, plan.speed):
        assert row.shape == (12,) and row.dtype == np.float32 and np.isfinite(row).all()
    assert (np.abs(plan.steering_angle) <= 0.6).all()
    assert (plan.acceleration >= -6).all() and (plan.acceleration <= 3).all() and (plan.speed >= 0).all()
    assert 0 <= plan.collision_prob <= 0.2 and 0 <= plan.off_road_prob <= 0.2
    assert plan.solve_ms > 0


def test_it_steers_back_to_the_middle_of_the_lane(lane_engine, car):
    searching = PlannerConfig(objective=ObjectiveConfig(policy_weight=2.0))  # the test's policy sees no lane
    assert Planner(lane_engine, searching).plan(car(lateral=0.8), 10.0, STILL).steering_angle[:6].mean() < -0.005
    assert Planner(lane_engine, searching).plan(car(lateral=-0.8), 10.0, STILL).steering_angle[:6].mean() > 0.005


def test_left_to_its_search_it_brakes_for_a_car_standing_ahead_and_not_for_one_far_away(lane_engine, car):
    searching = PlannerConfig(objective=ObjectiveConfig(policy_weight=0.0))  # the test's policy sees no car
    near = Planner(lane_engine, searching).plan(car(gap=14.0, lead=0.0), 10.0, STILL)
    assert near.acceleration[:4].mean() < -2.0
    far = Planner(lane_engine, searching).plan(car(gap=60.0), 10.0, STILL)
    assert far.acceleration[:4].mean() > -0.7


def test_where_a_crash_cannot_be_avoided_it_brakes_and_says_infeasible(lane_engine, car):
    plan = Planner(lane_engine).plan(car(gap=3.0, lead=0.0), 10.0, STILL)
    assert plan.status is Status.INFEASIBLE
    assert plan.collision_prob > 0.2
    assert plan.acceleration[:5].mean() < -4.0


@pytest.mark.parametrize("broken", ["belief", "speed", "previous", "outcome", "proposal"])
def test_what_is_not_finite_means_full_braking_with_the_steering_held(lane_engine, car, broken):
    belief, speed, before = car(), 10.0, np.array([0.05, 0.2], np.float32)
    if broken == "belief":
        belief[3] = np.nan
    elif broken == "speed":
        speed = math.nan
    elif broken == "previous":
        before[1] = np.inf
    elif broken == "outcome":
        lane_engine.score = lambda belief, actions: Outcome(*[np.full(len(actions), np.nan, np.float32)] * 4)
    else:
        lane_engine.propose = lambda belief: np.full((8, 12, 2), np.nan, np.float32)
    plan = Planner(lane_engine).plan(belief, speed, before)
    if broken == "proposal":
        assert plan.status is Status.OK
        return
    assert plan.status is Status.FALLBACK
    np.testing.assert_array_equal(plan.acceleration, -6.0)
    np.testing.assert_allclose(plan.steering_angle, 0.05 * 0.6, atol=1e-6)
    assert np.isfinite(plan.speed).all() and (plan.speed >= 0).all()


def test_after_a_fallback_the_next_plan_is_a_good_one(lane_engine, car):
    planner = Planner(lane_engine)
    assert planner.plan(car() * np.nan, 10.0, STILL).status is Status.FALLBACK
    assert planner.plan(car(), 10.0, STILL).status is Status.OK


def test_steering_stays_within_what_the_gate_would_pass(lane_engine, car):
    planner = Planner(lane_engine)
    plan = planner.plan(car(lateral=1.4, speed=20.0, limit=20.0), 20.0, STILL, yaw_rate_radps=0.0)
    curve = 2.75 * (1 + 0.002 * 400)
    lateral = 400 * np.tan(plan.steering_angle) / curve
    assert (np.abs(lateral) <= 3.05).all()
    assert (np.abs(np.diff(lateral, prepend=0.0)) <= 0.52).all()


def test_too_fast_for_a_bend_of_the_route_every_plan_brakes(lane_engine, car):
    planner, sharp = Planner(lane_engine), np.float32([[10, 0], [17, -7], [20, -26], [21, -66]])
    assert planner.plan(car(), 10.0, STILL, route_ahead=sharp).acceleration.max() < -1.0
    assert planner.plan(car(), 10.0, STILL).acceleration.max() > -1.0
    left_to_the_model = Planner(lane_engine, PlannerConfig(bend_share=10.0))
    assert left_to_the_model.plan(car(), 10.0, STILL, route_ahead=sharp).acceleration.max() > -1.0


def test_a_route_that_is_not_finite_changes_nothing(lane_engine, car):
    broken = np.full((4, 2), np.nan, np.float32)
    with_it = Planner(lane_engine).plan(car(), 10.0, STILL, route_ahead=broken)
    np.testing.assert_array_equal(with_it.actions, Planner(lane_engine).plan(car(), 10.0, STILL).actions)


def test_the_same_seed_gives_the_same_plans_again_after_reset(lane_engine, car):
    planner, beliefs = Planner(lane_engine, seed=3), [car(lateral=0.1 * k) for k in range(4)]
    first = [planner.plan(belief, 10.0, STILL).actions for belief in beliefs]
    planner.reset()
    again = [planner.plan(belief, 10.0, STILL).actions for belief in beliefs]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, [Planner(lane_engine, seed=4).plan(b, 10.0, STILL).actions for b in beliefs])


def test_a_short_deadline_gives_a_timeout_with_fewer_samples(lane_engine, car):
    readings = iter(np.arange(0.0, 1e4, 1.0))
    planner = Planner(lane_engine, PlannerConfig(screening_margin=math.inf), clock=lambda: next(readings))
    plan = planner.plan(car(), 10.0, STILL, deadline_s=8.0)
    assert plan.status is Status.TIMEOUT
    assert 64 <= plan.samples < 448 and plan.samples == lane_engine.scored
    assert np.isfinite(plan.actions).all()


def test_predicted_speed_integrates_acceleration_and_never_reverses():
    speed = predicted_speed(1.0, np.array([3.0, -6.0, -6.0, -6.0, 1.0], np.float32))
    np.testing.assert_allclose(speed, [1.3, 0.7, 0.1, 0.0, 0.1], atol=1e-6)


def test_a_solver_that_does_not_fit_the_model_is_refused(lane_engine):
    with pytest.raises(PlannerError, match="12 steps of 64 candidates"):
        Planner(lane_engine, PlannerConfig(search=ICemConfig(horizon=15)))


def score(engine, belief, actions, **weights):
    objective = Objective(engine, ObjectiveConfig(**weights), belief, STILL, lateral_per_rad=20.0, step_s=0.1)
    return objective(np.repeat(np.asarray(actions, np.float32)[None], 64, axis=0))


def test_doubt_risk_and_jerks_lower_the_value(lane_engine, car):
    steady, rough = np.zeros((12, 2)), np.zeros((12, 2))
    rough[::2] = 0.05, 0.3
    free = {"lateral_jerk_weight": 0.0, "steering_rate_weight": 0.0, "jerk_weight": 0.0}
    unjerked = score(lane_engine, car(), steady, **free).value[0]
    assert score(lane_engine, car(), steady).value[0] == pytest.approx(unjerked)
    for name in free:
        others = {other: 0.0 for other in free if other != name}
        assert score(lane_engine, car(), rough, **others).value[0] < score(lane_engine, car(), rough, **free).value[0]
    near = car(gap=11.0, lead=0.0)
    assert score(lane_engine, near, steady).value[0] < score(lane_engine, near, steady, collision_weight=0.0).value[0]
    certain = lane_engine.score
    lane_engine.score = lambda b, a: replace(certain(b, a), disagreement=np.full(len(a), 3.0, np.float32))
    doubtful = score(lane_engine, car(), steady, disagreement_weight=0.5)
    blithe = score(lane_engine, car(), steady, disagreement_weight=0.0)
    assert doubtful.value[0] == pytest.approx(blithe.value[0] - 1.5, abs=1e-4)
    assert doubtful.detail[0, 3] == pytest.approx(3.0)


def test_risk_is_one_at_the_allowed_probability(lane_engine, car):
    certain = lane_engine.score
    for field, limit in (("collision", "collision_max"), ("off_road", "off_road_max")):
        lane_engine.score = lambda b, a, field=field: replace(
            certain(b, a), **{"collision": a[:, 0, 0] * 0, "off_road": a[:, 0, 0] * 0, field: a[:, 0, 0] * 0 + 0.3}
        )
        assert score(lane_engine, car(), np.zeros((12, 2)), **{limit: 0.3}).risk[0] == pytest.approx(1.0)


def proposed() -> np.ndarray:
    """A policy's sequence that the gate would let pass and that nobody would choose for what it earns."""
    sequence = np.zeros((12, 2), np.float32)
    sequence[:, 0], sequence[:, 1] = np.linspace(0.005, 0.03, 12), -0.4
    return sequence


def test_a_departure_that_weighs_nothing_leaves_every_value_as_it_was(lane_engine, car):
    actions = np.random.default_rng(0).uniform(-1, 1, (64, 12, 2)).astype(np.float32)
    without, with_policy = (
        Objective(lane_engine, ObjectiveConfig(policy_weight=0.0), car(), STILL, 20.0, 0.1, policy)(actions)
        for policy in (None, proposed())
    )
    for name in ("value", "risk", "detail"):
        np.testing.assert_array_equal(getattr(without, name), getattr(with_policy, name))


@pytest.mark.parametrize("off", [(0, 2.0 / 20.0 / 0.6), (1, 2.0 / 3.0), (1, -2.0 / 6.0)])
def test_a_departure_of_two_metres_a_second_squared_costs_its_weight(lane_engine, car, off):
    policy, actions = np.zeros((12, 2), np.float32), np.zeros((64, 12, 2), np.float32)
    actions[1:, :, off[0]] = off[1]
    free, weighed = (
        Objective(lane_engine, ObjectiveConfig(policy_weight=weight), car(), STILL, 20.0, 0.1, policy)(actions).value
        for weight in (0.0, 3.0)
    )
    assert weighed[0] == free[0]
    np.testing.assert_allclose(free[1:] - weighed[1:], 3.0, rtol=1e-3)


def test_a_planner_that_shuns_departure_does_as_the_policy_proposes(lane_engine, car):
    lane_engine.propose = lambda belief: np.stack([proposed(), *np.zeros((7, 12, 2), np.float32)])
    plans = {
        weight: Planner(lane_engine, PlannerConfig(objective=ObjectiveConfig(policy_weight=weight))).plan(
            car(), 10.0, STILL
        )
        for weight in (0.0, 1e4)
    }
    assert all(plan.status is Status.OK for plan in plans.values())
    np.testing.assert_allclose(plans[1e4].actions, proposed(), atol=1e-6)
    assert np.abs(plans[0.0].actions - proposed()).max() > 0.2


def test_a_policy_that_proposes_no_numbers_is_not_followed(lane_engine, car):
    lane_engine.propose = lambda belief: np.full((8, 12, 2), np.nan, np.float32)
    plan = Planner(lane_engine, PlannerConfig(objective=ObjectiveConfig(policy_weight=10.0))).plan(car(), 10.0, STILL)
    assert plan.status is Status.OK and np.isfinite(plan.actions).all()


def test_weights_that_make_no_sense_are_refused():
    refused = {"collision_max": 0.0, "jerk_weight": -1.0, "off_road_weight": math.nan, "policy_weight": -1.0}
    for wrong in ({name: value} for name, value in refused.items()):
        with pytest.raises(PlannerError, match="objective"):
            ObjectiveConfig(**wrong)
