"""Writing a bag: all of it or nothing under its name."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any

from rosbags.typesys.store import Typestore

from wm_perception.durable import put_in_place, settle, write_text
from wm_training.bags.mcap_file import McapFile, Opener, open_new
from wm_training.bags.metadata import BagFile, BagTopic, information, metadata_yaml, plain, to_yaml
from wm_training.bags.schema import typestore
from wm_training.errors import TrainingError

PARTIAL = ".partial"
METADATA = "metadata.yaml"


@dataclass(frozen=True)
class WriterConfig:
    """How a bag is laid out on the disk."""

    compress: bool = False  # chunks by zstd
    split_bytes: int = 0  # a new file once one has so many; 0: never
    split_ns: int = 0  # a new file after so much log time; 0: never
    flush_ns: int = 0  # everything older than this, by log time, is on the disk; 0: chunks as they fill


class BagWriter:
    """An MCAP bag of rosbag2 metadata version 9, from serialised messages.

    It grows in `<name>.partial/` and takes its name on `close`. `abort`, or an exception in the `with` block, leaves
    nothing. A killed writer leaves `<name>.partial/`, which `repair` makes a bag of.
    """

    def __init__(
        self,
        path: Path | str,
        config: WriterConfig | None = None,
        *,
        compress: bool = False,
        partial: Path | None = None,
        opener: Opener = open_new,
    ) -> None:
        """`partial`: where it grows, if not beside its name. `opener`: makes the files."""
        self.path = Path(path)
        self.config = config or WriterConfig(compress=compress)
        self._opener = opener
        self._partial = partial or growing(self.path)
        if partial is None and self.path.exists():
            raise TrainingError(f"{self.path} exists already; choose another name or remove it.")
        self._make_folder()
        self._lock = lock_folder(self._partial)
        self._topics: dict[str, BagTopic] = {}
        self._channels: dict[str, int] = {}
        self._notes: dict[str, str] = {}
        self._done: list[BagFile] = []
        self._previous: McapFile | None = None  # the one before; open, in case that the last one finds no room
        self.counts: dict[str, int] = {}  # messages taken, by topic
        self._begin_file()

    def _make_folder(self) -> None:
        try:
            self._partial.mkdir(parents=True)
        except FileExistsError:
            if is_locked(self._partial):
                raise TrainingError(f"{self._partial} is being written; choose another name.") from None
            raise TrainingError(
                f"{self._partial} was left by a killed process; make a bag of it with `wm info {self.path} --repair`, "
                "or remove it, or choose another name."
            ) from None
        except OSError as error:
            raise TrainingError(f"{self.path} cannot be written: {error.strerror}; choose another folder.") from error

    def _begin_file(self) -> None:
        name = f"{self.path.name}_{len(self._done)}.mcap"
        path = self._partial / name
        try:
            self._file = McapFile(path, compress=self.config.compress, opener=self._opener)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self._schemas: dict[str, int] = {}
        self._first_ns = self._flushed_ns = self._last_ns = -1
        for topic in self._topics.values():
            self._announce(topic)

    def add_topic(self, topic: str, msgtype: str, qos: Sequence[Mapping[str, Any]] = ()) -> None:
        """Announce a topic of a known type by its full name (`/scan`), with the QoS offered, as in version 9."""
        self.announce(described(topic, msgtype, typestore(), qos))

    def announce(self, topic: BagTopic) -> None:
        """Announce a topic of any type."""
        self._topics[topic.name] = topic
        self.counts[topic.name] = 0
        self._announce(topic)

    def _announce(self, topic: BagTopic) -> None:
        if topic.type not in self._schemas:
            self._schemas[topic.type] = self._file.add_schema(topic.type, topic.encoding, topic.definition)
        metadata = {"offered_qos_profiles": to_yaml(plain(topic.qos)).strip() if topic.qos else ""}
        metadata["topic_type_hash"] = topic.hash
        self._channels[topic.name] = self._file.add_channel(topic.name, self._schemas[topic.type], metadata)

    def write(self, topic: str, stamp_ns: int, cdr: bytes | memoryview) -> None:
        """Append one serialised message. Stamps are log times, ns. OSError: it, and up to a chunk before it, is lost.

        The bag may be closed after that; it is then whole up to there.
        """
        config = self.config
        if self._first_ns < 0:
            self._first_ns = self._flushed_ns = stamp_ns
        elif (config.split_ns and stamp_ns - self._first_ns >= config.split_ns) or (
            config.split_bytes and self._file.size >= config.split_bytes
        ):
            self.split()
            self._first_ns = self._flushed_ns = stamp_ns
        elif config.flush_ns and not 0 <= stamp_ns - self._flushed_ns < config.flush_ns:
            self._file.flush()
            self._flushed_ns = stamp_ns
        self._file.write(self._channels[topic], stamp_ns, cdr)
        self._last_ns = stamp_ns
        self.counts[topic] += 1

    def flush(self) -> None:
        """Put every message so far on the disk."""
        self._file.flush()
        self._flushed_ns = self._last_ns

    def split(self) -> None:
        """Finish the file and go on in a new one."""
        self._file.flush()
        file = self._seal()
        sealed = self._file
        self._done.append(file)
        try:
            self._begin_file()
        except OSError:
            self._done.pop()  # it stays the last one, to be sealed again
            raise
        if self._previous is not None:
            self._previous.close()
        self._previous = sealed
        Thread(target=_settle_soon, args=(sealed.path,), daemon=True).start()

    def note(self, key: str, value: str) -> None:
        """Put a line into the metadata's custom_data."""
        self._notes[key] = value

    def finish(self) -> None:
        """Finish the bag where it grew, on the disk. On a full disk its last messages make room for its index."""
        try:
            self._file.flush()
        except OSError as error:
            _only_full(error)
        self._done.append(self._seal(with_metadata=True))
        self._close_files()
        try:
            settle(self._partial)
        finally:
            os.close(self._lock)

    def close(self) -> Path:
        """Finish the bag and give it its name."""
        self.finish()
        put_in_place(self._partial, self.path)
        return self.path

    @property
    def in_bag(self) -> int:
        """Messages in the closed bag: those taken, but for what a full disk had no room for."""
        return sum(sum(file.counts.values()) for file in self._done)

    def _seal(self, with_metadata: bool = False) -> BagFile:
        """Write the index of the file, and metadata.yaml where asked to."""
        while True:
            counts = self._file.counts
            by_topic = {topic: counts[channel] for topic, channel in self._channels.items()}
            file = BagFile(self._file.path.name, by_topic, self._file.span_ns)
            known = information([*self._topics.values()], [*self._done, file], self._notes)
            try:
                self._file.finish(to_yaml(known).strip())
                if with_metadata:
                    write_text(self._partial / METADATA, metadata_yaml(known), self._partial / f"{METADATA}.tmp")
                return file
            except OSError as error:
                _only_full(error)
                if not self._file.give_up_chunk() and not self._go_back():
                    raise

    def _go_back(self) -> bool:
        """Drop the last file and make the one before it the last; False when there is none."""
        if self._previous is None:
            return False
        self._file.close()
        self._file.path.unlink()
        self._file, self._previous = self._previous, None
        self._done.pop()
        return True

    def _close_files(self) -> None:
        for file in (self._file, self._previous):
            if file is not None:
                file.close()

    def abandon(self) -> None:
        """Leave what was written as a killed process would, for a repair."""
        self._close_files()
        os.close(self._lock)

    def abort(self) -> None:
        """Drop what was written."""
        self._close_files()
        shutil.rmtree(self._partial, ignore_errors=True)
        os.close(self._lock)

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


def described(topic: str, msgtype: str, store: Typestore, qos: Sequence[Mapping[str, Any]] = ()) -> BagTopic:
    """A topic whose type a typestore knows."""
    definition, _ = store.generate_msgdef(msgtype, ros_version=2)
    return BagTopic(topic, msgtype, definition, "ros2msg", store.hash_rihs01(msgtype), plain(qos))


def growing(path: Path) -> Path:
    """Where the bag `path` grows until it is closed."""
    return path.with_name(path.name + PARTIAL)


def free_name(path: Path) -> Path:
    """`path`, or PATH-2, PATH-3 and so on, the first that is no bag and nothing that a killed writer left."""
    names = (path if number == 1 else path.with_name(f"{path.name}-{number}") for number in itertools.count(1))
    return next(name for name in names if not name.exists() and not growing(name).exists())


def lock_folder(folder: Path) -> int:
    """Hold a folder for as long as the returned descriptor is open."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise TrainingError(f"{folder} is being written; stop the recorder first.") from None
    return descriptor


def is_locked(folder: Path) -> bool:
    """Whether somebody is writing there."""
    try:
        os.close(lock_folder(folder))
    except TrainingError:
        return True
    return False


def is_full(error: OSError) -> bool:
    """Whether it says that the disk has no room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _only_full(error: OSError) -> None:
    if not is_full(error):
        raise error


def _settle_soon(path: Path) -> None:
    """Beside the recording: what fails here is seen when the bag is finished."""
    with suppress(OSError):
        settle(path)
