"""The car obeys its equations."""

import math

import numpy as np
import pytest

from wm_sim import SimError
from wm_sim.vehicle import ACCELERATION, SPEED, STEER, YAW_RATE, VehicleParameters, X, Y, step_vehicle
from wm_sim.world import World, WorldConfig


def drive(parameters, seconds, steering=0.0, acceleration=0.0, speed=0.0):
    """States [T, 8] at 20 Hz."""
    state = np.zeros(8)
    state[SPEED] = speed
    states = [state.copy()]
    for _ in range(round(seconds / 0.05)):
        step_vehicle(state, parameters.as_array(), steering, acceleration)
        states.append(state.copy())
    return np.array(states)


@pytest.mark.parametrize("speed", [3.0, 8.0])
@pytest.mark.parametrize("understeer", [0.0, 0.003])
def test_constant_steering_drives_a_circle_of_the_closed_form(speed, understeer):
    steering = 0.1
    states = drive(VehicleParameters(wheelbase_m=2.7, understeer_s2pm2=understeer), 30.0, steering, 0.0, speed)
    radius = 2.7 * (1.0 + understeer * speed**2) / math.tan(steering)
    late = states[40:]
    x, y = late[:, X], late[:, Y]
    cx, cy = np.linalg.lstsq(np.stack([2 * x, 2 * y, np.ones(len(x))], 1), x * x + y * y, rcond=None)[0][:2]
    np.testing.assert_allclose(np.hypot(x - cx, y - cy), radius, rtol=1e-3)
    np.testing.assert_allclose(late[:, YAW_RATE], speed / radius, rtol=1e-6)


def test_a_car_never_drives_backwards_and_starts_again_without_waiting():
    parameters = VehicleParameters()
    states = drive(parameters, 5.0, acceleration=-6.0, speed=6.0)
    assert states[:, SPEED].min() == 0.0
    assert states[-1, SPEED] == 0.0
    assert states[-1, ACCELERATION] == 0.0
    state = states[-1]
    for _ in range(4):
        step_vehicle(state, parameters.as_array(), 0.0, 3.0)
    assert state[SPEED] > 0.1


def test_acceleration_lags_by_a_fifth_of_a_second_and_steering_by_a_twentieth():
    states = drive(VehicleParameters(), 1.0, steering=0.015, acceleration=2.0, speed=5.0)
    at_lag = states[4]  # 0.2 s
    assert 0.55 < at_lag[ACCELERATION] / 2.0 < 0.68
    assert states[1, STEER] == pytest.approx(0.015 * (1.0 - math.exp(-1.0)), rel=1e-6)
    assert states[-1, ACCELERATION] == pytest.approx(2.0, rel=0.02)


def test_the_steering_wheel_turns_no_faster_than_its_motor():
    states = drive(VehicleParameters(), 3.0, steering=0.6, speed=2.0)
    assert np.abs(np.diff(states[:, STEER])).max() <= 0.4 * 0.05 + 1e-12
    assert states[-1, STEER] == pytest.approx(0.6, rel=1e-3)


def test_brake_gain_bias_and_gain_act_on_the_road_but_not_on_the_sensors():
    parameters = VehicleParameters(steer_gain=1.1, steer_bias_rad=0.005, brake_gain=0.85)
    states = drive(parameters, 1.5, steering=0.0, acceleration=-4.0, speed=20.0)
    assert states[-1, ACCELERATION] == pytest.approx(-3.4, rel=0.01)
    assert states[-1, STEER] == 0.0
    assert states[-1, YAW_RATE] > 0.0


def test_lateral_acceleration_stays_within_the_grip_of_the_tyres():
    states = drive(VehicleParameters(understeer_s2pm2=0.0), 4.0, steering=0.6, speed=20.0)
    assert np.abs(states[:, YAW_RATE] * states[:, SPEED]).max() <= 8.0 + 1e-3


@pytest.mark.parametrize("friction", [0.4, 0.7, 1.0])
@pytest.mark.parametrize(("steering", "acceleration"), [(0.6, 0.0), (0.0, -6.0), (0.5, -6.0), (-0.3, 3.0)])
def test_acceleration_along_and_across_stays_on_the_friction_circle(friction, steering, acceleration):
    parameters = VehicleParameters(friction=friction, brake_gain=1.15, understeer_s2pm2=0.0)
    states = drive(parameters, 2.0, steering=steering, acceleration=acceleration, speed=20.0)
    speed = 0.5 * (states[1:, SPEED] + states[:-1, SPEED])
    across = states[1:, YAW_RATE] * speed
    moving = speed > 1.0
    total = np.hypot(states[1:, ACCELERATION], across)[moving]
    assert total.max() <= friction * 8.0 * 1.02
    if friction == 0.4:
        assert total.max() > 0.9 * 3.2  # it slides, and that is all there is


def test_a_slippery_road_lengthens_the_way_to_a_stop_as_its_friction_says():
    stops = []
    for friction in (1.0, 0.4):
        states = drive(VehicleParameters(friction=friction), 8.0, acceleration=-6.0, speed=15.0)
        assert states[-1, SPEED] == 0.0
        stops.append(states[-1, X])
    assert stops[1] / stops[0] == pytest.approx(6.0 / 3.2, rel=0.15)


def test_full_braking_leaves_some_steering():
    states = drive(VehicleParameters(friction=0.5), 1.5, steering=0.3, acceleration=-6.0, speed=15.0)
    assert states[-1, Y] > 0.5


def test_parameters_come_from_a_file_and_what_it_leaves_out_is_nominal(tmp_path):
    path = tmp_path / "van.yaml"
    path.write_text("wheelbase_m: 3.6\nfriction: 0.8\n")
    assert VehicleParameters.from_file(path) == VehicleParameters(wheelbase_m=3.6, friction=0.8)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("wheels: 4", "'wheels' is unknown. Known are wheelbase_m"),
        ("wheelbase_m: long", "wheelbase_m is 'long'; expected 1.0 to 8.0"),
        ("friction: 9.81", "friction is 9.81; expected"),
        ("friction: .nan", "friction is nan"),
        ("- 2.7", "expected lines of"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_file_that_is_no_set_of_parameters_is_refused_with_the_reason(tmp_path, text, reason):
    path = tmp_path / "car.yaml"
    path.write_text(text)
    with pytest.raises(SimError, match=reason.replace(".", r"\.").replace("[", r"\[")):
        VehicleParameters.from_file(path)
    with pytest.raises(SimError, match="cannot be read"):
        VehicleParameters.from_file(tmp_path / "none.yaml")


def test_a_car_from_a_file_drives_every_episode(tmp_path) -> None:
    path = tmp_path / "car.yaml"
    path.write_text("wheelbase_m: 3.6\nbrake_gain: 0.9\n")
    world = World(WorldConfig(camera=False, scan=False, vehicle=path))
    for family in ("lane_follow", "junction"):
        world.reset(family, 3)
        assert world.scenario.vehicle == VehicleParameters(wheelbase_m=3.6, brake_gain=0.9)
