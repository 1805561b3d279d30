"""The car obeys its equations."""

import math

import numpy as np
import pytest

from wm_sim.vehicle import ACCELERATION, SPEED, STEER, YAW_RATE, VehicleParameters, X, Y, step_vehicle


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
