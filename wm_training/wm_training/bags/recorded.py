"""Messages in the order in which they were recorded, also where the log time of a bag runs backwards.

rosbags sorts the messages of a file by log time: two drives of a simulator whose clock began anew come out as one. Here
each stretch is sorted for itself.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Collection, Iterator
from typing import Any

import zstandard
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader
from rosbags.rosbag2.storage_mcap import ChunkInfo, McapReader

from wm_training.bags.resets import JUMP_NS

Recorded = tuple[Connection, int, bytes]
INDEX_HEAD = struct.Struct("<BQHI")  # opcode, length, channel, bytes of the pairs behind it
MESSAGE_INDEX = 7


def recorded(reader: Reader, connections: Collection[Connection]) -> Iterator[Recorded]:
    """Connection, log time (ns) and bytes of each message; those of one stretch by log time."""
    if not any(_jumps(storage)[0] for storage in _storages(reader)):
        yield from reader.messages(connections)
        return
    wanted = {(c.topic, c.msgtype): c for c in reversed([*connections])}
    packed = reader.compression_mode == "message"
    for storage in _storages(reader):
        messages = _by_stretch(storage) if isinstance(storage, McapReader) else storage.messages(storage.connections)
        for connection, stamp, raw in messages:
            if chosen := wanted.get((connection.topic, connection.msgtype)):
                yield chosen, stamp, zstandard.ZstdDecompressor().decompressobj().decompress(raw) if packed else raw


def log_jumps(reader: Reader) -> list[int]:
    """How far the log time runs back, ns, each time that it does."""
    jumps: list[int] = []
    highest = -1
    for storage in _storages(reader):
        found, highest = _jumps(storage, highest)
        jumps += found
    return jumps


def _storages(reader: Reader) -> list[Any]:
    """A reader a file."""
    return list(getattr(reader.storage, "storages", [reader.storage]))


def _jumps(storage: Any, highest: int = -1) -> tuple[list[int], int]:
    """Jumps back in one file from its index alone, and its time at the end. `highest`: time at the end of the last.

    Inside of other than indexed MCAP files none is seen.
    """
    jumps: list[int] = []
    chunks = storage.chunks if isinstance(storage, McapReader) else []
    for chunk in sorted((c for c in chunks if c.message_index_offsets), key=lambda c: c.chunk_start_offset):
        first, last = chunk.message_start_time, chunk.message_end_time
        is_plain = last - first <= JUMP_NS and highest - first <= JUMP_NS
        for stamp in (first, last) if is_plain else _stamps(storage, chunk):
            if highest - stamp > JUMP_NS:
                jumps.append(highest - stamp)
                highest = stamp
            highest = max(highest, stamp)
    if not chunks and storage.metadata.message_count:
        if highest - storage.metadata.start_time > JUMP_NS:
            jumps.append(highest - storage.metadata.start_time)
        highest = storage.metadata.end_time
    return jumps, highest


def _stamps(storage: McapReader, chunk: ChunkInfo) -> list[int]:
    """Log times of a chunk's messages, in the order in which they were written."""
    found: list[tuple[int, int]] = []
    assert storage.bio
    for at in chunk.message_index_offsets.values():
        storage.bio.seek(at)
        opcode, _, _, size = INDEX_HEAD.unpack(storage.bio.read(INDEX_HEAD.size))
        if opcode == MESSAGE_INDEX:
            found += [(offset, stamp) for stamp, offset in struct.iter_unpack("<QQ", storage.bio.read(size))]
    return [stamp for _, stamp in sorted(found)]


def _by_stretch(storage: McapReader) -> Iterator[Recorded]:
    """Messages of a file, sorted within as much time as a stretch may go back."""
    waiting: list[tuple[int, int, Connection, bytes]] = []
    highest = -1
    for number, (connection, stamp, raw) in enumerate(storage.messages_scan(storage.connections)):
        if highest - stamp > JUMP_NS:
            yield from _all(waiting)
            highest = stamp
        highest = max(highest, stamp)
        heapq.heappush(waiting, (stamp, number, connection, raw))
        while highest - waiting[0][0] > JUMP_NS:
            first, _, its, message = heapq.heappop(waiting)
            yield its, first, message
    yield from _all(waiting)


def _all(waiting: list[tuple[int, int, Connection, bytes]]) -> Iterator[Recorded]:
    while waiting:
        stamp, _, connection, raw = heapq.heappop(waiting)
        yield connection, stamp, raw
