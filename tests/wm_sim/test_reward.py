"""The reward: what it takes off for traffic that crosses and for red lights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wm_sim.hazards import crossing_time, red_light_in
from wm_sim.observation import EGO_FRONT_X_M
from wm_sim.reward import CRASH_REWARD, crossing_danger, red_light_danger, step_reward
from wm_sim.scene import (
    ACTIVE,
    AGENT_SIZE,
    CCOS,
    CSIN,
    CX,
    CY,
    GREEN_S,
    LENGTH,
    RED_S,
    SIGNAL_PATH,
    SIGNAL_SIZE,
    STOP_S,
    YELLOW_S,
    V,
)
from wm_sim.traffic.neighbours import EGO_COS, EGO_V, SEEN_EGO_SIZE
from wm_sim.world import World


def _ego(speed_mps: float) -> np.ndarray:
    ego = np.zeros(SEEN_EGO_SIZE)
    ego[EGO_COS], ego[EGO_V] = 1.0, speed_mps
    return ego


def _agent(x: float, y: float, yaw: float, speed_mps: float, length_m: float = 4.5) -> np.ndarray:
    agent = np.zeros((1, AGENT_SIZE))
    agent[0, [CX, CY, CCOS, CSIN, V, LENGTH, ACTIVE]] = x, y, math.cos(yaw), math.sin(yaw), speed_mps, length_m, 1.0
    return agent


def test_who_arrives_at_the_same_place_at_the_same_time_is_seen_that_long_before() -> None:
    crosses = _agent(20.0, -10.0, math.pi / 2, 5.0)
    assert crossing_time(crosses, _ego(10.0)) == pytest.approx(2.0)


def test_who_passes_before_follows_or_comes_the_other_way_does_not_cross() -> None:
    ego = _ego(10.0)
    assert crossing_time(_agent(20.0, -10.0, math.pi / 2, 15.0), ego) == math.inf
    assert crossing_time(_agent(20.0, 0.0, 0.0, 5.0), ego) == math.inf
    assert crossing_time(_agent(40.0, 2.0, math.pi - 0.3, 10.0), ego) == math.inf


def test_danger_grows_as_the_crossing_nears_and_is_none_for_who_stands() -> None:
    assert crossing_danger(10.0, math.inf) == 0.0
    assert 0.0 < crossing_danger(10.0, 2.0) < crossing_danger(10.0, 1.2) <= crossing_danger(10.0, 0.5) == 1.0
    assert crossing_danger(0.0, 0.5) == 0.0


def test_only_a_red_light_of_the_own_route_ahead_counts() -> None:
    signal = np.zeros((1, SIGNAL_SIZE))
    signal[0, [SIGNAL_PATH, STOP_S, GREEN_S, YELLOW_S, RED_S]] = 0.0, 50.0, 10.0, 3.0, 10.0
    assert red_light_in(signal, 20.0, 15.0) == pytest.approx(30.0 - EGO_FRONT_X_M)
    assert red_light_in(signal, 20.0, 5.0) == math.inf  # green
    assert red_light_in(signal, 51.0, 15.0) == math.inf  # behind
    signal[0, SIGNAL_PATH] = 1.0
    assert red_light_in(signal, 20.0, 15.0) == math.inf


def test_a_red_light_that_gentle_braking_stops_before_is_no_danger() -> None:
    assert red_light_danger(10.0, 40.0) == 0.0
    assert red_light_danger(10.0, 8.0) == 1.0
    assert red_light_danger(10.0, math.inf) == 0.0


def test_danger_makes_a_step_worth_less() -> None:
    calm, risky = (step_reward(0.1, 1.0, 0.0, 3.5, 10.0, 10.0, unsafe, 0.0, 0.0) for unsafe in (0.0, 1.0))
    assert calm == pytest.approx(1.0)
    assert risky == pytest.approx(-0.5)


def test_running_a_red_light_is_paid_for_as_a_crash_is() -> None:
    world = World()
    for seed in range(20):
        frame = world.reset("signal_stop", seed)
        while not (frame.terminated or frame.truncated):
            frame = world.step(np.array([0.0, 0.3], np.float32))
            if "red_light" in str(frame.events).lower():
                assert frame.truth.reward == CRASH_REWARD
                return
    pytest.fail("no drive straight on met a red light")
