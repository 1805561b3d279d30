"""The calls that the client makes, by name. A result is what the client unpacks; an exception becomes its error."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from carla_stand_in import packets
from carla_stand_in.blueprints import definitions
from carla_stand_in.cars import Actor, wheels
from carla_stand_in.world import EPISODE_STREAM, StandInWorld

NOTHING = object()  # the answer of a call without a result


class Bare(list):
    """An answer that travels without the usual envelope."""


def _flat(transform: list) -> list[float]:
    (x, y, z), (pitch, yaw, roll) = transform
    return [x, y, z, pitch, yaw, roll]


def _nested(pose: list[float]) -> list:
    return [list(pose[:3]), list(pose[3:])]


class Calls:
    """Answers one call at a time; `tick_cue` and the streams are the server's own business."""

    def __init__(self, world: StandInWorld, version: str) -> None:
        self.world = world
        self.version = version
        self.log: list[str] = []

    def answer(self, name: str, arguments: list) -> Any:
        self.log.append(name)
        method: Callable | None = getattr(self, f"call_{name}", None)
        if method is None:
            raise NotImplementedError(f"the stand-in does not know the call {name}")
        return method(*arguments)

    def _packed(self, actor: Actor) -> list:
        return actor.packed(self.call_get_sensor_token(actor.stream)[0] if actor.stream else b"")

    # Server and map.

    def call_version(self) -> str:
        return self.version

    def call_get_available_maps(self) -> list[str]:
        return [f"/Game/Carla/Maps/{name}" for name in self.world.maps]

    def call_get_episode_info(self) -> list:
        return [self.world.episode, self.call_get_sensor_token(EPISODE_STREAM)]

    def call_get_map_info(self) -> list:
        return [f"Carla/Maps/{self.world.map_name}", [_nested(p) for p in self.world.maps[self.world.map_name][1]]]

    def call_get_map_data(self) -> str:
        return self.world.maps[self.world.map_name][0]

    def call_get_required_files(self, folder: str) -> list[str]:
        return []

    def call_copy_opendrive_to_file(self, text: str, parameters: list) -> object:
        self.world.opendrive = text
        return NOTHING

    def call_load_new_episode(self, name: str, reset_settings: bool, layers: int) -> object:
        self.world.load(name, reset_settings)
        return NOTHING

    def call_get_sensor_token(self, stream: int) -> list[bytes]:
        return [packets.token(stream, self.world.port + 1)]

    def call_get_episode_settings(self) -> list:
        return self.world.settings

    def call_set_episode_settings(self, settings: list) -> int:
        self.world.settings = settings
        return self.world.frame

    def call_get_weather_parameters(self) -> list[float]:
        return self.world.weather

    def call_set_weather_parameters(self, weather: list[float]) -> object:
        self.world.weather = weather
        return NOTHING

    def call_query_lights_state(self, client: str) -> list:
        return []

    def call_reset_all_traffic_lights(self) -> object:
        return NOTHING

    # Actors.

    def call_get_actor_definitions(self) -> list[list]:
        return definitions(not self.world.faults.no_vehicles)

    def call_get_spectator(self) -> list:
        return self._packed(next(a for a in self.world.actors.values() if a.blueprint == "spectator"))

    def call_get_actors_by_id(self, numbers: list[int]) -> list[list]:
        return [self._packed(self.world.actors[number]) for number in numbers if number in self.world.actors]

    def call_spawn_actor(self, description: list, transform: list) -> list:
        return self._packed(self.world.spawn(description, _flat(transform)))

    def call_spawn_actor_with_parent(self, description: list, transform: list, parent: int, *rest: Any) -> list:
        if parent not in self.world.actors:
            raise ValueError("unable to attach actor: parent actor not found")
        return self._packed(self.world.spawn(description, _flat(transform), parent))

    def call_destroy_actor(self, number: int) -> bool:
        if not self.world.destroy(number):
            raise ValueError("unable to destroy actor: not found")
        return True

    def call_get_actor_bounding_box(self, number: int) -> list:
        return self.world.actors[number].box()

    def call_set_actor_transform(self, number: int, transform: list) -> object:
        self.world.actors[number].pose = _flat(transform)
        return NOTHING

    def call_set_actor_simulate_physics(self, number: int, enabled: bool) -> object:
        return NOTHING

    def call_set_actor_autopilot(self, number: int, enabled: bool) -> object:
        return NOTHING

    def call_get_physics_control(self, number: int) -> list:
        car = self.world.actors[number]
        engine = [[[0.0, 500.0], [5000.0, 500.0]], 6000.0, 1.0, 0.15, 2.0, 0.35, True, 0.5, 10.0, 4.0, []]
        return [*engine, 1845.0, 0.3, [0.0, 0.0, 0.0], [[0.0, 1.0], [120.0, 0.6]], wheels(car), True]

    def call_apply_control_to_vehicle(self, number: int, control: list) -> object:
        car = self.world.actors[number]
        car.control, car.ackermann = control, None
        self.world.controls += 1
        return NOTHING

    def call_apply_ackermann_control_to_vehicle(self, number: int, control: list) -> object:
        self.world.actors[number].ackermann = control
        self.world.controls += 1
        return NOTHING

    def call_apply_batch(self, commands: list, tick: bool) -> Bare:
        """Spawning, destroying and vehicle control, which is what traffic needs; the rest is taken and not done."""
        return Bare([self._command(kind, body)] for [[kind, body]] in commands)

    def _command(self, kind: int, body: list) -> list:
        try:
            if kind == 0:
                description, transform, parent, *_ = body
                spawned = self.world.spawn(description, _flat(transform), parent[1] if parent[0] else 0)
                return [1, spawned.number]
            if kind == 1:
                self.call_destroy_actor(body[0])
            elif kind == 2:
                self.call_apply_control_to_vehicle(*body)
            elif kind == 3:
                self.call_apply_ackermann_control_to_vehicle(*body)
        except (KeyError, ValueError) as error:
            return [0, [str(error)]]
        return [1, body[0]]

    def call_get_vehicle_light_states(self) -> list[list[int]]:
        return [[vehicle.number, 0] for vehicle in self.world.vehicles()]

    def call_get_wheel_steer_angle(self, number: int, wheel: int) -> float:
        return math.degrees(self.world.actors[number].steer_rad())

    # The traffic manager lives in the client; the server keeps its address.

    def call_is_traffic_manager_running(self, port: int) -> bool:
        return port in self.world.traffic_managers

    def call_get_traffic_manager_running(self, port: int) -> list:
        return [self.world.traffic_managers.get(port, ""), port]

    def call_add_traffic_manager_running(self, info: list) -> bool:
        host, port = info
        self.world.traffic_managers[port] = host
        return True

    def call_destroy_traffic_manager(self, port: int) -> object:
        self.world.traffic_managers.pop(port, None)
        return NOTHING

    # For the tests alone.

    def call_stand_in_state(self) -> dict:
        """What stands on the server, for a test to look at without the client library."""
        world = self.world
        return {
            "map": world.map_name,
            "frame": world.frame,
            "ticks": world.ticks,
            "controls": world.controls,
            "settings": world.settings,
            "weather": world.weather,
            "traffic_managers": list(world.traffic_managers),
            "actors": [
                {"id": a.number, "blueprint": a.blueprint, "role": a.attributes.get("role_name", ""), "pose": a.pose}
                for a in world.actors.values()
            ],
            "calls": self.log,
        }
