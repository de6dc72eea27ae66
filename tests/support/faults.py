"""How a backend misbehaves: each function bends a model into an answerer.

`faults.short_body(model, by=5)` promises five bytes more than it sends, and so on.
Schedules (`in_turn`, `counted`, `flapping`) choose among answerers by request or time.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.support.answers import (
    LAST_CHUNK,
    Answer,
    Headers,
    Model,
    Stream,
    chunk,
    field_lines,
    json_answer,
    plays,
    status_line,
)
from tests.support.script import (
    Answerer,
    Close,
    Hang,
    Pause,
    Received,
    Reset,
    Script,
    Send,
    Step,
)

# Statuses.


def status(code: int, headers: Headers = (), body: object = None) -> Answerer:
    """That status with that JSON body each time."""
    value = {"error": {"message": f"stub says {code}", "type": "stub", "param": None, "code": None}}
    return plays(lambda _: json_answer(value if body is None else body, code, headers))


def bare_status(code: int, headers: Headers = ()) -> Answerer:
    """A status without a body or a length: 204, 304."""
    return wire(status_line(code) + field_lines(headers) + b"\r\n")


# Silence and endings.


def never() -> Answerer:
    return lambda _: [Hang()]


def after(seconds: float, answer: Answerer) -> Answerer:
    return lambda received: itertools.chain([Pause(seconds)], answer(received))


def held(gate: threading.Event, answer: Answerer) -> Answerer:
    """Answers once the gate is open."""

    def script(received: Received) -> Script:
        while not gate.is_set():
            yield Pause(0.01)
        yield from answer(received)

    return script


def end_before_head(end: Step) -> Answerer:
    return lambda _: [end]


def reset_before_head() -> Answerer:
    return end_before_head(Reset())


def close_before_head() -> Answerer:
    return end_before_head(Close())


def cut_at(model: Model, sent: Callable[[bytes], int], end: Step) -> Answerer:
    """The whole answer's bytes up to `sent(bytes)`, then that end."""

    def answer(received: Received) -> Script:
        data = model(received).wire()
        return [Send(data[: sent(data)]), Pause(0.02), end]

    return answer


def end_mid_head(model: Model, end: Step) -> Answerer:
    return cut_at(model, lambda data: data.index(b"\r\n\r\n") - 3, end)


def end_after_head(model: Model, end: Step) -> Answerer:
    return cut_at(model, lambda data: data.index(b"\r\n\r\n") + 4, end)


def end_mid_body(model: Model, end: Step) -> Answerer:
    return cut_at(model, lambda data: len(data) - 8, end)


def end_mid_stream(model: Model, events: int, end: Step) -> Answerer:
    """A stream's head and its first events, in writes of their own, then that end."""

    def answer(received: Received) -> Script:
        stream = model(received)
        assert isinstance(stream, Stream)
        yield Send(stream.head())
        yield from stream.event_steps(stream.events[:events])
        yield Pause(0.05)
        yield end

    return answer


def silent_after_head(model: Model) -> Answerer:
    return end_after_head(model, Hang())


# Framing.


def promised(model: Model, difference: int) -> Answerer:
    """Content-Length off by `difference`, then closed in order."""

    def answer(received: Received) -> Script:
        made = model(received)
        length = ("content-length", str(len(made.body) + difference))
        head = status_line(made.status) + field_lines((*made.headers, length)) + b"\r\n"
        return [Send(head + made.body), Close()]

    return answer


def short_body(model: Model, by: int = 5) -> Answerer:
    return promised(model, by)


def long_body(model: Model, by: int = 5) -> Answerer:
    """More bytes than promised; they follow the message."""
    return promised(model, -by)


def extra_bytes(model: Model, extra: bytes) -> Answerer:
    """A proper answer with bytes after its end, in the same write."""
    return lambda received: [Send(model(received).wire() + extra)]


def malformed_chunk(model: Model, events: int = 1, bad: bytes = b"zz\r\n") -> Answerer:
    def answer(received: Received) -> Script:
        stream = model(received)
        assert isinstance(stream, Stream)
        yield Send(stream.head())
        yield from stream.event_steps(stream.events[:events])
        yield Pause(0.05)
        yield Send(bad)

    return answer


def missing_terminator(model: Model) -> Answerer:
    """Every event, then closed without the last chunk."""

    def answer(received: Received) -> Script:
        data = model(received).wire()
        assert data.endswith(LAST_CHUNK)
        return [Send(data.removesuffix(LAST_CHUNK)), Pause(0.02), Close()]

    return answer


def without_done(model: Model, last: int = 1) -> Answerer:
    """Proper framing, but the stream's last `last` events never came."""

    def answer(received: Received) -> Script:
        stream = model(received)
        assert isinstance(stream, Stream)
        return replace(stream, events=stream.events[:-last]).script()

    return answer


def wire(data: bytes, end: Step | None = None) -> Answerer:
    """Exactly these bytes."""
    return lambda _: [Send(data)] if end is None else [Send(data), Pause(0.02), end]


def interim(model: Model, heads: bytes) -> Answerer:
    """Those interim responses, then the answer."""
    return lambda received: [Send(heads), *model(received).script()]


def interim_flood(count: int, code: int = 102) -> Answerer:
    return wire((status_line(code) + b"\r\n") * count, Hang())


def http10(model: Model) -> Answerer:
    """An HTTP/1.0 answer without a length; its end is the connection's end."""

    def answer(received: Received) -> Script:
        made = model(received)
        head = status_line(made.status, "1.0") + field_lines(made.headers) + b"\r\n"
        return [Send(head + made.body), Close()]

    return answer


def until_close(model: Model, end: Step | None = None) -> Answerer:
    """An HTTP/1.1 answer whose end is the connection's end."""

    def answer(received: Received) -> Script:
        made = model(received)
        head = status_line(made.status) + field_lines((*made.headers, ("connection", "close")))
        return [Send(head + b"\r\n" + made.body), end or Close()]

    return answer


def zipped(model: Model) -> Answerer:
    def made(received: Received) -> Answer:
        answer = model(received)
        assert isinstance(answer, Answer)
        return answer.zipped()

    return plays(made)


def huge_head(model: Model, fields: int, value_bytes: int) -> Answerer:
    def made(received: Received) -> Answer | Stream:
        extra = tuple((f"x-filler-{n}", "v" * value_bytes) for n in range(fields))
        answer = model(received)
        return replace(answer, headers=answer.headers + extra)

    return plays(made)


def trickle(model: Model, piece_bytes: int, gap_s: float) -> Answerer:
    """The whole answer in pieces, each a write of its own."""

    def answer(received: Received) -> Script:
        data = model(received).wire()
        for start in range(0, len(data), piece_bytes):
            yield Send(data[start : start + piece_bytes])
            yield Pause(gap_s)

    return answer


def endless(event: bytes, gap_s: float = 0.0) -> Answerer:
    """A stream that never ends."""

    def answer(_: Received) -> Script:
        yield Send(Stream(()).head())
        while True:
            yield Send(chunk(event))
            yield Pause(gap_s)

    return answer


# Schedules.


def in_turn(*answers: Answerer) -> Answerer:
    """The first request gets the first, the next the next; the last one stays."""
    rest: Iterator[Answerer] = itertools.chain(answers, itertools.repeat(answers[-1]))

    def answer(received: Received) -> Script:
        return next(rest)(received)

    return answer


def counted(times: int, first: Answerer, then: Answerer) -> Answerer:
    return in_turn(*[first] * times, then)


def alternating(*answers: Answerer) -> Answerer:
    turn = itertools.cycle(answers)

    def answer(received: Received) -> Script:
        return next(turn)(received)

    return answer


def flapping(period_s: float, good: Answerer, bad: Answerer) -> Answerer:
    """Bad in every second period, by the clock, from its first request on."""
    begun: list[float] = []

    def answer(received: Received) -> Script:
        if not begun:
            begun.append(time.monotonic())
        is_bad = int((time.monotonic() - begun[0]) / period_s) % 2 == 0
        return (bad if is_bad else good)(received)

    return answer


def by_path(answers: dict[str, Answerer], otherwise: Answerer) -> Answerer:
    return lambda received: answers.get(received.path, otherwise)(received)
