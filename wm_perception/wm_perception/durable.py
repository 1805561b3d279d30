"""Files and folders that are whole under their name, after a power cut too."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def settle(path: Path) -> None:
    """Return when a file, or a folder with all that lies directly in it, is on the disk. OSError where it cannot be."""
    for inside in path.iterdir() if path.is_dir() else ():
        if inside.is_file():
            _sync(inside)
    _sync(path)


def put_in_place(partial: Path, path: Path) -> None:
    """Give a finished file or folder its name: what a power cut leaves there is the old one or the new one, whole."""
    settle(partial)
    partial.replace(path)
    with suppress(OSError):  # it has its name; not every file system settles folders
        _sync(path.parent)


def write_text(path: Path, text: str, partial: Path | None = None) -> None:
    """Replace the text of a file, whole or not at all. `partial`: where it is written first, `.NAME.partial` else."""
    partial = partial or path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf8")
        put_in_place(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
