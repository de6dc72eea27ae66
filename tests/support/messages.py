"""Messages as bytes: requests and answers written for a test, and read by h11.

Rule: what is written here is valid HTTP/1.1; what is read is never judged by code of ours.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h11

EVENT_BYTES = 64 << 20
# What the gateway says itself, and therefore once.
OURS = {
    *(b"date", b"content-length", b"transfer-encoding", b"connection", b"x-request-id"),
    *(b"server-timing", b"x-gateway-backend", b"x-gateway-attempts", b"x-gateway-fallback"),
}


@dataclass
class Answer:
    status: int
    fields: dict[str, str]
    body: bytes
    is_whole: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


def answer(body: Any = None, status: int = 200, *fields: str) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body or {"ok": True}).encode()
    lines = [f"HTTP/1.1 {status} Reason", "content-type: application/json", *fields]
    head = "\r\n".join([*lines, f"content-length: {len(data)}", "", ""])
    return head.encode("latin-1") + data


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def post(path: str, body: Any, *fields: str, version: str = "1.1") -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/{version}", "host: gateway.test", "content-type: application/json"]
    lines += [*fields, f"content-length: {len(data)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + data


def chat(*fields: str, path: str = "/v1/chat/completions", **members: Any) -> bytes:
    """A chat request; `members` go into its body."""
    body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}], **members}
    return post(path, body, *fields)


def read_requests(data: bytes, *, begun: bool = False) -> Iterator[tuple[bytes, bytes]]:
    connection = h11.Connection(h11.SERVER, EVENT_BYTES)
    if not data:
        return
    connection.receive_data(data)
    body, at, is_begun = b"", 0, False
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            is_begun = True
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            rest = connection.trailing_data[0]
            whole = data[at : len(data) - len(rest)]
            yield whole[: whole.index(b"\r\n\r\n") + 4], body
            at, body, is_begun = len(data) - len(rest), b"", False
            connection = h11.Connection(h11.SERVER, EVENT_BYTES)
            if not rest:
                return
            connection.receive_data(rest)
        elif event is h11.NEED_DATA or event is h11.PAUSED:
            if begun and is_begun:
                yield data[at : data.index(b"\r\n\r\n", at) + 4], body
            return


def read_answers(data: bytes, methods: list[str], *, has_ended: bool) -> list[Answer]:
    """What an HTTP/1.1 client makes of the bytes; an answer that stops short is not whole."""
    found = []
    for method in methods:
        if not data:
            break
        connection = h11.Connection(h11.CLIENT, EVENT_BYTES)
        connection.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
        connection.send(h11.EndOfMessage())
        connection.receive_data(data)
        if has_ended:
            with contextlib.suppress(RuntimeError):
                connection.receive_data(b"")
        made, data = _one_answer(connection)
        if made is not None:
            found.append(made)
    assert not data, f"bytes behind the answers: {data[:80]!r}"
    return found


def _one_answer(connection: h11.Connection) -> tuple[Answer | None, bytes]:
    made = None
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            if not re.search("without sending complete|incomplete", str(error)):
                raise
            return made, b""
        if isinstance(event, h11.Response):
            names = Counter(name for name, _ in event.headers if name in OURS)
            assert max(names.values(), default=1) == 1, f"a field twice: {names}"
            fields = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            made = Answer(event.status_code, fields, b"", is_whole=False)
        elif isinstance(event, h11.Data) and made is not None:
            made.body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and made is not None:
            made.is_whole = True
            return made, connection.trailing_data[0]
        elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
            return made, b""
