"""The whole drive chain in one process: what perception, dynamics, planner and gate nodes do in lockstep."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_dynamics.protocols import Engine
from wm_perception.scan_memory import ScanMemory
from wm_planner.gated import LockstepGate
from wm_planner.plan_result import PlanResult
from wm_planner.planner import PREVIOUS, Planner, PlannerConfig
from wm_planner.safety import Decision, Limits, shipped_limits
from wm_planner.safety.route import Pose

if TYPE_CHECKING:
    from wm_sim.world import Frame, World


@dataclass(frozen=True)
class AgentConfig:
    """How the agent drives."""

    gate: bool = True  # False: the plan's first action goes straight to the car
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    limits: Limits = field(default_factory=shipped_limits)
    seed: int = 0
    policy_only: bool = False  # drive by the policy's proposal instead of searching
    deadline_s: float | None = None  # None: every plan in full, so that drives repeat exactly


@dataclass(frozen=True)
class Timings:
    """Milliseconds of the last step."""

    encode_ms: float
    observe_ms: float
    plan_ms: float
    gate_ms: float


class Agent:
    """Drives from observations. Call `reset` at the start of an episode, `act` every model step."""

    def __init__(self, engine: Engine, config: AgentConfig | None = None) -> None:
        self.config = config or AgentConfig()
        self.engine = engine
        settings = self.config.planner
        if self.config.policy_only:
            settings = replace(settings, solver="policy", search=None)
        self.planner = Planner(engine, settings, self.config.seed)
        self.gate = LockstepGate(self.config.limits)
        self.reset()

    def reset(self, route: ArrayLike | None = None) -> None:
        """A new episode: no belief, no plan, a gate just engaged. route [W, 2] m: for the gate to watch."""
        self.planner.reset()
        self.belief = self.engine.initial_belief()  # [L]
        self.scans = ScanMemory()
        self.surprise_nats = 0.0
        self.last_plan: PlanResult | None = None
        self.timings = Timings(0.0, 0.0, 0.0, 0.0)
        self.gate.reset(route)

    def act(self, observation: dict[str, Any], pose: Pose | None = None) -> NDArray[np.float32]:
        """Action [2] for the newest observation (camera, scan, state). pose: odometry's, in the route's frame."""
        scan, state = observation["scan"], np.asarray(observation["state"], np.float32)
        begin = time.perf_counter()
        embedding = self.engine.encode(observation["camera"], self.scans.step(scan), state)
        encoded = time.perf_counter()
        previous = state[PREVIOUS : PREVIOUS + 2]
        self.belief, self.surprise_nats = self.engine.observe(self.belief, previous, embedding)
        observed = time.perf_counter()
        self.last_plan = self.planner.plan_from(self.belief, state, self.config.deadline_s, scan=scan)
        planned = time.perf_counter()
        plan, action = self.last_plan, self.last_plan.actions[0]
        if self.config.gate:
            action = self.gate.action(
                plan.steering_angle, plan.acceleration, state, scan, pose, surprise_nats=self.surprise_nats
            )
        ended = time.perf_counter()
        spans = np.diff([begin, encoded, observed, planned, ended]) * 1e3
        self.timings = Timings(*spans.tolist())
        return action

    @property
    def last_decision(self) -> Decision | None:
        """The gate's, on the newest plan."""
        return self.gate.last_decision


class ModelDriver:
    """An agent behind the simulator's driver protocol."""

    def __init__(self, engine: Engine, config: AgentConfig | None = None) -> None:
        self.agent = Agent(engine, config)

    @property
    def gate(self) -> LockstepGate:
        """The agent's."""
        return self.agent.gate

    @property
    def last_decision(self) -> Decision | None:
        """The gate's, on the newest plan."""
        return self.agent.last_decision

    @property
    def asked_mps2(self) -> float:
        """Acceleration that the newest plan begins with."""
        return float(self.agent.last_plan.acceleration[0]) if self.agent.last_plan is not None else 0.0

    def reset(self, world: "World") -> None:
        self.agent.reset(world.route)

    def act(self, frame: "Frame") -> NDArray[np.float32]:
        return self.agent.act({"camera": frame.camera, "scan": frame.scan, "state": frame.state}, frame.pose)


def model_driver(path: str | Path, config: AgentConfig | None = None, engine: str = "onnxruntime") -> ModelDriver:
    """A driver for the model folder at `path`."""
    from wm_dynamics.engines import load_engine

    return ModelDriver(load_engine(path, engine), config)
