"""The ego on the server: where it may stand, what its chassis says of itself."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wm_sim.bridges.carla.actuation import Chassis
from wm_sim.bridges.carla.connection import map_name
from wm_sim.bridges.carla.settings import CarlaSettings
from wm_sim.errors import SimError

ROLE = "ego_vehicle"
LIFT_M = 0.3  # above the road, for starts taken from it
CENTIMETRES_FROM_M = 20.0  # no wheelbase is as long in metres: UE4 servers give wheels in cm
EDGE_M = 6.0  # from the beginning of a lane


def starts(carla: Any, world_map: Any) -> list[Any]:
    """Poses where a car may start: the map's spawn points, or the lanes' beginnings where it has none."""
    found = list(world_map.get_spawn_points())
    if found:
        return found
    for entry, _ in world_map.get_topology():
        if not entry.is_junction:
            for waypoint in entry.next(EDGE_M):
                place = waypoint.transform
                place.location.z += LIFT_M
                found.append(place)
    return found


def blueprint_of(world: Any, settings: CarlaSettings) -> Any:
    """The ego's blueprint; SimError names some that the server has."""
    library = world.get_blueprint_library()
    try:
        blueprint = library.find(settings.vehicle)
    except (IndexError, RuntimeError):
        known = sorted(item.id for item in library.filter("vehicle.*"))
        some = ", ".join(known[:8]) or "none at all"
        raise SimError(f"carla: no vehicle {settings.vehicle!r}; the server has {some}.") from None
    if blueprint.has_attribute("role_name"):
        blueprint.set_attribute("role_name", ROLE)
    return blueprint


def spawn(carla: Any, world: Any, settings: CarlaSettings, rng: np.random.Generator) -> tuple[Any, int]:
    """The ego on a free start, and that start's number; SimError where all are taken."""
    world_map = world.get_map()
    places, name = starts(carla, world_map), map_name(world_map.name)
    order = rng.permutation(len(places)).tolist()
    if settings.start >= 0:
        if settings.start >= len(places):
            raise SimError(f"carla: start {settings.start}: {name} has spawn points 0 to {len(places) - 1}.")
        order = [settings.start]
    blueprint = blueprint_of(world, settings)
    for number in order:
        ego = world.try_spawn_actor(blueprint, places[number])
        if ego is not None:
            return ego, number
    advice = "remove other vehicles or choose another start"
    raise SimError(f"carla: no free spawn point on {name} ({len(order)} tried); {advice}.")


def read_chassis(ego: Any) -> Chassis:
    """Steering, axles and mass as the server has them for this vehicle."""
    physics, place = ego.get_physics_control(), ego.get_transform()
    angles = [wheel.max_steer_angle for wheel in physics.wheels]
    steered = max(angles, default=0.0)
    if steered <= 0.0:
        raise SimError(f"carla: {ego.type_id} has no wheel that steers; choose another vehicle.")
    yaw = math.radians(place.rotation.yaw)
    wheels = np.array([(wheel.position.x, wheel.position.y) for wheel in physics.wheels])
    apart = np.hypot(*(wheels.max(axis=0) - wheels.min(axis=0)))
    if apart > CENTIMETRES_FROM_M:
        wheels = wheels / 100.0
    axle = (wheels - (place.location.x, place.location.y)) @ (math.cos(yaw), math.sin(yaw))  # [wheels] m ahead
    steers = np.array(angles) > 0.5 * steered
    front, rear = float(axle[steers].mean()), float(axle[~steers].mean()) if (~steers).any() else float(axle.min())
    half = ego.bounding_box.extent.x
    if not 1.0 < front - rear < 2.0 * half:  # positions that mean something else: the usual share of the length
        rear, front = -0.6 * half, 0.6 * half
    curve = np.array([(point.x, point.y) for point in physics.steering_curve]) if len(physics.steering_curve) else None
    if curve is None or not (curve[:, 1] > 0.0).all():
        curve = np.array([(0.0, 1.0)])
    return Chassis(math.radians(steered), curve, rear, front - rear, physics.mass)
