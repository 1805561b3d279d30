"""Reading what is left of an MCAP file: from its beginning up to where it was cut or spoilt."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Schema

from wm_training.bags.mcap_file import CHUNK, MAGIC, MESSAGE, MESSAGE_HEAD

HEAD = struct.Struct("<BQ")  # opcode, length
LARGEST = 1 << 32  # bytes of a record; more is taken for damage
UNREADABLE = (McapError, struct.error, ValueError, EOFError, UnicodeDecodeError, zstandard.ZstdError)


class Saved(NamedTuple):
    """A message that could be read."""

    channel: Channel
    schema: Schema
    stamp_ns: int
    cdr: bytes


class Salvage:
    """Iterates over the messages of a file. What was found is known once it has been iterated through."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = path.stat().st_size
        self.is_whole = False  # the data section came to its proper end
        self.spoilt = 0  # chunks left out, because their bytes are not what was written
        self.good_bytes = 0  # up to the end of the last whole record
        self.compressed = False
        self.channels: dict[int, tuple[Channel, Schema]] = {}
        self._schemas: dict[int, Schema] = {}

    def __iter__(self) -> Iterator[Saved]:
        with self.path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                self.spoilt += self.size > len(MAGIC)
                return
            self.good_bytes = len(MAGIC)
            while len(head := file.read(HEAD.size)) == HEAD.size:
                opcode, length = HEAD.unpack(head)
                if opcode in (Opcode.DATA_END, Opcode.FOOTER):
                    self.is_whole = self.size - file.tell() >= length
                    return
                if not Opcode.HEADER <= opcode <= Opcode.DATA_END or length > LARGEST:
                    self.spoilt += 1
                    return
                yield from self._top(opcode, length, file)
                if file.tell() < self.good_bytes + HEAD.size + length:
                    return
                self.good_bytes = file.tell()

    def _top(self, opcode: int, length: int, file: BinaryIO) -> Iterator[Saved]:
        if opcode == Opcode.CHUNK:
            data = file.read(length)
            yield from self._chunk(data, is_whole=len(data) == length)
        elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL, Opcode.MESSAGE):
            data = file.read(length)
            if len(data) == length:
                yield from self._inner(opcode, data)
        else:
            file.seek(min(length, self.size - file.tell()), 1)

    def _chunk(self, data: bytes, is_whole: bool) -> Iterator[Saved]:
        try:
            _, _, size, crc = struct.unpack_from("<QQQI", data)
            (length,) = struct.unpack_from("<I", data, CHUNK.size - 9)
            at = CHUNK.size - 9 + 4 + length
            kind = data[at - length : at].decode()
            inside = self._decompress(kind, data[at + 8 :])
        except UNREADABLE:
            self.spoilt += is_whole
            return
        if is_whole and (len(inside) != size or (crc and zlib.crc32(inside) != crc)):
            self.spoilt += 1
            return
        at = 0
        while at + HEAD.size <= len(inside):
            opcode, length = HEAD.unpack_from(inside, at)
            if at + HEAD.size + length > len(inside):
                return
            yield from self._inner(opcode, inside[at + HEAD.size : at + HEAD.size + length])
            at += HEAD.size + length

    def _decompress(self, kind: str, data: bytes) -> bytes:
        self.compressed |= bool(kind)
        if kind == "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)
        if kind == "lz4":
            import lz4.frame

            return bytes(lz4.frame.LZ4FrameDecompressor().decompress(data))
        if kind:
            raise ValueError(kind)
        return data

    def _inner(self, opcode: int, data: bytes) -> Iterator[Saved]:
        if opcode == Opcode.MESSAGE and len(data) >= MESSAGE_HEAD:
            channel, _, stamp_ns, _ = struct.unpack_from(MESSAGE.format.replace("BQ", "", 1), data)
            if channel in self.channels:
                yield Saved(*self.channels[channel], stamp_ns, data[MESSAGE_HEAD:])
        elif opcode == Opcode.SCHEMA:
            schema = Schema.read(ReadDataStream(BytesIO(data)))
            self._schemas[schema.id] = schema
        elif opcode == Opcode.CHANNEL:
            channel_record = Channel.read(ReadDataStream(BytesIO(data)))
            if channel_record.schema_id in self._schemas:
                self.channels[channel_record.id] = (channel_record, self._schemas[channel_record.schema_id])
