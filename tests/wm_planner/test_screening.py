"""What is left out unimagined would not have changed the plan."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_planner.objective import Objective, ObjectiveConfig
from wm_planner.plan_result import Status
from wm_planner.planner import Planner, PlannerConfig
from wm_planner.pull_away import ANGLES
from wm_planner.solvers import ICemConfig, Scored, Screen, make_solver
from wm_planner.solvers.deadline import Deadline
from wm_planner.stop_in_sight import BrakingAsked

HORIZON, CHUNK, SPREAD = 12, 64, 2.0
STILL = np.zeros(2, np.float32)
DEAR = np.float32(40.0)
WANTED = {"icem": 32, "cem": 32, "random": 1}  # how many of the best each solver looks at


class Landscape:
    """A value of promise less cost: promises within SPREAD of each other, costs that grow away from doing nothing."""

    def __init__(self, seed=0, safe=lambda actions: np.ones(len(actions), bool)):
        self.weights = np.random.default_rng(seed).normal(size=(HORIZON, 2)).astype(np.float32)
        self.safe, self.asked = safe, []

    def cost(self, actions):
        return DEAR * np.square(actions).mean(axis=(1, 2))

    def __call__(self, actions):
        self.asked.append(actions.copy())
        promise = np.float32(SPREAD) * (0.5 + 0.5 * np.sin((actions * self.weights).sum(axis=(1, 2)) * 5.0))
        risk = np.where(self.safe(actions), np.float32(0.0), np.float32(2.0))
        return Scored(promise - self.cost(actions), risk, actions[:, 0].copy())

    @property
    def scored(self):
        return sum(map(len, self.asked))


def solved(make, problem, name, landscape, margin, seed=0, plans=1, **more):
    """The last of some plans of one solver, and what was scored for all of them."""
    solver = make(name, seed)
    screen = None if math.isinf(margin) else Screen(landscape.cost, margin)
    for _ in range(plans):
        answer = solver.solve(problem(landscape, screen=screen, **more))
    return answer


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), name=st.sampled_from(sorted(WANTED)), steer=st.floats(-1.0, 1.0))
def test_with_a_margin_as_wide_as_promises_differ_every_plan_is_the_same(make, problem, seed, name, steer):
    def some_safe(actions):
        return actions[:, 0, 0] <= steer

    every, few = Landscape(seed, some_safe), Landscape(seed, some_safe)
    wanted = solved(make, problem, name, every, math.inf, seed, plans=3)
    answer = solved(make, problem, name, few, SPREAD, seed, plans=3)
    np.testing.assert_array_equal(answer.actions, wanted.actions)
    assert (answer.value, answer.risk, answer.samples) == (wanted.value, wanted.risk, wanted.samples)
    assert few.scored <= every.scored == 3 * 448


@pytest.mark.parametrize("name", sorted(WANTED))
def test_where_costs_differ_more_than_promises_most_candidates_are_left_out(make, problem, name):
    landscape = Landscape()
    answer = solved(make, problem, name, landscape, SPREAD)
    assert answer.complete and answer.samples == 448  # all of them count as searched
    assert landscape.scored <= 384


@pytest.mark.parametrize("name", sorted(WANTED))
def test_while_too_few_are_safe_every_candidate_is_scored_because_risk_ranks(make, problem, name):
    landscape = Landscape(safe=lambda actions: np.zeros(len(actions), bool))
    assert not solved(make, problem, name, landscape, SPREAD).feasible
    assert landscape.scored == 448


@pytest.mark.parametrize("name", sorted(WANTED))
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0], ids=["none", "some", "all"])
def test_what_is_known_to_be_infeasible_is_left_to_the_last_and_the_plan_is_the_same(make, problem, name, share):
    """`share` of what is done first with acceleration is known to be infeasible, the rest of it only once scored."""

    def braking(actions):
        return actions[:, 0, 1] <= 0.0

    class Foreseen(Landscape):
        def cost(self, actions):
            known = ~braking(actions) & (actions[:, 0, 1] <= share)
            return np.where(known, np.float32(np.inf), Landscape.cost(self, actions))

        def __call__(self, actions):
            scored = Landscape(safe=self.safe)(actions)
            self.asked.append(actions.copy())
            return scored

    every, few = Foreseen(safe=braking), Foreseen(safe=braking)
    wanted, answer = (solved(make, problem, name, it, margin) for it, margin in ((every, math.inf), (few, SPREAD)))
    np.testing.assert_array_equal(answer.actions, wanted.actions)
    assert answer.feasible
    assert few.scored <= 384 < every.scored == 448


def test_mppi_weighs_all_candidates_and_so_leaves_none_out(make, problem):
    landscape = Landscape()
    solved(make, problem, "mppi", landscape, SPREAD)
    assert landscape.scored == 448


@pytest.mark.parametrize("name", sorted(WANTED))
def test_full_braking_and_the_proposals_are_scored_first_however_dear(make, problem, name):
    landscape, proposal = Landscape(), np.ones((1, HORIZON, 2), np.float32)
    solved(make, problem, name, landscape, 0.0, proposals=proposal)
    first = landscape.asked[0]
    assert (first[:, :, 1] == -1.0).all(axis=1).any() and (first == proposal[0]).all(axis=(1, 2)).any()


def test_more_seeds_than_candidates_are_no_mistake(problem):
    config = ICemConfig(candidates=(CHUNK,), elites=CHUNK, keep=1.0)
    solver, landscape = make_solver("icem", config, np.random.default_rng(0)), Landscape()
    for _ in range(3):
        assert solver.solve(problem(landscape, screen=Screen(landscape.cost, SPREAD))).finite


def test_a_deadline_leaves_the_cheap_candidates_scored(make, problem):
    now = [0.0]

    def clock():
        now[0] += 1.0
        return now[0]

    landscape = Landscape()
    answer = solved(make, problem, "icem", landscape, 1e3, deadline=Deadline(3.5, clock))
    assert not answer.complete and answer.samples == landscape.scored == 2 * CHUNK
    every = Landscape()
    solved(make, problem, "icem", every, math.inf)
    dearest = max(landscape.cost(part[-8:]).max() for part in landscape.asked)  # seeds stand in front
    assert dearest <= np.median(every.cost(every.asked[0]))


def test_what_is_verified_at_the_end_is_among_the_candidates_that_count(make, problem):
    def refuse_the_best(actions):
        risk = np.zeros(len(actions), np.float32)
        risk[:4] = 2.0
        return risk

    answers = [
        solved(make, problem, "random", Landscape(), margin, verify=refuse_the_best) for margin in (SPREAD, math.inf)
    ]
    np.testing.assert_array_equal(*(answer.actions for answer in answers))


@pytest.mark.parametrize("worst", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_neither_count_nor_end_the_search(make, problem, worst):
    landscape = Landscape()

    class Holed(Landscape):
        def __call__(self, actions):
            scored = super().__call__(actions)
            scored.value[::3] = worst
            return scored

    landscape = Holed()
    assert solved(make, problem, "icem", landscape, SPREAD).finite
    assert landscape.scored < 448


def test_the_certain_cost_is_what_value_lacks_of_the_model_s_promise(lane_engine, car):
    actions = np.random.default_rng(0).uniform(-1, 1, (CHUNK, HORIZON, 2)).astype(np.float32)
    policy = np.zeros((HORIZON, 2), np.float32)
    free = {name: 0.0 for name in ("lateral_jerk_weight", "steering_rate_weight", "jerk_weight", "policy_weight")}
    wishes, plain = (
        Objective(lane_engine, config, car(), STILL, 30.0, 0.1, policy)
        for config in (ObjectiveConfig(), ObjectiveConfig(**free))
    )
    lost = plain(actions).value - wishes(actions).value
    np.testing.assert_allclose(wishes.certain_cost(actions), lost, rtol=1e-4)
    assert (lost >= 0.0).all() and not plain.certain_cost(actions).any()


@pytest.mark.parametrize(("asked_mps2", "some"), [(0.0, False), (1.5, False), (1.6, True), (3.0, True)])
def test_what_the_scan_rules_out_costs_infinitely(lane_engine, car, asked_mps2, some):
    actions = np.zeros((CHUNK, HORIZON, 2), np.float32)
    actions[:, :, 1] = np.linspace(-1.0, 1.0, CHUNK)[:, None]
    asked = BrakingAsked(np.full(len(ANGLES), asked_mps2))
    objective = Objective(lane_engine, ObjectiveConfig(), car(), STILL, 30.0, 0.1, in_sight=asked)
    ruled_out = objective(actions).risk > 1.0
    assert asked.binding == some == ruled_out.any() and not ruled_out.all()
    np.testing.assert_array_equal(np.isinf(objective.certain_cost(actions)), ruled_out)


def test_the_planner_imagines_fewer_candidates_for_the_same_plans(lane_engine, car):
    beliefs = [car(lateral=x, gap=gap) for x in (-0.5, 0.2) for gap in (8.0, 60.0)]
    scored, plans = [], []
    for margin in (math.inf, PlannerConfig().screening_margin):
        lane_engine.scored, planner = 0, Planner(lane_engine, PlannerConfig(screening_margin=margin))
        plans.append([planner.plan(belief, 10.0, STILL) for belief in beliefs])
        scored.append(lane_engine.scored)
    for every, screened in zip(*plans, strict=True):
        np.testing.assert_array_equal(screened.actions, every.actions)
        assert (screened.status, screened.samples) == (every.status, every.samples)
    assert plans[0][0].status is Status.OK
    assert scored[0] == len(beliefs) * 448 and scored[1] < 0.75 * scored[0]
