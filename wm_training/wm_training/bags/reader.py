"""Reading a bag, by whomever it was written."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.errors import ReaderError

from wm_training.bags.recorded import recorded
from wm_training.bags.writer import growing, is_locked
from wm_training.errors import TrainingError

CUT_WORDS = ("runcated", "magic", "footer", "empty", "size", "hecksum")  # what rosbags says of a bag cut short
PARTIAL_HINT = "it was cut off; `wm info {path} --repair` makes a bag of what is in it"


def find_bags(paths: Path | str | Collection[Path | str]) -> list[Path]:
    """The bag folders that `paths` name: bags themselves, or folders that hold bags. In order, each once."""
    given = [paths] if isinstance(paths, (str, Path)) else list(paths)
    found: dict[Path, None] = {}
    for path in map(Path, given):
        if not path.exists():
            raise TrainingError(f"{path}: no such bag; record one with `wm collect` or `wm record`.")
        if is_bag(path):
            found[path.resolve()] = None
            continue
        inside = sorted(p for p in path.iterdir() if is_bag(p)) if path.is_dir() else []
        if not inside:
            raise TrainingError(f"{path}: not a bag, and no bag in it; a bag is a folder with metadata.yaml in it.")
        found.update((p.resolve(), None) for p in inside)
    return list(found)


def is_bag(path: Path) -> bool:
    """True for a folder with metadata, and for a bare MCAP or SQLite file."""
    return (path / "metadata.yaml").is_file() or (path.is_file() and path.suffix in (".mcap", ".db3"))


@contextmanager
def open_bag(path: Path | str) -> Iterator[Reader]:
    """A bag opened for reading; whatever is wrong with it comes as one sentence."""
    path = Path(path)
    if not path.exists():
        partial = growing(path)
        if partial.exists() and is_locked(partial):
            raise TrainingError(f"{path}: still being written; stop the recorder, then read it.")
        if partial.exists():
            raise TrainingError(f"{path}: unfinished; {PARTIAL_HINT.format(path=path)}.")
        raise TrainingError(f"{path}: no such bag; record one with `wm collect` or `wm record`.")
    if path.is_dir() and not is_bag(path):
        unfinished = any(path.glob("*.mcap")) or any(path.glob("*/*.mcap"))
        raise TrainingError(
            f"{path}: not a bag, it has no metadata.yaml{f'; {PARTIAL_HINT.format(path=path)}' if unfinished else ''}."
        )
    try:
        with Reader(path) as reader:
            yield reader
    except ReaderError as error:
        message = str(error).rstrip(".")
        cut = any(word in message for word in CUT_WORDS)
        raise TrainingError(f"{path}: {message}{f'; {PARTIAL_HINT.format(path=path)}' if cut else ''}.") from error
    except (struct.error, EOFError, OSError, TypeError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path}: cannot be read; {PARTIAL_HINT.format(path=path)}.") from error


def find_topic(reader: Reader, name: str) -> Connection | None:
    """The connection of a topic by its relative name (`camera/image_raw`), whatever namespace it was recorded in."""
    bare = name.lstrip("/")
    matches = [c for c in reader.connections if c.topic.lstrip("/") == bare or c.topic.endswith(f"/{bare}")]
    return min(matches, key=lambda c: len(c.topic), default=None)


class RawTopic(NamedTuple):
    """The messages of a topic in the order of recording."""

    times: list[int]  # log times, ns
    messages: list[bytes]
    order: list[int]  # number among all messages that were read with them


def read_raw(reader: Reader, connections: Collection[Connection]) -> dict[str, RawTopic]:
    """The serialised messages of each connection, by topic."""
    found = {c.topic: RawTopic([], [], []) for c in connections}
    if connections:
        for number, (connection, stamp, raw) in enumerate(recorded(reader, connections)):
            topic = found[connection.topic]
            topic.times.append(stamp)
            topic.messages.append(raw)
            topic.order.append(number)
    return found
