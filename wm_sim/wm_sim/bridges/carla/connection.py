"""The way to a server: is anybody there, is it CARLA, of the same version, with the map that was asked for."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from wm_sim.bridges.carla.library import import_carla, same_version
from wm_sim.bridges.carla.settings import CarlaSettings
from wm_sim.errors import SimError

PROBE_S = 3.0
FIRST_CALL_S = 5.0


def connect(settings: CarlaSettings) -> Any:
    """A carla.Client whose version is the server's."""
    carla = import_carla()
    probe(settings)
    client = carla.Client(settings.host, settings.port)
    client.set_timeout(min(FIRST_CALL_S, settings.timeout_s))
    try:
        theirs, ours = client.get_server_version(), client.get_client_version()
    except RuntimeError:
        problem = f"something listens at {settings.address} but does not answer as a CARLA server"
        raise SimError(f"carla: {problem}; check the port.") from None
    if not same_version(ours, theirs):
        advice = f"pip install carla=={theirs}, or start a server {ours}"
        raise SimError(f"carla: the server at {settings.address} is {theirs}, the client library is {ours}; {advice}.")
    client.set_timeout(settings.timeout_s)
    return client


def probe(settings: CarlaSettings) -> None:
    """SimError at once where nothing listens; the client library would wait for its whole time-out."""
    try:
        socket.create_connection((settings.host, settings.port), PROBE_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        advice = "start one (docs/carla.md) or give sim_settings host=…,port=…"
        raise SimError(f"carla: no server at {settings.address} ({reason}); {advice}.") from None


def answers(settings: CarlaSettings) -> bool:
    """Whether anything still listens there."""
    try:
        probe(settings)
    except SimError:
        return False
    return True


def map_name(name: str) -> str:
    """Town03 of /Game/Carla/Maps/Town03."""
    return name.rsplit("/", 1)[-1]


def load_map(client: Any, world: Any, settings: CarlaSettings, opendrive: Path | None) -> Any:
    """The world with the map asked for: an OpenDRIVE file, a name, or what is loaded already."""
    if opendrive is None and settings.map in ("", map_name(world.get_map().name)):
        return world
    client.set_timeout(3.0 * settings.timeout_s)
    try:
        if opendrive is not None:
            return _from_opendrive(client, opendrive)
        known = sorted({map_name(name) for name in client.get_available_maps()})
        if settings.map not in known:
            raise SimError(f"carla: no map {settings.map!r}; the server has {', '.join(known)}.")
        return client.load_world(settings.map)
    except RuntimeError as error:
        if isinstance(error, SimError):
            raise
        raise SimError(f"carla: the map {opendrive or settings.map} was not loaded ({error}).") from None
    finally:
        client.set_timeout(settings.timeout_s)


def _from_opendrive(client: Any, path: Path) -> Any:
    carla = import_carla()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SimError(f"carla: the road file {path} cannot be read ({error}).") from None
    if "<OpenDRIVE" not in text:
        raise SimError(f"carla: {path} is not an OpenDRIVE file, which is all that the server can load.")
    return client.generate_opendrive_world(text, carla.OpendriveGenerationParameters())
