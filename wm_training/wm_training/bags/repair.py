"""Making a bag of what a killed recorder left, or of a bag that was cut: the core of `wm info --repair`."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mcap.records import Channel, Schema
from rosbags.rosbag2.errors import ReaderError
from rosbags.rosbag2.metadata import dump_qos_v9, parse_qos

from wm_perception.durable import put_in_place
from wm_training.bags.metadata import BagTopic
from wm_training.bags.reader import is_bag, open_bag
from wm_training.bags.salvage import Salvage
from wm_training.bags.schema import typestore
from wm_training.bags.writer import METADATA, PARTIAL, BagWriter, WriterConfig, growing, is_full, lock_folder
from wm_training.errors import TrainingError

REPAIRING = ".repairing"
DAMAGED = ".damaged"
AT_FDCWD, EXCHANGE = -100, 2


@dataclass(frozen=True)
class Repair:
    """What was recovered."""

    bag: Path  # where it is now
    messages: int
    duration_s: float
    lost_bytes: int  # behind the last whole record of each file
    spoilt_chunks: int  # left out, because their bytes are not what was written
    kept: Path | None  # where the original is, if not everything of it could be read; None: it is gone

    def __str__(self) -> str:
        text = f"recovered {self.messages} messages over {self.duration_s:.2f} s into {self.bag}"
        if self.lost_bytes:
            text += f"; the last {self.lost_bytes} bytes were no whole record"
        if self.spoilt_chunks:
            text += f"; {self.spoilt_chunks} spoilt chunks were left out"
        return text + (f"; the original is kept in {self.kept}." if self.kept else ".")


def repair(path: Path | str) -> Repair | None:
    """Turn `<name>.partial`, a cut bag or a bare MCAP file into a readable bag. None: the bag is whole.

    The repaired bag grows beside the original and takes its place at once when it is complete; interrupted, everything
    is as before. TrainingError where there is nothing to repair, no room, or somebody is still writing.
    """
    source = _source(Path(path))
    if _is_whole(source):
        return None
    files = _files(source)
    if not files:
        raise TrainingError(f"{source}: no MCAP file in it, so there is nothing to repair.")
    target = source.with_name(source.name.removesuffix(PARTIAL).removesuffix(".mcap"))
    if target != source and target.exists():
        raise TrainingError(f"{target} exists already; move it away, then repair {source}.")
    lock = lock_folder(source if source.is_dir() else source.parent)
    work = target.with_name(target.name + REPAIRING)
    shutil.rmtree(work, ignore_errors=True)  # of a repair that was killed
    try:
        return _rewrite(files, source, target, work)
    except OSError as error:
        why = "no room for the repaired bag beside it; make some" if is_full(error) else error.strerror
        raise TrainingError(f"{source}: {why}. It is as it was.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
        os.close(lock)


def _rewrite(files: list[Path], source: Path, target: Path, work: Path) -> Repair:
    found = [Salvage(file) for file in files]
    writer: BagWriter | None = None
    first = last = None
    for salvage in found:
        for number, saved in enumerate(salvage):
            if writer is None:
                writer = BagWriter(target, WriterConfig(compress=salvage.compressed), partial=work)
                for key, value in _notes(source).items():
                    writer.note(key, value)
            elif number == 0:
                writer.split()
            for channel, schema in salvage.channels.values():
                if channel.topic not in writer.counts:
                    writer.announce(_topic(channel, schema, source))
            writer.write(saved.channel.topic, saved.stamp_ns, saved.cdr)
            first = saved.stamp_ns if first is None else min(first, saved.stamp_ns)
            last = saved.stamp_ns if last is None else max(last, saved.stamp_ns)
    if writer is None:
        raise TrainingError(f"{source}: no message in it can be read, so there is nothing to repair; remove it.")
    lost = sum(s.size - s.good_bytes for s in found if not s.is_whole)
    spoilt = sum(s.spoilt for s in found)
    writer.note("repaired", f"{lost} bytes and {spoilt} chunks lost")
    writer.finish()
    kept = _take_place(work, source, target, keep=spoilt > 0)
    return Repair(target, sum(writer.counts.values()), ((last or 0) - (first or 0)) * 1e-9, lost, spoilt, kept)


def _take_place(work: Path, source: Path, target: Path, keep: bool) -> Path | None:
    """Put the repaired bag under its name; where the original is kept."""
    if source != target:
        put_in_place(work, target)
        if source.is_file() or keep:
            return source
        shutil.rmtree(source)
        return None
    _exchange(work, target)  # the damaged one is now in `work`
    if not keep:
        shutil.rmtree(work)
        return None
    kept = target.with_name(target.name + DAMAGED)
    while kept.exists():
        kept = kept.with_name(kept.name + "_")
    return work.rename(kept)


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders at once; where the file system cannot, one after the other."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE) == 0:
        return
    aside = other.with_name(other.name + DAMAGED)
    other.rename(aside)
    one.rename(other)
    aside.rename(one)


def _source(path: Path) -> Path:
    """What to repair, when the name of a bag was given that never got it."""
    partial = growing(path)
    if path.exists() or not partial.exists():
        if not path.exists():
            raise TrainingError(f"{path}: no such bag, and no {partial.name} beside it; name what is to be repaired.")
        if path.is_file() and path.suffix != ".mcap":
            raise TrainingError(f"{path}: only MCAP bags can be repaired.")
        return path
    return partial


def _is_whole(source: Path) -> bool:
    if source.name.endswith(PARTIAL) or not is_bag(source):
        return False
    try:
        with open_bag(source):
            return True
    except TrainingError:
        return False


def _files(source: Path) -> list[Path]:
    """The MCAP files of a bag in their order."""
    if source.is_file():
        return [source]
    listed = [source / Path(name).name for name in _metadata(source).get("relative_file_paths") or ()]
    if listed and all(file.is_file() for file in listed):
        return [file for file in listed if file.suffix == ".mcap"]

    def number(file: Path) -> tuple[int, str]:
        match = re.search(r"_(\d+)$", file.stem)
        return (int(match.group(1)) if match else -1), file.name

    return sorted(source.rglob("*.mcap"), key=number)


def _metadata(source: Path) -> dict[str, Any]:
    """What metadata.yaml says; nothing where it cannot be read."""
    try:
        content = yaml.safe_load((source / METADATA).read_text())["rosbag2_bagfile_information"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        return {}
    return content if isinstance(content, dict) else {}


def _notes(source: Path) -> dict[str, str]:
    notes = _metadata(source).get("custom_data")
    return {str(key): str(value) for key, value in notes.items()} if isinstance(notes, dict) else {}


def _topic(channel: Channel, schema: Schema, source: Path) -> BagTopic:
    if channel.message_encoding != "cdr":
        raise TrainingError(f"{source}: {channel.topic} is encoded as {channel.message_encoding}; only cdr is known.")
    try:
        qos: list[Any] = [*dump_qos_v9(parse_qos(channel.metadata.get("offered_qos_profiles", "")))]
    except (ReaderError, KeyError, TypeError, AttributeError):
        qos = []
    digest = channel.metadata.get("topic_type_hash", "")
    if not digest and schema.name in typestore().fielddefs:
        digest = typestore().hash_rihs01(schema.name)
    return BagTopic(channel.topic, schema.name, schema.data.decode("utf8", "replace"), schema.encoding, digest, qos)
