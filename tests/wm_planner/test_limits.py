"""Limits are what the file says, or a sentence about what is wrong with it."""

import math
from dataclasses import fields, replace
from pathlib import Path

import pytest

from wm_planner import PlannerError
from wm_planner.safety import Limits, limits_from, load_limits, shipped_limits
from wm_planner.safety.limits import steering_bound, steering_range, steering_rate_bound
from wm_sim.observation import EGO_FRONT_X_M, EGO_WIDTH_M, LIDAR_X_M


def test_the_defaults_know_the_simulated_car():
    limits = Limits()
    assert limits.front_bumper_m == pytest.approx(EGO_FRONT_X_M, abs=0.02)
    assert limits.half_width_m == pytest.approx(EGO_WIDTH_M / 2, abs=0.01)
    assert limits.lidar_x_m == LIDAR_X_M


def test_a_file_changes_what_it_names_and_keeps_the_rest(tmp_path):
    path = tmp_path / "limits.yaml"
    path.write_text("plan_late_s: 0.3\nsoft_stop_mps2: 2\n")
    assert load_limits(path) == Limits(plan_late_s=0.3, soft_stop_mps2=2)
    path.write_text("")
    assert load_limits(path) == Limits()


def test_a_file_comes_over_what_lies_under_it(tmp_path):
    path, declared = tmp_path / "limits.yaml", {"plan_late_s": 0.1, "wheelbase_m": 2.5}
    path.write_text("plan_late_s: 0.3\n")
    assert load_limits(path, under=declared) == Limits(plan_late_s=0.3, wheelbase_m=2.5)
    path.write_text("")
    assert load_limits(path, under=declared) == Limits(plan_late_s=0.1, wheelbase_m=2.5)
    path.write_text("- plan_late_s\n")
    with pytest.raises(PlannerError, match=r"limits\.yaml"):
        load_limits(path, under=declared)


def test_the_shipped_file_says_every_limit_with_its_default_unit_and_range():
    text = (Path(__file__).parents[2] / "launch/params/limits.yaml").read_text()
    assert shipped_limits() == Limits()
    for item in fields(Limits):
        low, high, unit = (item.metadata[key] for key in ("low", "high", "unit"))
        line = next(line for line in text.splitlines() if line.startswith(f"{item.name}: {item.default}"))
        said = line.partition("#")[2].strip()
        assert said.startswith(f"{low} to {high:g}" if unit == "1" else f"{unit}, {low} to "), item.name


def test_every_limit_may_be_at_the_ends_of_its_range_and_not_beyond():
    for item in fields(Limits):
        low, high, unit = (item.metadata[key] for key in ("low", "high", "unit"))
        beside = {"plan_late_s": {"plan_timeout_s": 5.0}, "plan_timeout_s": {"plan_late_s": 0.05}}.get(item.name, {})
        for value in (low, high):
            assert getattr(Limits(**{item.name: value, **beside}), item.name) == value
        for value in (low - 1e-9 - abs(low) * 1e-9, high + abs(high) * 1e-9, math.nan, math.inf, -math.inf, 10**400):
            with pytest.raises(PlannerError) as caught:
                Limits(**{item.name: value, **beside})
            assert str(caught.value) == f"limit {item.name}: {value} is outside {low}..{high} {unit}; change it."


def test_a_shipped_file_that_is_missing_is_said_to_be(monkeypatch):
    monkeypatch.setattr("wm_planner.safety.limits._PLACES", ("nowhere.yaml",))
    with pytest.raises(PlannerError) as caught:
        shipped_limits.__wrapped__()
    assert str(caught.value) == (
        "params/limits.yaml is not installed with wm_bringup; build the workspace again: make setup."
    )


def test_the_plan_may_be_late_and_lost_at_once_but_not_lost_before_it_is_late():
    assert Limits(plan_late_s=0.5).plan_late_s == 0.5
    with pytest.raises(PlannerError) as caught:
        Limits(plan_late_s=0.6)
    assert str(caught.value) == "limit plan_late_s: 0.6 s is above plan_timeout_s 0.5 s; lower it."


def test_a_mapping_is_named_by_where_it_came_from():
    with pytest.raises(PlannerError, match=r"^limits: found a int; write one 'name: number' a line\.$"):
        limits_from(3)
    with pytest.raises(
        PlannerError, match=r"^here: unknown limit 'x'; known are acceleration_max_mps2, actuator_lag_s, "
    ):
        limits_from({"x": 1}, "here")
    with pytest.raises(PlannerError, match=r"^limit plan_late_s: 'soon' is not a number; give s\.$"):
        limits_from({"plan_late_s": "soon"})
    assert limits_from(None) == Limits()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("plan_lat_s: 0.3", "unknown limit 'plan_lat_s'"),
        ("plan_late_s: soon", "plan_late_s: 'soon' is not a number"),
        ("plan_late_s: true", "plan_late_s: True is not a number"),
        ("plan_late_s: .nan", "outside"),
        ("acceleration_max_mps2: 99", "outside 0.1..10.0 m/s^2"),
        ("plan_late_s: 0.9", "above plan_timeout_s"),
        ("- 1", "found a list"),
        ("a: [", "not YAML"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path, text, words):
    path = tmp_path / "limits.yaml"
    path.write_text(text)
    with pytest.raises(PlannerError, match=".") as caught:
        load_limits(path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    path = tmp_path / "none.yaml"
    with pytest.raises(PlannerError) as caught:
        load_limits(path)
    assert str(caught.value) == f"limits {path}: No such file or directory; give a readable YAML file."
    path.write_bytes(b"\xff\xfe\x80")
    with pytest.raises(PlannerError) as caught:
        load_limits(path)
    assert str(caught.value) == f"limits {path}: not YAML; write one 'name: number' a line."
    path.write_text("x_m: 1")
    with pytest.raises(PlannerError, match=f"^limits {path}: unknown limit 'x_m'"):
        load_limits(path)


@pytest.mark.parametrize("speed", [0.0, 3.0, 10.0, 30.0])
def test_the_steering_bounds_hold_the_lateral_limits(speed):
    limits = Limits()
    curve = limits.wheelbase_m * (1 + limits.understeer_s2pm2 * speed**2)
    bound = steering_bound(speed, limits)
    assert speed**2 * math.tan(bound) / curve <= 3.0 + 1e-9
    assert bound <= 0.6
    rate = steering_rate_bound(speed, 0.0, limits)
    assert speed**2 * rate / curve <= 5.0 + 1e-9
    assert 0 < rate <= 0.8


def test_the_steering_range_always_holds_straight_ahead():
    limits = Limits()
    for yaw_rate in (-1.0, 0.0, 1.0):
        for before in (-0.6, 0.0, 0.6):
            low, high = steering_range(12.0, yaw_rate, before, limits)
            assert low < 0.0 < high


def test_the_steering_range_moves_with_what_the_car_is_measured_to_do():
    limits = Limits()
    nominal, per = steering_bound(12.0, limits), 2.75 * (1 + 0.002 * 144) / 144  # rad a m/s²
    assert nominal == pytest.approx(math.atan(3.0 * per))
    low, high = steering_range(12.0, 0.1, 0.01, limits)  # 1.2 m/s²
    assert high == pytest.approx(0.01 + 1.8 * per) and low == pytest.approx(0.01 - 4.2 * per)
    low, high = steering_range(12.0, 9.0, 0.02, limits)  # believed up to twice the limit
    assert high == pytest.approx(max(0.6 * nominal, 0.02 - 3.0 * per)) and low == pytest.approx(-2.0 * nominal)
    low, high = steering_range(12.0, -9.0, -0.02, limits)
    assert low == pytest.approx(-0.6 * nominal) and high == pytest.approx(2.0 * nominal)
    low, high = steering_range(12.0, -9.0, 0.0, replace(limits, steering_max_rad=0.1))
    assert high == 0.1 and low == pytest.approx(-0.6 * nominal)


def test_below_three_metres_a_second_the_measured_turning_says_nothing():
    limits = Limits()
    assert steering_range(2.99, 5.0, 0.3, limits) == (-steering_bound(2.99, limits), steering_bound(2.99, limits))
    assert steering_range(3.0, 5.0, 0.3, limits)[1] < steering_bound(3.0, limits)


def test_the_steering_rate_follows_the_lateral_jerk_where_that_is_the_narrower():
    limits = Limits()
    assert steering_rate_bound(0.0, 0.0, limits) == 0.8
    assert steering_rate_bound(10.0, 0.3, limits) == pytest.approx(5.0 * 2.75 * 1.2 * math.cos(0.3) ** 2 / 100.0)
    edge = Limits(understeer_s2pm2=0.0, wheelbase_m=2.0, lateral_jerk_max_mps3=5.0, steering_rate_max_radps=0.4)
    assert steering_rate_bound(5.0, 0.0, edge) == 0.4
