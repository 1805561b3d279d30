"""The agent drives: encode, filter, plan, gate, in a lane whose truth is known."""

import math
import subprocess
import sys

import numpy as np
import pytest

from wm_planner.agent import Agent, AgentConfig
from wm_planner.objective import ObjectiveConfig
from wm_planner.plan_result import Status
from wm_planner.planner import PlannerConfig
from wm_planner.safety import Reason, Source, State

# The test's policy knows neither lane nor car: it is a hint here, and the search drives.
SEARCHING = AgentConfig(planner=PlannerConfig(objective=ObjectiveConfig(policy_weight=2.0)))


def test_it_keeps_the_lane_and_the_speed_limit_on_a_curve(lane_engine, car, closed_loop):
    trace = closed_loop(Agent(lane_engine, SEARCHING), car(lateral=0.6, curvature=1 / 60, speed=8.0), 120)
    lateral, speed = trace[30:, 0], trace[30:, 2]
    assert np.abs(lateral).max() < 0.5
    assert np.abs(lateral).mean() < 0.25
    assert 8.5 < speed.mean() < 10.5


def test_it_follows_a_car_that_stops_and_goes_without_touching_it(lane_engine, car, closed_loop):
    def lead(step):
        phase = step % 150
        return max(0.0, 8.0 - 0.25 * phase) if phase < 60 else min(8.0, 0.2 * (phase - 60))

    agent = Agent(lane_engine, SEARCHING)
    trace = closed_loop(agent, car(gap=15.0, lead=8.0, speed=8.0), 300, lead)
    assert trace[:, 3].min() > 0.5
    assert trace[:, 2].max() > 5.0  # and it does drive
    assert trace[:, 3].max() < 40.0
    assert agent.last_decision.state is State.ACTIVE


def test_a_straight_drive_does_not_wobble(lane_engine, car, closed_loop):
    searching = PlannerConfig(objective=ObjectiveConfig(policy_weight=0.0))  # the test's policy sees no car
    agent = Agent(lane_engine, AgentConfig(planner=searching))
    trace = closed_loop(agent, car(speed=15.0, limit=15.0, lead=15.0), 100)
    assert np.abs(trace[20:, 0]).max() < 0.3
    assert np.abs(np.diff(trace[20:, 1])).max() * 15.0 / 0.1 < 2.0  # m/s² of lateral acceleration
    assert not agent.last_decision.reasons & Reason.OBSTACLE


def test_the_same_seed_gives_the_same_drive(lane_engine, car, closed_loop):
    start = car(lateral=0.4, curvature=0.01)
    agent = Agent(lane_engine, AgentConfig(seed=5))
    first = closed_loop(agent, start, 20)
    np.testing.assert_array_equal(first, closed_loop(agent, start, 20))
    np.testing.assert_array_equal(first, closed_loop(Agent(lane_engine, AgentConfig(seed=5)), start, 20))


def test_it_filters_with_the_action_that_status_reports(lane_engine, car):
    seen = []
    observe = lane_engine.observe
    lane_engine.observe = lambda b, a, e: (seen.append((b.copy(), a.copy())), observe(b, a, e))[1]
    agent, state = Agent(lane_engine), np.zeros(15, np.float32)
    state[:6] = 10.0, 0.0, 0.0, 0.0, 0.25, -0.5
    observation = {"camera": car(), "scan": np.full(72, 60.0, np.float32), "state": state}
    agent.act(observation)
    agent.act(observation)
    np.testing.assert_array_equal(seen[0][0], lane_engine.initial_belief())
    np.testing.assert_array_equal(seen[1][0], car())
    np.testing.assert_array_equal(seen[0][1], [0.25, -0.5])


def towards_what_the_model_does_not_see(agent, belief):
    """The last action of four steps towards something that only the scan shows, 9 m ahead at last."""
    state = np.zeros(15, np.float32)
    state[0] = state[6] = 10.0
    for gap in (12.0, 11.0, 10.0, 9.0):
        scan = np.full(72, 60.0, np.float32)
        scan[35:37] = gap + 3.54 - 1.3
        action = agent.act({"camera": belief, "scan": scan, "state": state})
    return action


def test_the_planner_brakes_for_what_the_model_does_not_see(lane_engine, car):
    agent = Agent(lane_engine)
    assert towards_what_the_model_does_not_see(agent, car())[1] < -0.8
    assert agent.last_decision.command.source is Source.PLAN


def test_the_gate_brakes_for_it_where_the_planner_does_not(lane_engine, car):
    agent = Agent(lane_engine, AgentConfig(planner=PlannerConfig(stop_in_sight=False)))
    assert towards_what_the_model_does_not_see(agent, car())[1] < -0.8
    assert agent.last_decision.command.source is Source.SCAN_BRAKE


def test_without_the_gate_the_plan_goes_straight_to_the_car(lane_engine, car):
    agent, state = Agent(lane_engine, AgentConfig(gate=False)), np.zeros(15, np.float32)
    state[0] = state[6] = 10.0
    action = agent.act({"camera": car(lateral=0.5), "scan": np.zeros(72, np.float32), "state": state})
    np.testing.assert_array_equal(action, agent.last_plan.actions[0])
    assert agent.last_decision is None


def test_policy_only_drives_by_the_proposal(lane_engine, car):
    lane_engine.propose = lambda belief: np.full((8, 12, 2), 0.01, np.float32)
    agent, state = Agent(lane_engine, AgentConfig(policy_only=True)), np.zeros(15, np.float32)
    state[0] = state[6] = 10.0
    action = agent.act({"camera": car(), "scan": np.full(72, 60.0, np.float32), "state": state})
    np.testing.assert_allclose(action, 0.01, rtol=1e-5)
    assert agent.last_plan.samples == 64


def test_a_broken_observation_brakes(lane_engine, car):
    agent, state = Agent(lane_engine), np.zeros(15, np.float32)
    state[0] = state[6] = 10.0
    observation = {"camera": car(), "scan": np.full(72, 60.0, np.float32), "state": state}
    agent.act(observation)
    action = agent.act({**observation, "camera": car() * math.nan})
    assert agent.last_plan.status is Status.FALLBACK
    assert action[1] == -1.0


def test_it_tells_how_long_each_part_took(lane_engine, car):
    agent = Agent(lane_engine)
    agent.act({"camera": car(), "scan": np.full(72, 60.0, np.float32), "state": np.zeros(15, np.float32)})
    timings = agent.timings
    assert min(timings.encode_ms, timings.observe_ms, timings.plan_ms, timings.gate_ms) >= 0
    assert timings.plan_ms > 0


@pytest.mark.parametrize("module", ["torch", "onnxruntime", "numba", "wm_dynamics", "yaml", "rclpy"])
def test_the_gate_needs_no_inference_engine(module):
    code = f"import wm_planner.safety, sys; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
