"""The observation of one moment, out of topics that arrive one by one. No ROS import."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_perception.scan_memory import ScanMemory
from wm_ros.joiner import StampJoiner
from wm_sim.action import from_physical
from wm_sim.observation import RouteTracker, state_vector

STUCK_FRAMES = 12  # pictures alike to the last bit while the car moves; simulated sensor faults last up to 10
MOVING_MPS = 1.0


@dataclass(frozen=True)
class Status:
    """The part of vehicle/status that an observation needs; SI units, left positive."""

    speed: float
    acceleration: float
    yaw_rate: float
    steering_angle: float
    speed_limit: float
    commanded_steering_angle: float
    commanded_acceleration: float
    ready: bool  # the vehicle waits for a first command at the start of an episode, whatever speed it will begin with


@dataclass(frozen=True)
class Moment:
    """Everything that the encoder needs, of one stamp."""

    stamp_ns: int
    camera: NDArray[np.uint8]  # [H, W, 3]
    scans: NDArray[np.float32]  # [2, 72], m: the newest, and the one of half a second before
    state: NDArray[np.float32]  # [15]


class Frames:
    """Joins camera, scan, odometry and status by equal stamp, and knows which route each moment belongs to.

    A new episode's route travels on another topic than its frames and may arrive after the first of them. A standing
    vehicle (`ready`) must therefore wait for a route that is younger than its last move, and no younger than itself: a
    simulator that was started anew counts time from the beginning, and the route of its predecessor lies ahead.
    """

    def __init__(self) -> None:
        self._joiner = StampJoiner("camera", "scan", "odom", "status")
        self._scans = ScanMemory()
        self._route: RouteTracker | None = None
        self._route_ns = -1
        self._moving_ns = -1  # last moment seen with the vehicle under way
        self._held: tuple[int, dict] | None = None
        self._picture: tuple[int, NDArray[np.uint8]] | None = None  # the newest, with its stamp
        self._alike = 0  # pictures in a row that repeat the one before, the car moving

    @property
    def camera_stuck(self) -> bool:
        """Whether the camera shows a moving car the same picture again and again; there are no moments then."""
        return self._alike >= STUCK_FRAMES

    def route(self, stamp_ns: int, route_xy: NDArray[np.float64]) -> Moment | None:
        """A route arrived; the moment that was waiting for it, if any."""
        if stamp_ns != self._route_ns:
            self._route, self._route_ns = RouteTracker(route_xy), stamp_ns
            self._scans.clear()
        if self._held is None:
            return None
        held, self._held = self._held, None
        return self._moment(*held)

    def add(self, name: str, stamp_ns: int, value: object) -> Moment | None:
        """One of camera u8[H,W,3], scan f32[72], odom (x, y, yaw), status arrived; the moment once it is complete."""
        parts = self._joiner.add(name, stamp_ns, value)
        return None if parts is None else self._moment(stamp_ns, parts)

    def _moment(self, stamp_ns: int, parts: dict) -> Moment | None:
        status: Status = parts["status"]
        moving = status.speed > MOVING_MPS and not status.ready
        self._watch_camera(stamp_ns, parts["camera"], moving)
        if self.camera_stuck:
            return None
        if stamp_ns < self._moving_ns:
            self._moving_ns = -1  # time began anew
        if self._route is None or (status.ready and not self._moving_ns < self._route_ns <= stamp_ns):
            self._held = (stamp_ns, parts)
            return None
        if not status.ready:
            self._moving_ns = stamp_ns
        x, y, yaw = parts["odom"]
        state = state_vector(
            status.speed,
            status.acceleration,
            status.yaw_rate,
            status.steering_angle,
            from_physical(status.commanded_steering_angle, status.commanded_acceleration),
            status.speed_limit,
            self._route.ahead(x, y, yaw),
        )
        return Moment(stamp_ns, parts["camera"], self._scans.pair(stamp_ns, parts["scan"]), state)

    def _watch_camera(self, stamp_ns: int, picture: NDArray[np.uint8], moving: bool) -> None:
        """No camera gives a moving car the same picture twice: its driver lives, and the sensor hangs."""
        if self._picture is not None and self._picture[0] == stamp_ns:
            return
        alike = self._picture is not None and np.array_equal(self._picture[1], picture)
        self._alike = self._alike + 1 if alike and moving else 0
        self._picture = stamp_ns, picture
