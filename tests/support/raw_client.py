"""A client that sends exact bytes and reads one response at a time, strictly.

Responses are read by h11, an independent and strict parser, so what the gateway sends
is judged by something that shares no code with it.

Rule 1: every wait is bounded; running out of time raises `TimeoutError`.
Rule 2: bytes after a response stay in `rest` and begin the next one.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import h11

from tests.support.backends import HEAD_BYTES_MAX, LINGER_NONE

READ_BYTES = 65536


@dataclass(slots=True)
class Response:
    status: int
    reason: str
    version: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    pieces: list[tuple[float, bytes]] = field(default_factory=list)  # body as it came: (when, data)
    interim: list[int] = field(default_factory=list)  # 1xx statuses before it
    framing: str = ""  # "length", "chunked", "close", "none"
    head_at: float = 0.0
    end_at: float = 0.0

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[str]:
        """The data of each server-sent event."""
        blocks = self.body.decode().split("\n\n")
        return [line[6:] for b in blocks for line in b.split("\n") if line.startswith("data: ")]


class Truncated(Exception):
    """The connection ended inside a response; what had come is in `response`."""

    def __init__(self, response: Response | None, why: str) -> None:
        super().__init__(f"{why}; had {response}")
        self.response = response


class RawClient:
    def __init__(
        self,
        address: tuple[str, int],
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        timeout_s: float = 5.0,
        receive_bytes: int = 0,  # SO_RCVBUF, for slow readers
    ) -> None:
        self.timeout_s = timeout_s
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        plain = socket.socket(family)
        plain.settimeout(timeout_s)
        if receive_bytes:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            plain.connect(address)
            self.socket = (
                plain if tls is None else tls.wrap_socket(plain, server_hostname=server_name)
            )
        except OSError:
            plain.close()
            raise
        self.rest = b""
        self.received = bytearray()  # everything, in order

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Close with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_pieces(self, pieces: Iterable[bytes], gap_s: float) -> None:
        for piece in pieces:
            self.send(piece)
            time.sleep(gap_s)

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def request(
        self,
        method: str,
        target: str,
        body: bytes | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Response:
        """Send one well-formed request and read its response."""
        self.send(request_bytes(method, target, body, headers))
        return self.read_response(method)

    def post_json(
        self, target: str, value: object, headers: Iterable[tuple[str, str]] = ()
    ) -> Response:
        kinds = [("content-type", "application/json"), *headers]
        return self.request("POST", target, json.dumps(value).encode(), kinds)

    def _receive(self, deadline: float) -> bytes:
        """The next bytes; empty at the end of the connection."""
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))
        data = self.socket.recv(READ_BYTES)
        self.received += data
        return data

    def read_response(self, method: str = "GET", timeout_s: float | None = None) -> Response:
        deadline = time.monotonic() + (timeout_s or self.timeout_s)
        reader = _reader(method)
        made: Response | None = None
        body = bytearray()
        interim: list[int] = []
        if self.rest:
            reader.receive_data(self.rest)
        while True:
            try:
                event = reader.next_event()
            except h11.RemoteProtocolError as wrong:
                raise Truncated(_with_body(made, body), str(wrong)) from wrong
            if event is h11.NEED_DATA:
                reader.receive_data(self._receive(deadline))
            elif isinstance(event, h11.InformationalResponse):
                interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                made = _begun(event, interim)
            elif isinstance(event, h11.Data):
                assert made is not None
                body += event.data
                made.pieces.append((time.monotonic(), bytes(event.data)))
            elif isinstance(event, h11.EndOfMessage):
                assert made is not None
                made.body, made.end_at = bytes(body), time.monotonic()
                self.rest = reader.trailing_data[0]
                return made
            elif isinstance(event, h11.ConnectionClosed):
                raise Truncated(_with_body(made, body), "closed before a response")

    def read_what_comes(self, method: str = "GET") -> tuple[Response | None, bool]:
        """The response as far as it came, and whether it was whole."""
        try:
            return self.read_response(method), True
        except Truncated as cut:
            return cut.response, False

    def read_exactly(self, count: int) -> bytes:
        """That many raw bytes, for what is not HTTP (a tunnel)."""
        deadline = time.monotonic() + self.timeout_s
        data, self.rest = self.rest[:count], self.rest[count:]
        while len(data) < count:
            more = self._receive(deadline)
            if not more:
                raise Truncated(None, f"closed after {len(data)} of {count} bytes")
            data += more
        data, self.rest = data[:count], data[count:] + self.rest
        return data

    def read_some(self) -> bytes:
        """Whatever comes next; empty at the end of the connection."""
        return self._receive(time.monotonic() + self.timeout_s)

    def read_to_mark(self, mark: bytes) -> bytes:
        """Everything received so far, once it ends with `mark`."""
        deadline = time.monotonic() + self.timeout_s
        while not self.received.endswith(mark):
            assert self._receive(deadline), f"closed before {mark!r}"
        return bytes(self.received)

    def read_to_end(self, timeout_s: float | None = None) -> bytes:
        """All bytes until the peer closes; a reset counts as the end."""
        deadline = time.monotonic() + (timeout_s or self.timeout_s)
        data, self.rest = self.rest, b""
        try:
            while more := self._receive(deadline):
                data += more
        except (ConnectionResetError, BrokenPipeError):
            pass
        return data

    def is_closed(self, timeout_s: float = 2.0) -> bool:
        """Whether the peer closes, with nothing more to read, within that time."""
        if self.rest:
            return False
        try:
            return self._receive(time.monotonic() + timeout_s) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    def is_quiet(self, seconds: float) -> bool:
        """Whether the connection stays open and silent for that time."""
        return not self.rest and not select.select([self.socket], [], [], seconds)[0]


def request_bytes(
    method: str,
    target: str,
    body: bytes | None = None,
    headers: Iterable[tuple[str, str]] = (),
    host: str = "gateway.test",
) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body is not None:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def _reader(method: str) -> h11.Connection:
    """An h11 client that has just sent a request of that method."""
    reader = h11.Connection(h11.CLIENT, HEAD_BYTES_MAX)
    reader.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    reader.send(h11.EndOfMessage())
    return reader


def _with_body(made: Response | None, body: bytearray) -> Response | None:
    """The response as far as it had come."""
    if made is not None:
        made.body = bytes(body)
    return made


def _begun(event: h11.Response, interim: list[int]) -> Response:
    headers = [(k.decode(), v.decode("latin-1")) for k, v in event.headers.raw_items()]
    names = {name.lower(): value for name, value in headers}
    framing = "close"
    if event.status_code in (204, 304):
        framing = "none"
    elif names.get("transfer-encoding"):
        framing = "chunked"
    elif "content-length" in names:
        framing = "length"
    return Response(
        event.status_code,
        event.reason.decode("latin-1"),
        event.http_version.decode(),
        headers,
        interim=interim,
        framing=framing,
        head_at=time.monotonic(),
    )
