"""The stream origin: answers each request with SSE events, each in a write of its own.

The request says how many events and how far apart (`bodies.stream_wish`). Events are
due at fixed times after the first, so that a late one does not delay the rest. The head
travels with the first event, `[DONE]` with the last chunk.

Cost: one timer and one write an event; it must keep up with 10,000 slow streams.
"""

import argparse
import asyncio
from typing import cast

import uvloop

from bench.load import bodies

HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
WHOLE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


def chunked(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


DELTA, FINISH, USAGE = (chunked(each) for each in (bodies.DELTA, bodies.FINISH, bodies.USAGE))
END = chunked(bodies.DONE) + b"0\r\n\r\n"
WHOLE = WHOLE_HEAD % len(bodies.ANSWER) + bodies.ANSWER


def chunk_of(number: int, events: int) -> bytes:
    """The bytes of one event: words, then the reason, then the usage."""
    if number == events - 1:
        return USAGE + END
    return FINISH if number == events - 2 else DELTA


class Origin(asyncio.Protocol):
    """One connection; requests come one after another."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.transport: asyncio.Transport | None = None
        self.received = b""
        self.timer: asyncio.TimerHandle | None = None
        self.sent = self.events = 0
        self.started_s = self.gap_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        # Why a cast: uvloop's transports are no subclass of asyncio's.
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the stream in its tracks."""
        self.transport = None
        if self.timer:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Collects a request until it is complete, then begins to answer."""
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found or len(body) < content_length(head):
            return
        self.received = b""
        if b'"stream": true' in body or b'"stream":true' in body:
            self.begin(body)
        elif self.transport:
            self.transport.write(WHOLE)

    def begin(self, body: bytes) -> None:
        """Sends head and first event at once."""
        self.events, gap_us = bodies.stream_wish(body)
        self.gap_s, self.started_s, self.sent = gap_us / 1e6, self.loop.time(), 1
        if self.transport:
            self.transport.write(HEAD + chunk_of(0, self.events))
        self.rest()

    def rest(self) -> None:
        """Waits until the next event is due."""
        if self.sent < self.events:
            due_s = self.started_s + self.sent * self.gap_s
            self.timer = self.loop.call_at(due_s, self.send)

    def send(self) -> None:
        """Sends the event that is due."""
        if self.transport:
            self.transport.write(chunk_of(self.sent, self.events))
            self.sent += 1
            self.rest()


def content_length(head: bytes) -> int:
    """The body's length; the origin's peers all send one."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    return 0


async def serve(port: int) -> None:
    """Listens until it is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Origin(loop), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


def main() -> None:
    """Reads the port and serves."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
