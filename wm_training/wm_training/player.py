"""Replaying a bag, without ROS: which messages, when, and what the clock says meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.interfaces import Connection, QosDurability
from rosbags.rosbag2 import Reader

from wm_ros import topic_table as topics
from wm_training.bags.schema import typestore
from wm_training.errors import TrainingError


@dataclass(frozen=True)
class PlayerConfig:
    """What of a bag is played."""

    topics: tuple[str, ...] = ()  # names as recorded; (): all but the clock
    remap: Mapping[str, str] | None = None  # name as recorded: name to publish on
    start_s: float = 0.0  # of the bag left out at its beginning


class Message(NamedTuple):
    """One message to publish."""

    stamp_ns: int  # log time
    topic: str  # as published
    cdr: bytes


@dataclass(frozen=True)
class Channel:
    """A topic to publish on."""

    name: str
    type: str
    qos: Any  # rosbags' Qos as offered while recording; None: unknown
    latched: bool


class Tape:
    """The chosen messages of an open bag. TrainingError, one sentence, for what cannot be played."""

    def __init__(self, reader: Reader, path: Path, config: PlayerConfig) -> None:
        self.path, self._reader, self._config = path, reader, config
        if not reader.message_count:
            raise TrainingError(f"{path}: no message in it, so there is nothing to play.")
        if not 0.0 <= config.start_s * 1e9 < max(reader.duration, 1):
            raise TrainingError(
                f"--start {config.start_s:g}: the bag is {reader.duration * 1e-9:.1f} s long; begin within it."
            )
        self.start_ns = reader.start_time + round(config.start_s * 1e9)
        self.end_ns = reader.end_time - 1
        self._connections = self._chosen()
        names = {connection.topic: connection.topic for connection in self._connections} | dict(config.remap or {})
        self._names = names
        self.channels = {names[c.topic]: self._channel(c, names[c.topic]) for c in self._connections}

    def _chosen(self) -> list[Connection]:
        recorded = {connection.topic: connection for connection in self._reader.connections}
        named = [full(name) for name in self._config.topics]
        asked = [*named, *(self._config.remap or {})]
        unknown = [name for name in asked if name not in recorded]
        if unknown:
            raise TrainingError(f"{self.path}: no topic {', '.join(unknown)} in it; it has {', '.join(recorded)}.")
        chosen = named or list(recorded)
        return [c for name, c in recorded.items() if name in chosen and name != topics.CLOCK.name]

    def _channel(self, connection: Connection, name: str) -> Channel:
        digest = connection.digest
        known = typestore().hash_rihs01(connection.msgtype) if connection.msgtype in typestore().fielddefs else digest
        if digest and known != digest:
            raise TrainingError(
                f"{self.path}: {connection.topic} was recorded with another definition of {connection.msgtype}; leave "
                "it out by --topics, or play the bag with the version that recorded it."
            )
        offered = getattr(connection.ext, "offered_qos_profiles", None) or [None]
        latched = offered[0] is not None and offered[0].durability == QosDurability.TRANSIENT_LOCAL
        return Channel(name, connection.msgtype, offered[0], latched)

    def kept(self) -> Iterator[Message]:
        """The last message of every latched topic before the start: who joins at the start needs it."""
        latched = [c for c in self._connections if self.channels[self._names[c.topic]].latched]
        if not latched or self.start_ns <= self._reader.start_time:
            return
        newest: dict[str, Message] = {}
        for connection, stamp, raw in self._reader.messages(latched, stop=self.start_ns):
            newest[connection.topic] = Message(stamp, self._names[connection.topic], raw)
        yield from newest.values()

    def messages(self) -> Iterator[Message]:
        """Every chosen message from the start on, in order of log time. TrainingError where time runs backwards."""
        last = self.start_ns
        for connection, stamp, raw in self._reader.messages(self._connections, start=self.start_ns):
            if stamp < last:
                raise TrainingError(
                    f"{self.path}: time steps back by {(last - stamp) * 1e-9:.3f} s at {connection.topic}; "
                    f"`wm info {self.path}` tells what is in it, --start plays the part behind."
                )
            last = stamp
            yield Message(stamp, self._names[connection.topic], bytes(raw))


class Pace:
    """Where in the bag playing stands, by the wall; can be paused. Times of the wall in s, of the bag in ns."""

    def __init__(self, start_ns: int, rate: float, now: Callable[[], float]) -> None:
        self._now, self._rate = now, rate
        self._from_ns, self._from_s = start_ns, now()
        self.paused = False

    @property
    def at_ns(self) -> int:
        """The moment that is due."""
        if self.paused:
            return self._from_ns
        return self._from_ns + round((self._now() - self._from_s) * self._rate * 1e9)

    def pause(self, paused: bool) -> None:
        """Stand still, or go on from where it stands."""
        self.go_to(self.at_ns)
        self.paused = paused

    def go_to(self, stamp_ns: int) -> None:
        """Be at a moment now."""
        self._from_ns, self._from_s = stamp_ns, self._now()


class Player:
    """Hands out what is due. `due` and `step` give the messages to publish and move the clock."""

    def __init__(self, tape: Tape, rate: float, now: Callable[[], float]) -> None:
        self.tape = tape
        self.pace = Pace(tape.start_ns, rate, now)
        self.clock_ns = tape.start_ns
        self.played = 0
        self._messages = tape.messages()
        self._next = next(self._messages, None)

    @property
    def done(self) -> bool:
        """Whether everything has been handed out."""
        return self._next is None

    def rewind(self) -> None:
        """From the start again."""
        self._messages = self.tape.messages()
        self._next = next(self._messages, None)
        self.clock_ns = self.tape.start_ns
        self.pace.go_to(self.tape.start_ns)

    def due(self) -> list[Message]:
        """What has to be published by now."""
        if self.pace.paused:
            return []
        self.clock_ns = min(max(self.clock_ns, self.pace.at_ns), self.tape.end_ns)
        return self._until(self.clock_ns)

    def step(self) -> list[Message]:
        """Everything of the next moment that has a message; playing pauses there."""
        if self._next is not None:
            self.clock_ns = max(self.clock_ns, self._next.stamp_ns)
        self.pace.go_to(self.clock_ns)
        self.pace.paused = True
        return self._until(self.clock_ns)

    def _until(self, stamp_ns: int) -> list[Message]:
        found = []
        while self._next is not None and self._next.stamp_ns <= stamp_ns:
            found.append(self._next)
            self._next = next(self._messages, None)
        self.played += len(found)
        return found


def full(name: str) -> str:
    """A topic's full name (`scan`: `/scan`)."""
    return f"/{name.strip().lstrip('/')}"


def parse_topics(text: str) -> tuple[str, ...]:
    """Names separated by commas, in full."""
    return tuple(full(name) for name in text.split(",") if name.strip())


def parse_remaps(text: str) -> dict[str, str]:
    """`old:=new` pairs separated by commas."""
    remaps = {}
    for pair in (part.strip() for part in text.split(",") if part.strip()):
        old, arrow, new = pair.partition(":=")
        if not (arrow and old.strip("/ ") and new.strip("/ ")):
            raise TrainingError(f"--remap {pair}: write OLD:=NEW, as /scan:=/recorded/scan.")
        remaps[full(old)] = full(new)
    return remaps
