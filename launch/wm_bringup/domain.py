"""One stack a ROS domain: two on the same one would drive each other's cars."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import IO

from wm_bringup.errors import BringupError

HIGHEST = 101  # above, ports of Fast DDS run into those that Linux hands out to everybody


def chosen_domain(domain_id: int | None) -> int:
    """The ROS domain of a run: as named, else that of the environment, else 0."""
    value: int | str = os.environ.get("ROS_DOMAIN_ID", "0") if domain_id is None else domain_id
    try:
        number = int(value)
    except ValueError:
        number = -1
    if not 0 <= number <= HIGHEST:
        raise BringupError(f"ROS domain {value}: must be a whole number from 0 to {HIGHEST}; use --domain-id.")
    return number


def lock_path(domain_id: int) -> Path:
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    return folder / f"wm-stack-{os.getuid()}-domain-{domain_id}.lock"


def lock_domain(domain_id: int) -> IO[str]:
    """Hold a ROS domain until the returned file is closed and every process that inherited it has ended."""
    path = lock_path(domain_id)
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise BringupError(
            f"ROS domain {domain_id}: another stack drives there already{f' (process {holder})' if holder else ''}. "
            f"Stop it, or start this one with --domain-id {(domain_id + 1) % (HIGHEST + 1)}."
        ) from error
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file


def is_free(domain_id: int) -> bool:
    """Whether no stack holds the domain now."""
    try:
        lock_domain(domain_id).close()
    except BringupError:
        return False
    return True
