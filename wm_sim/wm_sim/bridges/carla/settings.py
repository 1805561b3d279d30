"""What a user may set of the CARLA bridge: names, defaults, one line each, and the reading of `sim_settings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from wm_sim.errors import SimError

AUTO, ACKERMANN, PEDALS = "auto", "ackermann", "pedals"
SEMANTIC, PLAIN = "semantic", "plain"
USERS, ALL = "users", "all"


def _setting(default: object, about: str, choices: tuple[str, ...] = ()) -> object:
    return field(default=default, metadata={"about": about, "choices": choices})


@dataclass(frozen=True)
class CarlaSettings:
    """Settings by name; each field's `about` is shown to users."""

    host: str = _setting("127.0.0.1", "Machine of the server.")  # type: ignore[assignment]
    port: int = _setting(2000, "Port of its calls; the next one carries the streams.")  # type: ignore[assignment]
    map: str = _setting("", "Map to load, as Town03; empty: the one that is loaded.")  # type: ignore[assignment]
    weather: str = _setting("", "Preset, as ClearNoon or HardRainSunset; empty: as it is.")  # type: ignore[assignment]
    vehicle: str = _setting("vehicle.tesla.model3", "Blueprint of the ego.")  # type: ignore[assignment]
    start: int = _setting(-1, "Spawn point of the ego; -1: by the seed.")  # type: ignore[assignment]
    destination: int = _setting(-1, "Spawn point to drive to; -1: by the seed.")  # type: ignore[assignment]
    traffic: int = _setting(30, "Vehicles of the scenario `traffic`.")  # type: ignore[assignment]
    tm_port: int = _setting(8000, "Port for the traffic manager; must be free.")  # type: ignore[assignment]
    passive: bool = _setting(False, "Another client ticks; this one follows.")  # type: ignore[assignment]
    control: str = _setting(AUTO, "How the car is moved.", (AUTO, ACKERMANN, PEDALS))  # type: ignore[assignment]
    lidar: str = _setting(SEMANTIC, "Which lidar makes the scan.", (SEMANTIC, PLAIN))  # type: ignore[assignment]
    scan: str = _setting(USERS, "What the semantic lidar shows.", (USERS, ALL))  # type: ignore[assignment]
    camera_px: int = _setting(256, "Size at which the camera renders before shrinking.")  # type: ignore[assignment]
    spectator: bool = _setting(True, "The server's own view follows the car.")  # type: ignore[assignment]
    timeout_s: float = _setting(20.0, "For calls while setting up; loading a map: three times.")  # type: ignore[assignment]
    tick_timeout_s: float = _setting(4.0, "For a tick; longer: the server is lost.")  # type: ignore[assignment]
    sensor_timeout_s: float = _setting(2.0, "For a sensor's data after a tick.")  # type: ignore[assignment]

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


ABOUT = {item.name: f"{item.metadata['about']} ({item.default})" for item in fields(CarlaSettings)}


def read_settings(given: Mapping[str, str]) -> CarlaSettings:
    """Settings from texts; SimError names the one that cannot be read."""
    values: dict[str, object] = {}
    for item in fields(CarlaSettings):
        if item.name in given:
            values[item.name] = _read(item.name, given[item.name], item.default, item.metadata["choices"])
    return CarlaSettings(**values)  # type: ignore[arg-type]


def _read(name: str, text: str, default: object, choices: tuple[str, ...]) -> object:
    if choices and text not in choices:
        raise SimError(f"carla setting {name}={text}: expected one of {', '.join(choices)}.")
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise SimError(f"carla setting {name}={text}: expected true or false.")
        return text.lower() == "true"
    try:
        value = type(default)(text)  # type: ignore[call-arg]
    except ValueError:
        raise SimError(f"carla setting {name}={text}: expected a number.") from None
    low = {"port": 1, "tm_port": 1, "camera_px": 64, "traffic": 0}.get(name, -1 if isinstance(value, int) else 0.1)
    high = 65534 if name.endswith("port") else 1e6
    if isinstance(value, (int, float)) and not low <= value <= high:
        raise SimError(f"carla setting {name}={text}: expected {low:g} to {high:g}.")
    return value
