"""Many CDR messages at once, as one numpy table.

Messages of one topic nearly always share a layout: strings and sequences keep their lengths, so fields keep their
offsets. `Layout.of` finds those by walking one message; a thousand messages are then encoded by filling columns of
a structured array, and decoded by viewing their bytes as one. Messages of another layout form another table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys.store import Typestore

from wm_training.bags.schema import NUMPY_TYPES, serialise, typestore
from wm_training.errors import TrainingError

ENCAPSULATION = 4  # bytes before the payload; alignment counts from behind them
LITTLE_ENDIAN = b"\x00\x01"
PADDING = 3  # bytes that a middleware may append to reach a multiple of four
MAX_ELEMENTS = 64  # sequences of messages longer than this are left to rosbags


@dataclass(frozen=True)
class Layout:
    """Where each field of a message lies. Nested names are joined by dots: `header.stamp.sec`."""

    msgtype: str
    dtype: np.dtype  # structured, explicit offsets, itemsize = size of the message
    lengths: tuple[tuple[int, int], ...]  # (offset, value) of each length word: what must agree
    example: bytes

    @classmethod
    def of(cls, raw: bytes | memoryview, msgtype: str, types: Typestore | None = None) -> Layout:
        """The layout of one message by `types`, ours unless given. TrainingError where its bytes do not fit."""
        walker = _Walker(bytes(raw), types or typestore())
        try:
            end = walker.message(msgtype, ENCAPSULATION, "")
        except (IndexError, ValueError, KeyError) as error:
            raise TrainingError(f"{msgtype}: a message of {len(raw)} bytes does not fit its definition.") from error
        if not end <= len(raw) <= end + PADDING:
            raise TrainingError(f"{msgtype}: a message has {len(raw)} bytes where its definition gives {end}.")
        names, formats, offsets = zip(*walker.fields, strict=True) if walker.fields else ((), (), ())
        spec: Any = {"names": names, "formats": formats, "offsets": offsets, "itemsize": end}
        return cls(msgtype, np.dtype(spec), tuple(walker.lengths), bytes(raw[:end]))

    def fits(self, raw: bytes | memoryview) -> bool:
        """True where `raw` has this layout."""
        if not self.dtype.itemsize <= len(raw) <= self.dtype.itemsize + PADDING or raw[:2] != LITTLE_ENDIAN:
            return False
        return all(int.from_bytes(raw[at : at + 4], "little") == length for at, length in self.lengths)

    def table(self, count: int) -> np.ndarray:
        """`count` copies of the example, to be filled column by column. [count], structured."""
        return np.frombuffer(bytearray(self.example * count), self.dtype)

    def view(self, messages: Sequence[bytes]) -> np.ndarray:
        """Messages that fit, as one structured array. [N]"""
        size = self.dtype.itemsize
        return np.frombuffer(b"".join(raw if len(raw) == size else raw[:size] for raw in messages), self.dtype)


@lru_cache(maxsize=256)
def _layout_like(msgtype: str, raw: bytes) -> Layout:
    return Layout.of(raw, msgtype)


def layout_of_values(msgtype: str, **values: Any) -> Layout:
    """The layout, with example, of the message that has these values and zeros elsewhere."""
    return _layout_like(msgtype, serialise(msgtype, values))


def rows(table: np.ndarray) -> list[memoryview]:
    """The messages of a filled table, without copying."""
    buffer, size = table.view(np.uint8).data, table.dtype.itemsize
    return [buffer[at : at + size] for at in range(0, size * len(table), size)]


def stamps_ns(table: np.ndarray, prefix: str = "header.stamp") -> np.ndarray:
    """Stamps of a table's messages. int64[N], ns"""
    return table[f"{prefix}.sec"].astype(np.int64) * 1_000_000_000 + table[f"{prefix}.nanosec"]


def decode(
    messages: Sequence[bytes], msgtype: str, types: Typestore | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Decode any number of messages by `types`: (indices int64[n], table [n]) for each layout that occurs."""
    left = np.arange(len(messages))
    groups: list[tuple[np.ndarray, np.ndarray]] = []
    while len(left):
        first = messages[left[0]]
        if first[:2] != LITTLE_ENDIAN:
            raise TrainingError(f"{msgtype}: big-endian messages are not supported; record on a little-endian machine.")
        layout = Layout.of(first, msgtype, types)
        fits = np.array([layout.fits(messages[i]) for i in left.tolist()], np.bool_)
        groups.append((left[fits], layout.view([messages[i] for i in left[fits].tolist()])))
        left = left[~fits]
    return groups


class _Walker:
    """Walks the bytes of one message along its definition and notes where the fields lie."""

    def __init__(self, raw: bytes, types: Typestore):
        self.raw, self.types = raw, types
        self.fields: list[tuple[str, Any, int]] = []  # name, format, offset
        self.lengths: list[tuple[int, int]] = []

    def message(self, msgtype: str, at: int, prefix: str) -> int:
        """Walk the fields of a message that starts at or behind `at`; returns where it ends."""
        for name, (kind, detail) in self.types.fielddefs[msgtype][1]:
            path = f"{prefix}{name}"
            if kind in (Nodetype.BASE, Nodetype.NAME):
                at = self._value(kind, detail, at, path)
            else:
                inner, count = cast("tuple[Any, int]", detail)
                at = self._array(inner, at, path, count if kind == Nodetype.ARRAY else None)
        return at

    def _value(self, kind: Nodetype, detail: Any, at: int, path: str) -> int:
        if kind == Nodetype.NAME:
            return self.message(detail, at, f"{path}.")
        if detail[0] == "string":
            at, length = self._length(at)
            self.fields.append((path, f"S{max(length - 1, 1)}", at))
            return at + length
        dtype = NUMPY_TYPES[detail[0]]
        at = _align(at, dtype.itemsize)
        self.fields.append((path, dtype, at))
        return at + dtype.itemsize

    def _array(self, inner: tuple[Nodetype, Any], at: int, path: str, count: int | None) -> int:
        kind, detail = inner
        if count is None:
            at, count = self._length(at)
        if kind == Nodetype.BASE and detail[0] != "string":
            dtype = NUMPY_TYPES[detail[0]]
            at = _align(at, dtype.itemsize) if count else at
            self.fields.append((path, (dtype, (count,)), at))
            return at + count * dtype.itemsize
        if count > MAX_ELEMENTS:
            raise ValueError(path)
        for index in range(count):
            at = self._value(kind, detail, at, f"{path}.{index}")
        return at

    def _length(self, at: int) -> tuple[int, int]:
        at = _align(at, 4)
        if at + 4 > len(self.raw):
            raise IndexError(at)
        length = int.from_bytes(self.raw[at : at + 4], "little")
        if at + 4 + length > len(self.raw):  # no element is smaller than a byte
            raise IndexError(at)
        self.lengths.append((at, length))
        return at + 4, length


def _align(at: int, size: int) -> int:
    return at + (ENCAPSULATION - at) % size
