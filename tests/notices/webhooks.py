"""Receivers of webhooks on real sockets, good and bad."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from gateway.config.rollouts import Webhook
from gateway.config.units import Secret
from gateway.notices.notice import Notice


class Call(NamedTuple):
    """One request as it came."""

    target: str
    headers: dict[str, str]
    body: bytes


Manner = Callable[[socket.socket], None]


def answer(status: int, *fields: str, body: bytes = b"") -> Manner:
    head = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "connection: close", *fields]
    content = "\r\n".join([*head, "", ""]).encode() + body
    return lambda connection: connection.sendall(content)


def fall_silent(connection: socket.socket) -> None:
    """Never answers; goes when the other side does."""
    while connection.recv(4096):
        pass


def drip(connection: socket.socket) -> None:
    """A byte now and then, for ever."""
    for byte in b"HTTP/1.1 200 OK\r\nx-long: " + b"a" * 10_000:
        connection.sendall(bytes([byte]))
        time.sleep(0.02)


def hang_up(connection: socket.socket) -> None:
    """Goes without a word."""


def talk_nonsense(connection: socket.socket) -> None:
    connection.sendall(b"\x00\x01 what?\r\n\r\n")


GOOD = answer(200, body=b"ok")


class WebhookServer:
    """Answers its calls by these manners in turn, the last one again and again."""

    def __init__(self, *manners: Manner) -> None:
        self._manners: Sequence[Manner] = manners or (GOOD,)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._connections: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self.calls: list[Call] = []
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for each in self._connections:
            each.join()

    def webhook(self, path: str = "/T0/hidden", **settings: object) -> Webhook:
        url = Secret(f"http://127.0.0.1:{self.port}{path}")
        return Webhook(url=url, **settings)  # type: ignore[arg-type]

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            manner = self._manners[min(len(self._connections), len(self._manners) - 1)]
            thread = threading.Thread(target=self._talk, args=(connection, manner), daemon=True)
            self._connections.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket, manner: Manner) -> None:
        self._open.add(connection)
        with connection, contextlib.suppress(OSError):
            self.calls.append(_read(connection))
            manner(connection)
        self._open.discard(connection)


def _read(connection: socket.socket) -> Call:
    content = b""
    while b"\r\n\r\n" not in content:
        content += connection.recv(65536)
    head, _, body = content.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines)
    while len(body) < int(fields["content-length"]):
        body += connection.recv(65536)
    return Call(first.split()[1], fields, body)


def make_notice(event: str = "rolled_back", **fields: object) -> Notice:
    settings: dict[str, object] = {
        "rollout": "chat-v2",
        "route": "chat",
        "sentence": "errors: 9 of 31 of the challenger failed, 2 of 3,000 of the champion.",
        "at_ms": 1_763_740_800_000,
        "facts": {"gate": "errors", "weight": 1.0, "requests": 31},
    }
    return Notice(event=event, **settings | fields)  # type: ignore[arg-type]
