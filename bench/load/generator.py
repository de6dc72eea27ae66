"""The stream generator: raw connections that count events, first-byte times and gaps.

Three ways to run, each one JSON object on stdout at the end:

- `repeat`: each connection asks stream after stream until the time is up; the streams
  in flight are finished. Connections start spread over one stream's length.
- `hold`: every connection opens one long stream and keeps it; one more, the side
  stream, sends an event every 4 ms, and its largest gap shows how long anything on
  the way stood still.
- `idle`: every connection asks once, then stays open and silent.

`hold` and `idle` print `{"ready": n}` when all are open and go on until stdin closes or
the time is up. The clock is `monotonic`, since uvloop's own
counts milliseconds. Above 20,000 connections to one port the source addresses 127.0.0.2,
127.0.0.3, … are used, 20,000 each.
"""

import argparse
import asyncio
import json
import sys
from contextlib import suppress
from time import monotonic
from typing import cast

import uvloop
from msgspec import Struct, field

from bench.load import bodies
from bench.load.figures import quantile

PORTS_EACH = 20_000
RAMP_BATCH = 100
OPENING_S = 15.0  # after the last was opened; what has no first byte then is broken


class Tally(Struct):
    """What all connections have seen together."""

    streams: int = 0
    events: int = 0
    broken: int = 0
    opened: int = 0  # connections that got their first byte
    first_bytes_us: list[float] = field(default_factory=list)
    gaps_us: list[float] = field(default_factory=list)


class Client(asyncio.Protocol):
    """One connection that asks for streams, one after another while `until_s` is ahead."""

    def __init__(self, request: bytes, tally: Tally, until_s: float, *, timed: bool) -> None:
        self.request, self.tally, self.until_s, self.timed = (
            request,
            tally,
            until_s,
            timed,
        )
        self.transport: asyncio.Transport | None = None
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.asked_s = self.last_s = 0.0
        self.tail = b""
        self.has_begun = self.is_asking = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks at once."""
        # Why a cast: uvloop's transports are no subclass of asyncio's.
        self.transport = cast("asyncio.Transport", transport)
        self.ask()

    def ask(self) -> None:
        """Sends the request."""
        self.has_begun, self.is_asking, self.tail = False, True, b""
        self.asked_s = self.last_s = monotonic()
        if self.transport:
            self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Counts events; times the first byte and, where asked to, each gap."""
        now_s = monotonic()
        if not self.has_begun:
            self.on_first_byte(data, now_s)
        elif self.timed:
            self.tally.gaps_us.append((now_s - self.last_s) * 1e6)
        self.last_s = now_s
        joined = self.tail + data
        self.tally.events += joined.count(b"\n\n") - self.tail.count(b"\n\n")
        if joined.endswith(b"0\r\n\r\n"):
            self.on_end(joined)
        else:
            self.tail = joined[-40:]

    def on_first_byte(self, data: bytes, now_s: float) -> None:
        """The answer begins."""
        self.has_begun = True
        self.tally.opened += 1
        self.tally.first_bytes_us.append((now_s - self.asked_s) * 1e6)
        if not data.startswith(b"HTTP/1.1 200"):
            self.tally.broken += 1

    def on_end(self, joined: bytes) -> None:
        """The stream has ended; asks for the next one while there is time."""
        self.is_asking = False
        self.tally.streams += 1
        if bodies.DONE not in joined:
            self.tally.broken += 1
        if monotonic() < self.until_s:
            self.ask()
        else:
            self.close()

    def close(self) -> None:
        """Closes from this side."""
        self.is_asking = False
        if self.transport:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection lost while a stream runs is a broken stream."""
        self.transport = None
        if self.is_asking:
            self.tally.broken += 1
        if not self.finished.done():
            self.finished.set_result(None)


class Quiet(Client):
    """A connection that asks once for a whole answer and then stays open."""

    def data_received(self, data: bytes) -> None:
        """The answer is there; nothing more is asked."""
        if not self.has_begun:
            self.on_first_byte(data, monotonic())
        self.is_asking = False


def request_of(port: int, body: bytes) -> bytes:
    """The request's bytes, as a client library would send them."""
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        f"authorization: Bearer {bodies.KEY}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def source_of(number: int) -> tuple[str, int] | None:
    """The source address of the n-th connection; None leaves it to the kernel."""
    return (f"127.0.0.{1 + number // PORTS_EACH}", 0) if number >= PORTS_EACH else None


async def connect(port: int, client: Client, number: int = 0) -> Client:
    """The client, connected; a refused connection is a broken stream."""
    loop = asyncio.get_running_loop()
    try:
        await loop.create_connection(
            lambda: client, "127.0.0.1", port, local_addr=source_of(number)
        )
    except OSError:
        client.tally.broken += 1
        client.finished.set_result(None)
    return client


async def repeat(wish: argparse.Namespace) -> Tally:
    """Stream after stream on every connection."""
    tally = Tally()
    request = request_of(wish.port, bodies.stream_request(wish.events, wish.gap_us))
    until_s = monotonic() + wish.seconds
    # Why: an uneven step, so that no two connections' events fall on the same instant.
    step_s = wish.events * wish.gap_us / 1e6 / wish.connections + 0.000_125
    clients = []
    for _ in range(wish.connections):
        clients.append(await connect(wish.port, Client(request, tally, until_s, timed=True)))
        await asyncio.sleep(step_s)
    await asyncio.gather(*(client.finished for client in clients))
    return tally


async def ramped(wish: argparse.Namespace, tally: Tally, make: type[Client]) -> list[Client]:
    """Every connection, opened at the asked rate and each with its first byte, or broken."""
    quiet = make is Quiet
    body = bodies.chat_request() if quiet else bodies.stream_request(wish.events, wish.gap_us)
    request = request_of(wish.port, body)
    clients: list[Client] = []
    for first in range(0, wish.connections, RAMP_BATCH):
        batch = range(first, min(first + RAMP_BATCH, wish.connections))
        made = [
            connect(wish.port, make(request, tally, 0.0, timed=False), number) for number in batch
        ]
        clients += await asyncio.gather(*made)
        await asyncio.sleep(len(batch) / wish.rate)
    deadline_s = monotonic() + OPENING_S
    while tally.opened + tally.broken < wish.connections and monotonic() < deadline_s:
        await asyncio.sleep(0.05)
    tally.broken += max(0, wish.connections - tally.opened - tally.broken)
    return clients


def say(**figures: float) -> None:
    """One line for the benchmark that started us."""
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


async def until_told(seconds: float) -> None:
    """Returns when stdin (a pipe) closes or a line comes, at the latest after the time."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), told.set)
    with suppress(TimeoutError):
        await asyncio.wait_for(told.wait(), seconds)
    loop.remove_reader(sys.stdin.fileno())


async def hold(wish: argparse.Namespace) -> Tally:
    """Many slow streams, and the side stream's gaps while they run."""
    many, side = Tally(), Tally()
    clients = await ramped(wish, many, Client)
    request = request_of(wish.port, bodies.stream_request(bodies.EVENTS, bodies.EVENT_GAP_US))
    until_s = monotonic() + wish.seconds
    say(ready=many.opened)
    watcher = await connect(wish.port, Client(request, side, until_s, timed=True))
    begun = many.events
    await until_told(wish.seconds)
    many.events -= begun
    watcher.until_s = 0.0
    await asyncio.wait([watcher.finished], timeout=5)
    many.gaps_us = side.gaps_us
    many.broken += side.broken + (not side.gaps_us)
    close(clients)
    return many


async def idle(wish: argparse.Namespace) -> Tally:
    """Many silent connections."""
    tally = Tally()
    clients = await ramped(wish, tally, Quiet)
    say(ready=tally.opened)
    await until_told(wish.seconds)
    tally.broken += sum(client.transport is None for client in clients)
    close(clients)
    return tally


def close(clients: list[Client]) -> None:
    """Closes every connection from this side."""
    for client in clients:
        client.close()


async def run(wish: argparse.Namespace) -> None:
    """Runs what was asked for and prints its figures."""
    begun_s = monotonic()
    tally = await {"repeat": repeat, "hold": hold, "idle": idle}[wish.way](wish)
    say(
        seconds=monotonic() - begun_s,
        streams=tally.streams,
        events=tally.events,
        broken=tally.broken,
        first_byte_p50_us=quantile(tally.first_bytes_us, 0.5),
        first_byte_p99_us=quantile(tally.first_bytes_us, 0.99),
        gap_p50_us=quantile(tally.gaps_us, 0.5),
        gap_p99_us=quantile(tally.gaps_us, 0.99),
        gap_max_us=quantile(tally.gaps_us, 1.0),
    )


def main() -> None:
    """Reads the wish and runs it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("way", choices=["repeat", "hold", "idle"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--events", type=int, default=bodies.EVENTS)
    parser.add_argument("--gap-us", type=int, default=bodies.EVENT_GAP_US)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=2000.0, help="connections opened a second")
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
