"""What every solver keeps to, whatever it is asked: bounds, seeds, deadline, determinism, refusals."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_planner import PlannerError
from wm_planner.solvers import (
    SOLVERS,
    Bounds,
    CemConfig,
    ICemConfig,
    MppiConfig,
    PolicyConfig,
    RandomConfig,
    Scored,
    make_solver,
    solver_config,
)
from wm_planner.solvers.deadline import Deadline

HORIZON = 12
NONE = np.zeros((0, HORIZON, 2), np.float32)
SEARCHING = ("icem", "cem", "mppi", "random")
GOAL = np.linspace((-0.4, 0.6), (0.5, -0.3), HORIZON, dtype=np.float32)  # [H, 2]


def near(actions):
    """Value: minus the squared distance to the goal; everything is safe."""
    value = -np.square(actions - GOAL).sum(axis=(1, 2))
    return Scored(value, np.zeros(len(actions), np.float32), actions[:, 0].copy())


class Ticks:
    """A clock that moves by one second each time it is read."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


class Asked:
    """A score that remembers what it was asked."""

    def __init__(self, score):
        self.score, self.parts = score, []

    def __call__(self, actions):
        self.parts.append(actions.copy())
        return self.score(actions)

    @property
    def candidates(self):
        return np.concatenate(self.parts)


@pytest.mark.parametrize("name", list(SOLVERS))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_bounds_and_steps_hold_for_every_candidate_whatever_they_are(name, data, make, problem):
    number = lambda low, high: st.floats(low, high, width=32)  # noqa: E731
    pair = lambda low, high: np.array(data.draw(st.tuples(number(low, high), number(low, high))), np.float32)  # noqa: E731
    low, high = pair(-1.0, 0.0), pair(0.0, 1.0)
    share = pair(0.0, 1.0)
    limits = Bounds(low, high, pair(0.0, 2.0), pair(0.0, 2.0), before=np.clip(low + share * (high - low), low, high))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**16)))

    def noise(actions):
        value, risk = rng.normal(size=(2, len(actions))).astype(np.float32)
        value[rng.random(len(actions)) < 0.1] = np.nan
        return Scored(value, risk * 2, value[:, None])

    score = Asked(noise)
    proposals = rng.uniform(-2, 2, (3, HORIZON, 2)).astype(np.float32)
    solver = make(name, candidates=(64, 64))
    plans = [solver.solve(problem(score, limits, proposals)).actions for _ in range(2)]
    seen = np.concatenate([score.candidates, plans])
    assert (seen >= low).all() and (seen <= high).all()
    change = np.diff(np.concatenate([np.broadcast_to(limits.before, (len(seen), 1, 2)), seen], axis=1), axis=1)
    assert (change <= limits.rise + 1e-6).all() and (change >= -limits.fall - 1e-6).all()


@pytest.mark.parametrize("name", SEARCHING)
def test_the_plan_is_the_best_feasible_candidate_that_was_evaluated(name, make, problem):
    def risky(actions):
        scored = near(actions)
        return Scored(scored.value, (1.0 + actions[:, 0, 0]).astype(np.float32), scored.detail)  # right turns only

    score = Asked(risky)
    solution = make(name).solve(problem(score))
    scored = risky(score.candidates)
    feasible = scored.risk <= 1.0
    assert solution.value == pytest.approx(scored.value[feasible].max())
    assert solution.feasible and solution.actions[0, 0] <= 0.0


@pytest.mark.parametrize("name", SEARCHING)
def test_braking_the_held_action_proposals_and_the_last_plan_are_always_looked_at(name, free, make, problem):
    proposal = np.full((1, HORIZON, 2), 0.25, np.float32)
    solver, first = make(name), Asked(near)
    limits = free(before=(0.1, 0.3))
    plan = solver.solve(problem(first, limits, proposal))
    again = Asked(first.score)
    solver.solve(problem(again, limits, proposal))
    one_step_on = np.concatenate([plan.actions[1:], plan.actions[-1:]])
    held = np.broadcast_to(limits.before, (HORIZON, 2))
    for score, wanted in ((first, [proposal[0], held]), (again, [proposal[0], held, one_step_on])):
        for sequence in wanted:
            assert (score.candidates == sequence).all(axis=(1, 2)).any()
        assert (score.candidates[:, :, 1] == -1.0).all(axis=1).any()


@pytest.mark.parametrize("name", SEARCHING)
def test_the_same_seed_gives_the_same_plans_and_another_seed_others(name, make, problem):
    def plans(seed):
        solver = make(name, seed)
        return [solver.solve(problem(near)).actions for _ in range(3)]

    np.testing.assert_array_equal(plans(1), plans(1))
    assert not np.array_equal(plans(1), plans(2))


@pytest.mark.parametrize("name", SEARCHING)
def test_a_deadline_gives_the_best_so_far(name, make, problem):
    counts = []
    for seconds in (0.5, 3.5, 5.5, 1e9):
        score = Asked(near)
        solution = make(name).solve(problem(score, deadline=Deadline(seconds, Ticks())))
        assert solution.value == pytest.approx(score.score(score.candidates).value.max())
        assert solution.samples == len(score.candidates)
        assert solution.complete == (seconds == 1e9)
        counts.append(solution.samples)
    assert counts[0] == 64 and counts == sorted(counts) and counts[-1] == 448


@pytest.mark.parametrize("name", SEARCHING)
def test_scores_that_are_not_finite_or_all_alike_do_no_harm(name, make, problem):
    def broken(actions):
        value = near(actions).value
        value[::2] = np.nan
        return Scored(value, np.where(np.arange(len(value)) % 4 == 1, np.inf, 0.0).astype(np.float32), value[:, None])

    def nothing(actions):
        return Scored(*(np.full(len(actions), np.nan, np.float32),) * 2, actions[:, 0])

    def alike(actions):
        return Scored(np.zeros(len(actions), np.float32), np.zeros(len(actions), np.float32), actions[:, 0])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solver = make(name)
        for score, finite in ((broken, True), (nothing, False), (broken, True), (alike, True), (alike, True)):
            solution = solver.solve(problem(score))
            assert solution.finite == finite
            assert np.isfinite(solution.actions).all()


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        *((config, {"candidates": (100,)}) for config in (CemConfig, MppiConfig, RandomConfig, ICemConfig)),
        *((config, {"candidates": ()}) for config in (CemConfig, MppiConfig, RandomConfig)),
        *((config, {"steer_std": 0.0}) for config in (CemConfig, MppiConfig, ICemConfig)),
        *((config, {"chunk": 0}) for config in (CemConfig, MppiConfig, RandomConfig, ICemConfig, PolicyConfig)),
        *((config, {"horizon": 0}) for config in (CemConfig, PolicyConfig)),
        *((config, {"knots": 13}) for config in (MppiConfig, RandomConfig, ICemConfig)),
        (CemConfig, {"elites": 65}),
        (CemConfig, {"momentum": 1.0}),
        (MppiConfig, {"temperature": 0.0}),
        (MppiConfig, {"anneal": float("nan")}),
        (ICemConfig, {"keep": 2.0}),
        (ICemConfig, {"levels": (-1.0, 3.0)}),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_sentence_that_names_solver_and_setting(config, wrong):
    with pytest.raises(PlannerError) as refusal:
        config(**wrong)
    text = str(refusal.value)
    assert "solver" in text and next(iter(wrong)) in text
    assert text.endswith(".") and "\n" not in text


def test_settings_of_another_solver_are_refused():
    with pytest.raises(PlannerError, match="solver 'mppi': CemConfig is not for it; give a MppiConfig"):
        make_solver("mppi", CemConfig(), np.random.default_rng(0))


@pytest.mark.parametrize("name", list(SOLVERS))
def test_every_solver_has_settings_of_its_own_at_any_budget(name, make, problem):
    assert getattr(solver_config(name, (128, 64)), "candidates", (128, 64)) == (128, 64)
    assert make(name).solve(problem(near)).finite
