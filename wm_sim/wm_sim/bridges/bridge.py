"""What bridges share: the frame made of what was read off a simulator, the reward, the receiver's error, the events."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_sim.action import from_physical, to_physical
from wm_sim.contract import Declaration, Simulator, SimulatorConfig
from wm_sim.errors import SimError
from wm_sim.frame import Event, Frame, Pose, Truth
from wm_sim.observation import PHYSICS_STEP_S, STEP_S, RouteTracker, state_vector
from wm_sim.reward import CRASH_REWARD, danger, step_reward
from wm_sim.scenarios.scenario import Localisation, generator

NO_GAP_M = 60.0  # nothing ahead


@dataclass(frozen=True)
class Look:
    """What a bridge reads off its simulator at one time. Left is positive."""

    camera: NDArray[np.uint8]  # [H, W, 3]
    scan: NDArray[np.float32]  # [72] m
    pose: Pose  # of base_link, the rear axle, in map
    speed_mps: float
    yaw_rate_radps: float
    steering_angle_rad: float
    limit_mps: float
    lateral_error_m: float
    heading_error_rad: float
    curvature_1pm: float
    lane_width_m: float
    progress_m: float
    route_length_m: float
    gap_ahead_m: float = NO_GAP_M
    closing_speed_mps: float = 0.0
    collided: bool = False
    off_road: bool = False
    end: str = ""  # collision, off_road, route_done or timeout: why the episode is over now
    detail: str = ""  # of the end, for people
    own_reward: float = 0.0  # since the last look


class Bridge(Simulator):
    """A simulator of others. A subclass begins episodes, moves them on by one physics step, and looks.

    It holds the newest action in `action` [2]; what is done with it is the subclass's part.
    """

    def __init__(self, declaration: Declaration, config: SimulatorConfig) -> None:
        self.declaration, self.config = declaration, config
        self.action = np.zeros(2, np.float32)
        self.ticks = 0
        self._route: NDArray[np.float64] | None = None
        self._previous: Look | None = None

    # What a subclass brings.

    @abstractmethod
    def begin(self, scenario: str, seed: int) -> NDArray[np.float64]:
        """Start an episode; the route [W, 2]."""

    @abstractmethod
    def advance(self) -> None:
        """One physics step of 0.05 s under `self.action`; `self.ticks` counts them from 1."""

    @abstractmethod
    def look(self) -> Look:
        """Read off what is now."""

    # The contract.

    @property
    def route(self) -> NDArray[np.float64]:
        """The running episode's route [W, 2], m."""
        if self._route is None:
            raise SimError(f"simulator {self.declaration.name}: no episode yet: call reset(scenario, seed) first.")
        return self._route

    def reset(self, scenario: str, seed: int) -> Frame:
        """Begin the episode of (scenario, seed) and look at it."""
        self.declaration.check_scenario(scenario)
        if not 0 <= seed < 2**32:
            raise SimError(f"seed {seed}: expected 0 to {2**32 - 1}.")
        self.scenario, self.seed = scenario, int(seed)
        self.action, self.ticks, self._previous = np.zeros(2, np.float32), 0, None
        self._pending = [Event("reset", 0.0, f"{scenario} {seed}")]
        self._ended, self._acceleration = False, 0.0
        rng = generator(f"{self.declaration.name} {scenario}", self.seed)
        self._receiver = Localisation.random(rng) if self.config.noise else Localisation()
        self._route = self.begin(scenario, self.seed)
        self._tracker = RouteTracker(self._route)
        return self.sense()

    def command(self, action: ArrayLike) -> None:
        """Execute an action [2] from the next tick on; clipped, and full braking where it is not a number."""
        steer, accel = np.asarray(action, dtype=np.float32).reshape(2)
        if math.isnan(steer) or math.isnan(accel):
            steer, accel = (self.action[0] if math.isnan(steer) else steer), np.float32(-1.0)
        # Rounded as vehicle/status carries it, so that bags read back the same bits.
        self.action = from_physical(*to_physical(np.array([steer, accel], np.float32)))

    def tick(self) -> None:
        """One physics step."""
        _ = self.route
        self.ticks += 1
        self.advance()

    def sense(self) -> Frame:
        """Look at the world as it is now."""
        _ = self.route
        now, before = self.look(), self._previous
        duration = STEP_S if before is not None else 0.0
        acceleration = 0.0 if before is None else (now.speed_mps - before.speed_mps) / duration
        frame = self._frame(now, acceleration, self._reward(now, before, acceleration, duration))
        self._previous, self._acceleration = now, acceleration
        return frame

    def _reward(self, now: Look, before: Look | None, acceleration: float, duration: float) -> float:
        """Reward of arriving here, by the same sum as the built-in simulator's; nothing after the end."""
        if before is None or before.end:
            return 0.0
        if (now.collided and not before.collided) or (now.off_road and not before.off_road):
            return CRASH_REWARD
        return float(
            step_reward(
                duration, now.progress_m - before.progress_m, now.lateral_error_m, now.lane_width_m, now.speed_mps,
                now.limit_mps, danger(now.speed_mps, now.gap_ahead_m, now.closing_speed_mps),
                (acceleration - self._acceleration) / duration,
                (now.steering_angle_rad - before.steering_angle_rad) / duration,
            )
        )  # fmt: skip

    def _frame(self, now: Look, acceleration: float, reward: float) -> Frame:
        time_s = self.ticks * PHYSICS_STEP_S
        pose = self._received(now.pose, time_s)
        state = state_vector(
            now.speed_mps, acceleration, now.yaw_rate_radps, now.steering_angle_rad, self.action, now.limit_mps,
            self._tracker.ahead(*pose),
        )  # fmt: skip
        truth = Truth(
            lateral_error_m=now.lateral_error_m,
            heading_error_rad=now.heading_error_rad,
            curvature_1pm=now.curvature_1pm,
            lane_width_m=now.lane_width_m,
            gap_ahead_m=now.gap_ahead_m,
            closing_speed_mps=now.closing_speed_mps,
            progress_m=now.progress_m,
            route_length_m=now.route_length_m,
            reward=reward,
            collided=now.collided,
            off_road=now.off_road,
            scenario=self.scenario,
            episode=self.seed,
            step=self.ticks // 2,
            limit_mps=now.limit_mps,
        )
        over = now.end in ("collision", "off_road", "route_done")
        return Frame(
            time_s=time_s,
            camera=now.camera,
            scan=now.scan,
            state=state,
            pose=pose,
            true_pose=now.pose,
            speed_mps=now.speed_mps,
            acceleration_mps2=acceleration,
            yaw_rate_radps=now.yaw_rate_radps,
            steering_angle_rad=now.steering_angle_rad,
            speed_limit_mps=now.limit_mps,
            commanded=self.action.copy(),
            truth=truth,
            events=self._events(now),
            terminated=over,
            truncated=now.end == "timeout",
            own_reward=now.own_reward,
        )

    def _received(self, pose: Pose, time_s: float) -> Pose:
        """What the receiver reports of a pose."""
        x, y, yaw = self._receiver.at(time_s)
        return pose[0] + x, pose[1] + y, math.remainder(pose[2] + yaw, 2.0 * math.pi)

    def _events(self, now: Look) -> list[Event]:
        events, self._pending = self._pending, []
        if now.end and not self._ended:
            self._ended = True
            intensity = {"collision": now.speed_mps, "off_road": abs(now.lateral_error_m)}.get(now.end, now.progress_m)
            events.append(Event(now.end, intensity, now.detail))
        return events

    def top_view(self, size_px: int = 480, trail: ArrayLike | None = None, metres: float = 80.0) -> NDArray[np.uint8]:
        """The route and the trail from above for people, `metres` wide, heading up."""
        from wm_sim.bridges.picture import draw_route

        pose = self._previous.pose if self._previous is not None else (0.0, 0.0, 0.0)
        return draw_route(self.route, pose, size_px, trail, metres)
