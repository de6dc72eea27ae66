"""Reading 160 bytes from each of 32 connections: by their transports, and by one reader.

Both rows include writing the bytes and the system calls; the ways differ by the rest.
"""

import asyncio
import socket
from contextlib import ExitStack
from typing import Any

import uvloop

from bench.micro.timing import compiled, report
from gateway._fast import Reader

CONNECTIONS = 32
MESSAGE = b"data: " + b"x" * 152 + b"\n\n"

SOURCE = """
from gateway._fast.reader cimport Reader, Source

cdef unsigned long messages = 0

cdef class Sink(Source):
    def connection_made(self, transport):
        pass

    def connection_lost(self, error):
        pass

    def data_received(self, bytes data):
        self.on_read(data)

    cdef int on_read(self, bytes data) except -1:
        global messages
        messages += 1
        return 0

def read_by(Reader reader, int fd):
    cdef Sink sink = Sink()
    sink.fd = fd
    assert reader.add(sink)

def received():
    return messages
"""


def main() -> None:
    """Print both rows."""
    module = compiled("bench_reader", SOURCE)
    for name, is_by_reader in (("by_transport", False), ("by_reader", True)):
        measure(name, module, is_by_reader)


def measure(name: str, module: Any, is_by_reader: bool) -> None:
    """One row."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, ExitStack() as opened:
        ends = [opened.enter_context(end) for _ in range(CONNECTIONS) for end in connected()]
        runner.run(attach(module, ends[1::2], is_by_reader))
        report(
            f"reader/{name}",
            lambda count: runner.run(pass_on(module, ends[::2], count)),
            100 * CONNECTIONS,
        )


def connected() -> tuple[socket.socket, socket.socket]:
    """Both ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server = listener.accept()[0]
    server.setblocking(False)
    return client, server


async def attach(module: Any, ends: list[socket.socket], is_by_reader: bool) -> None:
    """Begin to read these ends."""
    loop = asyncio.get_running_loop()
    reader = Reader(loop)
    for end in ends:
        if is_by_reader:
            module.read_by(reader, end.fileno())
        else:
            await loop.create_connection(module.Sink, sock=end)


async def pass_on(module: Any, ends: list[socket.socket], count: int) -> None:
    """Write and have read, each connection once a turn."""
    goal = module.received()
    for _ in range(count // CONNECTIONS):
        for end in ends:
            end.send(MESSAGE)
        goal += CONNECTIONS
        while module.received() < goal:
            await asyncio.sleep(0)


if __name__ == "__main__":
    main()
