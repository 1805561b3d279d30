"""The whole drive chain in one process: what perception, dynamics, planner and gate nodes do in lockstep."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_dynamics.protocols import Engine
from wm_planner.planner import PREVIOUS, Planner, PlannerConfig, PlanResult
from wm_planner.safety import Clock, Decision, GateState, Inputs, Limits, Route, decide, route_from, shipped_limits
from wm_planner.safety.route import Pose
from wm_sim.action import from_physical
from wm_sim.observation import STATE_NAMES, STEP_S

if TYPE_CHECKING:
    from wm_sim.world import Frame, World

_SPEED, _YAW_RATE, _STEERING = (
    STATE_NAMES.index(name) for name in ("speed_mps", "yaw_rate_radps", "steering_angle_rad")
)
_START_NS = 1_000_000_000  # the simulator's clock starts at one second
_STEP_NS = round(STEP_S * 1e9)


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
        self.reset()

    def reset(self, route: ArrayLike | None = None) -> None:
        """A new episode: no belief, no plan, a gate just engaged. route [W, 2] m: for the gate to watch."""
        self.planner.reset()
        self._route: Route | None = None if route is None else route_from(route)
        self.belief = self.engine.initial_belief()  # [L]
        self.surprise_nats = 0.0
        self.last_plan: PlanResult | None = None
        self.last_decision: Decision | None = None
        self.timings = Timings(0.0, 0.0, 0.0, 0.0)
        self._gate = GateState()
        self._frames = 0

    def act(self, observation: dict[str, Any], pose: Pose | None = None) -> NDArray[np.float32]:
        """Action [2] for the newest observation (camera, scan, state). pose: odometry's, in the route's frame."""
        scan, state = observation["scan"], np.asarray(observation["state"], np.float32)
        begin = time.perf_counter()
        embedding = self.engine.encode(observation["camera"], scan, state)
        encoded = time.perf_counter()
        previous = state[PREVIOUS : PREVIOUS + 2]
        self.belief, self.surprise_nats = self.engine.observe(self.belief, previous, embedding)
        observed = time.perf_counter()
        self.last_plan = self.planner.plan_from(self.belief, state, self.config.deadline_s)
        planned = time.perf_counter()
        action = (
            self._through_gate(self.last_plan, scan, state, pose) if self.config.gate else self.last_plan.actions[0]
        )
        self._frames += 1
        ended = time.perf_counter()
        spans = np.diff([begin, encoded, observed, planned, ended]) * 1e3
        self.timings = Timings(*spans.tolist())
        return action

    def _through_gate(
        self, plan: PlanResult, scan: NDArray[np.float32], state: NDArray[np.float32], pose: Pose | None
    ) -> NDArray[np.float32]:
        """What the gate makes of the plan, as an action [2]."""
        stamp_ns = _START_NS + self._frames * _STEP_NS
        inputs = Inputs(
            engaged=True,
            plan=plan.as_input(self._frames, stamp_ns),
            speed_mps=float(state[_SPEED]),
            yaw_rate_radps=float(state[_YAW_RATE]),
            steering_angle_rad=float(state[_STEERING]),
            status_stamp_ns=stamp_ns,
            odom_stamp_ns=stamp_ns,
            pose=pose,
            route=self._route,
            scan=scan,
            scan_stamp_ns=stamp_ns,
            surprise_nats=self.surprise_nats,
        )
        decision = decide(Clock(stamp_ns, stamp_ns), inputs, self.config.limits, self._gate)
        self._gate, self.last_decision = decision.gate_state, decision
        command = decision.command
        return from_physical(command.steering_angle_rad, command.acceleration_mps2)


class ModelDriver:
    """An agent behind the simulator's driver protocol."""

    def __init__(self, engine: Engine, config: AgentConfig | None = None) -> None:
        self.agent = Agent(engine, config)
        self._world: World | None = None

    def reset(self, world: "World") -> None:
        self._world = world
        self.agent.reset(world.route)

    def act(self, frame: "Frame") -> NDArray[np.float32]:
        return self.agent.act({"camera": frame.camera, "scan": frame.scan, "state": frame.state}, frame.pose)


def model_driver(path: str | Path, config: AgentConfig | None = None, engine: str = "onnxruntime") -> ModelDriver:
    """A driver for the model folder at `path`."""
    from wm_dynamics.engines import load_engine

    return ModelDriver(load_engine(path, engine), config)
