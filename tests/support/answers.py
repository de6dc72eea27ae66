"""Well-formed answers as data, and their bytes.

`Answer` has a length; `Stream` is chunked, an event at a time. A model (`openai`,
`kserve`, `json_models`) turns a request into one of the two; `faults` bends them
before they become a script. Knows nothing of what the bodies mean.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from http import HTTPStatus

from tests.support.script import Answerer, Pause, Received, Script, Send

Headers = tuple[tuple[str, str], ...]
JSON: Headers = (("content-type", "application/json"),)
SSE: Headers = (("content-type", "text/event-stream"), ("cache-control", "no-cache"))
LAST_CHUNK = b"0\r\n\r\n"


def status_line(status: int, version: str = "1.1") -> bytes:
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Odd"
    return f"HTTP/{version} {status} {reason}\r\n".encode()


def field_lines(headers: Headers) -> bytes:
    return b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in headers)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@dataclass(frozen=True)
class Answer:
    """A response whose length is known."""

    status: int = 200
    headers: Headers = JSON
    body: bytes = b"{}"

    def head(self, version: str = "1.1") -> bytes:
        lines = field_lines((*self.headers, ("content-length", str(len(self.body)))))
        return status_line(self.status, version) + lines + b"\r\n"

    def wire(self) -> bytes:
        return self.head() + self.body

    def script(self) -> Iterator[Send]:
        yield Send(self.wire())

    def zipped(self) -> Answer:
        """The same answer with `content-encoding: gzip`."""
        headers = (*self.headers, ("content-encoding", "gzip"))
        return replace(self, headers=headers, body=gzip.compress(self.body))


@dataclass(frozen=True)
class Stream:
    """A chunked response, one event a write."""

    events: tuple[bytes, ...]
    status: int = 200
    headers: Headers = SSE
    first_s: float = 0.0  # after the head, before the first event
    gap_s: float = 0.0  # between events

    def head(self) -> bytes:
        lines = field_lines((*self.headers, ("transfer-encoding", "chunked")))
        return status_line(self.status) + lines + b"\r\n"

    @property
    def body(self) -> bytes:
        return b"".join(self.events)

    def wire(self) -> bytes:
        return self.head() + b"".join(map(chunk, self.events)) + LAST_CHUNK

    def script(self) -> Iterator[Send | Pause]:
        yield Send(self.head())
        if self.first_s:
            yield Pause(self.first_s)
        yield from self.event_steps(self.events)
        yield Send(LAST_CHUNK)

    def event_steps(self, events: tuple[bytes, ...]) -> Iterator[Send | Pause]:
        for place, event in enumerate(events):
            if place and self.gap_s:
                yield Pause(self.gap_s)
            yield Send(chunk(event))


Model = Callable[[Received], Answer | Stream]


def json_answer(value: object, status: int = 200, headers: Headers = ()) -> Answer:
    return Answer(status, JSON + headers, json.dumps(value).encode())


def sse(value: object, event: str = "") -> bytes:
    """One server-sent event."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + json.dumps(value).encode() + b"\n\n"


def plays(model: Model) -> Answerer:
    """The model as an answerer that behaves; a HEAD request gets the head alone."""

    def answer(received: Received) -> Script:
        made = model(received)
        if received.method == "HEAD":
            return [Send(made.head())]
        return made.script()

    return answer


def always(made: Answer | Stream) -> Model:
    return lambda _received: made


def echo(received: Received) -> Answer:
    """The request's body back, with what was asked in the headers."""
    headers = (
        ("content-type", received.header("content-type") or "application/octet-stream"),
        ("x-echo-method", received.method),
        ("x-echo-target", received.target),
    )
    return Answer(200, headers, received.body)
