"""The `carla` client library: asked for only when a simulator is made, in one sentence where it is absent."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from wm_sim.errors import SimError

SUPPORTED = ("0.9.15", "0.9.16", "0.10")
INSTALL = "pip install -r requirements-carla.txt"


def import_carla() -> Any:
    """The client library; SimError where it is missing or too old."""
    try:
        library = import_module("carla")
    except ImportError as error:
        raise SimError(f"carla: the client library cannot be loaded ({error}); {INSTALL}.") from None
    try:
        found = version("carla")
    except PackageNotFoundError:  # taken from CARLA's own folder; the server's version will tell
        return library
    if not found.startswith(SUPPORTED):
        raise SimError(f"carla: client library {found} is not supported, {', '.join(SUPPORTED)} are; {INSTALL}.")
    return library


def same_version(client: str, server: str) -> bool:
    """Whether both are one release; builds from source, which give a commit, must agree exactly."""
    numbers = [re.match(r"\d+\.\d+\.\d+", text) for text in (client, server)]
    if numbers[0] is None or numbers[1] is None:
        return client == server
    return numbers[0].group() == numbers[1].group()
