"""Actors of the stand-in and how they move: a bicycle on a plane, in CARLA's left-handed axes and degrees."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

WHEELBASE_M = 2.8
MAX_STEER_DEG = 70.0
HALF_SIZE_M = (2.3, 0.95, 0.75)
FULL_THROTTLE_MPS2, FULL_BRAKE_MPS2, DRAG_1PS = 4.0, 8.0, 0.02


@dataclass
class Actor:
    """Something spawned. `pose` is x, y, z (m), pitch, yaw, roll (degrees), in the world or relative to a parent."""

    number: int
    description: list  # uid, blueprint id, attributes
    pose: list[float]
    parent: int = 0
    stream: int = 0
    speed: float = 0.0  # m/s along the body
    acceleration: float = 0.0
    yaw_rate_dps: float = 0.0
    control: list = field(default_factory=lambda: [0.0, 0.0, 0.0, False, False, False, 0])
    ackermann: list | None = None  # steer rad, steer speed, speed m/s, acceleration m/s2, jerk

    @property
    def blueprint(self) -> str:
        return str(self.description[1])

    @property
    def attributes(self) -> dict[str, str]:
        return {name: value for name, _, value in self.description[2]}

    @property
    def is_vehicle(self) -> bool:
        return self.blueprint.startswith("vehicle.")

    def packed(self, token: bytes) -> list:
        """As the client unpacks it: id, parent, description, bounding box, semantic tags, stream token."""
        tags = b"\x0e" if self.is_vehicle else b""
        return [self.number, self.parent, self.description, self.box(), tags, token]

    def box(self) -> list:
        """Centre, half sizes (m), rotation and owner of the bounding box, in the actor's frame."""
        half = HALF_SIZE_M if self.is_vehicle else (0.0, 0.0, 0.0)
        return [[0.0, 0.0, half[2]], list(half), [0.0, 0.0, 0.0], self.number]

    def velocity(self) -> tuple[float, float, float]:
        yaw = math.radians(self.pose[4])
        return self.speed * math.cos(yaw), self.speed * math.sin(yaw), 0.0

    def acceleration_vector(self) -> tuple[float, float, float]:
        yaw, turn = math.radians(self.pose[4]), math.radians(self.yaw_rate_dps)
        along, right = self.acceleration, self.speed * turn
        return along * math.cos(yaw) - right * math.sin(yaw), along * math.sin(yaw) + right * math.cos(yaw), 0.0

    def steer_rad(self) -> float:
        if self.ackermann is not None:
            return float(self.ackermann[0])
        return math.radians(MAX_STEER_DEG) * float(self.control[1])

    def advance(self, step_s: float) -> None:
        """Move by one step: the rear axle follows the bicycle, the pose is the middle of the car."""
        asked = self._asked_acceleration(step_s)
        before = self.speed
        self.speed = max(before + asked * step_s, 0.0)
        self.acceleration = (self.speed - before) / step_s
        mean = 0.5 * (before + self.speed)
        turn = mean * math.tan(self.steer_rad()) / WHEELBASE_M
        self.yaw_rate_dps = math.degrees(turn)
        yaw = math.radians(self.pose[4])
        middle, after = yaw + 0.5 * turn * step_s, yaw + turn * step_s
        half = 0.5 * WHEELBASE_M
        self.pose[0] += mean * math.cos(middle) * step_s + half * (math.cos(after) - math.cos(yaw))
        self.pose[1] += mean * math.sin(middle) * step_s + half * (math.sin(after) - math.sin(yaw))
        self.pose[4] = math.degrees(math.remainder(after, 2.0 * math.pi))

    def _asked_acceleration(self, step_s: float) -> float:
        if self.ackermann is not None:
            _, _, target, limit, _ = self.ackermann
            asked = (target - self.speed) / step_s
            limit = abs(limit) or FULL_BRAKE_MPS2  # 0: as hard as it can
            return min(max(asked, -limit), limit)
        throttle, _, brake, hand_brake = self.control[:4]
        asked = FULL_THROTTLE_MPS2 * throttle - FULL_BRAKE_MPS2 * max(brake, float(hand_brake))
        return float(asked - DRAG_1PS * self.speed)


def compose(parent: list[float], child: list[float]) -> tuple[float, ...]:
    """World pose of something attached to a level parent."""
    yaw = math.radians(parent[4])
    x = parent[0] + math.cos(yaw) * child[0] - math.sin(yaw) * child[1]
    y = parent[1] + math.sin(yaw) * child[0] + math.cos(yaw) * child[1]
    return x, y, parent[2] + child[2], parent[3] + child[3], parent[4] + child[4], parent[5] + child[5]


def corners(actor: Actor) -> list[tuple[float, float]]:
    """Corners of a vehicle's box, in order around it, x, y in m."""
    yaw = math.radians(actor.pose[4])
    c, s = math.cos(yaw), math.sin(yaw)
    half_length, half_width, _ = HALF_SIZE_M
    signs = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    return [
        (
            actor.pose[0] + c * a * half_length - s * b * half_width,
            actor.pose[1] + s * a * half_length + c * b * half_width,
        )
        for a, b in signs
    ]


def overlap(first: Actor, second: Actor) -> bool:
    """Whether two boxes meet (separating axes)."""
    boxes = corners(first), corners(second)
    for actor in (first, second):
        yaw = math.radians(actor.pose[4])
        for ax, ay in ((math.cos(yaw), math.sin(yaw)), (-math.sin(yaw), math.cos(yaw))):
            spans = [[ax * x + ay * y for x, y in box] for box in boxes]
            if max(spans[0]) < min(spans[1]) or max(spans[1]) < min(spans[0]):
                return False
    return True


def wheels(actor: Actor) -> list[list]:
    """Physics of the four wheels; positions in the world, cm, as the server of UE4 gives them."""
    found = []
    for along, across in ((1, -1), (1, 1), (-1, -1), (-1, 1)):
        x, y, z, *_ = compose(actor.pose, [along * WHEELBASE_M / 2, across * 0.8, 0.35, 0.0, 0.0, 0.0])
        steer = MAX_STEER_DEG if along > 0 else 0.0
        position = [100.0 * x, 100.0 * y, 100.0 * z]
        found.append([3.5, 0.25, steer, 35.0, 1500.0, 3000.0, 2.0, 17.0, 1000.0, position])
    return found
