"""What can be spawned: a handful of CARLA's blueprints with the attributes that clients set."""

from __future__ import annotations

BOOL, INT, FLOAT, STRING, COLOUR = range(1, 6)


def _attribute(name: str, kind: int, *values: str) -> list:
    return [name, kind, values[0], list(values), True, False]


def _fixed(name: str, kind: int, value: str) -> list:
    return [name, kind, value, [], False, False]


def _vehicle(uid: int, name: str, wheels: str = "4") -> list:
    return [
        uid,
        name,
        name.replace(".", ","),
        [
            _attribute("role_name", STRING, "autopilot", "scenario", "ego_vehicle"),
            _attribute("color", COLOUR, "180,30,30", "20,20,120"),
            _fixed("number_of_wheels", INT, wheels),
            _fixed("base_type", STRING, "car" if wheels == "4" else "bicycle"),
        ],
    ]


def _sensor(uid: int, name: str, *attributes: list) -> list:
    role = _attribute("role_name", STRING, "front")
    return [uid, name, name.replace(".", ","), [role, _attribute("sensor_tick", FLOAT, "0.0"), *attributes]]


def definitions(with_vehicles: bool = True) -> list[list]:
    """Blueprint definitions as the client unpacks them: uid, id, tags, attributes."""
    lidar = [
        _attribute("channels", INT, "32"),
        _attribute("range", FLOAT, "10.0"),
        _attribute("points_per_second", INT, "56000"),
        _attribute("rotation_frequency", FLOAT, "10.0"),
        _attribute("upper_fov", FLOAT, "10.0"),
        _attribute("lower_fov", FLOAT, "-30.0"),
        _attribute("horizontal_fov", FLOAT, "360.0"),
    ]
    camera = [
        _attribute("image_size_x", INT, "800"),
        _attribute("image_size_y", INT, "600"),
        _attribute("fov", FLOAT, "90.0"),
        _attribute("enable_postprocess_effects", BOOL, "true"),
        _attribute("gamma", FLOAT, "2.2"),
    ]
    sensors = [
        _sensor(20, "sensor.camera.rgb", *camera),
        _sensor(21, "sensor.lidar.ray_cast_semantic", *lidar),
        _sensor(24, "sensor.lidar.ray_cast", *lidar),
        _sensor(22, "sensor.other.collision"),
        _sensor(23, "sensor.other.lane_invasion"),
    ]
    vehicles = [
        _vehicle(1, "vehicle.tesla.model3"),
        _vehicle(2, "vehicle.lincoln.mkz_2020"),
        _vehicle(3, "vehicle.audi.tt"),
        _vehicle(4, "vehicle.gazelle.omafiets", "2"),
    ]
    return sensors + (vehicles if with_vehicles else [])
