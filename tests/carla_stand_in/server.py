"""The two ports: calls in order of arrival, streams to whoever asked for them."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import msgpack

from carla_stand_in import packets
from carla_stand_in.calls import NOTHING, Bare, Calls
from carla_stand_in.world import FREE_STEP_S, StandInWorld

REQUEST, REPLY = 0, 1


def _reply(number: int, result: Any) -> bytes:
    if isinstance(result, Bare):
        value = list(result)
    else:
        value = [[False]] if result is NOTHING else [[1, result]]
    return msgpack.packb([REPLY, number, None, value], use_single_float=False)


def _failure(number: int, name: str, error: Exception) -> bytes:
    without_result = name in ("load_new_episode", "copy_opendrive_to_file")
    message = [str(error.args[0] if error.args else error)]
    return msgpack.packb([REPLY, number, None, [[True, message]] if without_result else [[0, message]]])


class Server:
    """Serves one world to any number of clients."""

    def __init__(self, world: StandInWorld, version: str) -> None:
        self.world = world
        self.calls = Calls(world, version)
        self.listeners: dict[int, set[asyncio.StreamWriter]] = {}
        self.held: dict[int, list[bytes]] = {}  # data of a late sensor

    async def run(self) -> None:
        calls = await asyncio.start_server(self.on_client, "127.0.0.1", self.world.port)
        streams = await asyncio.start_server(self.on_listener, "127.0.0.1", self.world.port + 1)
        print("ready", flush=True)
        async with calls, streams:
            while True:
                await asyncio.sleep(FREE_STEP_S)
                if not self.world.synchronous:
                    await self.advance()

    async def on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        unpacker = msgpack.Unpacker(raw=False, max_buffer_size=2**28)
        try:
            while data := await reader.read(2**16):
                unpacker.feed(data)
                for _, number, name, arguments in unpacker:
                    writer.write(await self.serve(number, name, arguments))
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def serve(self, number: int, name: str, arguments: list) -> bytes:
        _metadata, *arguments = arguments
        try:
            if name == "tick_cue":
                self.calls.log.append(name)
                await self.advance()
                return _reply(number, self.world.frame)
            return _reply(number, self.calls.answer(name, arguments))
        except Exception as error:
            if isinstance(error, (KeyError, ValueError, NotImplementedError)):
                return _failure(number, name, error)
            raise

    async def advance(self) -> None:
        due = self.world.advance()
        for actor in self.world.actors.values():
            if actor.blueprint == self.world.faults.late and actor.stream in due:
                kept, due[actor.stream] = due[actor.stream], self.held.pop(actor.stream, [])
                self.held[actor.stream] = kept
        for stream, messages in due.items():
            for writer in list(self.listeners.get(stream, ())):
                for message in messages:
                    await self.send(stream, writer, message)

    async def send(self, stream: int, writer: asyncio.StreamWriter, message: bytes) -> None:
        try:
            writer.write(packets.framed(message))
            await writer.drain()
        except ConnectionError:
            self.listeners[stream].discard(writer)

    async def on_listener(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A listener names its stream once and then only reads; the newest world state comes at once."""
        try:
            (stream,) = struct.unpack("<I", await reader.readexactly(4))
            self.listeners.setdefault(stream, set()).add(writer)
            await reader.read()  # until it hangs up
            self.listeners[stream].discard(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
