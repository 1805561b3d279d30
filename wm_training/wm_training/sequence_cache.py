"""One bag's sequences, kept beside it as .npy files."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wm_training.bag_frames import extract

FORMAT = 3  # raise it when the meaning of a cached array changes
PREFIX = ".sequences-"
CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class BagSequences:
    """Arrays of one bag by name, and the digest of the bag."""

    arrays: dict[str, np.ndarray]
    digest: str


def bag_sequences(bag: Path) -> BagSequences:
    """The sequences of one bag: from the cache where it is still true, else read and cached."""
    folder = (bag if bag.is_dir() else bag.parent) / f"{PREFIX}{_fingerprint(bag)}"
    if (folder / "digest.json").is_file():
        with suppress(ValueError, OSError, KeyError):
            return _load(folder)
    found = BagSequences(extract(bag), _content_digest(bag))
    try:
        _save(folder, found, is_only=bag.is_dir())
    except OSError:
        return found  # a read-only place: go without a cache
    return _load(folder)


def _files(bag: Path) -> list[Path]:
    return sorted(p for p in bag.iterdir() if p.is_file()) if bag.is_dir() else [bag]


def _fingerprint(bag: Path) -> str:
    """Changes whenever the bag does, without reading it."""
    facts = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in _files(bag)]
    return hashlib.sha256(f"{FORMAT} {facts}".encode()).hexdigest()[:16]


def _content_digest(bag: Path) -> str:
    digest = hashlib.sha256()
    for path in _files(bag):
        with path.open("rb") as file:
            while block := file.read(CHUNK_BYTES):
                digest.update(block)
    return digest.hexdigest()


def _load(folder: Path) -> BagSequences:
    meta = json.loads((folder / "digest.json").read_text(encoding="utf8"))
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in meta["arrays"]}
    return BagSequences(arrays, meta["digest"])


def _save(folder: Path, found: BagSequences, *, is_only: bool) -> None:
    """Write under another name, then rename: a reader sees all of it or nothing."""
    partial = Path(tempfile.mkdtemp(prefix=f"{PREFIX}partial-", dir=folder.parent))
    partial.chmod(folder.parent.stat().st_mode)  # who may read the bag may read its cache
    try:
        for name, array in found.arrays.items():
            np.save(partial / f"{name}.npy", array, allow_pickle=False)
        facts = {"digest": found.digest, "arrays": list(found.arrays)}
        (partial / "digest.json").write_text(json.dumps(facts), encoding="utf8")
        if is_only:
            _remove_stale(folder)
        with suppress(FileExistsError):
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_stale(folder: Path) -> None:
    for old in folder.parent.glob(f"{PREFIX}[0-9a-f]*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
