"""The planner's settings: by the names of the parameters, refused where they do not fit, changed between plans."""

import math
from dataclasses import fields

import numpy as np
import pytest

from wm_planner import PlannerError
from wm_planner.braking_tail import BrakingConfig
from wm_planner.objective import ObjectiveConfig
from wm_planner.plan_result import Status
from wm_planner.planner import Planner, PlannerConfig
from wm_planner.planner_settings import SEARCHES, SETTINGS, WEIGHTS, parse_settings, planner_config
from wm_planner.solvers import SOLVERS, ICemConfig, MppiConfig

STILL = np.zeros(2, np.float32)


def test_every_number_of_the_objective_is_a_setting_that_says_its_meaning_and_range():
    names = {item.name for item in WEIGHTS}
    assert {f"objective.{item.name}" for item in fields(ObjectiveConfig)} <= names
    for item in SETTINGS:
        assert item.description.endswith(".") and len(item.description) > 20
        assert item.objection(item.default) is None
        assert item.range is None or item.range[0] < item.range[1]


def test_no_values_mean_the_planner_s_own_defaults():
    assert planner_config({}) == PlannerConfig(search=ICemConfig())
    every = {item.name: item.default for item in SETTINGS}
    assert planner_config(every) == planner_config({})


def test_values_reach_the_part_that_they_name():
    config = planner_config(
        {"solver": "mppi", "search": "half", "mppi.temperature": 0.2, "icem.keep": 0.9, "braking_tail": True,
         "braking.after": 3, "objective.policy_weight": 2.0, "throttle_rise": 0.1}
    )  # fmt: skip
    assert config.search == MppiConfig(candidates=SEARCHES["half"], temperature=0.2)
    assert config.braking == BrakingConfig(after=3)
    assert config.objective == ObjectiveConfig(policy_weight=2.0) and config.throttle_rise == 0.1


@pytest.mark.parametrize("item", WEIGHTS, ids=lambda item: item.name)
def test_nothing_outside_its_range_and_nothing_of_another_kind_is_taken(item):
    bad = ["x", None, 1.0 if item.range is None else True]
    if item.range is not None:
        low, high = item.range
        bad += [low - 1, math.nan, *([] if math.isinf(high) else [high + 1, math.inf])]
    for value in bad:
        solver = item.name.partition(".")[0]
        chosen = {"solver": solver} if solver in SOLVERS else {}
        with pytest.raises(PlannerError, match=item.name.rpartition(".")[2]) as refusal:
            planner_config({**chosen, "braking_tail": True, item.name: value})
        assert str(refusal.value).endswith(".") and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("objective.policy_wight=2", "did you mean objective.policy_weight?"),
        ("zzz=2", "docs/parameters.md"),
        ("objective.policy_weight=lots", "'lots' does not fit; choose 0 to 100000"),
        ("icem.elites=3.5", "whole number"),
        ("solver=gradient", "choose icem, cem, mppi, random, policy"),
        ("braking_tail=perhaps", "choose true or false"),
    ],
)
def test_words_that_are_no_setting_are_refused_in_a_sentence(word, sentence):
    with pytest.raises(PlannerError) as refusal:
        parse_settings([word])
    assert sentence in str(refusal.value)


def test_words_are_read_as_the_kind_of_their_setting():
    values = parse_settings(["icem.elites=16", "objective.policy_weight=2", "braking_tail=True", "solver=cem"])
    assert values == {"icem.elites": 16, "objective.policy_weight": 2.0, "braking_tail": True, "solver": "cem"}
    assert isinstance(values["objective.policy_weight"], float)


def test_values_that_only_together_make_no_sense_are_refused():
    with pytest.raises(PlannerError, match="icem solver elites 100: choose 2 to the fewest candidates, 64"):
        planner_config({"icem.elites": 100})


def plan(planner, car, **more):
    return planner.plan(car(lateral=0.5), 10.0, STILL, **more)


def test_a_change_in_the_middle_of_a_plan_waits_for_the_next_one(lane_engine, car):
    wanted = planner_config({"objective.constraints": "off", "objective.off_road_weight": 0.0, "search": "half"})
    quiet = Planner(lane_engine)
    untouched, changed = plan(quiet, car), Planner(lane_engine)
    score = lane_engine.score

    def meddling(belief, actions):
        changed.reconfigure(wanted)
        return score(belief, actions)

    lane_engine.score = meddling
    during = plan(changed, car)
    np.testing.assert_array_equal(during.actions, untouched.actions)
    assert during.value == untouched.value and during.samples == 448
    lane_engine.score = score
    after = plan(changed, car)
    assert changed.config == wanted and after.samples == 256
    np.testing.assert_array_equal(after.actions, plan(Planner(lane_engine, wanted), car).actions)


def test_a_change_of_weights_keeps_the_last_plan_in_mind_and_one_of_the_search_does_not(lane_engine, car):
    planner, other = Planner(lane_engine), Planner(lane_engine)
    for each in (planner, other):
        plan(each, car)
    planner.reconfigure(planner_config({}))  # the same search
    np.testing.assert_array_equal(plan(planner, car).actions, plan(other, car).actions)
    planner.reconfigure(planner_config({"icem.keep": 0.5}))
    fresh = Planner(lane_engine, planner_config({"icem.keep": 0.5}))
    np.testing.assert_array_equal(plan(planner, car).actions, plan(fresh, car).actions)


def test_a_change_that_does_not_fit_the_model_is_refused_and_changes_nothing(lane_engine, car):
    planner = Planner(lane_engine)
    with pytest.raises(PlannerError, match="12 steps of 64"):
        planner.reconfigure(PlannerConfig(search=ICemConfig(horizon=15)))
    assert plan(planner, car).status is Status.OK


def test_a_plan_that_ends_past_its_deadline_says_timeout_though_it_is_complete(lane_engine, car):
    now = [0.0]
    planner = Planner(lane_engine, planner_config({"solver": "policy"}), clock=lambda: now[0])
    score = lane_engine.score

    def slow(belief, actions):
        now[0] += 0.05
        return score(belief, actions)

    lane_engine.score = slow
    assert plan(planner, car, deadline_s=0.06).status is Status.OK
    late = plan(planner, car, deadline_s=0.04)
    assert late.status is Status.TIMEOUT and late.solve_ms == pytest.approx(50.0)


@pytest.mark.parametrize("name", list(SOLVERS))
def test_the_last_iteration_s_candidates_are_shown_when_asked_for_and_do_not_change_the_plan(lane_engine, car, name):
    config = planner_config({"solver": name, "screening_margin": math.inf})
    blind = plan(Planner(lane_engine, config), car)
    seen = plan(Planner(lane_engine, config), car, show=True)
    assert blind.candidates is None
    np.testing.assert_array_equal(seen.actions, blind.actions)
    count = {"icem": 64, "cem": 64, "mppi": 64, "random": 448, "policy": 8}[name]
    assert seen.candidates.actions.shape == (count, 12, 2)
    assert seen.candidates.value.shape == seen.candidates.risk.shape == (count,)
    safe = seen.candidates.risk <= 1.0
    assert seen.candidates.value[safe].max() <= seen.value + 1e-6 or name == "policy"
