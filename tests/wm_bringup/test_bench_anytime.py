"""`wm bench anytime` on beliefs whose truth is known."""

import os

import numpy as np
import pytest

from wm_bringup.bench_anytime import AnytimeBench, Moment, busy_cores, judge
from wm_dynamics.protocols import Outcome
from wm_planner.planner import Planner, PlannerConfig
from wm_planner.solvers import ICemConfig

HORIZON = 12
CLEAR = np.full(72, 60.0, np.float32)  # a scan that shows nothing


class Valley:
    """A model in which one sequence earns the most, and how much says how far from it."""

    def __init__(self) -> None:
        from types import SimpleNamespace

        self.config = SimpleNamespace(horizon=HORIZON, chunk=64, disagreement_p95=1.0, model_id="0" * 12)

    def propose(self, belief: np.ndarray) -> np.ndarray:
        return np.zeros((8, HORIZON, 2), np.float32)

    def score(self, belief: np.ndarray, actions: np.ndarray) -> Outcome:
        nothing = np.zeros(len(actions), np.float32)
        earned = -np.square(actions - belief[:2]).sum(axis=(1, 2)).astype(np.float32)
        return Outcome(earned, nothing + belief[2], nothing, nothing)


@pytest.fixture
def moments() -> list[Moment]:
    planner = Planner(Valley(), PlannerConfig(search=ICemConfig(candidates=(1024, 512, 256))))
    found = []
    for number, goal in enumerate(((0.02, 0.5), (-0.02, -0.5), (0.0, 0.3), (0.01, 0.0))):
        belief, state = np.float32([*goal, 1.0 if number == 3 else 0.0]), np.zeros(15, np.float32)
        state[0] = 5.0
        planner.reset()
        found.append(Moment(belief, state, CLEAR, True, planner.plan_from(belief, state, scan=CLEAR)))
    return found


def test_less_time_gives_fewer_candidates_and_more_regret(moments: list[Moment]) -> None:
    hurried, calm = (judge(Valley(), AnytimeBench(), moments, ms) for ms in (0.001, 1e6))
    assert 64 <= hurried["samples"] <= 256 and calm["samples"] == 448  # one iteration at most
    assert hurried["late"] == 1.0 and calm["late"] == 0.0
    assert hurried["regret_mean"] > calm["regret_mean"] > -0.2
    assert hurried["infeasible"] == hurried["infeasible_unhurried"] == 0.25  # the last belief allows nothing


def test_cores_are_busy_inside_and_left_alone_after() -> None:
    import psutil

    def children() -> set[int]:
        return {child.pid for child in psutil.Process().children()}

    before = children()
    with busy_cores(True):
        assert len(children() - before) == len(os.sched_getaffinity(0))
    assert children() <= before
    with busy_cores(False):
        assert children() <= before
