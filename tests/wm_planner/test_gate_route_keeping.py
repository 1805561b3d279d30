"""A stop without a plan follows the road, however far off the receiver is and however the car steers."""

import math
from dataclasses import replace

import numpy as np
import pytest

from wm_planner.safety import Clock, GateState, Inputs, Limits, PlanInput, State, decide, route_from
from wm_planner.safety.route import Route, arc_beside, left_of
from wm_planner.safety.route_keeping import keep_route
from wm_planner.safety.types import Command

RADIUS_M = 150.0
STRAIGHT = route_from([[-50.0, 0.0], [0.0, 0.0], [200.0, 0.0]])
WHEELBASE_M, UNDERSTEER = 2.75, 0.002
STEP_S = 0.02


def bend(radius_m: float) -> Route:
    """A circle's quarter to the left of (0, 0), and the road that leads to it."""
    angles = np.arange(0.0, math.pi / 2, 0.5 / radius_m)
    arc = np.stack([radius_m * np.sin(angles), radius_m * (1 - np.cos(angles))], axis=1)
    return route_from(np.concatenate([[[-100.0, 0.0]], arc]))


def test_left_of_a_route_is_positive():
    assert left_of(STRAIGHT, 20.0, 1.5) == pytest.approx(1.5)
    assert left_of(STRAIGHT, 20.0, -0.5) == pytest.approx(-0.5)
    assert left_of(bend(RADIUS_M), RADIUS_M - 2.0, RADIUS_M) == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("beside", [0.0, 1.2, -2.0])
def test_a_car_on_its_line_meets_it_further_on_by_the_lines_own_bend(beside):
    assert arc_beside(STRAIGHT, (10.0, beside, 0.0), beside, 8.0) == pytest.approx(0.0, abs=1e-9)
    on = (0.0, beside, 0.0)
    assert arc_beside(bend(RADIUS_M), on, beside, 8.0) == pytest.approx(1 / (RADIUS_M - beside), rel=0.02)


def test_a_car_beside_its_line_or_askew_is_led_back():
    assert arc_beside(STRAIGHT, (10.0, 1.0, 0.0), 0.0, 10.0) == pytest.approx(-2.0 / 101.0)
    assert arc_beside(STRAIGHT, (10.0, 0.0, 0.1), 0.0, 10.0) == pytest.approx(-2.0 * math.sin(0.1) / 10.0)
    assert arc_beside(STRAIGHT, (10.0, 0.0, 0.0), 1.0, 10.0) == pytest.approx(2.0 / 101.0)


@pytest.mark.parametrize(
    "changed",
    [{"pose": None}, {"speed_mps": 2.9}, {"pose": (0.0, 6.1, 0.0)}, {"pose": (1e300, -1e300, 0.0)}],
    ids=["no pose", "too slow to measure", "elsewhere", "beyond belief"],
)
def test_where_nothing_is_known_the_steering_stays(changed):
    memory = GateState(command=Command(0.05, 0.0, -6.0, 0.0, 3, False), pose=(0.0, 0.5, 0.3), speed_mps=10.0)
    assert keep_route(STRAIGHT, memory, 0.1, Limits())[0] < 0.05
    assert keep_route(None, memory, 0.1, Limits())[0] == 0.05
    unknown = replace(memory, **changed)
    assert keep_route(STRAIGHT, unknown, 0.1, Limits()) == (0.05, unknown)
    assert keep_route(STRAIGHT, replace(unknown, command=None), 0.1, Limits())[0] == 0.0


def stop_without_plan(
    route: Route | None, speed_mps: float, plan: np.ndarray, bias_rad: float = 0, gain: float = 1, aside_m: float = 0
) -> tuple[float, GateState]:
    """The farthest that a car comes from the circle it was on, m, and the gate's last memory.

    plan [12] rad: what the last one asks for. bias, gain: how the car's steering differs. aside_m: how far its
    receiver is off, both ways.
    """
    limits, memory, place, drift = Limits(), GateState(), np.array([0.0, 0.0, 0.0]), 0.0
    speed, tyre, yaw_rate = speed_mps, gain * float(plan[0]) + bias_rad, speed_mps / RADIUS_M
    heard = PlanInput(1, 10**9, 0.1, plan.astype(np.float32), np.zeros(12, np.float32))
    for tick in range(400):
        now = 10**9 + tick * round(STEP_S * 1e9)
        pose = (float(place[0]) + aside_m, float(place[1]) + aside_m, float(place[2]))
        inputs = Inputs(True, heard, speed, yaw_rate, tyre, now, now, np.full(72, np.inf, np.float32), now)
        decision = decide(Clock(now, now), replace(inputs, pose=pose, route=route), limits, memory)
        memory, command = decision.gate_state, decision.command
        tyre += (gain * command.steering_angle_rad + bias_rad - tyre) * STEP_S / 0.1
        speed = max(0.0, speed + command.acceleration_mps2 * STEP_S)
        yaw_rate = speed * math.tan(tyre) / (WHEELBASE_M * (1 + UNDERSTEER * speed**2))
        place += STEP_S * np.array([speed * math.cos(place[2]), speed * math.sin(place[2]), yaw_rate])
        drift = max(drift, abs(RADIUS_M - math.hypot(place[0], place[1] - RADIUS_M)))
        if speed == 0.0:
            break
    assert speed == 0.0
    assert decision.state is State.EMERGENCY
    return drift, memory


def wanted_steering(speed_mps: float) -> float:
    """What keeps a nominal car on the circle."""
    return math.atan(WHEELBASE_M * (1 + UNDERSTEER * speed_mps**2) / RADIUS_M)


@pytest.mark.parametrize("aside", [0.0, 1.5, -1.5])
def test_a_plan_that_straightens_in_a_bend_is_not_followed_off_the_road(aside):
    plan = wanted_steering(17.0) * np.linspace(1.0, 0.0, 12)
    without = stop_without_plan(None, 17.0, plan)[0]
    kept, memory = stop_without_plan(bend(RADIUS_M), 17.0, plan, aside_m=aside)
    assert without > 0.6
    assert kept < 0.5 * without
    assert memory.kept_beside_m is not None


@pytest.mark.parametrize(("bias", "gain"), [(0.02, 1.0), (-0.02, 1.0), (0.0, 0.85), (0.0, 1.15)])
def test_a_car_that_steers_otherwise_than_meant_is_kept_too(bias, gain):
    plan = np.full(12, (wanted_steering(14.0) - bias) / gain)
    assert stop_without_plan(bend(RADIUS_M), 14.0, plan, bias, gain)[0] < 0.25


def test_a_new_plan_ends_it(gate):
    gate.step(route=STRAIGHT, pose=(0.0, 1.0, 0.0))
    gate.wait(0.6)
    gate.sense(pose=(6.0, 1.1, 0.0))
    lost = gate.decide()
    assert lost.state is State.EMERGENCY
    assert lost.gate_state.kept_beside_m == pytest.approx(1.1)
    assert gate.step(pose=(7.0, 1.1, 0.0)).gate_state.kept_beside_m is None


def test_a_pose_too_old_is_not_followed(gate):
    gate.step(route=STRAIGHT, pose=(0.0, 1.0, 0.4), steering=0.0)
    gate.wait(0.6)
    lost = gate.decide()  # nothing was heard since
    assert lost.gate_state.kept_beside_m is None
    assert lost.command.steering_angle_rad == pytest.approx(0.0, abs=1e-6)
