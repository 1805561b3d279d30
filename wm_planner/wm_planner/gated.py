"""The safety gate inside one process, as the gate node in lockstep: engaged, decided once a frame, nothing between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_planner.safety import Clock, Decision, GateState, Inputs, Limits, PlanInput, Route, decide, route_from
from wm_planner.safety.route import Pose
from wm_sim.action import from_physical, to_physical
from wm_sim.observation import STATE_NAMES, STEP_S

if TYPE_CHECKING:
    from wm_sim.drivers import Driver
    from wm_sim.world import Frame, World

Floats = NDArray[np.float32]

_SPEED, _YAW_RATE, _STEERING, _SPEED_LIMIT = (
    STATE_NAMES.index(name) for name in ("speed_mps", "yaw_rate_radps", "steering_angle_rad", "speed_limit_mps")
)
_START_NS = 1_000_000_000  # the simulator's clock starts at one second
_STEP_NS = round(STEP_S * 1e9)
_PLAN_STEP_S = float(np.float32(STEP_S))  # as the message carries it
_PLAN_STEPS = 12


class LockstepGate:
    """Passes plans on to the car, one a frame, as the gate allows."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.reset()

    def reset(self, route: ArrayLike | None = None) -> None:
        """A new episode: a gate just engaged. route [W, 2] m: for the gate to watch."""
        self._route: Route | None = None if route is None else route_from(route)
        self._memory = GateState()
        self._frames = 0
        self.last_decision: Decision | None = None

    def action(
        self,
        steering_angle: Floats,
        acceleration: Floats,
        state: Floats,
        scan: Floats,
        pose: Pose | None = None,
        surprise_nats: float | None = None,
    ) -> Floats:
        """What the gate makes of a plan, as an action [2].

        steering_angle, acceleration [H]: rad, m/s², one every 0.1 s; state [15], scan [72] m: the frame's; pose:
        odometry's, in the route's frame.
        """
        stamp_ns = _START_NS + self._frames * _STEP_NS
        inputs = Inputs(
            engaged=True,
            plan=PlanInput(self._frames, stamp_ns, _PLAN_STEP_S, steering_angle, acceleration),
            speed_mps=float(state[_SPEED]),
            yaw_rate_radps=float(state[_YAW_RATE]),
            steering_angle_rad=float(state[_STEERING]),
            speed_limit_mps=float(state[_SPEED_LIMIT]),
            status_stamp_ns=stamp_ns,
            odom_stamp_ns=stamp_ns,
            pose=pose,
            route=self._route,
            scan=scan,
            scan_stamp_ns=stamp_ns,
            surprise_nats=surprise_nats,
        )
        decision = decide(Clock(stamp_ns, stamp_ns), inputs, self._limits, self._memory)
        self._memory, self.last_decision = decision.gate_state, decision
        self._frames += 1
        command = decision.command
        return from_physical(command.steering_angle_rad, command.acceleration_mps2)


class GatedDriver:
    """Any driver with the gate between it and the car. Its action counts as a plan that keeps to it."""

    def __init__(self, driver: Driver, limits: Limits) -> None:
        self.driver, self.gate = driver, LockstepGate(limits)
        self.asked_mps2 = 0.0  # acceleration that the driver asked for last

    def reset(self, world: World) -> None:
        self.driver.reset(world)
        self.gate.reset(world.route)

    def act(self, frame: Frame) -> Floats:
        """Action [2] that the car may execute."""
        steering, acceleration = to_physical(self.driver.act(frame))
        self.asked_mps2 = float(acceleration)
        plan = np.full((2, _PLAN_STEPS), [[steering], [acceleration]], np.float32)
        return self.gate.action(plan[0], plan[1], frame.state, frame.scan, frame.pose)
