"""The world: one episode at a time, stepped by hand. The same family, seed and actions give the same frames exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wm_sim import vehicle
from wm_sim.action import ACCEL_MAX_MPS2, BRAKE_MAX_MPS2, STEER_MAX_RAD
from wm_sim.errors import SimError
from wm_sim.frame import Event, Frame, Truth
from wm_sim.observation import PHYSICS_STEP_S, SCAN_MAX_M, SCAN_SIZE, RouteTracker, state_vector
from wm_sim.reward import CRASH_REWARD, Progress, step_reward
from wm_sim.scenarios import Options, Scenario, build_scenario
from wm_sim.sensors.camera import draw_camera
from wm_sim.sensors.lidar import RANGE_NOISE_M, cast_scan
from wm_sim.traffic import V, measure, place_cars, step_traffic

ROUTE_BEYOND_M = 80.0  # the published route goes on past the finish, as far as the look-ahead reaches


__all__ = ["Event", "Frame", "Truth", "World", "WorldConfig"]


@dataclass(frozen=True)
class WorldConfig:
    """What to simulate; None leaves a length to the scenario."""

    camera: bool = True
    scan: bool = True
    noise: bool = True  # domain randomisation: car, look, localisation, sensor noise
    route_length_m: float | None = None
    time_limit_s: float | None = None
    camera_size: tuple[int, int] = (64, 64)  # height, width


class World:
    """A road, a car, other cars and sensors.

    `step(action)` is a model step of 0.1 s: half of it still under the previous command, because a command decided
    from a frame reaches the wheels one physics step later; the ROS stack has the same delay.
    """

    def __init__(self, config: WorldConfig = WorldConfig()) -> None:
        self.config = config
        height, width = config.camera_size
        if not (8 <= height <= 2160 and 8 <= width <= 3840):
            raise SimError(f"camera size {height}x{width}: expected 8x8 to 2160x3840 (height x width).")
        self._options = Options(config.noise, config.route_length_m, config.time_limit_s)
        self._scenario: Scenario | None = None
        self.family, self.seed = "", 0
        self.route = np.zeros((0, 2))
        self.ego = np.zeros(vehicle.EGO_STATE_SIZE)

    @property
    def scenario(self) -> Scenario:
        """The running episode's scenario."""
        if self._scenario is None:
            raise SimError("the world has no episode yet: call reset(family, seed) first.")
        return self._scenario

    @property
    def progress_m(self) -> float:
        """How far along the route the ego is."""
        return self._s - self.scenario.start_s

    @property
    def road_index(self) -> int:
        """The road's sample nearest to the ego."""
        return self._index

    def reset(self, family: str, seed: int) -> Frame:
        """Start the episode that (family, seed) stands for and look at it."""
        scenario = build_scenario(family, int(seed), self._options)
        self._scenario = scenario
        self.family, self.seed = family, int(seed)
        self.cars = scenario.cars.copy()
        self._scripts = scenario.scripts
        self._line = scenario.road.line
        self._parameters = scenario.vehicle.as_array()
        finish = scenario.start_s + scenario.route_length_m
        self.route = scenario.road.polyline(scenario.start_s, finish + ROUTE_BEYOND_M)
        self._tracker = RouteTracker(self.route)
        x, y, yaw = scenario.road.point(scenario.start_s, scenario.ego.lateral_m)
        self.ego = np.zeros(vehicle.EGO_STATE_SIZE)
        self.ego[[vehicle.X, vehicle.Y, vehicle.SPEED]] = x, y, scenario.ego.speed_mps
        self.ego[vehicle.YAW] = math.remainder(yaw + scenario.ego.heading_rad, 2.0 * math.pi)
        place_cars(self.cars, self._line)
        self._commanded = np.zeros(2, dtype=np.float32)
        self._steering, self._acceleration = 0.0, 0.0
        self._ticks = 0
        self._index = round(scenario.start_s / 0.5)
        self._collided = self._off_road = self._done = self._timeout = False
        self._events = [Event("reset", 0.0, f"{family} {self.seed}")]
        self._locate()
        self._last_s, self._last_ticks = self._s, 0
        self._last_acceleration, self._last_steer = 0.0, 0.0
        self._over = False
        self.trail: list[tuple[float, float]] = []  # where the ego was at each look, for pictures
        return self.sense()

    def command(self, action: ArrayLike) -> None:
        """Execute an action [2] from the next tick on; clipped, and full braking where it is not a number."""
        steer, accel = np.asarray(action, dtype=np.float32).reshape(2).tolist()
        if math.isnan(steer) or math.isnan(accel):
            steer = float(self._commanded[0]) if math.isnan(steer) else steer
            accel = -1.0
        steer, accel = min(max(steer, -1.0), 1.0), min(max(accel, -1.0), 1.0)
        most = ACCEL_MAX_MPS2 if accel > 0.0 else BRAKE_MAX_MPS2
        self._steering, self._acceleration = steer * STEER_MAX_RAD, accel * most
        # Rounded as vehicle/status carries it, physical and in float32, so that bags read back the same bits.
        status = np.array([steer, accel], dtype=np.float32)
        scale = np.array([STEER_MAX_RAD, most], dtype=np.float32)
        self._commanded = status * scale / scale

    def tick(self) -> None:
        """One physics step of 0.05 s."""
        if self._scenario is None:
            raise SimError("the world has no episode yet: call reset(family, seed) first.")
        vehicle.step_vehicle(self.ego, self._parameters, self._steering, self._acceleration, PHYSICS_STEP_S)
        step_traffic(self.cars, self._scripts, self._line, PHYSICS_STEP_S)
        self._ticks += 1
        self._locate()
        self._judge()

    def step(self, action: ArrayLike) -> Frame:
        """A model step of 0.1 s; the action takes effect after half of it."""
        self.tick()
        self.command(action)
        self.tick()
        return self.sense()

    def _locate(self) -> None:
        (
            self._index, self._s, self._d, self._heading, self._curvature, self._gap, self._closing, self._touched,
        ) = measure(self.ego, self.cars, self._line, self._index)  # fmt: skip

    def _judge(self) -> None:
        """Latch what ends the episode, once."""
        scenario = self.scenario
        if self._collided or self._off_road or self._done:
            return
        progress = self._s - scenario.start_s
        if self._touched >= 0:
            self._collided = True
            impact = abs(float(self.ego[vehicle.SPEED]) - float(self.cars[self._touched, V]))
            self._events.append(Event("collision", impact, f"car {self._touched} at {impact:.1f} m/s"))
        elif abs(self._d) > 0.5 * scenario.road.lane_width_m:
            self._off_road = True
            side = "left" if self._d > 0 else "right"
            self._events.append(Event("off_road", abs(self._d), f"{abs(self._d):.2f} m {side} of the lane centre"))
        elif progress >= scenario.route_length_m:
            self._done = True
            self._events.append(Event("route_done", progress, f"{scenario.route_length_m:.0f} m"))
        elif not self._timeout and self._ticks * PHYSICS_STEP_S >= scenario.time_limit_s - 1e-9:
            self._timeout = True
            self._events.append(Event("timeout", progress, f"after {scenario.time_limit_s:.0f} s"))

    def _reward(self) -> float:
        """Reward since the last look; 0 once the episode is over."""
        scenario, ego = self.scenario, self.ego
        duration = (self._ticks - self._last_ticks) * PHYSICS_STEP_S
        if duration <= 0.0 or self._over:
            return 0.0
        if self._collided or self._off_road:
            return CRASH_REWARD
        acceleration, steer = float(ego[vehicle.ACCELERATION]), float(ego[vehicle.STEER])
        return step_reward(
            Progress(
                duration_s=duration,
                advanced_m=self._s - self._last_s,
                lateral_m=self._d,
                lane_width_m=scenario.road.lane_width_m,
                speed_mps=float(ego[vehicle.SPEED]),
                limit_mps=scenario.speed_limit_mps,
                gap_m=self._gap,
                closing_mps=self._closing,
                jerk_mps3=(acceleration - self._last_acceleration) / duration,
                steer_rate_radps=(steer - self._last_steer) / duration,
            )
        )

    def sense(self) -> Frame:
        """Look at the world as it is now: sensors, labels, and the events since the last look."""
        scenario = self.scenario
        x, y, yaw, speed, steer, _, acceleration, yaw_rate = self.ego.tolist()
        time_s = self._ticks * PHYSICS_STEP_S
        camera, scan = self._draw(x, y, yaw)
        self.trail.append((x, y))
        ex, ey, eyaw = scenario.localisation.at(time_s)
        pose = (x + ex, y + ey, math.remainder(yaw + eyaw, 2.0 * math.pi))
        state = state_vector(
            speed, acceleration, yaw_rate, steer, self._commanded, scenario.speed_limit_mps, self._tracker.ahead(*pose)
        )
        reward = self._reward()
        truth = Truth(
            lateral_error_m=self._d,
            heading_error_rad=self._heading,
            curvature_1pm=self._curvature,
            lane_width_m=scenario.road.lane_width_m,
            gap_ahead_m=self._gap,
            closing_speed_mps=self._closing,
            progress_m=self._s - scenario.start_s,
            route_length_m=scenario.route_length_m,
            reward=reward,
            collided=self._collided,
            off_road=self._off_road,
            scenario=self.family,
            episode=self.seed,
            step=self._ticks // 2,
        )
        frame = Frame(
            time_s=time_s,
            camera=camera,
            scan=scan,
            state=state,
            pose=pose,
            true_pose=(x, y, yaw),
            speed_mps=speed,
            acceleration_mps2=acceleration,
            yaw_rate_radps=yaw_rate,
            steering_angle_rad=steer,
            speed_limit_mps=scenario.speed_limit_mps,
            commanded=self._commanded,
            truth=truth,
            events=self._events,
            terminated=self._collided or self._off_road or self._done,
            truncated=self._timeout,
        )
        self._events = []
        self._over = frame.terminated or frame.truncated
        self._last_s, self._last_ticks = self._s, self._ticks
        self._last_acceleration, self._last_steer = acceleration, steer
        return frame

    def _noise_seed(self) -> int:
        return (self.seed * 100_003 + self._ticks) & 0x7FFFFFFFFFFF

    def _draw(self, x: float, y: float, yaw: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        camera = self.picture(self.config.camera_size) if self.config.camera else np.zeros((0, 0, 3), dtype=np.uint8)
        scan = np.empty(SCAN_SIZE, dtype=np.float32)
        if self.config.scan:
            noise = RANGE_NOISE_M if self.scenario.noise else 0.0
            cast_scan(scan, self.cars, x, y, yaw, noise, self._noise_seed())
        else:
            scan[:] = SCAN_MAX_M
        return camera, scan

    def picture(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        """What the front camera sees now, at any size (height, width): the model's 64x64 or one for people."""
        scenario = self.scenario
        image = np.empty((*size, 3), dtype=np.uint8)
        x, y, yaw = self.ego[:3].tolist()
        draw_camera(
            image, self._line, self._index, scenario.road.lane_width_m, x, y, yaw, scenario.appearance, self.cars,
            self._noise_seed(),
        )  # fmt: skip
        return image

    def top_view(self, size_px: int = 480, trail: ArrayLike | None = None, metres: float = 80.0) -> NDArray[np.uint8]:
        """The scene from above for people, `metres` wide, heading up; see `view.draw_top_view`."""
        from wm_sim.view import draw_top_view

        return draw_top_view(self, size_px, trail, metres)

    @staticmethod
    def observation(frame: Frame) -> dict[str, NDArray[np.generic]]:
        """The part of a frame that a driver may see."""
        return {"camera": frame.camera, "scan": frame.scan, "state": frame.state}
