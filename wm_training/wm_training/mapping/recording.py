"""Reading the messages that a mapping names: ROS 2 bags (MCAP, SQLite) and ROS 1 bags, by their own definitions."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.highlevel.anyreader import AnyReaderError
from rosbags.interfaces import Connection
from rosbags.rosbag1 import ReaderError as ReaderError1
from rosbags.rosbag2 import Reader as Reader2
from rosbags.rosbag2 import ReaderError as ReaderError2

from wm_training.bags.reader import PARTIAL_HINT
from wm_training.bags.recorded import recorded
from wm_training.bags.resets import timeline
from wm_training.bags.schema import typestore
from wm_training.errors import TrainingError
from wm_training.mapping.join import forward
from wm_training.mapping.pictures import picture
from wm_training.mapping.spec import Mapping, Source
from wm_training.mapping.values import VALUES, scalar

UNREADABLE = (AnyReaderError, struct.error, ValueError, IndexError, TypeError, KeyError, OverflowError, AssertionError)


@dataclass
class Series:
    """What one field was at the stamps of its topic. Stamps increase; values are finite where they are numbers."""

    topic: str
    stamps: np.ndarray  # int64[N], ns
    values: (
        np.ndarray
    )  # float64[N, ...]; object[N] of polylines [M, 2] for a route; int64[N] message numbers of pictures


@dataclass
class Recording:
    """All that a mapping finds in a bag but the pictures, and what was left out, in sentences."""

    series: dict[str, Series] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@contextmanager
def open_any(bag: Path) -> Iterator[AnyReader]:
    """A bag of any kind opened for reading; whatever is wrong with it comes as one sentence."""
    try:
        with AnyReader([bag], default_typestore=typestore()) as reader:
            yield reader
    except (AnyReaderError, ReaderError1, ReaderError2) as error:
        raise TrainingError(
            f"{bag}: {str(error).rstrip('.')}; record it again, or repair it with `wm info {bag} --repair`."
        ) from error
    except (struct.error, EOFError, OSError, UnicodeDecodeError, AssertionError) as error:
        raise TrainingError(f"{bag}: cannot be read; {PARTIAL_HINT.format(path=bag)}.") from error


def in_order(reader: AnyReader, connections: list[Connection]) -> Iterator[tuple[Connection, int, bytes]]:
    """Connection, log time (ns) and bytes of each message, in the order of recording."""
    (inner,) = reader.readers
    yield from recorded(inner, connections) if isinstance(inner, Reader2) else reader.messages(connections)


def find_connections(reader: AnyReader, topic: str) -> list[Connection]:
    """All connections of a topic by its full name, with or without the slash in front."""
    return [c for c in reader.connections if c.topic.lstrip("/") == topic.lstrip("/")]


def record_of(bag: Path, mapping: Mapping) -> Recording:
    """Every field of the mapping that comes from a topic. TrainingError names bag, topic and what to do."""
    out = Recording()
    with open_any(bag) as reader:
        chosen = _connections(bag, reader, mapping)
        readers = {topic: _TopicReader(bag, reader, mapping, topic) for topic in chosen}
        by_id = {c.id: topic for topic, connections in chosen.items() for c in connections}
        messages = in_order(reader, [c for cs in chosen.values() for c in cs])
        for number, (connection, log_ns, raw) in enumerate(messages):
            readers[by_id[connection.id]].add(connection.msgtype, number, log_ns, raw)
        stamps = {topic: topic_reader.all_stamps() for topic, topic_reader in readers.items()}
        order = {topic: np.array(topic_reader.order, np.int64) for topic, topic_reader in readers.items()}
        line = timeline(stamps, order, mapping.sources["camera"].topic)
        out.notes += filter(None, [line.note(bag)])
        for topic, topic_reader in readers.items():
            topic_reader.finish(stamps[topic] + line.shifts[topic], out)
    _check_overlap(bag, out)
    return out


def pictures_of(bag: Path, mapping: Mapping, numbers: np.ndarray) -> np.ndarray:
    """Pictures of the camera's messages `numbers` [T] (non-decreasing), uint8[T, 64, 64, 3], one decoded at a time."""
    out = np.zeros((len(numbers), 64, 64, 3), np.uint8)
    topic = mapping.sources["camera"].topic
    with open_any(bag) as reader:
        for number, (connection, _, raw) in enumerate(in_order(reader, find_connections(reader, topic))):
            first, end = np.searchsorted(numbers, [number, number + 1])
            if first == end:
                continue
            try:
                out[first:end] = picture(reader.deserialize(raw, connection.msgtype), mapping.crop)
            except TrainingError as error:
                raise TrainingError(f"{bag}: topic {topic}: {error}.") from error
            except UNREADABLE as error:
                raise TrainingError(f"{bag}: topic {topic}: picture {number} is damaged; record it again.") from error
    return out


def topic_problem(reader: AnyReader, mapping: Mapping, topic: str, names: list[str]) -> str:
    """What keeps the fields `names` from being read from a topic, and what to do; empty where nothing does."""
    connections, wanted = find_connections(reader, topic), ", ".join(names)
    if not connections:
        there = ", ".join(sorted({c.topic for c in reader.connections})) or "none"
        return f"topic {topic} is not in the bag, it holds {there}; correct the topic of {wanted} in {mapping.path}"
    if not any(c.msgcount for c in connections):
        return f"topic {topic} has no message; record it, or take {wanted} from another topic"
    for source in (mapping.sources[name] for name in names):
        if source.type and _bare(connections[0].msgtype) != _bare(source.type):
            return f"topic {topic} is {connections[0].msgtype}, expected {source.type}; correct {mapping.path}"
    return ""


def _connections(bag: Path, reader: AnyReader, mapping: Mapping) -> dict[str, list[Connection]]:
    for topic, names in mapping.topics().items():
        if problem := topic_problem(reader, mapping, topic, names):
            raise TrainingError(f"{bag}: {problem}.")
    return {topic: find_connections(reader, topic) for topic in mapping.topics()}


def _bare(msgtype: str) -> str:
    return msgtype.replace("/msg/", "/")


def _check_overlap(bag: Path, recording: Recording) -> None:
    camera = recording.series["camera"]
    for name, series in recording.series.items():
        if name == "route" or not len(series.stamps):
            continue
        if series.stamps[-1] < camera.stamps[0] or series.stamps[0] > camera.stamps[-1]:
            raise TrainingError(f"{bag}: topics {camera.topic} and {series.topic} share no time; their clocks differ, "
                                "so write `stamps: log` into the mapping.")  # fmt: skip


class _TopicReader:
    """Gathers stamps and values of one topic's messages."""

    def __init__(self, bag: Path, reader: AnyReader, mapping: Mapping, topic: str):
        self.bag, self.reader, self.topic, self.by_log = bag, reader, topic, mapping.stamps == "log"
        self.is_camera = mapping.sources["camera"].topic == topic
        names = [n for n in mapping.topics()[topic] if n != "camera"]
        self.sources = {name: mapping.sources[name] for name in names}
        self.stamps: list[int] = []
        self.order: list[int] = []  # numbers of its messages in the recording
        self.values: dict[str, list[Any]] = {name: [] for name in names}
        self.getters: dict[str, Callable[[Any], Any]] = {}
        self.damaged = 0
        self.headers: dict[str, bool] = {}

    def add(self, msgtype: str, number: int, log_ns: int, raw: bytes) -> None:
        """Take in one message; one that cannot be read is counted."""
        stamp = log_ns if self.by_log else self._stamp(msgtype, log_ns, raw)
        if not self.sources:  # the camera's pictures are decoded later, and only those that are used
            self.stamps.append(stamp)
            self.order.append(number)
            return
        try:
            message = self.reader.deserialize(raw, msgtype)
        except UNREADABLE:
            self.damaged += 1
            return
        values = {name: self._value(name, source, message, msgtype) for name, source in self.sources.items()}
        self.stamps.append(stamp)
        self.order.append(number)
        for name, value in values.items():
            self.values[name].append(value)

    def _value(self, name: str, source: Source, message: Any, msgtype: str) -> Any:
        try:
            return VALUES.get(name, scalar)(message, source.field)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            there = ", ".join(getattr(message, "__dataclass_fields__", {}))
            raise TrainingError(f"{self.bag}: topic {self.topic}: {name} cannot be read from {source.field!r} of "
                                f"{msgtype}, which has {there}; correct the mapping.") from error  # fmt: skip

    def _stamp(self, msgtype: str, log_ns: int, raw: bytes) -> int:
        """Header stamp, ns, read from where every header has it; the log time where there is none or it is zero."""
        if msgtype not in self.headers:
            members = self.reader.typestore.fielddefs[msgtype][1]
            self.headers[msgtype] = bool(members) and members[0][1][1] == "std_msgs/msg/Header"
        if not self.headers[msgtype] or len(raw) < 12:
            return log_ns
        order = "<" if not self.reader.is2 or raw[1] & 1 else ">"
        seconds, nanoseconds = struct.unpack_from(f"{order}II", raw, 4)  # behind CDR's four bytes, or ROS 1's seq
        return seconds * 1_000_000_000 + nanoseconds or log_ns

    def all_stamps(self) -> np.ndarray:
        """Of every message that could be read, in the order of recording. int64[N], ns"""
        if not self.stamps:
            raise TrainingError(f"{self.bag}: topic {self.topic}: no message can be read; record it again.")
        return np.array(self.stamps, np.int64)

    def finish(self, stamps: np.ndarray, out: Recording) -> None:
        """Put the series into `out`, without damaged messages, numbers that are none, and time that runs backwards.

        stamps: those of its messages, int64[N], ns.
        """
        if self.damaged:
            out.notes.append(f"{self.bag}: topic {self.topic}: {self.damaged} messages do not fit their definition "
                             "and are left out.")  # fmt: skip
        kept = forward(stamps)
        if len(kept) < len(stamps):
            out.notes.append(f"{self.bag}: topic {self.topic}: {len(stamps) - len(kept)} of {len(stamps)} messages are "
                             "left out because time does not go forward there.")  # fmt: skip
        if self.is_camera:
            out.series["camera"] = Series(self.topic, stamps[kept], kept)
        for name, values in self.values.items():
            out.series[name] = self._series(name, stamps, kept, values, out)

    def _series(self, name: str, stamps: np.ndarray, kept: np.ndarray, values: list[Any], out: Recording) -> Series:
        if name == "route":
            polylines = np.empty(len(values), object)
            polylines[:] = values
            return Series(self.topic, stamps[kept], polylines[kept])
        array = np.array(values, np.float64)[kept]
        good = np.isfinite(array).reshape(len(array), -1).all(1)
        if not good.all():
            out.notes.append(f"{self.bag}: topic {self.topic}: {int((~good).sum())} messages whose {name} is not "
                             "finite are left out.")  # fmt: skip
        return Series(self.topic, stamps[kept][good], array[good])
