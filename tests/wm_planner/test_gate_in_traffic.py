"""The gate on the simulated road: it leaves a good driver alone and saves a careless one from most crashes."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from wm_planner.safety import Clock, GateState, Inputs, Limits, PlanInput, Source, State, decide, route_from
from wm_sim.action import from_physical, to_physical
from wm_sim.drivers import make_driver
from wm_sim.world import World, WorldConfig


@dataclass
class Drive:
    steps: int = 0
    scan_brakes: int = 0
    limited: int = 0
    emergencies: int = 0
    collided: bool = False
    completed: bool = False


def drive(family: str, seed: int, careless: bool = False, gated: bool = True) -> Drive:
    """The expert (careless: blind to the car ahead) through the gate, decided once a frame."""
    world, driver, result = World(WorldConfig(camera=False)), make_driver("expert", seed), Drive()
    frame = world.reset(family, seed)
    driver.reset(world)
    limits, memory, route = Limits(), GateState(), route_from(world.route)
    while not (frame.terminated or frame.truncated):
        action = np.array(driver.act(frame), np.float32)
        if careless:
            action[1] = np.clip(0.5 * (frame.speed_limit_mps - frame.speed_mps), -1, 1)
        steering, acceleration = (np.full(12, value, np.float32) for value in to_physical(action))
        now = 10**9 + result.steps * 10**8
        plan = PlanInput(result.steps, now, 0.1, steering, acceleration)
        speed, yaw_rate, angle = (float(frame.state[k]) for k in (0, 2, 3))
        inputs = Inputs(True, plan, speed, yaw_rate, angle, now, now, frame.scan, now)
        inputs = replace(inputs, pose=frame.pose, route=route, speed_limit_mps=float(frame.state[6]))
        decision = decide(Clock(now, now), inputs, limits, memory)
        memory, command = decision.gate_state, decision.command
        result.steps += 1
        result.scan_brakes += command.source is Source.SCAN_BRAKE
        result.limited += abs(command.steering_angle_rad - steering[0]) > 1e-3
        result.emergencies += decision.state is State.EMERGENCY
        if gated:
            action = from_physical(command.steering_angle_rad, command.acceleration_mps2)
        frame = world.step(action)
    result.collided = frame.truth.collided
    result.completed = frame.truth.progress_m >= 0.99 * frame.truth.route_length_m
    return result


@pytest.mark.parametrize("family", ["lane_follow", "stop_go"])
def test_a_good_driver_passes_the_gate_as_if_it_were_not_there(family):
    drives = [drive(family, seed) for seed in range(900_000, 900_006)]
    steps = sum(d.steps for d in drives)
    assert all(d.completed for d in drives)
    assert sum(d.emergencies for d in drives) == 0
    assert sum(d.scan_brakes for d in drives) / steps <= 0.01
    assert sum(d.limited for d in drives) / steps <= 0.05


def test_a_driver_blind_to_the_car_ahead_crashes_always_without_the_gate_and_never_with_it():
    seeds = range(910_000, 910_010)
    assert all(drive("stop_go", seed, careless=True, gated=False).collided for seed in seeds)
    saved = [drive("stop_go", seed, careless=True) for seed in seeds]
    assert not any(d.collided for d in saved)
    assert all(d.scan_brakes for d in saved)
