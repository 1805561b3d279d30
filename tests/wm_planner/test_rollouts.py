"""Pictures of what a search looked at."""

import numpy as np
import pytest

from wm_planner.path import plan_path
from wm_planner.plan_result import Candidates, predicted_speed
from wm_planner.planner import Planner
from wm_planner.rollouts import rollouts
from wm_ros.markers import ALARM, gradient
from wm_sim.action import to_physical


@pytest.fixture
def shown(lane_engine, car):
    return Planner(lane_engine).plan(car(lateral=0.5), 10.0, np.zeros(2, np.float32), show=True)


def test_every_candidate_leads_where_the_same_controls_alone_would(shown):
    found = rollouts(shown, 10.0)
    assert found.paths.shape == (64, 13, 2) and found.chosen.shape == (13, 2)
    for actions, path in zip(shown.candidates.actions, found.paths, strict=True):
        steering, acceleration = to_physical(actions)
        np.testing.assert_allclose(path, plan_path(steering, predicted_speed(10.0, acceleration), 0.1), atol=1e-9)


def test_the_most_valued_is_one_and_the_least_zero_and_what_is_not_finite_is_worst(shown):
    actions = shown.candidates.actions[:4]
    value, risk = np.float32([1.0, 3.0, -np.inf, 2.0]), np.float32([0.5, 7.0, np.inf, np.nan])
    object.__setattr__(shown, "candidates", Candidates(actions, value, risk))
    found = rollouts(shown, 10.0)
    np.testing.assert_allclose(found.goodness, [0.0, 1.0, 0.0, 0.5])
    np.testing.assert_allclose(found.risk, [0.5, 1.0, 1.0, 1.0])


def test_without_candidates_there_is_the_plan_alone(lane_engine, car):
    plan = Planner(lane_engine).plan(car(), 10.0, np.zeros(2, np.float32))
    found = rollouts(plan, 10.0)
    assert found.paths.shape == (0, 13, 2)
    assert found.chosen[-1, 0] > 5.0


def test_colours_run_from_the_first_anchor_to_the_last():
    colours = gradient(np.array([0.0, 0.25, 1.0]), ALARM)
    np.testing.assert_allclose(colours[0], ALARM[0])
    np.testing.assert_allclose(colours[1], np.add(ALARM[0], ALARM[1]) / 2)
    np.testing.assert_allclose(colours[2], ALARM[2])
