"""Stand-in model servers on real sockets that answer, or misbehave, byte-exactly.

A backend reads requests with h11 (so whatever the gateway sends is judged by an
independent, strict reader) and plays the script its answerer returns. It records every
request, and everything the peer did wrong in `violations`.

In the test's own loop: `async with Backend(answer) as backend`. From a synchronous
test: `with Backend(answer) as backend`, which runs it on a thread of its own.

Rule 1: an answerer is called when the request is complete, or at its head when the
backend was made with `early=True`.
Rule 2: `violations` is empty unless the peer broke HTTP/1.1; fixtures assert that.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import tempfile
import time
from pathlib import Path
from typing import Self, cast

import h11

from tests.support.loops import LoopThread
from tests.support.script import (
    Answerer,
    AwaitBody,
    Close,
    HalfClose,
    Hang,
    Pause,
    Received,
    Reset,
    Script,
    Send,
    Step,
)

HEAD_BYTES_MAX = 1 << 20
LINGER_NONE = struct.pack("ii", 1, 0)


class Backend:
    """A listening stub; `answer` may be replaced while it runs."""

    def __init__(
        self,
        answer: Answerer,
        *,
        name: str = "stub",
        host: str = "127.0.0.1",
        port: int = 0,
        unix: bool = False,
        tls: ssl.SSLContext | None = None,
        early: bool = False,
        say_continue: bool = False,
    ) -> None:
        self.answer = answer
        self.name = name
        self.host = host
        self.port = port
        self.path = str(Path(tempfile.mkdtemp(prefix="stub")) / "s") if unix else ""
        self.tls = tls
        self.early = early
        self.say_continue = say_continue
        self.received: list[Received] = []
        self.violations: list[str] = []
        self.server_names: list[str | None] = []
        self.open: set[Connection] = set()
        self.connection_count = 0
        self._server: asyncio.Server | None = None
        self._thread: LoopThread | None = None

    @property
    def url(self) -> str:
        """Where it listens, as a configuration writes it; no path."""
        if self.path:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def targets(self) -> list[str]:
        return [one.target for one in self.received]

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        if self.path:
            self._server = await loop.create_unix_server(lambda: Connection(self), self.path)
            return
        if self.tls is not None:
            self.tls.sni_callback = lambda _sock, name, _ctx: self.server_names.append(name)
        self._server = await loop.create_server(
            lambda: Connection(self), self.host, self.port, ssl=self.tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and drop what is open."""
        assert self._server is not None
        self._server.close()
        for connection in tuple(self.open):
            connection.transport.abort()
        while self.open:
            await asyncio.sleep(0)
        await self._server.wait_closed()
        self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            await self.stop()

    def __enter__(self) -> Self:
        self._thread = LoopThread(self.name).start()
        self._thread.run(self.start())
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread is not None
        if self._server is not None:
            self._thread.run(self.stop())
        self._thread.stop()

    def kill(self) -> None:
        """From a synchronous test: stop listening and reset what is open."""
        assert self._thread is not None
        self._thread.run(self.stop())

    def revive(self) -> None:
        """From a synchronous test: listen again, on the same port."""
        assert self._thread is not None
        self._thread.run(self.start())


class Connection(asyncio.Protocol):
    """One accepted connection: read a request, play its script, repeat."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.number = backend.connection_count
        backend.connection_count += 1
        self.reader = h11.Connection(h11.SERVER, HEAD_BYTES_MAX)
        self.requests = 0
        self.current: Received | None = None
        self.playing: asyncio.Task[None] | None = None
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.complete = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.backend.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.backend.open.discard(self)
        if self.playing is not None and not self.playing.done():
            self.playing.cancel()
        if self.current is not None and not self.current.answered_at:
            self.current.abandoned_at = time.monotonic()

    def pause_writing(self) -> None:
        self.may_write.clear()

    def resume_writing(self) -> None:
        self.may_write.set()

    def eof_received(self) -> bool:
        if self.current is not None and not self.current.answered_at:
            self.current.abandoned_at = time.monotonic()
        return False

    def data_received(self, data: bytes) -> None:
        try:
            self.reader.receive_data(data)
            self._read()
        except h11.RemoteProtocolError as wrong:
            self.backend.violations.append(f"{wrong} in {data[:200]!r}")
            self.transport.abort()

    def _read(self) -> None:
        while True:
            event = self.reader.next_event()
            if isinstance(event, h11.Request):
                self._begin(event)
            elif isinstance(event, h11.Data):
                assert self.current is not None
                self.current.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert self.current is not None
                self.current.trailers = [(k.decode(), v.decode()) for k, v in event.headers]
                self.current.is_complete = True
                self.complete.set()
                if self.playing is None:
                    self._play(self.current)
            else:
                return

    def _begin(self, head: h11.Request) -> None:
        received = Received(
            method=head.method.decode(),
            target=head.target.decode("latin-1"),
            version=head.http_version.decode(),
            headers=[(k.decode(), v.decode("latin-1")) for k, v in head.headers.raw_items()],
            connection=self.number,
            number=self.requests,
        )
        self.requests += 1
        self.current = received
        self.complete.clear()
        self.backend.received.append(received)
        if self.backend.say_continue and self.reader.they_are_waiting_for_100_continue:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.backend.early:
            self._play(received)

    def _play(self, received: Received) -> None:
        script = self.backend.answer(received)
        self.playing = asyncio.get_running_loop().create_task(self._run(script, received))

    async def _run(self, script: Script, received: Received) -> None:
        stays_open = True
        for step in script:
            stays_open = await self._step(step)
            if not stays_open:
                break
        received.answered_at = time.monotonic()
        if stays_open:
            await self.complete.wait()
            self._next()

    def _next(self) -> None:
        """Start over for the next request of this connection."""
        rest, _ = self.reader.trailing_data
        self.reader = h11.Connection(h11.SERVER, HEAD_BYTES_MAX)
        self.current = None
        self.playing = None
        if rest:
            self.data_received(rest)

    async def _step(self, step: Step) -> bool:
        match step:
            case Send(data):
                await self.may_write.wait()
                self.transport.write(data)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case AwaitBody():
                await self.complete.wait()
            case HalfClose():
                self.transport.write_eof()
            case Hang():
                await asyncio.Event().wait()
            case Close():
                self.transport.close()
                return False
            case Reset():
                self._reset()
                return False
        return True

    def _reset(self) -> None:
        raw: socket.socket = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
        self.transport.abort()
