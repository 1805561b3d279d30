"""Plans are accepted only where a stop out of them is safe, when that is asked for."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from wm_planner import PlannerError
from wm_planner.braking_tail import BrakingConfig, braking_tails, stop_risk
from wm_planner.plan_result import Status
from wm_planner.planner import Planner, PlannerConfig
from wm_planner.solvers import SOLVERS, Scored
from wm_planner.solvers.deadline import Deadline

SEARCHING = [name for name in SOLVERS if name != "policy"]
HORIZON, STEP_S = 12, 0.1
NONE = np.zeros((0, HORIZON, 2), np.float32)


class Junction:
    """A car at 5 m/s, 2.5 m before a junction that has to be clear after a second; who goes on may just make it."""

    zone_m, clear_from = (2.5, 6.5), 10

    def __init__(self):
        self.asked = []

    def __call__(self, actions):
        self.asked.append(len(actions))
        accel = np.where(actions[..., 1] > 0, 3.0, 6.0) * actions[..., 1]
        place, speed = np.zeros(len(actions)), np.full(len(actions), 5.0)
        risk = np.zeros(len(actions))
        for step in range(actions.shape[1]):
            after = np.maximum(speed + accel[:, step] * STEP_S, 0.0)
            place, speed = place + 0.5 * (speed + after) * STEP_S, after
            inside = (place > self.zone_m[0]) & (place < self.zone_m[1])
            risk = np.maximum(risk, np.where(inside & (step >= self.clear_from), 5.0, 0.0))
        return Scored(place.astype(np.float32), risk.astype(np.float32), actions[:, 0].copy())


@pytest.fixture
def verifying(problem):
    """A problem whose answers have to leave a safe stop."""

    def posed(score, bounds, **more):
        verify = partial(stop_risk, score=score, bounds=bounds, config=BrakingConfig(), chunk=64)
        return problem(score, bounds, verify=verify, **more)

    return posed


def test_a_tail_is_the_plan_s_first_steps_and_then_the_brakes_with_the_steering_kept(free):
    plans = np.random.default_rng(0).uniform(-1, 1, (3, HORIZON, 2)).astype(np.float32)
    tails = braking_tails(plans, free(), BrakingConfig(after=2, levels=(-1.0, -0.5)))
    assert tails.shape == (6, HORIZON, 2)
    for index, plan in enumerate(plans):
        for level, tail in zip((-1.0, -0.5), tails[2 * index : 2 * index + 2], strict=True):
            np.testing.assert_array_equal(tail[:2], plan[:2])
            np.testing.assert_array_equal(tail[:, 0], plan[:, 0])
            np.testing.assert_array_equal(tail[2:, 1], np.float32(level))


def test_one_safe_stop_is_enough_and_scores_that_are_not_finite_are_none(free):
    def soft_is_safe(actions):
        assert len(actions) % 64 == 0
        risk = np.where(actions[:, -1, 1] == -1.0, 3.0, 0.5).astype(np.float32)
        risk[0], risk[1] = 3.0, np.nan
        return Scored(np.zeros(len(actions), np.float32), risk, actions[:, 0])

    plans = np.zeros((5, HORIZON, 2), np.float32)
    risk = stop_risk(plans, soft_is_safe, free(), BrakingConfig(levels=(-1.0, -0.42)), chunk=64)
    np.testing.assert_array_equal(risk, np.float32([3.0, 0.5, 0.5, 0.5, 0.5]))


@pytest.mark.parametrize("name", SEARCHING)
def test_who_could_no_longer_stop_before_the_junction_waits_when_stops_are_verified(
    name, free, make, problem, verifying
):
    score, bounds = Junction(), free()
    hurry = np.tile(np.float32([0.0, 1.0]), (1, HORIZON, 1))
    rash = make(name).solve(problem(score, bounds, hurry))
    assert rash.feasible and rash.value > Junction.zone_m[1]  # goes through, and is stuck inside if it has to brake
    assert stop_risk(rash.actions[None], score, bounds, BrakingConfig(), 64)[0] > 1.0

    solver, score = make(name), Junction()
    careful = solver.solve(verifying(score, bounds, proposals=hurry))
    assert stop_risk(careful.actions[None], score, bounds, BrakingConfig(), 64)[0] <= 1.0
    assert careful.feasible
    assert careful.actions[:2, 1].mean() < -0.4
    assert careful.samples == 448 and sum(score.asked[:-1]) == 448 + 64  # one chunk more, not counted as candidates


@pytest.mark.parametrize("name", list(SOLVERS))
def test_where_no_stop_is_safe_the_plan_says_so(name, free, make, problem, verifying):
    def hopeless(actions):
        braking = (actions[:, 2:, 1] < 0.0).all(axis=1)
        return Scored(actions[:, :, 1].sum(axis=1), np.where(braking, 2.0, 0.0).astype(np.float32), actions[:, 0])

    bounds = free()
    proposals = np.full((1, HORIZON, 2), 0.5, np.float32)
    assert make(name).solve(problem(hopeless, bounds, proposals)).feasible
    solution = make(name).solve(verifying(hopeless, bounds, proposals=proposals))
    assert solution.finite and not solution.feasible


@pytest.mark.parametrize("name", SEARCHING)
def test_the_deadline_leaves_room_for_the_verification(name, free, make, verifying):
    now = [0.0]

    def score(actions):
        now[0] += 1.0 * len(actions) / 64  # a second a chunk
        return Scored(np.zeros(len(actions), np.float32), np.zeros(len(actions), np.float32), actions[:, 0])

    for seconds in (2.5, 3.5, 5.5):
        now[0] = 0.0
        solution = make(name).solve(verifying(score, free(), deadline=Deadline(seconds, lambda: now[0])))
        assert now[0] <= seconds
        assert solution.samples == 64 * int(seconds - 1.0) and not solution.complete


def test_the_planner_asks_for_stops_only_when_told(lane_engine, car):
    belief, still = car(lateral=0.3), np.zeros(2, np.float32)
    every = PlannerConfig(screening_margin=math.inf)
    plain = Planner(lane_engine, every).plan(belief, 10.0, still)
    assert lane_engine.scored == plain.samples == 448
    lane_engine.scored = 0
    verified = Planner(lane_engine, replace(every, braking=BrakingConfig())).plan(belief, 10.0, still)
    assert verified.status is Status.OK and verified.samples == 448 and lane_engine.scored == 448 + 64
    np.testing.assert_array_equal(verified.actions, plain.actions)  # an empty lane: every stop is safe


@pytest.mark.parametrize("name", list(SOLVERS))
def test_the_planner_drives_with_every_solver_by_its_name(name, lane_engine, car):
    planner = Planner(lane_engine, PlannerConfig(solver=name, braking=BrakingConfig()))
    plan = planner.plan(car(lateral=0.3), 10.0, np.zeros(2, np.float32))
    assert plan.status is Status.OK and np.isfinite(plan.actions).all()


@pytest.mark.parametrize("wrong", [{"after": 0}, {"levels": ()}, {"levels": (0.0,)}, {"levels": (float("nan"),)}])
def test_a_tail_that_cannot_stop_is_refused(wrong):
    with pytest.raises(PlannerError, match="braking tail"):
        BrakingConfig(**wrong)
