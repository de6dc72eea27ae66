"""Readers of HTTP/1.1 that others wrote, and ours, behind one face.

Each reads a connection's bytes, in pieces, and says which whole messages it found and
how it ended: `done` (nothing left over), `waits` (in the middle of one), `refused`
(then `status` says with which answer, where it knows), `stopped` (the connection ends
after the last message).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import h11
import httptools

from gateway._fast.chunked import decode
from gateway._fast.head import end_of_head
from gateway._fast.head import request as read_request
from gateway.errors import OUTCOMES
from tests.support.seen import Seen

EVENT_BYTES = 64 << 20


@dataclass
class Reading:
    messages: list[Seen] = field(default_factory=list)
    end: str = "done"
    status: int = 0


def by_h11(pieces: Iterable[bytes]) -> Reading:
    """As an h11 server reads requests."""
    reading = Reading()
    connection = h11.Connection(h11.SERVER, EVENT_BYTES)
    begun: h11.Request | None = None
    body = b""
    for piece in pieces:
        connection.receive_data(piece)
        while True:
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError as wrong:
                reading.end, reading.status = "refused", wrong.error_status_hint
                return reading
            if event is h11.NEED_DATA:
                break
            if isinstance(event, h11.Request):
                begun, body = event, b""
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert begun is not None
                target = begun.target.decode("latin-1")
                reading.messages.append(Seen(begun.method.decode(), target, body))
                begun = None
                if connection.their_state is not h11.DONE or connection.our_state is h11.MUST_CLOSE:
                    reading.end = "stopped"
                    return reading
                rest = connection.trailing_data[0]
                connection = h11.Connection(h11.SERVER, EVENT_BYTES)
                if rest:
                    connection.receive_data(rest)
            elif event is h11.PAUSED:
                reading.end = "stopped"
                return reading
    if begun is not None or connection.trailing_data[0]:
        reading.end = "waits"
    return reading


class _Collector:
    """What httptools calls back."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.parser: httptools.HttpRequestParser | None = None
        self.url = b""
        self.body = b""
        self.is_open = False

    def on_message_begin(self) -> None:
        self.url, self.body, self.is_open = b"", b"", True

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        assert self.parser is not None
        method = self.parser.get_method().decode()
        self.reading.messages.append(Seen(method, self.url.decode("latin-1"), self.body))
        self.is_open = False


def by_httptools(pieces: Iterable[bytes]) -> Reading:
    """As llhttp reads requests, without its leniencies."""
    reading = Reading()
    collector = _Collector(reading)
    collector.parser = httptools.HttpRequestParser(collector)
    try:
        for piece in pieces:
            collector.parser.feed_data(piece)
    except httptools.HttpParserUpgrade:
        reading.end = "stopped"
        return reading
    except httptools.HttpParserError:
        reading.end = "refused"
        return reading
    if collector.is_open:
        reading.end = "waits"
    return reading


def by_the_gateway(pieces: Iterable[bytes], fields_limit: int = 100) -> Reading:
    """As the compiled readers of heads and chunks read requests, put together plainly.

    Sizes are the connection's business, so limits of a head or a body are not here.
    """
    reading = Reading()
    data = b"".join(pieces)
    while data:
        if data.startswith(b"\r\n"):
            data = data[2:]
        end = end_of_head(data)
        if end < 0:
            reading.end = "waits"
            return reading
        made = read_request(data[:end], fields_limit)
        if isinstance(made, int):
            reading.end, reading.status = "refused", OUTCOMES[made].status
            return reading
        rest = _body(made, data[end:], reading)
        if rest is None:
            return reading
        data = rest
        if not made["keep_alive"]:
            reading.end = "stopped"
            return reading
    return reading


def _body(made: dict[str, object], data: bytes, reading: Reading) -> bytes | None:
    """Read the body that follows a head; what is left, or None when the end was set."""
    length = made["content_length"]
    assert isinstance(length, int)
    body, rest = data[: max(0, length)], data[max(0, length) :]
    if made["chunked"]:
        decoded = decode(data)
        if isinstance(decoded, int):
            reading.end, reading.status = "refused", 400
            return None
        if decoded is None:
            reading.end = "waits"
            return None
        body, rest = decoded
    elif len(body) < length:
        reading.end = "waits"
        return None
    method, target = made["method"], made["target"]
    assert isinstance(method, bytes)
    assert isinstance(target, bytes)
    reading.messages.append(Seen(method.decode(), target.decode("latin-1"), body))
    return rest


def response_by_h11(data: bytes, method: str = "GET", end: str = "open") -> Reading:
    """As an h11 client reads the answer to one request; a reset is not an end to it."""
    reading = Reading(end="waits")
    connection = h11.Connection(h11.CLIENT, EVENT_BYTES)
    connection.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    if data:
        connection.receive_data(data)
    if end == "close":
        connection.receive_data(b"")
    body = b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            reading.end = "refused"
            return reading
        if isinstance(event, h11.Response):
            reading.status = event.status_code
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            reading.messages.append(Seen("", "", body))
            reading.end = "done"
            return reading
        elif event is h11.NEED_DATA:
            return reading
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            reading.end = "refused"
            return reading
