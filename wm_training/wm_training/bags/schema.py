"""Message definitions of the stack, for code that runs without ROS."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from rosbags.interfaces import Connection, MessageDefinitionFormat, Nodetype
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore
from rosbags.typesys.base import TypesysError
from rosbags.typesys.store import Typestore

from wm_training.errors import TrainingError

NUMPY_TYPES: dict[str, np.dtype] = {
    **{name: np.dtype(name) for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
    **{"float32": np.dtype("<f4"), "float64": np.dtype("<f8"), "bool": np.dtype("?")},
    **{"byte": np.dtype("u1"), "char": np.dtype("u1")},
}


def _definition_folders() -> Iterator[Path]:
    """Where wm_msgs' .msg files may lie: the built workspaces, then the source tree."""
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        if prefix:
            yield Path(prefix) / "share/wm_msgs/msg"
    for parent in Path(__file__).resolve().parents:
        yield parent / "wm_msgs/msg"


@cache
def typestore() -> Typestore:
    """ROS 2 Jazzy's messages and wm_msgs."""
    folder = next((f for f in _definition_folders() if (f / "Truth.msg").is_file()), None)
    if folder is None:
        raise TrainingError("wm_msgs: no message definitions found; build the workspace and source install/setup.bash.")
    store = get_typestore(Stores.ROS2_JAZZY)
    for path in sorted(folder.glob("*.msg")):
        store.register(get_types_from_msg(path.read_text(encoding="utf8"), f"wm_msgs/msg/{path.stem}"))
    return store


def typestore_of(connection: Connection) -> Typestore:
    """What a bag itself says of a topic's messages, which may be those of an older version; ours where it is silent."""
    said, kind = connection.msgdef, connection.msgtype
    if said.format == MessageDefinitionFormat.NONE or not said.data:
        return typestore()
    is_idl = said.format == MessageDefinitionFormat.IDL
    try:
        types = get_types_from_idl(said.data) if is_idl else get_types_from_msg(said.data, kind)
        if types.get(kind) == typestore().fielddefs.get(kind):
            return typestore()
        store = get_typestore(Stores.EMPTY)
        store.register(types)
    except TypesysError:
        return typestore()  # not a definition: then the messages decide
    return store


def message(msgtype: str, values: Mapping[str, Any] | None = None) -> Any:
    """A rosbags message with zeros everywhere except at `values` (nested mappings for nested messages)."""
    store, given = typestore(), dict(values or {})
    fields: dict[str, Any] = {}
    for name, (kind, detail) in store.fielddefs[msgtype][1]:
        value = given.pop(name, None)
        if kind == Nodetype.NAME:
            is_built = value is not None and not isinstance(value, Mapping)
            fields[name] = value if is_built else message(str(detail), value)
        elif value is not None:
            fields[name] = value
        elif kind == Nodetype.BASE:
            fields[name] = {"string": "", "bool": False}.get(str(detail[0]), 0)
        else:
            (inner_kind, inner), count = cast("tuple[Any, int]", detail)
            is_plain = inner_kind == Nodetype.BASE and inner[0] != "string"
            size = count if kind == Nodetype.ARRAY else 0
            fields[name] = np.zeros(size, NUMPY_TYPES[str(inner[0])]) if is_plain else []
    if given:
        raise KeyError(f"{msgtype} has no field {', '.join(given)}")
    return store.types[msgtype](**fields)


def serialise(msgtype: str, values: Mapping[str, Any]) -> bytes:
    """CDR bytes of one message, through rosbags."""
    return bytes(typestore().serialize_cdr(message(msgtype, values), msgtype, little_endian=True))
