"""Sensors on the ego: attach, collect by frame, say which one is late."""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from wm_sim.bridges.carla.scan import PLAIN_POINT, SEMANTIC_POINT
from wm_sim.bridges.carla.settings import SEMANTIC, CarlaSettings
from wm_sim.errors import SimError
from wm_sim.observation import (
    CAMERA_HFOV_RAD,
    CAMERA_PITCH_RAD,
    CAMERA_SHAPE,
    CAMERA_X_M,
    CAMERA_Z_M,
    LIDAR_X_M,
    LIDAR_Z_M,
    PHYSICS_STEP_S,
    SCAN_MAX_M,
    SCAN_SIZE,
)

CAMERA = "sensor.camera.rgb"
LIDAR = {SEMANTIC: "sensor.lidar.ray_cast_semantic", "plain": "sensor.lidar.ray_cast"}
COLLISION, LANE_INVASION = "sensor.other.collision", "sensor.other.lane_invasion"
CHANNELS, RAYS_PER_SECTOR = 16, 8
NOT_A_CRASH = ("static.road", "static.sidewalk", "static.ground", "static.terrain")


@dataclass
class FrameSensor:
    """A sensor that sends something every frame."""

    name: str
    actor: Any
    arrived: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)
    newest: int | None = None

    def listen(self) -> None:
        self.actor.listen(self.arrived.put)

    def of_frame(self, frame: int, timeout_s: float) -> Any:
        """The data of that frame; older data is dropped. SimError says that this sensor is late."""
        until = time.monotonic() + timeout_s
        while True:
            try:
                data = self.arrived.get(timeout=max(until - time.monotonic(), 0.0))
            except queue.Empty:
                raise SimError(self._late(frame, timeout_s)) from None
            self.newest = data.frame
            if data.frame == frame:
                return data

    def _late(self, frame: int, timeout_s: float) -> str:
        so_far = "it has never delivered" if self.newest is None else f"the newest it sent is frame {self.newest}"
        advice = "check that the server renders and that nobody else ticks it"
        return f"carla: the {self.name} did not deliver frame {frame} within {timeout_s:g} s, {so_far}; {advice}."


@dataclass
class EventSensor:
    """A sensor that sends when something happens."""

    actor: Any
    happened: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)

    def listen(self) -> None:
        self.actor.listen(self.happened.put)

    def drain(self) -> list[Any]:
        """What came since the last call."""
        found = []
        while True:
            try:
                found.append(self.happened.get_nowait())
            except queue.Empty:
                return found


def attach(carla: Any, world: Any, ego: Any, blueprint: str, attributes: dict[str, str], place: Any) -> Any:
    """Spawn a sensor on the ego; SimError where the server lacks it."""
    try:
        found = world.get_blueprint_library().find(blueprint)
        for name, value in attributes.items():
            if found.has_attribute(name):
                found.set_attribute(name, value)
        return world.spawn_actor(found, place, attach_to=ego)
    except (RuntimeError, IndexError) as error:
        raise SimError(f"carla: the sensor {blueprint} could not be put on the car ({error}).") from None


class Sensors:
    """Camera, lidar, collisions and crossed markings of one ego."""

    def __init__(self, carla: Any, world: Any, ego: Any, rear_axle_x_m: float, settings: CarlaSettings) -> None:
        self._timeout_s = settings.sensor_timeout_s
        self._semantic = settings.lidar == SEMANTIC
        self.actors: list[Any] = []  # as far as they were made, whatever comes after

        def put(blueprint: str, attributes: dict[str, str], x: float = 0.0, z: float = 0.0, pitch: float = 0.0) -> Any:
            place = carla.Transform(carla.Location(x=x, z=z), carla.Rotation(pitch=pitch))
            actor = attach(carla, world, ego, blueprint, attributes, place)
            self.actors.append(actor)
            return actor

        size = str(settings.camera_px)
        picture = {"image_size_x": size, "image_size_y": size, "fov": f"{np.degrees(CAMERA_HFOV_RAD):.1f}"}
        rays = SCAN_SIZE * RAYS_PER_SECTOR
        lidar = {
            "channels": str(CHANNELS),
            "range": f"{SCAN_MAX_M:g}",
            "rotation_frequency": f"{1.0 / PHYSICS_STEP_S:g}",  # a whole turn each tick
            "points_per_second": str(round(CHANNELS * rays / PHYSICS_STEP_S)),
            "upper_fov": "2.0",
            "lower_fov": "-14.0",
            # The plain lidar drops points at random unless told otherwise.
            "dropoff_general_rate": "0.0",
            "dropoff_zero_intensity": "0.0",
            "dropoff_intensity_limit": "1.0",
        }
        try:
            at = rear_axle_x_m + CAMERA_X_M, CAMERA_Z_M, float(-np.degrees(CAMERA_PITCH_RAD))
            self._camera = FrameSensor("camera", put(CAMERA, picture, *at))
            self._lidar = FrameSensor("lidar", put(LIDAR[settings.lidar], lidar, rear_axle_x_m + LIDAR_X_M, LIDAR_Z_M))
            self._collision = EventSensor(put(COLLISION, {}))
            self._markings = EventSensor(put(LANE_INVASION, {}))
            for sensor in (self._camera, self._lidar, self._collision, self._markings):
                sensor.listen()
        except BaseException:
            self.stop()
            for actor in self.actors:
                actor.destroy()
            raise

    def picture(self, frame: int) -> NDArray[np.uint8]:
        """The camera's picture of that frame as the model wants it, RGB [64, 64, 3]."""
        image = self._camera.of_frame(frame, self._timeout_s)
        bgra = np.frombuffer(image.raw_data, np.uint8).reshape(image.height, image.width, 4)
        height, width, _ = CAMERA_SHAPE
        small = cv2.resize(bgra[:, :, :3], (width, height), interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(small[:, :, ::-1], dtype=np.uint8)

    def points(self, frame: int) -> NDArray:
        """The lidar's points of that frame, SEMANTIC_POINT or PLAIN_POINT [N]."""
        data = self._lidar.of_frame(frame, self._timeout_s)
        return np.frombuffer(data.raw_data, SEMANTIC_POINT if self._semantic else PLAIN_POINT)

    def collisions(self) -> list[Any]:
        """Contacts since the last call, those with the ground left out."""
        return [event for event in self._collision.drain() if not _is_ground(event.other_actor)]

    def crossed_markings(self) -> int:
        """How many lane markings were crossed since the last call."""
        return sum(len(event.crossed_lane_markings) for event in self._markings.drain())

    def stop(self) -> None:
        """Hang up; the actors stay."""
        for actor in self.actors:
            actor.stop()


def _is_ground(actor: Any) -> bool:
    return actor is not None and actor.type_id in NOT_A_CRASH
