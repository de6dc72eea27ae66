"""A TCP relay that breaks things on purpose: stall, cut, split, slow down, answer early.

Each direction has a `Wear` that says what happens to its bytes; it may be replaced
while connections are open. `up` is towards the target, `down` towards the caller.

Rule 1: bytes are never changed or reordered, only held, divided or dropped at the end.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tests.support.backends import LINGER_NONE
from tests.support.loops import LoopThread

READ_BYTES = 65536


@dataclass(frozen=True)
class Wear:
    """What happens to one direction's bytes; the defaults do nothing."""

    piece_bytes: int = 0  # forward in pieces of at most this, each a write
    gap_s: float = 0.0  # before each piece
    rate_bytes_per_s: float = 0.0
    stall_after: int = -1  # from this byte on, hold everything
    cut_after: int = -1  # from this byte on, close both sides in order
    reset_after: int = -1  # from this byte on, reset both sides
    half_close_after: int = -1  # from this byte on, FIN to where the bytes go


NONE = Wear()
Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class BreakingProxy:
    def __init__(self, target: tuple[str, int], up: Wear = NONE, down: Wear = NONE) -> None:
        self.target = target
        self.up = up
        self.down = down
        self.early_answer = b""  # sent to the caller before anything is read
        self.accepts = True  # False: accept, then reset at once
        self.connection_count = 0
        self.address = ("127.0.0.1", 0)
        self._server: asyncio.Server | None = None
        self._thread: LoopThread | None = None
        self._relays: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, *self.address)
        self.address = self._server.sockets[0].getsockname()[:2]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for relay in tuple(self._relays):
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)
        await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        self._thread = LoopThread("breaking-proxy").start()
        self._thread.run(self.start())
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread is not None
        self._thread.run(self.stop())
        self._thread.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        self.connection_count += 1
        try:
            await self._relay((reader, writer))
        except (ConnectionError, OSError, asyncio.CancelledError):
            _reset(writer)
        finally:
            self._relays.discard(task)

    async def _relay(self, caller: Side) -> None:
        if not self.accepts:
            _reset(caller[1])
            return
        if self.early_answer:
            caller[1].write(self.early_answer)
        target = await asyncio.open_connection(*self.target)
        try:
            await asyncio.gather(
                self._pump(caller[0], target[1], lambda: self.up, caller[1]),
                self._pump(target[0], caller[1], lambda: self.down, target[1]),
            )
        finally:
            target[1].close()
            caller[1].close()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        wear: Callable[[], Wear],
        back: asyncio.StreamWriter,
    ) -> None:
        passed = 0
        while data := await source.read(READ_BYTES):
            while data:
                now = wear()
                end = _end_of(now)
                room = len(data) if end < 0 else max(0, end - passed)
                piece = data[: min(room, now.piece_bytes or len(data))]
                if not piece:
                    await _break(now, sink, back)
                    return
                await _wait(now, len(piece))
                sink.write(piece)
                await sink.drain()
                passed += len(piece)
                data = data[len(piece) :]
        if not sink.is_closing() and sink.can_write_eof():
            sink.write_eof()


def _end_of(wear: Wear) -> int:
    """The byte at which the first of the breaks happens; -1 none."""
    ends = (wear.stall_after, wear.cut_after, wear.reset_after, wear.half_close_after)
    return min((end for end in ends if end >= 0), default=-1)


async def _wait(wear: Wear, piece_bytes: int) -> None:
    seconds = wear.gap_s
    if wear.rate_bytes_per_s:
        seconds += piece_bytes / wear.rate_bytes_per_s
    await asyncio.sleep(seconds)


async def _break(wear: Wear, sink: asyncio.StreamWriter, back: asyncio.StreamWriter) -> None:
    if wear.stall_after >= 0:
        await asyncio.Event().wait()
    elif wear.half_close_after >= 0:
        sink.write_eof()
        await asyncio.Event().wait()
    elif wear.reset_after >= 0:
        _reset(sink)
        _reset(back)
    else:
        sink.close()
        back.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw: socket.socket = writer.get_extra_info("socket")
    if raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
    writer.transport.abort()
