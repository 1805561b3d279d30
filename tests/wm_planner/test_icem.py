"""The solver on problems whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from wm_planner import PlannerError
from wm_planner.solvers import Bounds, ICem, ICemConfig, Problem, Scored, make_solver
from wm_planner.solvers.deadline import Deadline
from wm_planner.solvers.sampling import coloured_mixing, interpolation, restrict, shifted

HORIZON = 12
NONE = np.zeros((0, HORIZON, 2), np.float32)


def bounds(slew=2.0, reach=1.0, before=(0.0, 0.0)) -> Bounds:
    one = np.array([reach, 1.0], np.float32)
    step = np.array([slew, 2.0], np.float32)
    return Bounds(-one, one, step, step, np.asarray(before, np.float32))


class Towards:
    """Value: minus the squared distance to a sequence; risk as given. Remembers all that it was asked."""

    def __init__(self, goal, risk=lambda actions: np.zeros(len(actions))):
        self.goal, self.risk, self.asked = np.asarray(goal, np.float32), risk, []

    def __call__(self, actions):
        assert actions.dtype == np.float32 and actions.shape[1:] == (HORIZON, 2) and len(actions) % 64 == 0
        self.asked.append(actions.copy())
        value = -np.square(actions - self.goal).sum(axis=(1, 2))
        return Scored(value.astype(np.float32), self.risk(actions).astype(np.float32), actions[:, 0].copy())

    @property
    def candidates(self):
        return np.concatenate(self.asked)


class Ticks:
    """A clock that moves by a fixed amount each time it is read."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, seconds

    def __call__(self):
        self.now += self.seconds
        return self.now


def ramp(first, last):
    return np.linspace(first, last, HORIZON)[:, None].astype(np.float32)


def solver(seed=0, **changes) -> ICem:
    return ICem(replace(ICemConfig(), **changes), np.random.default_rng(seed))


def test_it_finds_the_optimum_of_a_quadratic():
    goal = np.concatenate([ramp(0.3, -0.2), ramp(-0.5, 0.5)], axis=1)
    icem = solver()
    for _ in range(3):  # a goal that stands still, warm start shifts by a step
        solution = icem.solve(Problem(Towards(goal), bounds(), NONE))
    assert solution.value > -0.5
    assert solution.feasible and solution.complete and solution.samples == 448
    assert np.abs(solution.actions - goal).mean() < 0.15


def test_it_chooses_the_better_of_two_ways_round_an_obstacle_and_never_the_middle():
    def crash(actions):
        return np.where(np.abs(actions[:, 4:8, 0].mean(axis=1)) < 0.3, 5.0, 0.0)

    goal = np.tile((0.1, 0.0), (HORIZON, 1))  # through the obstacle, a little to the left
    for seed in range(5):
        solution = solver(seed).solve(Problem(Towards(goal, crash), bounds(), NONE))
        assert solution.feasible
        assert solution.actions[4:8, 0].mean() >= 0.3


def test_value_does_not_buy_risk_and_where_nothing_is_safe_the_least_risky_wins():
    def risk(actions):
        return 2.0 + actions[:, :, 1].mean(axis=1)  # braking is safest, and even that is not safe enough

    solution = solver().solve(Problem(Towards(np.ones((HORIZON, 2)), lambda a: risk(a) + 0.5), bounds(), NONE))
    assert not solution.feasible
    np.testing.assert_array_equal(solution.actions[:, 1], -1.0)
    narrow = solver().solve(Problem(Towards(np.ones((HORIZON, 2)), risk), bounds(), NONE))
    assert narrow.feasible and narrow.risk <= 1.0


def test_full_braking_is_looked_at_in_every_plan_with_the_steering_kept():
    icem = solver()
    for number in range(3):
        score = Towards(np.concatenate([ramp(0.3, 0.3), ramp(1.0, 1.0)], axis=1))
        icem.solve(Problem(score, bounds(), NONE))
        for asked in score.asked:
            braking = asked[(asked[:, :, 1] == -1.0).all(axis=1)]
            assert len(braking)
            assert number == 0 or np.abs(braking[0, :, 0] - 0.3).max() < 0.15


def test_proposals_and_the_last_plan_one_step_on_are_among_the_candidates():
    proposals = np.random.default_rng(1).uniform(-0.5, 0.5, (3, HORIZON, 2)).astype(np.float32)
    icem, score = solver(), Towards(np.zeros((HORIZON, 2)) + 0.4)
    first = icem.solve(Problem(score, bounds(), proposals))
    for proposal in proposals:
        assert (score.candidates == proposal).all(axis=(1, 2)).any()
    again = Towards(score.goal)
    icem.solve(Problem(again, bounds(), NONE))
    assert (again.asked[0] == shifted(first.actions)).all(axis=(1, 2)).any()


def test_a_warm_start_finds_more_than_a_cold_one_with_the_same_effort():
    goal = np.concatenate([ramp(-0.6, 0.7), ramp(0.8, -0.9)], axis=1)
    cold, warm = [], []
    for seed in range(10):
        icem = solver(seed, candidates=(64,))
        cold.append(icem.solve(Problem(Towards(shifted(shifted(goal))), bounds(), NONE)).value)
        icem.reset()
        for moved in (goal, shifted(goal), shifted(shifted(goal))):
            last = icem.solve(Problem(Towards(moved), bounds(), NONE)).value
        warm.append(last)
    assert np.mean(warm) > np.mean(cold) + 0.2


def test_every_candidate_obeys_bounds_and_steps():
    limit = bounds(slew=0.05, reach=0.4, before=(0.2, 0.9))
    limit = replace(limit, rise=np.array([0.05, 0.3], np.float32))
    icem, score = solver(), Towards(np.ones((HORIZON, 2)))
    for _ in range(2):
        icem.solve(Problem(score, limit, np.ones((2, HORIZON, 2), np.float32)))
    seen = score.candidates
    assert (np.abs(seen[..., 0]) <= 0.4 + 1e-6).all() and (np.abs(seen[..., 1]) <= 1).all()
    before = np.broadcast_to(limit.before, (len(seen), 1, 2))
    change = np.diff(np.concatenate([before, seen], axis=1), axis=1)
    assert (np.abs(change[..., 0]) <= 0.05 + 1e-6).all()
    assert (change[..., 1] <= 0.3 + 1e-6).all()


def test_the_same_seed_gives_the_same_plans_and_another_seed_others():
    def plans(seed):
        icem = solver(seed)
        return [icem.solve(Problem(Towards(np.zeros((HORIZON, 2)) + 0.37), bounds(), NONE)).actions for _ in range(3)]

    np.testing.assert_array_equal(plans(1), plans(1))
    assert not np.array_equal(plans(1), plans(2))


def test_a_deadline_cuts_the_search_between_chunks_and_answers_with_the_best_so_far():
    goal = np.zeros((HORIZON, 2)) + 0.4
    samples = []
    for seconds in (0.0005, 3.5, 5.5, 1e9):
        score = Towards(goal)
        solution = solver().solve(Problem(score, bounds(), NONE, Deadline(seconds, Ticks(1.0))))
        best = -np.square(score.candidates - score.goal).sum(axis=(1, 2))
        assert solution.value == pytest.approx(best.max())
        assert solution.samples == len(score.candidates)
        assert solution.complete == (seconds == 1e9)
        samples.append(solution.samples)
    assert samples[0] == 64 and samples == sorted(samples) and samples[-1] == 448


def test_no_chunk_starts_that_would_not_end_in_time():
    clock = Ticks(0.0)
    deadline = Deadline(10.0, clock)
    deadline.start()
    clock.now = 4.0  # the first piece took 4 s
    assert deadline.allows()
    clock.now = 7.0  # the next may take 4 s again
    assert not deadline.allows()


def test_outcomes_that_are_not_finite_are_worst():
    def score(actions):
        value = -np.square(actions - 0.4).sum(axis=(1, 2)).astype(np.float32)
        value[::2] = np.nan
        risk = np.zeros(len(actions), np.float32)
        risk[1::4] = np.inf
        return Scored(value, risk, value[:, None])

    solution = solver().solve(Problem(score, bounds(), NONE))
    assert solution.finite and solution.feasible


def test_where_nothing_is_finite_it_says_so_and_forgets():
    bad = lambda actions: Scored(*(np.full(len(actions), np.nan, np.float32),) * 2, actions[:, 0])  # noqa: E731
    icem = solver()
    assert not icem.solve(Problem(bad, bounds(), NONE)).finite
    assert icem.solve(Problem(Towards(np.zeros((HORIZON, 2))), bounds(), NONE)).finite


def test_coloured_noise_has_unit_variance_at_the_knots_and_moves_slowly():
    noise = np.random.default_rng(0).standard_normal((20_000, 5)).astype(np.float32)
    slow, white = noise @ coloured_mixing(HORIZON, 5, 2.0).T, noise @ coloured_mixing(HORIZON, 5, 0.0).T
    np.testing.assert_allclose(slow.std(axis=0), 1.0, atol=0.03)
    assert np.abs(np.diff(slow, axis=1)).mean() < 0.75 * np.abs(np.diff(white, axis=1)).mean()


def test_interpolation_passes_through_the_knots():
    weights = interpolation(HORIZON, 5)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)
    knots = np.array([0.1, -0.4, 0.3, 0.9, -1.0], np.float32)
    assert (weights @ knots)[0] == knots[0] and (weights @ knots)[-1] == knots[-1]


def test_restricting_what_is_inside_changes_nothing():
    actions = np.zeros((64, HORIZON, 2), np.float32) + 0.1
    np.testing.assert_array_equal(restrict(actions.copy(), bounds(0.2)), actions)


@pytest.mark.parametrize(
    "changes", [{"candidates": (100,)}, {"candidates": ()}, {"knots": 1}, {"elites": 65}, {"levels": (0.0,)}]
)
def test_a_search_that_cannot_be_is_refused(changes):
    with pytest.raises(PlannerError, match="solver"):
        ICemConfig(**changes)


def test_an_unknown_solver_is_refused_and_the_known_ones_named():
    with pytest.raises(PlannerError, match=r"'newton' is unknown; choose one of icem, cem, mppi, random, policy"):
        make_solver("newton", ICemConfig(), np.random.default_rng(0))
