"""One MCAP file that may be ended, or cut, at any moment: whole chunks only, the index rebuilt from them at the end.

The layout is that of the MCAP specification, version 0, with the records that rosbag2's storage plugin writes.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    Metadata,
    MetadataIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

MAGIC = b"\x89MCAP0\r\n"
LIBRARY = "wm_training"
CHUNK_BYTES = 1 << 20
MESSAGE = struct.Struct("<BQHIQQ")  # opcode, length, channel, sequence, log time, publish time
CHUNK = struct.Struct("<BQQQQI")  # opcode, length, start time, end time, size, CRC of what is inside
MESSAGE_HEAD = MESSAGE.size - 9  # bytes of a message record before its data, opcode and length aside
LOOSE_CHUNKS = 256  # the newest, that may still be given up; of those before only the index is kept


class Opener(Protocol):
    """Makes the file; tests put a full disk behind it."""

    def __call__(self, path: Path) -> BinaryIO: ...


def open_new(path: Path) -> BinaryIO:
    """A new file without a buffer of its own: what was written outlives the process."""
    return path.open("xb", buffering=0)


@dataclass(frozen=True)
class Written:
    """A whole chunk on the disk."""

    start: int  # first byte in the file
    index: bytes  # its record for the summary
    counts: Counter[int]  # messages by channel
    span_ns: tuple[int, int]  # log times of its first and last message


class Settled:
    """Chunks that stay. A recorder adds two a second and keeps their index until its file ends, so it is packed."""

    def __init__(self) -> None:
        self.index = bytearray()
        self.chunks = 0
        self.counts: Counter[int] = Counter()
        self.span_ns: tuple[int, int] | None = None

    def take(self, chunks: list[Written]) -> None:
        """Add the next chunks."""
        for chunk in chunks:
            self.index += chunk.index
            self.counts += chunk.counts
        self.chunks += len(chunks)
        self.span_ns = _joined(self.span_ns, chunks)


def _joined(span_ns: tuple[int, int] | None, chunks: list[Written]) -> tuple[int, int] | None:
    """Log times of the first and the last message of a span and of chunks; None without any."""
    spans = [*([] if span_ns is None else [span_ns]), *(chunk.span_ns for chunk in chunks)]
    return (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None


class McapFile:
    """Appends messages. A write that fails leaves the file as it was after the last whole chunk and raises OSError."""

    def __init__(self, path: Path, *, compress: bool = False, opener: Opener = open_new) -> None:
        self.path = path
        self._file = opener(path)
        self._at = 0  # bytes of whole records on the disk
        self._compressor = zstandard.ZstdCompressor(level=1) if compress else None
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._settled = Settled()
        self._chunks: list[Written] = []  # behind those
        self._begin()
        self._put(MAGIC + _record(Header(profile="ros2", library=LIBRARY)))

    def _begin(self) -> None:
        self._chunk = bytearray()
        self._indices: dict[int, list[int]] = {}  # channel: time, offset, time, offset …
        self._start_ns, self._end_ns = 1 << 63, 0

    @property
    def size(self) -> int:
        """Bytes on the disk and waiting."""
        return self._at + len(self._chunk)

    @property
    def counts(self) -> Counter[int]:
        """Messages on the disk, by channel."""
        return sum((chunk.counts for chunk in self._chunks), Counter(self._settled.counts))

    @property
    def span_ns(self) -> tuple[int, int] | None:
        """Log times of the first and the last message on the disk, ns; None without any."""
        return _joined(self._settled.span_ns, self._chunks)

    def add_schema(self, name: str, encoding: str, text: str) -> int:
        """Announce a message type; its id."""
        schema = Schema(id=len(self._schemas) + 1, name=name, encoding=encoding, data=text.encode())
        self._schemas[schema.id] = schema
        self._chunk += _record(schema)
        return schema.id

    def add_channel(self, topic: str, schema: int, metadata: dict[str, str]) -> int:
        """Announce a topic; its id."""
        channel = Channel(len(self._channels) + 1, topic, "cdr", metadata, schema)
        self._channels[channel.id] = channel
        self._chunk += _record(channel)
        return channel.id

    def write(self, channel: int, stamp_ns: int, cdr: bytes | memoryview) -> None:
        """Append a message; it reaches the disk with its chunk."""
        chunk = self._chunk
        self._indices.setdefault(channel, []).extend((stamp_ns, len(chunk)))
        chunk += MESSAGE.pack(Opcode.MESSAGE, MESSAGE_HEAD + len(cdr), channel, 0, stamp_ns, stamp_ns)
        chunk += cdr
        self._start_ns, self._end_ns = min(self._start_ns, stamp_ns), max(self._end_ns, stamp_ns)
        if len(chunk) > CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Put every message so far on the disk, as a chunk. Those of a chunk that does not fit are lost."""
        if not self._indices:
            return
        chunk, indices, start_ns, end_ns = self._chunk, self._indices, self._start_ns, self._end_ns
        self._begin()
        data = self._compressor.compress(chunk) if self._compressor else chunk
        kind = b"zstd" if self._compressor else b""
        inner = struct.pack("<I", len(kind)) + kind + struct.pack("<Q", len(data))
        length = CHUNK.size - 9 + len(inner) + len(data)
        head = CHUNK.pack(Opcode.CHUNK, length, start_ns, end_ns, len(chunk), zlib.crc32(chunk))
        offsets, parts = {}, [head, inner, data]
        at = index_start = self._at + 9 + length
        for channel, numbers in indices.items():
            offsets[channel] = at
            body = struct.pack(f"<HI{len(numbers)}Q", channel, 8 * len(numbers), *numbers)
            parts += [struct.pack("<BQ", Opcode.MESSAGE_INDEX, len(body)), body]
            at += 9 + len(body)
        index = ChunkIndex(
            message_start_time=start_ns,
            message_end_time=end_ns,
            chunk_start_offset=self._at,
            chunk_length=9 + length,
            message_index_offsets=offsets,
            message_index_length=at - index_start,
            compression=kind.decode(),
            compressed_size=len(data),
            uncompressed_size=len(chunk),
        )
        self._put(b"".join(parts))
        counts = Counter({channel: len(numbers) // 2 for channel, numbers in indices.items()})
        self._chunks.append(Written(index.chunk_start_offset, _record(index), counts, (start_ns, end_ns)))
        if len(self._chunks) >= 2 * LOOSE_CHUNKS:
            self._settled.take(self._chunks[:-LOOSE_CHUNKS])
            del self._chunks[:-LOOSE_CHUNKS]

    def give_up_chunk(self) -> bool:
        """Take the last chunk off the disk, to make room for the index; False when there is none that may go."""
        if not self._chunks:
            return False
        self._cut(self._chunks.pop().start)
        return True

    def finish(self, metadata: str) -> None:
        """Write the index behind the chunks. `metadata`: the bag's, as YAML. May be called again, as after OSError."""
        end = self._at
        self._cut(end)
        try:
            record = Metadata(name="rosbag2", metadata={"serialized_metadata": metadata})
            written = _record(record)
            index = MetadataIndex(offset=end, length=len(written), name=record.name)
            self._put(written + self._ending(end + len(written), index))
        finally:
            self._at = end

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _ending(self, at: int, metadata: MetadataIndex) -> bytes:
        """Data end, summary, footer, for a data section that ends at `at`."""
        data_end = _record(DataEnd(data_section_crc=0))
        start = at + len(data_end)
        summary, offsets = b"", []
        groups: tuple[tuple[Opcode, list[bytes]], ...] = (
            (Opcode.SCHEMA, [_record(schema) for schema in self._schemas.values()]),
            (Opcode.CHANNEL, [_record(channel) for channel in self._channels.values()]),
            (Opcode.STATISTICS, [_record(self._statistics())]),
            (Opcode.CHUNK_INDEX, [bytes(self._settled.index), *(chunk.index for chunk in self._chunks)]),
            (Opcode.METADATA_INDEX, [_record(metadata)]),
        )
        for opcode, records in groups:
            group = b"".join(records)
            if group:
                offsets.append(SummaryOffset(opcode, start + len(summary), len(group)))
            summary += group
        offset_start = start + len(summary)
        summary += b"".join(map(_record, offsets))
        head = struct.pack("<BQQQ", Opcode.FOOTER, 20, start, offset_start)
        footer = Footer(start, offset_start, zlib.crc32(head, zlib.crc32(summary)))
        return data_end + summary + _record(footer) + MAGIC

    def _statistics(self) -> Statistics:
        counts, span = self.counts, self.span_ns or (0, 0)
        return Statistics(
            attachment_count=0,
            channel_count=len(self._channels),
            channel_message_counts={channel: counts[channel] for channel in self._channels},
            chunk_count=self._settled.chunks + len(self._chunks),
            message_count=counts.total(),
            message_start_time=span[0],
            message_end_time=span[1],
            metadata_count=1,
            schema_count=len(self._schemas),
        )

    def _put(self, data: bytes) -> None:
        left = memoryview(data)
        self._file.seek(self._at)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._cut(self._at)
            raise
        self._at += len(data)

    def _cut(self, at: int) -> None:
        self._file.truncate(at)
        self._at = at


def _record(record: McapRecord) -> bytes:
    builder = RecordBuilder()
    record.write(builder)
    return builder.end()
