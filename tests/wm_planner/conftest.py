"""What planner tests share: a world model whose truth is known, a scan of constructed scenes, a gate to drive."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest

from wm_dynamics.protocols import Outcome
from wm_planner.safety import Clock, Decision, GateState, Inputs, Limits, PlanInput, decide
from wm_planner.solvers import Bounds, Problem, Solver, make_solver, solver_config

STEP_S = 0.1
WHEELBASE_M, UNDERSTEER = 2.75, 0.002
HALF_LANE_M, CAR_M = 1.75, 4.5
LATERAL, HEADING, SPEED, GAP, LEAD, CURVATURE, LIMIT = range(7)


def drive(car: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Cars [N, 7] one model step on along a lane of constant curvature, under actions [N, 2]."""
    car, actions = car.copy(), np.clip(actions, -1.0, 1.0)
    accel = np.where(actions[:, 1] > 0, 3.0 * actions[:, 1], 6.0 * actions[:, 1])
    speed = np.maximum(0.0, car[:, SPEED] + accel * STEP_S)
    mean = 0.5 * (speed + car[:, SPEED])
    yaw_rate = mean * np.tan(0.6 * actions[:, 0]) / (WHEELBASE_M * (1 + UNDERSTEER * mean**2))
    car[:, HEADING] += (yaw_rate - car[:, CURVATURE] * mean) * STEP_S
    car[:, LATERAL] += mean * np.sin(car[:, HEADING]) * STEP_S
    car[:, GAP] += (car[:, LEAD] - mean) * STEP_S
    car[:, SPEED] = speed
    return car


def reward(car: np.ndarray) -> np.ndarray:
    """What a step earns [N], as the simulator's: progress, lane, speed, distance."""
    progress = np.clip(car[:, SPEED] / car[:, LIMIT], 0, 1)
    lane = 0.5 * np.clip((car[:, LATERAL] / HALF_LANE_M) ** 2, 0, 1)
    over = np.clip(car[:, SPEED] / car[:, LIMIT] - 1.0, 0, 1) * 3.0
    closing = np.maximum(car[:, SPEED] - car[:, LEAD], 0.0)
    needed = closing**2 / (2 * np.maximum(car[:, GAP] - 2, 0.5))
    near = np.clip(needed / 1.5 - 1, 0, 1) + np.clip(1 - car[:, GAP] / np.maximum(car[:, SPEED], 3.0), 0, 1)
    return progress - lane - over - near


class LaneEngine:
    """A perfect world model of a point car on a lane with a car ahead. Its belief is the car itself."""

    def __init__(self) -> None:
        self.config = SimpleNamespace(
            horizon=12,
            chunk=64,
            belief_size=7,
            embedding_size=7,
            disagreement_p95=1.0,
            model_id="0" * 12,
            risk_thresholds={},
        )
        self.scored = 0

    def encode(self, camera: np.ndarray, scans: np.ndarray, state: np.ndarray) -> np.ndarray:
        return np.asarray(camera, np.float32)  # the tests' camera sees the truth

    def initial_belief(self) -> np.ndarray:
        return np.zeros(7, np.float32)

    def observe(self, belief: np.ndarray, action: np.ndarray, embedding: np.ndarray) -> tuple[np.ndarray, float]:
        return embedding.astype(np.float32), 0.0

    def propose(self, belief: np.ndarray) -> np.ndarray:
        return np.zeros((8, 12, 2), np.float32)

    def score(self, belief: np.ndarray, actions: np.ndarray) -> Outcome:
        assert len(actions) % self.config.chunk == 0
        assert actions.dtype == np.float32
        self.scored += len(actions)
        car = np.repeat(np.asarray(belief, np.float64)[None], len(actions), axis=0)
        total, off_road, collision = np.zeros(len(actions)), np.zeros(len(actions)), np.zeros(len(actions))
        for step in range(actions.shape[1]):
            car = drive(car, actions[:, step].astype(np.float64))
            total += 0.97**step * reward(car)
            off_road = np.maximum(off_road, 1 / (1 + np.exp(-(np.abs(car[:, LATERAL]) - 1.5) * 10)))
            collision = np.maximum(collision, 1 / (1 + np.exp((car[:, GAP] - 0.5) * 10)))
        ahead = car.copy()
        ahead[:, LATERAL] += 1.0 * ahead[:, SPEED] * np.sin(ahead[:, HEADING])  # where it is heading in a second
        total += 0.97**12 * 10 * reward(ahead)
        doubt = np.zeros(len(actions))
        return Outcome(*(np.asarray(x, np.float32) for x in (total, collision, off_road, doubt)))


@pytest.fixture
def lane_engine() -> LaneEngine:
    return LaneEngine()


@pytest.fixture
def car() -> Callable[..., np.ndarray]:
    """A car's truth [7]: in the lane's middle at 10 m/s on a straight road with nobody ahead, unless said otherwise."""

    def make(lateral=0.0, heading=0.0, speed=10.0, gap=60.0, lead=10.0, curvature=0.0, limit=10.0) -> np.ndarray:
        return np.array([lateral, heading, speed, gap, lead, curvature, limit], np.float32)

    return make


@pytest.fixture
def closed_loop() -> Callable:
    """Drives an agent in the true lane: `closed_loop(agent, car, steps, lead=...)` gives the car after each step."""

    def run(agent, start: np.ndarray, steps: int, lead: Callable[[int], float] | None = None) -> np.ndarray:
        agent.reset()
        now, action, trace = start.astype(np.float64)[None].copy(), np.zeros(2, np.float32), []
        for step in range(steps):
            if lead is not None:
                now[0, LEAD] = lead(step)
            state = np.zeros(15, np.float32)
            speed = now[0, SPEED]
            steering = 0.6 * action[0]
            yaw_rate = speed * math.tan(steering) / (WHEELBASE_M * (1 + UNDERSTEER * speed**2))
            state[:7] = speed, 0.0, yaw_rate, steering, action[0], action[1], now[0, LIMIT]
            scan = np.full(72, 60.0, np.float32)
            if now[0, GAP] < 55 and abs(now[0, CURVATURE]) < 1e-3:
                scan[35:37] = now[0, GAP] + 3.54 - 1.3
            action = agent.act({"camera": now[0].astype(np.float32), "scan": scan, "state": state})
            assert np.isfinite(action).all() and (np.abs(action) <= 1).all()
            now = drive(now, action[None].astype(np.float64))
            trace.append(now[0].copy())
        return np.array(trace)

    return run


def unbound(before=(0.0, 0.0)) -> Bounds:
    """Bounds that bind the action alone."""
    one, step = np.ones(2, np.float32), np.full(2, 2.0, np.float32)
    return Bounds(-one, one, step, step, np.asarray(before, np.float32))


@pytest.fixture(scope="session")
def free() -> Callable[..., Bounds]:
    """Bounds that bind the action alone: `free(before=(0.1, 0.3))`."""
    return unbound


@pytest.fixture(scope="session")
def make() -> Callable[..., Solver]:
    """A solver by name, seed and candidates of each iteration."""

    def solver(name: str, seed: int = 0, candidates: tuple[int, ...] = (256, 128, 64)) -> Solver:
        return make_solver(name, solver_config(name, candidates), np.random.default_rng(seed))

    return solver


@pytest.fixture(scope="session")
def problem() -> Callable[..., Problem]:
    """A problem from a score alone: `problem(score, bounds, proposals, deadline=...)`."""

    def posed(score, bounds: Bounds | None = None, proposals: np.ndarray | None = None, **more) -> Problem:
        none = np.zeros((0, 12, 2), np.float32)
        return Problem(score, bounds or unbound(), none if proposals is None else proposals, **more)

    return posed


@dataclass(frozen=True)
class Box:
    """A car-sized obstacle in base_link: middle of its rear (x, y), heading."""

    x: float
    y: float
    yaw: float = 0.0
    length: float = 4.5
    width: float = 1.8


def ray_cast(boxes: list[Box], lidar_x_m: float = 1.3) -> np.ndarray:
    """Nearest return in each of 72 sectors of 5 degrees, 60 m where none, as the simulator's lidar gives them."""
    rays = 72 * 25
    angles = -np.pi + (np.arange(rays) + 0.5) * 2 * np.pi / rays
    direction = np.stack([np.cos(angles), np.sin(angles)], axis=1)  # [R, 2]
    nearest = np.full(rays, 60.0)
    for box in boxes:
        cos, sin = math.cos(box.yaw), math.sin(box.yaw)
        corners = [(0, -box.width / 2), (0, box.width / 2), (box.length, box.width / 2), (box.length, -box.width / 2)]
        points = [np.array([box.x - lidar_x_m + a * cos - b * sin, box.y + a * sin + b * cos]) for a, b in corners]
        for start, end in zip(points, points[1:] + points[:1], strict=True):
            edge = end - start
            cross = direction[:, 0] * edge[1] - direction[:, 1] * edge[0]
            with np.errstate(divide="ignore", invalid="ignore"):
                along = (start[0] * edge[1] - start[1] * edge[0]) / cross
                part = (start[0] * direction[:, 1] - start[1] * direction[:, 0]) / cross
            hit = (along > 0) & (part >= 0) & (part <= 1)
            nearest = np.where(hit & (along < nearest), along, nearest)
    return nearest.reshape(72, 25).min(axis=1).astype(np.float32)


@pytest.fixture(scope="session")
def scan_of() -> Callable[[list[Box]], np.ndarray]:
    return ray_cast


@pytest.fixture(scope="session")
def scan_with() -> Callable[..., np.ndarray]:
    """A free scan with returns in some sectors, counted from the one right of ahead (r0, r1…) or left of it (l0…)."""

    def make(**ranges: float) -> np.ndarray:
        scan = np.full(72, 60.0, np.float32)
        for name, value in ranges.items():
            number = int(name[1:])
            scan[36 + number if name[0] == "l" else 35 - number] = value
        return scan

    return make


@pytest.fixture(scope="session")
def box() -> type[Box]:
    return Box


@dataclass
class Gate:
    """A gate that is driven step by step: healthy inputs unless a test breaks them."""

    limits: Limits = field(default_factory=Limits)
    memory: GateState = field(default_factory=GateState)
    now_ns: int = 1_000_000_000
    steady_ns: int = 5_000_000_000
    seq: int = 0
    scans: int = 0
    inputs: Inputs = field(default_factory=lambda: Inputs(True, speed_mps=10.0, scan=np.full(72, 60.0, np.float32)))

    def plan(self, steering=0.0, acceleration=0.0, steps=12, stamp_ns=None) -> PlanInput:
        """The next plan, constant."""
        self.seq += 1
        stamp_ns = self.now_ns if stamp_ns is None else stamp_ns
        steered, driven = np.full(steps, steering, np.float32), np.full(steps, acceleration, np.float32)
        return PlanInput(self.seq, stamp_ns, 0.1, steered, driven)

    def sense(self, **changed) -> None:
        """Fresh scan, odometry and status, with changes."""
        now = self.now_ns
        self.inputs = replace(self.inputs, scan_stamp_ns=now, odom_stamp_ns=now, status_stamp_ns=now)
        self.inputs = replace(self.inputs, **changed)
        self.scans += 1
        if self.inputs.scan is not None:  # no lidar gives the same numbers twice
            scan = np.asarray(self.inputs.scan, np.float32)
            self.inputs = replace(self.inputs, scan=scan + np.float32(1e-4 * (self.scans % 2)) * (scan < 59.9))

    def hear(self, plan: PlanInput | None) -> None:
        self.inputs = replace(self.inputs, plan=plan)

    def decide(self) -> Decision:
        decision = decide(Clock(self.now_ns, self.steady_ns), self.inputs, self.limits, self.memory)
        self.memory = decision.gate_state
        return decision

    def wait(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)
        self.steady_ns += round(seconds * 1e9)

    def step(self, seconds: float = 0.1, steering=0.0, acceleration=0.0, **changed) -> Decision:
        """Time passes, everything is fresh, the gate decides."""
        self.wait(seconds)
        self.sense(**changed)
        self.hear(self.plan(steering, acceleration))
        return self.decide()


@pytest.fixture
def gate() -> Gate:
    """A gate that has just become ACTIVE at 10 m/s."""
    gate = Gate()
    gate.step()
    return gate


@pytest.fixture
def fresh_gate() -> Gate:
    """A gate that has heard nothing."""
    return Gate()
