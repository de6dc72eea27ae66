"""The stand-in models as HTTP servers: one process, one port each.

    python -m gateway.demo.server                any free ports, for the demo
    python -m gateway.demo.server --port 9001    this port and the following ones, until Ctrl-C

The first line on stdout says in JSON which model listens where. Without --port each line
on stdin is `down NAME` or `up NAME`, and it ends when stdin does, so that it never outlives
who started it.

Rule: a model that goes down does so as a crashed process would: its port is closed and
      its connections are reset, whatever was under way on them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import random
import socket
import struct
import sys
from collections.abc import Mapping

import orjson

from gateway.demo.models import MODELS, Model, completion, events, pause_s, prediction, words

HOST = "127.0.0.1"
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST
_REASONS = {200: b"OK", 429: b"Too Many Requests", 500: b"Internal Server Error"}


class ModelServer:
    """One model behind one port."""

    def __init__(self, model: Model, port: int) -> None:
        self.model = model
        self.port = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._chance = random.Random()

    async def up(self) -> None:
        """Listen; at the same port as before, if there was one."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, HOST, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def down(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while not writer.is_closing():
                await self._answer(await read_body(reader), writer)
        except (OSError, EOFError, ValueError, asyncio.CancelledError):
            pass  # the client went, what came is no request, or everything ends
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        model, chance = self.model, self._chance
        await asyncio.sleep(pause_s(model, chance))
        trouble = chance.random()
        if trouble < model.resetting:
            reset(writer)
        elif trouble < model.resetting + model.limiting:
            write(writer, 429, error("Slow down."), b"retry-after: 1\r\n")
        elif trouble < model.resetting + model.limiting + model.failing:
            write(writer, 500, error("Something went wrong."))
        elif model.protocol == "kserve":
            write(writer, 200, prediction(model, chance))
        elif orjson.loads(body).get("stream"):
            await self._stream(body, writer)
        else:
            write(writer, 200, completion(model, words(chance), len(body)))
        await writer.drain()

    async def _stream(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        head = b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + head)
        for event in events(self.model, words(self._chance), len(body)):
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
            await asyncio.sleep(self.model.word_s)
        writer.write(b"0\r\n\r\n")


async def read_body(reader: asyncio.StreamReader) -> bytes:
    """The body of the next request; EOFError when there is none."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().partition(b": ")[::2] for line in head.split(b"\r\n")[1:-2])
    return await reader.readexactly(int(fields.get(b"content-length", b"0")))


def write(writer: asyncio.StreamWriter, status: int, body: bytes, fields: bytes = b"") -> None:
    head = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\n" % (status, _REASONS[status])
    writer.write(head + fields + b"content-length: %d\r\n\r\n" % len(body) + body)


def error(message: str) -> bytes:
    return orjson.dumps({"error": {"message": message, "type": "server_error"}})


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def main(port: int) -> None:
    """Serve all models until told to end."""
    ports = itertools.count(port) if port else itertools.repeat(0)
    servers = {model.name: ModelServer(model, at) for model, at in zip(MODELS, ports, strict=False)}
    for server in servers.values():
        await server.up()
    places = {name: server.port for name, server in servers.items()}
    sys.stdout.write(f"{orjson.dumps(places).decode()}\n")
    sys.stdout.flush()
    await (asyncio.Event().wait() if port else follow(servers))
    for server in servers.values():
        server.down()


async def follow(servers: Mapping[str, ModelServer]) -> None:
    """Do what stdin says, until it ends."""
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        verb, name = line.decode().split()
        if verb == "up":
            await servers[name].up()
        else:
            servers[name].down()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="gateway.demo.server", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args().port))
