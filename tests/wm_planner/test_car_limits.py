"""Limits of a car: shipped, then its simulator's, then the user's own; every mistake is one sentence."""

from dataclasses import replace

import pytest

from wm_planner import PlannerError
from wm_planner.car_limits import AS_SHIPPED, car_limits, limits_text, parse_limits, told
from wm_planner.safety import shipped_limits
from wm_sim.contract import find_simulator, known_simulators


@pytest.mark.parametrize("name", known_simulators())
def test_every_simulator_declares_limits_that_reach_a_node_as_they_are(name: str) -> None:
    declared = find_simulator(name).declaration.limits
    assert car_limits(parse_limits(limits_text(declared))) == replace(shipped_limits(), **declared)
    assert parse_limits(told(car_limits(declared)) if declared else "") == declared


def test_without_anything_declared_the_shipped_limits_hold() -> None:
    assert car_limits({}) == shipped_limits() and told(car_limits({})) == AS_SHIPPED


def test_what_a_file_names_comes_over_what_is_declared(tmp_path) -> None:
    own = tmp_path / "limits.yaml"
    own.write_text("speed_max_mps: 10\nhalf_width_m: 0.805\n")  # the second as shipped, but said
    limits = car_limits({"half_width_m": 1.2, "wheelbase_m": 3.24}, str(own))
    assert (limits.speed_max_mps, limits.half_width_m, limits.wheelbase_m) == (10, 0.805, 3.24)
    own.write_text("")
    assert car_limits({"half_width_m": 1.2}, str(own)).half_width_m == 1.2
    own.write_text("wheels: 4")
    with pytest.raises(PlannerError, match=rf"^limits {own}: unknown limit 'wheels'"):
        car_limits({}, str(own))


@pytest.mark.parametrize("text", ["wheelbase_m", "wheelbase_m=", "wheelbase_m=3;half_width_m=1"])
def test_text_that_is_no_limits_is_one_sentence(text: str) -> None:
    with pytest.raises(PlannerError, match=r"^limits '.*': expected name=number, some separated by commas\.$"):
        parse_limits(text)


@pytest.mark.parametrize(
    ("declared", "sentence"),
    [
        ({"wheels": 4.0}, "limits of the car: unknown limit 'wheels'; known are acceleration_max_mps2"),
        ({"wheelbase_m": 60.0}, "limit wheelbase_m: 60.0 is outside 1.0..6.0 m; change it."),
        ({"wheelbase_m": "long"}, "limit wheelbase_m: 'long' is not a number; give m."),
    ],
)
def test_declared_limits_that_are_none_are_one_sentence(declared, sentence: str) -> None:
    with pytest.raises(PlannerError) as refused:
        car_limits(declared)
    assert str(refused.value).startswith(sentence)
