"""The feasibility rule whatever a score says: safe before unsafe, by value among the safe, by risk among the others."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_planner.braking_tail import BrakingConfig, stop_risk
from wm_planner.solvers import Bounds, Problem, Scored
from wm_planner.solvers.pool import VERIFIED, Pool, preference

HORIZON = 3
SEEDS = st.integers(0, 2**16)


def drawn(rng, count):
    """Numbers [count], a few of them not finite or exactly at the limit, many alike."""
    numbers = rng.integers(-12, 13, count) / np.float32(4.0)
    special = np.float32([np.nan, np.inf, -np.inf, 1.0])
    return np.where(rng.random(count) < 0.2, special[rng.integers(0, 4, count)], numbers).astype(np.float32)


def said(rng, count):
    """What a score says of `count` sequences: value and risk."""
    return drawn(rng, count), np.abs(drawn(rng, count))


def numbered(count):
    """Sequences that tell which they are by their first number."""
    actions = np.zeros((count, HORIZON, 2), np.float32)
    actions[:, 0, 0] = np.arange(count)
    return actions


def pool_of(value, risk, verify=None, kept=0):
    def score(actions):
        index = actions[:, 0, 0].astype(int)
        return Scored(value[index], risk[index], actions[:, 0].copy())

    one = np.ones(2, np.float32)
    bounds = Bounds(-one, one, 2 * one, 2 * one, np.zeros(2, np.float32))
    pool = Pool(Problem(score, bounds, np.zeros((0, HORIZON, 2), np.float32), verify=verify), 8, kept)
    assert pool.evaluate(numbered(len(value)))
    return pool


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, count=st.integers(4, 2 * VERIFIED))
def test_nothing_evaluated_would_have_been_a_better_answer(seed, count):
    value, risk = said(np.random.default_rng(seed), count)
    best = pool_of(value, risk).best(complete=True)
    finite = np.isfinite(value) & np.isfinite(risk)
    safe = finite & (risk <= 1.0)
    if safe.any():
        assert best.feasible and best.value == value[safe].max()
    elif finite.any():
        assert not best.feasible and best.finite and best.risk == risk[finite].min()
    else:
        assert not best.finite


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, count=st.integers(4, 2 * VERIFIED))
def test_elites_are_safe_ones_once_there_are_enough_of_them_and_the_least_risky_before(seed, count):
    value, risk = said(np.random.default_rng(seed), count)
    wanted = 1 + seed % 4
    elites, rank = pool_of(value, risk, kept=2).elites(wanted)
    index = elites[:, 0, 0].astype(int)
    finite = np.isfinite(value) & np.isfinite(risk)
    safe = finite & (risk <= 1.0)
    assert len(index) == min(wanted, finite.sum()) and (np.diff(rank) <= 0).all()
    if safe.sum() >= wanted:
        assert safe[index].all()
        np.testing.assert_array_equal(value[index], np.sort(value[safe])[::-1][:wanted])
    else:
        np.testing.assert_array_equal(risk[index], np.sort(risk[finite])[:wanted])


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, count=st.integers(4, 2 * VERIFIED))
def test_the_order_of_preference_never_puts_an_unsafe_one_first_nor_loses_one(seed, count):
    value, risk = said(np.random.default_rng(seed), count)
    value, risk = np.nan_to_num(value), np.nan_to_num(risk, nan=np.inf)
    order = preference(value, risk)
    assert sorted(order) == list(range(len(value)))
    safe = (risk <= 1.0)[order]
    first, last = np.split(order, [safe.sum()])
    assert safe[: len(first)].all()
    assert (np.diff(value[first]) <= 0).all() and (risk[last][1:] >= risk[last][:-1]).all()


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, count=st.integers(4, 2 * VERIFIED))
def test_an_answer_called_feasible_was_verified_and_one_of_the_best_that_verification_left(seed, count):
    rng = np.random.default_rng(seed)
    (value, risk), further, asked = said(rng, count), drawn(rng, count), []

    def verify(actions):
        asked.extend(actions[:, 0, 0].astype(int).tolist())
        return further[actions[:, 0, 0].astype(int)]

    best = pool_of(value, risk, verify).best(complete=True)
    assert 1 <= len(asked) <= VERIFIED
    if best.feasible:
        index = int(best.actions[0, 0])
        assert index in asked and further[index] <= 1.0 and risk[index] <= 1.0
        left = [i for i in asked if np.isfinite(further[i]) and further[i] <= 1.0 and risk[i] <= 1.0]
        assert best.value == max(value[i] for i in left if np.isfinite(value[i]))


@settings(max_examples=40, deadline=None)
@given(
    seed=SEEDS,
    after=st.integers(1, 11),
    levels=st.sampled_from([(-1.0,), (-1.0, -0.42), (-0.42, -0.1)]),
    fall_accel=st.sampled_from([0.3, 2.0]),
)
def test_a_plan_whose_stop_is_called_safe_has_one_inside_the_bounds_that_the_score_calls_safe(
    seed, after, levels, fall_accel
):
    """Against every stop tried one by one."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(12, 2))

    def score(actions):
        risk = np.abs((actions * weights).sum(axis=(1, 2))).astype(np.float32)
        return Scored(risk, risk, actions[:, 0].copy())

    fall = np.float32([0.2, fall_accel])
    bounds = Bounds(-np.ones(2, np.float32), np.ones(2, np.float32), fall, fall, np.zeros(2, np.float32))
    plans = rng.uniform(-1, 1, (5, 12, 2)).astype(np.float32)
    found = stop_risk(plans, score, bounds, BrakingConfig(after, levels), chunk=64)
    for plan, risk in zip(plans, found, strict=True):
        alone = []
        for level in levels:
            before, tail = np.zeros(2, np.float32), []
            for step, action in enumerate(plan):
                wanted = np.float32([action[0], level if step >= after else action[1]])
                before = np.clip(np.clip(wanted, -1, 1), before - fall, before + fall)
                tail.append(before)
            alone.append(float(score(np.array(tail, np.float32)[None]).risk[0]))
        np.testing.assert_allclose(risk, min(alone), rtol=1e-4, atol=1e-5)
