"""What becomes of a stream of serialised messages under a fault. No ROS import.

A disturbance is called once a message, in the order of arrival, and answers what goes on, and when.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from wm_bringup.faults.fault import StreamKind

DELAY_S = 0.4  # beyond what any consumer may call fresh
LOST = 0.5  # part of the messages that a lossy link loses
BITS_FLIPPED_IN = 64  # bytes: one bit in each so many, and at least MIN_FLIPS
MIN_FLIPS = 8
ENCAPSULATION = 4  # bytes before the content of a serialised message; says how to read it

Delivery = tuple[float, bytes]  # s to wait, serialised message


class Disturbance(Protocol):
    """What a fault does to messages."""

    def __call__(self, message: bytes, before: bytes) -> list[Delivery]:
        """What goes out instead of `message`. `before`: the last message that went before the fault began."""
        ...


@dataclass
class Lane:
    """The way of one topic from its publisher to its subscribers."""

    disturbance: Disturbance | None = None
    touched: int = 0  # messages under the present disturbance
    _before: bytes = b""

    def disturb(self, disturbance: Disturbance | None) -> None:
        self.disturbance, self.touched = disturbance, 0

    def passes(self, message: bytes) -> list[Delivery]:
        """What goes out now or later for one message that came in."""
        if self.disturbance is None:
            self._before = message
            return [(0.0, message)]
        self.touched += 1
        return self.disturbance(message, self._before or message)


def freeze(message: bytes, before: bytes) -> list[Delivery]:
    """The last message again and again, old stamp and all."""
    return [(0.0, before)]


def drop(message: bytes, before: bytes) -> list[Delivery]:
    return []


@dataclass
class Delay:
    """Every message comes so much later."""

    wait_s: float

    def __call__(self, message: bytes, before: bytes) -> list[Delivery]:
        return [(self.wait_s, message)]


def duplicate(message: bytes, before: bytes) -> list[Delivery]:
    return [(0.0, message), (0.0, message)]


@dataclass
class Reorder:
    """Of every two messages the second goes first."""

    _held: bytes | None = None

    def __call__(self, message: bytes, before: bytes) -> list[Delivery]:
        if self._held is None:
            self._held = message
            return []
        held, self._held = self._held, None
        return [(0.0, message), (0.0, held)]


@dataclass
class Lossy:
    """Every message is lost with the same probability."""

    rng: np.random.Generator

    def __call__(self, message: bytes, before: bytes) -> list[Delivery]:
        return [] if self.rng.random() < LOST else [(0.0, message)]


@dataclass
class Corrupt:
    """Random bits of the content are flipped: lengths, stamps and text as well as numbers."""

    rng: np.random.Generator

    def __call__(self, message: bytes, before: bytes) -> list[Delivery]:
        content = np.frombuffer(message, np.uint8).copy()
        if len(content) > ENCAPSULATION:
            count = max(MIN_FLIPS, len(content) // BITS_FLIPPED_IN)
            places = self.rng.integers(ENCAPSULATION, len(content), count)
            np.bitwise_xor.at(content, places, np.uint8(1) << self.rng.integers(0, 8, count).astype(np.uint8))
        return [(0.0, content.tobytes())]


@dataclass
class Rewrite:
    """Every message is read, changed and written again; `change(message, before)` answers the message to send."""

    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]
    change: Callable[[Any, Any], Any]
    _before: Any = field(default=None, repr=False)

    def __call__(self, message: bytes, before: bytes) -> list[Delivery]:
        if self._before is None:
            self._before = self.read(before)
        return [(0.0, self.write(self.change(self.read(message), self._before)))]


def stuck(message: Any, before: Any) -> Any:
    """The content of the last message under the stamps of the new one: the sensor hangs, its driver lives."""
    for name in ("header", "seq", "source_stamp"):
        if hasattr(message, name):
            setattr(before, name, getattr(message, name))
    return before


def disturbance(
    kind: StreamKind, read: Callable[[bytes], Any], write: Callable[[Any], bytes], seed: int, delay_s: float = DELAY_S
) -> Disturbance:
    """A fresh disturbance. read, write: (de)serialise a message of the topic; seed: of what is random."""
    if kind == "stuck":
        return Rewrite(read, write, stuck)
    if kind == "lossy":
        return Lossy(np.random.default_rng(seed))
    if kind == "corrupt":
        return Corrupt(np.random.default_rng(seed))
    if kind == "delay":
        return Delay(delay_s)
    if kind == "reorder":
        return Reorder()
    simple: dict[str, Disturbance] = {"freeze": freeze, "drop": drop, "duplicate": duplicate}
    return simple[kind]
