"""Fields of a message by path: which there are, and how to spoil one. Works on any message class of rosidl."""

from __future__ import annotations

import array
from collections.abc import Iterator
from typing import Any

import numpy as np

from wm_bringup.faults.fault import Length

LONGER = 8  # times
_FLOATS = ("float", "double")


def _leaves(message: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(path, type) of everything below a message that is no message itself; headers and stamps left out."""
    for name, kind in message.get_fields_and_field_types().items():
        value = getattr(message, name)
        if name in ("header", "source_stamp"):
            continue
        if hasattr(value, "get_fields_and_field_types"):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", kind


def _element(kind: str) -> str:
    """Type of one number of a field: "sequence<float>" and "double[36]" are float and double."""
    return kind.removeprefix("sequence<").partition("[")[0].partition(",")[0].rstrip(">")


def float_fields(kind: type) -> list[str]:
    """Paths of all float fields of a message class, arrays as one, "pose.pose.position.x"."""
    return [path for path, leaf in _leaves(kind()) if _element(leaf) in _FLOATS]


def array_fields(kind: type) -> list[str]:
    """Paths of all arrays of numbers whose length is free."""
    return [path for path, leaf in _leaves(kind()) if leaf.startswith("sequence<") and "/" not in leaf]


def _owner(message: Any, path: str) -> tuple[Any, str]:
    *way, name = path.split(".")
    for step in way:
        message = getattr(message, step)
    return message, name


def set_value(message: Any, path: str, value: float) -> None:
    """Put a number into a float field, or into every entry of an array of floats."""
    owner, name = _owner(message, path)
    held = getattr(owner, name)
    if isinstance(held, float):
        setattr(owner, name, value)
    elif isinstance(held, np.ndarray):
        held[:] = value
    else:
        setattr(owner, name, array.array(held.typecode, [value] * len(held)))


def set_length(message: Any, path: str, length: Length) -> None:
    """Empty an array, take its last entry away, or repeat it."""
    owner, name = _owner(message, path)
    held = getattr(owner, name)
    setattr(owner, name, {"empty": held[:0], "short": held[:-1], "long": held * LONGER}[length])
