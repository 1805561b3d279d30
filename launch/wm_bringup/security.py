"""DDS security (SROS 2): one enclave a node, switched on where the middleware has it and refused in words where not.

Every process is started in the enclave `/wm/NODE`, which means nothing until security is on. `ros2 security` makes the
keystore; docs/security.md says how.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from wm_bringup.errors import BringupError
from wm_bringup.middleware import FAST_DDS

ENCLAVES = "/wm"
FILES = (  # what a node reads from its enclave
    "identity_ca.cert.pem",
    "cert.pem",
    "key.pem",
    "permissions_ca.cert.pem",
    "governance.p7s",
    "permissions.p7s",
)
_LIBRARY = "librmw_fastrtps_shared_cpp.so"
_WITHOUT = b"This Fast DDS version doesn't have the security libraries"  # only compiled in where it has none


def enclave(node: str) -> str:
    """The security enclave of a node."""
    return f"{ENCLAVES}/{node}"


def enclave_arguments(node: str) -> list[str]:
    """What to put behind `--ros-args`."""
    return ["--enclave", enclave(node)]


def secured(keystore: Path, nodes: Iterable[str], env: Mapping[str, str]) -> dict[str, str]:
    """Variables that start every node with DDS security, and let none speak without it.

    BringupError where the middleware has no security, or the keystore lacks a node.
    """
    objection = middleware_objection(env)
    if objection is not None:
        raise BringupError(objection)
    keystore = keystore.expanduser().resolve()
    if not (keystore / "enclaves").is_dir():
        raise BringupError(f"keystore {keystore}: no enclaves there. Make one: ros2 security create_keystore.")
    for node in nodes:
        folder = keystore / "enclaves" / enclave(node).lstrip("/")
        missing = [name for name in FILES if not (folder / name).is_file()]
        if missing:
            raise BringupError(
                f"keystore {keystore}: the enclave {enclave(node)} lacks {', '.join(missing)}. "
                f"Make it: ros2 security create_enclave {keystore} {enclave(node)}."
            )
    return {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",  # without its keys a node does not start
        "ROS_SECURITY_KEYSTORE": str(keystore),
    }


def middleware_objection(env: Mapping[str, str]) -> str | None:
    """Why DDS security can not be had with this middleware; None where it can, or nothing speaks against it."""
    rmw = env.get("RMW_IMPLEMENTATION") or FAST_DDS
    if not rmw.startswith("rmw_fastrtps"):
        return None  # others say it themselves when a node starts
    library = _find_library(env)
    if library is None or not _holds(library, _WITHOUT):
        return None
    return (
        "DDS security: the Fast DDS of these wheels was built without it. Use a ROS 2 installation "
        "(packages of Jazzy have it), or start without --security."
    )


def _find_library(env: Mapping[str, str]) -> Path | None:
    """The middleware's library as the loader would find it."""
    prefixes = [Path(prefix) / "lib" for prefix in env.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    folders = [Path(folder) for folder in env.get("LD_LIBRARY_PATH", "").split(os.pathsep) if folder]
    return next((path for folder in folders + prefixes if (path := folder / _LIBRARY).is_file()), None)


def _holds(library: Path, words: bytes) -> bool:
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(words) >= 0
