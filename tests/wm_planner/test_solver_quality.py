"""Every solver on problems whose answer is known: a point mass under quadratic cost, two ways round an obstacle."""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from wm_planner.solvers import Scored

SEARCHING = ("icem", "cem", "mppi", "random")
REFITTING = ("icem", "cem", "mppi")
HORIZON, STEP_S = 12, 0.2
NONE = np.zeros((0, HORIZON, 2), np.float32)
A = np.array([[1.0, STEP_S], [0.0, 1.0]])
B = np.array([[0.5 * STEP_S**2], [STEP_S]])
Q, R = np.diag([1.0, 0.1]), np.array([[0.1]])  # a step; the last state counts as it would for ever


def riccati() -> np.ndarray:
    """Cost-to-go matrix of the infinite-horizon regulator."""
    P = Q
    for _ in range(2000):
        K = np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
        P = Q + A.T @ P @ (A - B @ K)
    return P


P = riccati()
K = np.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)


class PointMass:
    """Two double integrators side by side, state [2, 2] (position, velocity of each); value is minus the LQR cost."""

    def __init__(self, state: np.ndarray) -> None:
        self.state = np.asarray(state, float)

    def __call__(self, actions: np.ndarray) -> Scored:
        cost = self.cost(actions)
        return Scored((-cost).astype(np.float32), np.zeros(len(actions), np.float32), actions[:, 0].copy())

    def cost(self, actions: np.ndarray) -> np.ndarray:
        """[N] of actions [N, H, 2]; the optimum over all actions is `best`."""
        state, total = np.repeat(self.state[None], len(actions), axis=0), np.zeros(len(actions))
        for step in range(actions.shape[1]):
            action = actions[:, step, :, None].astype(float)  # [N, 2, 1]
            total += np.einsum("nai,ij,naj->n", state, Q, state) + R[0, 0] * np.square(action).sum(axis=(1, 2))
            state = state @ A.T + action @ B.T
        return total + np.einsum("nai,ij,naj->n", state, P, state)

    @property
    def best(self) -> float:
        return float(np.einsum("ai,ij,aj->", self.state, P, self.state))

    def moved(self, action: np.ndarray) -> "PointMass":
        return PointMass(self.state @ A.T + np.asarray(action, float)[:, None] @ B.T)


class TwoWays:
    """Value grows towards the middle, where the obstacle is; a little to the left is better than to the right."""

    half_width = 0.3

    def __call__(self, actions: np.ndarray) -> Scored:
        value = -np.square(actions - np.array([0.1, 0.0], np.float32)).sum(axis=(1, 2))
        risk = np.where(np.abs(self.place(actions)) < self.half_width, 5.0, 0.0)
        return Scored(value.astype(np.float32), risk.astype(np.float32), actions[:, 0].copy())

    def place(self, actions: np.ndarray) -> np.ndarray:
        return actions[..., 4:8, 0].mean(axis=-1)


def starts(count: int) -> np.ndarray:
    """States [count, 2, 2] from which the regulator's own first action stays within ±1."""
    found, rng = [], np.random.default_rng(0)
    while len(found) < count:
        state = rng.uniform(-1.0, 1.0, (2, 2)) * np.array([0.8, 0.5])
        if np.abs(K @ state.T).max() < 0.9:
            found.append(state)
    return np.array(found)


STARTS = starts(12)


@pytest.fixture(scope="module")
def plan_cost(make, problem):
    """Cost of single plans from rest, over all starts, in units of the optimum."""

    @cache
    def cost(name: str, candidates: tuple[int, ...] = (256, 128, 64)) -> float:
        costs = [-make(name, seed, candidates).solve(problem(PointMass(s))).value for seed, s in enumerate(STARTS)]
        return sum(costs) / sum(PointMass(state).best for state in STARTS)

    return cost


@pytest.fixture(scope="module")
def run_cost(make, problem, free):
    """Cost of 12 steps driven by replanning at each, and of what is left then, in units of the optimum."""

    @cache
    def cost(name: str, candidates: tuple[int, ...], warm: bool) -> float:
        total = 0.0
        for seed, state in enumerate(STARTS):
            solver, mass, before = make(name, seed, candidates), PointMass(state), np.zeros(2)
            for _ in range(12):
                if not warm:
                    solver.reset()
                before = solver.solve(problem(mass, free(before))).actions[0]
                after = mass.moved(before)
                total += float(mass.cost(before[None, None])[0]) - after.best
                mass = after
            total += mass.best
        return total / sum(PointMass(state).best for state in STARTS)

    return cost


@pytest.mark.parametrize(("name", "factor"), [("icem", 1.2), ("cem", 1.35), ("mppi", 1.2), ("random", 1.9)])
def test_a_double_integrator_costs_little_more_than_under_its_optimal_regulator(name, factor, plan_cost):
    assert 0.999 <= plan_cost(name) <= factor


@pytest.mark.parametrize(("name", "factor"), [("icem", 1.15), ("cem", 1.25), ("mppi", 1.15)])
def test_replanning_with_a_warm_start_comes_close_to_the_optimal_regulator(name, factor, run_cost):
    assert 0.999 <= run_cost(name, (128, 64, 64), warm=True) <= factor


@pytest.mark.parametrize("name", REFITTING)
def test_a_warm_start_drives_better_than_a_cold_one_with_the_same_effort(name, run_cost):
    assert run_cost(name, (64,), warm=True) < 0.95 * run_cost(name, (64,), warm=False)


@pytest.mark.parametrize("name", SEARCHING)
def test_more_candidates_give_better_plans(name, plan_cost):
    costs = [plan_cost(name, budget) for budget in ((64,), (128, 64, 64), (256, 128, 64), (1024, 512, 256))]
    assert all(later < 1.03 * earlier for earlier, later in pairwise(costs))
    assert costs[-1] < costs[0]


@pytest.mark.parametrize("name", REFITTING)
def test_refitting_beats_random_shooting_with_the_same_effort(name, plan_cost, run_cost):
    assert plan_cost(name) < 0.9 * plan_cost("random")
    assert run_cost(name, (128, 64, 64), warm=True) < 0.9 * run_cost("random", (128, 64, 64), warm=True)


@pytest.mark.parametrize("name", SEARCHING)
def test_it_passes_an_obstacle_on_one_side_and_never_through(name, make, problem):
    score = TwoWays()
    for seed in range(8):
        solver = make(name, seed)
        for _ in range(2):
            solution = solver.solve(problem(score))
            assert solution.feasible
            assert abs(score.place(solution.actions)) >= score.half_width
