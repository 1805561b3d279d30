"""Limits are what the file says, or a sentence about what is wrong with it."""

import math

import pytest

from wm_planner import PlannerError
from wm_planner.safety import Limits, load_limits
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
    with pytest.raises(PlannerError, match="No such file"):
        load_limits(tmp_path / "none.yaml")


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
