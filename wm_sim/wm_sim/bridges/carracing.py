"""CarRacing-v3 of Gymnasium behind the contract: `sim:=carracing`.

Its unit of length is read as a metre (the car is 5 m long, the road 13.3 m wide). Its time is read five times slower:
one of its frames of 0.02 s is a model step of 0.1 s. The car then drives, brakes and holds the road like a car, where
at its own pace it would brake with 22 g; and the agent decides once a frame, as agents of CarRacing do. Its own reward
and its limit of 1,000 frames are untouched, so its return compares with published ones, except that the agent also
sees the state and the route that the docs list.
"""

from __future__ import annotations

import math
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wm_sim.action import to_physical
from wm_sim.bridges.bridge import Bridge, Look
from wm_sim.bridges.line import Line
from wm_sim.contract import Actuators, Declaration, Simulator, SimulatorConfig, SimulatorSpec
from wm_sim.errors import SimError
from wm_sim.observation import CAMERA_SHAPE, SCAN_MAX_M, SCAN_SIZE

if TYPE_CHECKING:
    from wm_sim.drivers.protocol import Driver

NAME = "carracing"
SLOWER = 5.0  # times
FRAMES = 1000  # of an episode, as gymnasium.make limits it
TOP_M = 84  # rows of the picture above the bar of instruments
REAR_AXLE_M = 1.64  # behind the hull's origin
WHEELBASE_M = 3.24
HALF_WIDTH_M = 40.0 / 6.0  # of the road
LIMIT_MPS = 12.0  # there is none; what progress is measured against, and what the expert drives on straights
STEER_MAX_RAD = 0.4  # stops of the front wheels' joints
ACCEL_MAX_MPS2 = 1.75  # the tyres of the driven wheels slip beyond it
BRAKE_MAX_MPS2 = 6.0
BRAKE_1PMPS2 = 1.0 / 12.1  # brake per m/s² of slowed time, measured up to 6 m/s²
# Gas per (wheel speed in rad/s of its own time + 5) and m/s² of slowed time: the engine's law in car_dynamics, turned
# round for the mass of the car and the inertia of four wheels; measured within 10 %.
GAS = 25.0 * 1.975e-4
WHEEL_RADIUS_M = 0.54
BEHIND_M, BEYOND_M = 10.0, 90.0  # the route begins so far behind the start and goes on so far into the next lap
SPACING_M = 2.0

DECLARATION = Declaration(
    name=NAME,
    about="CarRacing-v3 of Gymnasium, its time read five times slower; a new closed track every seed.",
    scenarios=("lap",),
    camera="from above, turned with the car: its 96x84 picture without the bar of instruments, scaled to 64x64",
    camera_hfov_rad=None,
    scan="none: nothing stands in its world, and every beam reads 60 m",
    actuators=Actuators(
        STEER_MAX_RAD, ACCEL_MAX_MPS2, BRAKE_MAX_MPS2, "targets are met by gas and brake as far as its tyres hold"
    ),
    missing=frozenset({"speed_limit_mps", "scan"}),
    own_score="CarRacing's return: 1000 / tiles for every tile, -0.1 a frame, -100 outside the field",
    limits={
        "wheelbase_m": WHEELBASE_M,
        "understeer_s2pm2": 0.0,
        "half_width_m": 1.2,
        "steering_max_rad": STEER_MAX_RAD,
        "lateral_acceleration_max_mps2": 8.0,
        "lateral_jerk_max_mps3": 50.0,
        "departure_max_m": 30.0,
    },
)


class CarRacing(Bridge):
    """One car on one track. The same seed and actions give the same frames."""

    def __init__(self, config: SimulatorConfig) -> None:
        super().__init__(DECLARATION, config)
        if config.route_length_m is not None:
            raise SimError("simulator carracing: the route is one lap of the track; leave the route's length out.")
        self._gym = _import_gymnasium()
        self._env: Any = None

    def begin(self, scenario: str, seed: int) -> NDArray[np.float64]:
        """A fresh environment: Box2D remembers contacts of earlier episodes in one that is reset."""
        self.close()
        self._env = self._gym.make("CarRacing-v3").unwrapped
        self._picture, _ = self._env.reset(seed=seed)
        track = np.array(self._env.track)[:, 2:]  # [N, 2]
        self.line = Line(track, closed=True)
        self._s = self.line.locate(*self._rear_axle())[0]
        self._driven_m = self._pending_reward = self._return = 0.0
        self._end = self._detail = ""
        return self._lap()

    def _lap(self) -> NDArray[np.float64]:
        """The route: one lap and the beginning of the next, of the very same points, so that a look at either end of
        the lap finds the first of the two."""
        count = round(self.line.length_m / SPACING_M)
        stations = self.line.length_m / count * np.arange(count) - BEHIND_M
        points = np.array([self.line.point(s) for s in stations.tolist()])
        return np.concatenate([points, points[: round((BEHIND_M + BEYOND_M) / SPACING_M)]])

    def _rear_axle(self) -> tuple[float, float]:
        hull = self._env.car.hull
        forward = hull.GetWorldVector((0.0, 1.0))
        return hull.position[0] - REAR_AXLE_M * forward[0], hull.position[1] - REAR_AXLE_M * forward[1]

    def advance(self) -> None:
        """One of its frames on every second tick, under the action that came in between."""
        if self.ticks % 2 or self._end:
            return
        self._picture, reward, terminated, _, info = self._env.step(self._pedals())
        self._pending_reward += float(reward)
        self._return += float(reward)
        if terminated:
            self._end = "route_done" if info.get("lap_finished") else "off_road"
        elif self.ticks // 2 >= FRAMES:
            self._end = "timeout"
        if self._end:
            visited, tiles = self._env.tile_visited_count, len(self._env.track)
            self._detail = f"return {self._return:.1f}, {visited} of {tiles} tiles in {self.ticks // 2} frames"

    def _pedals(self) -> NDArray[np.float32]:
        """Steering, gas and brake [3] that bring the targets of the action about."""
        steering, acceleration = (float(value) for value in to_physical(self.action))
        gas = brake = 0.0
        if acceleration > 0.0:
            wheel = self._env.car.wheels[2].omega
            gas = min(acceleration, ACCEL_MAX_MPS2) * GAS * (abs(wheel) + 5.0)
        else:
            brake = min(-acceleration, BRAKE_MAX_MPS2) * BRAKE_1PMPS2
        return np.array([-min(max(steering, -STEER_MAX_RAD), STEER_MAX_RAD), min(gas, 1.0), brake], np.float32)

    def look(self) -> Look:
        """Read the car's body; everything of time is slowed."""
        hull = self._env.car.hull
        forward = hull.GetWorldVector((0.0, 1.0))
        yaw = math.remainder(hull.angle + 0.5 * math.pi, 2.0 * math.pi)
        x, y = self._rear_axle()
        velocity = hull.GetLinearVelocityFromLocalPoint((0.0, -REAR_AXLE_M))
        s, lateral, heading, curvature = self.line.locate(x, y, self._s)
        length = self.line.length_m
        self._driven_m += math.remainder(s - self._s, length)
        self._s = s
        own, self._pending_reward = self._pending_reward, 0.0
        angles = [wheel.joint.angle for wheel in self._env.car.wheels[:2]]
        return Look(
            camera=_picture(self._picture),
            scan=np.full(SCAN_SIZE, SCAN_MAX_M, np.float32),
            pose=(float(x), float(y), yaw),
            speed_mps=float(velocity[0] * forward[0] + velocity[1] * forward[1]) / SLOWER,
            yaw_rate_radps=float(hull.angularVelocity) / SLOWER,
            steering_angle_rad=float(0.5 * sum(angles)),
            limit_mps=LIMIT_MPS,
            lateral_error_m=lateral,
            heading_error_rad=math.remainder(yaw - heading, 2.0 * math.pi),
            curvature_1pm=curvature,
            lane_width_m=2.0 * HALF_WIDTH_M,
            progress_m=min(self._driven_m, length),
            route_length_m=length,
            off_road=abs(lateral) > HALF_WIDTH_M,
            end=self._end,
            detail=self._detail,
            own_reward=own,
        )

    @property
    def along_m(self) -> float:
        """Arc length of the rear axle on `line`."""
        return self._s

    def close(self) -> None:
        """End the environment."""
        env, self._env = self._env, None
        if env is not None:
            env.close()


def _picture(seen: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width, _ = CAMERA_SHAPE
    small = cv2.resize(seen[:TOP_M], (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(small, dtype=np.uint8)


def _import_gymnasium() -> Any:
    try:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        import Box2D  # noqa: F401
        import gymnasium
        import pygame  # noqa: F401
    except ImportError as error:
        raise SimError(
            f"simulator carracing: the Python module {error.name} is not installed: "
            "pip install -r requirements-bench.txt (or: pip install gymnasium Box2D pygame-ce)."
        ) from None
    return gymnasium


def make(config: SimulatorConfig) -> Simulator:
    """The bridge; SimError where Gymnasium, Box2D or pygame is absent."""
    return CarRacing(config)


def _driver(name: str, seed: int) -> Driver:
    if name == "expert":
        from wm_sim.bridges.pursuit import PursuitConfig, PursuitDriver

        # Calm at both ends of the pedal: its car slides when it is pushed or steered hard.
        config = PursuitConfig(WHEELBASE_M, lateral_mps2=5.0, accel_mps2=1.0, brake_mps2=4.0, preview_s=0.8)
        return PursuitDriver(config)
    from wm_sim.drivers import make_driver

    return make_driver(name, seed)


SIMULATOR = SimulatorSpec(
    declaration=DECLARATION,
    make=make,
    drivers={name: partial(_driver, name) for name in ("expert", "constant", "random")},
    teachers=("expert",),
)
