"""One bag's sequences, kept beside it as .npy files."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wm_perception.durable import put_in_place
from wm_training.bag_frames import extract
from wm_training.mapping.frames import extract_mapped
from wm_training.mapping.spec import Mapping

FORMAT = 5  # raise it when the meaning of a cached array changes
PREFIX = ".sequences-"
CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class BagSequences:
    """Arrays of one bag by name, the digest of the bag and its mapping, and what was left out, in sentences."""

    arrays: dict[str, np.ndarray]
    digest: str
    notes: tuple[str, ...] = ()


def bag_sequences(bag: Path, mapping: Mapping | None = None) -> BagSequences:
    """The sequences of one bag: from the cache where it is still true, else read and cached.

    The cache is kept by the bag's content and the mapping's. A bag that was copied or touched keeps its cache.
    """
    means = mapping.digest if mapping else ""
    folder = (bag if bag.is_dir() else bag.parent) / f"{PREFIX}{_fingerprint(bag, means)}"
    if (folder / "digest.json").is_file():
        with suppress(ValueError, OSError, KeyError):
            return _load(folder)
    content = _content_digest(bag)
    with suppress(ValueError, OSError, KeyError):
        if _adopt(folder, content, means):
            return _load(folder)
    arrays, notes = extract_mapped(bag, mapping) if mapping else extract(bag)
    digest = hashlib.sha256(f"{content} {means}".encode()).hexdigest() if means else content
    found = BagSequences(arrays, digest, notes)
    try:
        _save(folder, found, {"content": content, "mapping": means, "format": FORMAT}, is_only=bag.is_dir())
    except OSError:
        return found  # a read-only place: go without a cache
    return _load(folder)


def _files(bag: Path) -> list[Path]:
    return sorted(p for p in bag.iterdir() if p.is_file()) if bag.is_dir() else [bag]


def _fingerprint(bag: Path, means: str) -> str:
    """Changes whenever the bag or its mapping does, without reading the bag."""
    facts = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in _files(bag)]
    return hashlib.sha256(f"{FORMAT} {facts}{means and ' ' + means}".encode()).hexdigest()[:16]


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
    return BagSequences(arrays, meta["digest"], tuple(meta.get("notes", ())))


def _facts(folder: Path) -> dict[str, Any]:
    """What a cache is made of. One that does not say its format is of no format that is read today."""
    meta = json.loads((folder / "digest.json").read_text(encoding="utf8"))
    return {"content": meta.get("content", meta["digest"]), "mapping": "", "format": None} | meta


def _adopt(folder: Path, content: str, means: str) -> bool:
    """Take over a cache of the same content and mapping that lies there under an older key."""
    for old in folder.parent.glob(f"{PREFIX}[0-9a-f]*"):
        facts = _facts(old) if (old / "digest.json").is_file() else {}
        if old != folder and (facts.get("content"), facts.get("mapping"), facts.get("format")) == (
            content, means, FORMAT,
        ):  # fmt: skip
            shutil.rmtree(folder, ignore_errors=True)
            old.rename(folder)
            return True
    return False


def _save(folder: Path, found: BagSequences, facts: dict[str, Any], *, is_only: bool) -> None:
    """Write under another name, then rename: a reader sees all of it or nothing."""
    partial = Path(tempfile.mkdtemp(prefix=f"{PREFIX}partial-", dir=folder.parent))
    partial.chmod(folder.parent.stat().st_mode)  # who may read the bag may read its cache
    try:
        for name, array in found.arrays.items():
            np.save(partial / f"{name}.npy", array, allow_pickle=False)
        meta = facts | {"digest": found.digest, "arrays": list(found.arrays), "notes": found.notes}
        (partial / "digest.json").write_text(json.dumps(meta), encoding="utf8")
        if is_only:
            _remove_stale(folder, facts["content"])
        with suppress(FileExistsError):
            put_in_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _remove_stale(folder: Path, content: str) -> None:
    """Remove caches of what the bag was before, and one that is damaged; those of other mappings stay."""
    for old in folder.parent.glob(f"{PREFIX}[0-9a-f]*"):
        still_true = False
        with suppress(ValueError, OSError, KeyError):
            still_true = _facts(old)["content"] == content and _facts(old)["format"] == FORMAT
        if old == folder or not still_true:
            shutil.rmtree(old, ignore_errors=True)
