"""Limits on risk: fixed, conformal by the model's own measurements, or none."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from wm_dynamics.protocols import Outcome
from wm_perception.model_folder import ModelConfig, read_model_config, write_model_config
from wm_planner.objective import Objective, ObjectiveConfig, risk_limits
from wm_planner.plan_result import Status
from wm_planner.planner import Planner, PlannerConfig

STILL = np.zeros(2, np.float32)
MEASURED = {"collision": {0.02: 0.0, 0.05: 0.1, 0.1: 0.3}, "off_road": {0.05: 0.4, 0.2: 0.6}}


def limits(thresholds, **settings):
    model = SimpleNamespace(model_id="0" * 12, risk_thresholds=thresholds)
    return risk_limits(ObjectiveConfig(constraints="conformal", **settings), model)


def test_a_conformal_limit_is_the_one_measured_at_the_miss_rate_or_the_next_stricter_one():
    found = limits(MEASURED, miss_rate=0.1)
    assert (found.collision, found.off_road, found.lacking) == (0.3, 0.4, "")
    assert limits(MEASURED, miss_rate=0.07).collision == 0.1
    assert limits(MEASURED, miss_rate=0.5).off_road == 0.6


def test_where_the_model_promises_nothing_the_fixed_limit_holds_and_a_sentence_says_which():
    found = limits(MEASURED, miss_rate=0.03, collision_max=0.15, off_road_max=0.25)
    assert (found.collision, found.off_road) == (0.15, 0.25)  # a threshold of 0 would call no plan safe
    assert "collision 0.15, off_road 0.25" in found.lacking and "wm measure" in found.lacking
    partly = limits({"off_road": {0.1: 0.4}}, collision_max=0.15)
    assert (partly.collision, partly.off_road) == (0.15, 0.4)
    assert "collision 0.15)" in partly.lacking


def outcome(collision, off_road):
    fields = 0.0, collision, off_road, 0.0
    return lambda belief, actions: Outcome(*(np.full(len(actions), x, np.float32) for x in fields))


@pytest.mark.parametrize(
    ("constraints", "risk"), [("fixed", 0.3 / 0.25), ("conformal", 0.3 / 0.4), ("off", 0.0)], ids=str
)
def test_the_score_s_risk_is_in_units_of_the_limits_that_hold(lane_engine, car, constraints, risk):
    lane_engine.config.risk_thresholds = {"collision": {0.1: 0.5}, "off_road": {0.1: 0.4}}
    lane_engine.score = outcome(0.3, 0.3)
    objective = Objective(
        lane_engine, ObjectiveConfig(constraints=constraints, off_road_max=0.25), car(), STILL, 20.0, 0.1
    )
    np.testing.assert_allclose(objective(np.zeros((64, 12, 2), np.float32)).risk, risk, rtol=1e-6)


def test_without_limits_no_finite_plan_is_infeasible_and_one_that_is_not_finite_still_is(lane_engine, car):
    free = PlannerConfig(objective=ObjectiveConfig(constraints="off"))
    lane_engine.score = outcome(1.0, 1.0)
    assert Planner(lane_engine).plan(car(), 10.0, STILL).status is Status.INFEASIBLE
    assert Planner(lane_engine, free).plan(car(), 10.0, STILL).status is Status.OK
    lane_engine.score = outcome(math.nan, 0.0)
    assert Planner(lane_engine, free).plan(car(), 10.0, STILL).status is Status.FALLBACK


def test_a_stricter_limit_keeps_the_plan_further_from_the_edge(lane_engine, car):
    """The lane's far edge pulls, because the value counts nothing but going left there."""
    certain = lane_engine.score
    lane_engine.score = lambda b, a: replace(certain(b, a), ret=a[:, :, 0].sum(axis=1))
    pulled = ObjectiveConfig(off_road_weight=0.0, lateral_jerk_weight=0.0, steering_rate_weight=0.0, policy_weight=0.0)
    probability = {}
    for limit in (0.05, 0.2, 0.8):
        config = PlannerConfig(objective=replace(pulled, off_road_max=limit))
        plan = Planner(lane_engine, config).plan(car(), 10.0, STILL)
        assert plan.status is Status.OK and plan.off_road_prob <= limit
        probability[limit] = plan.off_road_prob
    assert probability[0.05] < probability[0.2] < probability[0.8]


@pytest.fixture
def described(tmp_path):
    config = ModelConfig("rssm", "0" * 12, 4, 4, 12, 64, 8, 0.97, 1.0, 1.0, {}, risk_thresholds=MEASURED)
    write_model_config(tmp_path, config)
    return tmp_path


def test_a_model_folder_keeps_its_thresholds_and_one_number_of_an_earlier_version_means_ten_percent(described):
    assert read_model_config(described).risk_thresholds == MEASURED
    plain = yaml.safe_load((described / "config.yaml").read_text())
    plain["risk_thresholds"] = {"collision": 0.002, "off_road": 0.2}
    (described / "config.yaml").write_text(yaml.safe_dump(plain))
    assert read_model_config(described).risk_thresholds == {"collision": {0.1: 0.002}, "off_road": {0.1: 0.2}}
    del plain["risk_thresholds"]
    (described / "config.yaml").write_text(yaml.safe_dump(plain))
    assert read_model_config(described).risk_thresholds == {}
