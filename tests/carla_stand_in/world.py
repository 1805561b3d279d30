"""The stand-in's world: map, settings, actors, frames and what the sensors see."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from carla_stand_in import packets
from carla_stand_in.cars import Actor, compose, corners, overlap

EPISODE_STREAM = 1
SKY_BGRA, GROUND_BGRA = (235, 206, 135, 255), (90, 90, 90, 255)
ROAD_TAG, CAR_TAG = 1, 14
FREE_STEP_S = 0.05
# synchronous, no rendering, step (absent), substepping, substep, substeps, culling, ragdolls, tile, active, spectator
SETTINGS = [False, False, [False], True, 0.01, 10, 0.0, False, 3000.0, 2000.0, True]


@dataclass
class Faults:
    """What goes wrong on purpose."""

    mute: str = ""  # blueprint of a sensor that never delivers
    late: str = ""  # blueprint of a sensor that delivers each frame only after the next tick
    no_vehicles: bool = False


@dataclass
class StandInWorld:
    """Maps by name are OpenDRIVE texts with spawn poses; the first is loaded at the start."""

    maps: dict[str, tuple[str, list[list[float]]]]
    port: int
    faults: Faults = field(default_factory=Faults)
    map_name: str = ""
    episode: int = 100
    frame: int = 1000
    elapsed_s: float = 0.0
    settings: list = field(default_factory=lambda: list(SETTINGS))
    weather: list = field(default_factory=lambda: [0.0] * 14)
    actors: dict[int, Actor] = field(default_factory=dict)
    opendrive: str = ""
    traffic_managers: dict[int, str] = field(default_factory=dict)
    ticks: int = 0
    controls: int = 0
    _next: int = 24

    def __post_init__(self) -> None:
        self.load(self.map_name or next(iter(self.maps)))

    @property
    def synchronous(self) -> bool:
        return bool(self.settings[0])

    @property
    def step_s(self) -> float:
        fixed = self.settings[2]
        return float(fixed[1]) if fixed[0] and fixed[1] > 0.0 else FREE_STEP_S

    def load(self, name: str, reset_settings: bool = True) -> None:
        name = name.rsplit("/", 1)[-1]
        if name == "OpenDriveMap" and self.opendrive:
            self.maps[name] = (self.opendrive, [])
        if name not in self.maps:
            raise KeyError(f"map not found: {name}")
        self.map_name, self.episode, self.elapsed_s = name, self.episode + 1, 0.0
        self.actors.clear()
        if reset_settings:
            self.settings = list(SETTINGS)
        self.spawn([0, "spectator", []], [0.0, 0.0, 30.0, -90.0, 0.0, 0.0])

    def spawn(self, description: list, pose: list[float], parent: int = 0) -> Actor:
        number = self._next
        actor = Actor(number, description, pose, parent)
        if actor.is_vehicle and any(overlap(actor, other) for other in self.vehicles()):
            raise ValueError("Spawn failed because of collision at spawn location")
        if actor.blueprint.startswith("sensor."):
            actor.stream = 0 if actor.blueprint.endswith("lane_invasion") else number
        self._next += 1
        self.actors[number] = actor
        return actor

    def destroy(self, number: int) -> bool:
        found = self.actors.pop(number, None)
        for child in [a.number for a in self.actors.values() if a.parent == number]:
            self.actors.pop(child)  # attached actors go with their parent
        return found is not None

    def vehicles(self) -> list[Actor]:
        return [actor for actor in self.actors.values() if actor.is_vehicle]

    def world_pose(self, actor: Actor) -> tuple[float, ...]:
        parent = self.actors.get(actor.parent)
        return compose(parent.pose, actor.pose) if parent is not None else tuple(actor.pose)

    def advance(self) -> dict[int, list[bytes]]:
        """One frame; what each stream carries of it."""
        step = self.step_s
        for vehicle in self.vehicles():
            vehicle.advance(step)
        self.frame += 1
        self.ticks += 1
        self.elapsed_s += step
        out = {EPISODE_STREAM: [self.snapshot()]}
        for actor in self.actors.values():
            if actor.stream and actor.blueprint != self.faults.mute:
                data = self._sense(actor)
                if data is not None:
                    out[actor.stream] = [data]
        return out

    def snapshot(self) -> bytes:
        states = []
        for actor in self.actors.values():
            vehicle = None
            if actor.is_vehicle:
                throttle, steer, brake, hand_brake, reverse, _, gear = actor.control
                vehicle = (throttle, steer, brake, hand_brake, reverse, gear, 50.0)
            turn = (0.0, 0.0, actor.yaw_rate_dps)
            moved = actor.velocity(), turn, actor.acceleration_vector()
            states.append(packets.actor_state(actor.number, self.world_pose(actor), *moved, vehicle))
        return packets.snapshot(self.episode, self.frame, self.elapsed_s, self.step_s, states)

    def _sense(self, sensor: Actor) -> bytes | None:
        pose = self.world_pose(sensor)
        if sensor.blueprint == "sensor.camera.rgb":
            fov = float(sensor.attributes.get("fov", "90"))
            return packets.image(self.frame, self.elapsed_s, pose, self._picture(sensor), fov)
        if sensor.blueprint.startswith("sensor.lidar."):
            semantic = sensor.blueprint.endswith("semantic")
            return packets.lidar(self.frame, self.elapsed_s, pose, self._points(sensor, pose), semantic)
        return self._contact(sensor, pose)

    def _picture(self, sensor: Actor) -> NDArray[np.uint8]:
        """Sky above, ground below; the first two pixels spell the frame's number."""
        width, height = (int(sensor.attributes[f"image_size_{axis}"]) for axis in "xy")
        picture = np.empty((height, width, 4), np.uint8)
        picture[: height // 2], picture[height // 2 :] = SKY_BGRA, GROUND_BGRA
        for k, byte in enumerate(self.frame.to_bytes(6, "little")):
            picture[0, k // 3, k % 3] = byte
        return picture

    def _points(self, sensor: Actor, pose: tuple[float, ...]) -> NDArray:
        """Points along the sides of the other vehicles, and a ring of road, in the sensor's frame."""
        reach, yaw = float(sensor.attributes["range"]), math.radians(pose[4])
        c, s = math.cos(yaw), math.sin(yaw)
        rows = []
        for vehicle in self.vehicles():
            if vehicle.number == sensor.parent:
                continue
            around = corners(vehicle)
            for (x0, y0), (x1, y1) in zip(around, around[1:] + around[:1], strict=True):
                for share in np.linspace(0.0, 1.0, 20):
                    dx, dy = x0 + share * (x1 - x0) - pose[0], y0 + share * (y1 - y0) - pose[1]
                    if math.hypot(dx, dy) < reach:
                        point = (c * dx + s * dy, c * dy - s * dx, vehicle.pose[2] + 0.6 - pose[2])
                        rows.append((point, 1.0, vehicle.number, CAR_TAG))
        for angle in np.arange(0.0, 2.0 * math.pi, math.radians(5.0)):
            point = (5.0 * math.cos(angle), 5.0 * math.sin(angle), -pose[2])
            rows.append((point, 0.3, 0, ROAD_TAG))
        return np.array(rows, packets.LIDAR_POINT)

    def _contact(self, sensor: Actor, pose: tuple[float, ...]) -> bytes | None:
        me = self.actors.get(sensor.parent)
        if me is None:
            return None
        for other in self.vehicles():
            if other.number != me.number and overlap(me, other):
                impulse = [1500.0 * abs(me.speed - other.speed), 0.0, 0.0]
                ends = me.packed(b""), other.packed(b"")
                return packets.collision(self.frame, self.elapsed_s, pose, *ends, impulse)
        return None
