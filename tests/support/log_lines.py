"""Lines of a prediction log as a busy gateway would have written them, quickly and in any number.

Every line is a Record or Feedback as `messages` has it, with ids that rise with time and
figures that differ from line to line; one seed gives one log. Made by filling in a line
that was encoded once: about 5 µs a record.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from gateway.messages import (
    RECORD_VERSION,
    AttemptRecord,
    Candidate,
    Decision,
    Feedback,
    Payload,
    Price,
    Record,
    Timing,
    TokenUsage,
)

BACKENDS = ("mini", "local-llama", "large")
ROUTES = ("chat", "summaries", "agents", "search")
OUTCOMES = ("ok",) * 60 + ("upstream_5xx", "first_byte_timeout", "rate_limited", "client_closed")
STATUSES = {
    "ok": 200,
    "upstream_5xx": 502,
    "first_byte_timeout": 504,
    "rate_limited": 429,
    "client_closed": 499,
}
EPOCH_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)


class Shape(NamedTuple):
    """How the log is."""

    stream: str
    start_ms: int = EPOCH_MS
    every_ms: float = 10.0  # between records
    feedback: float = 0.02  # signals a record
    own_request_ids: float = 0.3  # share of records whose client sent a request id
    users: int = 20_000
    seed: int = 1


def uuid7(ms: int, chance: random.Random) -> str:
    """A UUIDv7 of this millisecond."""
    low = chance.getrandbits(74)
    head = f"{ms:012x}7{low >> 62:03x}{0x8000 | (low >> 48 & 0x3FFF):04x}{low & (1 << 48) - 1:012x}"
    return f"{head[:8]}-{head[8:12]}-{head[12:16]}-{head[16:20]}-{head[20:]}"


def log_lines(shape: Shape, count: int, *, first_seq: int = 1) -> Iterator[bytes]:
    """So many lines without newlines, records and feedback, `seq` without gaps."""
    chance = random.Random(f"{shape.seed} {shape.stream} {first_seq}")
    templates = {
        (route, backend): _template(shape.stream, route, backend)
        for route in ROUTES
        for backend in BACKENDS
    }
    latest = ""
    for seq in range(first_seq, first_seq + count):
        ms = shape.start_ms + int(seq * shape.every_ms)
        if latest and chance.random() < shape.feedback:
            yield _feedback(shape.stream, seq, ms, latest, chance)
        else:
            latest = uuid7(ms, chance)
            yield _record(templates, shape, seq, ms, latest, chance)


def segment_bytes(shape: Shape, count: int, *, first_seq: int = 1) -> bytes:
    """The same as the content of a segment."""
    return b"".join(line + b"\n" for line in log_lines(shape, count, first_seq=first_seq))


def _record(
    templates: dict[tuple[str, str], bytes],
    shape: Shape,
    seq: int,
    ms: int,
    id_: str,
    chance: random.Random,
) -> bytes:
    is_own = chance.random() < shape.own_request_ids
    outcome = OUTCOMES[chance.randrange(len(OUTCOMES))]
    total_us = int(chance.lognormvariate(13, 0.8))
    figures = chance.getrandbits(256)
    route, backend = ROUTES[figures & 3], BACKENDS[(figures >> 2 & 0xFF) % len(BACKENDS)]
    return templates[route, backend] % (
        id_.encode(),
        b"req-%016x" % chance.getrandbits(64) if is_own else id_.encode(),
        _time(ms, figures >> 10 & 0x3FF),
        seq,
        outcome.encode(),
        STATUSES[outcome],
        total_us,
        total_us - 41,
        total_us // 3,
        figures >> 16 & 0x1FFF,
        figures >> 32 & 0xFFFFFFFFFFFFFFFF,
        figures >> 40 & 0x3FFF,
        figures >> 48 & 0xFFFFFFFFFFFFFFFF,
        (figures >> 100) % shape.users,
        figures >> 110 & 0xFFFFF,
        figures >> 120 & 0xFFFF,
        figures >> 130 & 0xFFFFF,
        figures >> 140 & 0xFFFF,
        figures >> 150 & 0xFFFFFFFFFFFFFFFF,
        total_us,
        total_us // 3,
        figures >> 200 & 0x7FF,
        figures >> 211 & 0x1FF,
        figures >> 220 & 0xFFFF,
    )


def _template(stream: str, route: str, backend: str) -> bytes:
    """A line whose figures are to be filled in, in their order."""
    record = Record(
        v=RECORD_VERSION,
        id="<s>",
        request_id="<s>",
        time="<s>",
        kind="prediction",
        gateway="gateway-1",
        worker=0,
        stream=stream,
        seq=0,
        plan="3b7c9d20a1" * 6,
        outcome="<s>",
        status=0,
        timing=Timing(
            total_us=0, queue_us=3, upstream_us=1, gateway_us=38, read_us=12, first_byte_us=1
        ),
        request=Payload(bytes=0, xxh3="<x>"),
        response=Payload(bytes=0, xxh3="<x>"),
        route=route,
        protocol="openai",
        operation="chat",
        method="POST",
        model=route,
        user="user-<d>",
        streamed=True,
        backend=backend,
        backend_model=f"{backend}-2026",
        version="2026-07-18",
        decisions=(_decision(route, backend),),
        attempts=(
            AttemptRecord(
                backend=backend,
                outcome="ok",
                begun_us=14,
                ended_us=0,
                status=200,
                sent_us=31,
                first_byte_us=1,
                reused=True,
                request_bytes=1212,
                answer_bytes=3400,
            ),
        ),
        usage=TokenUsage(input_tokens=1, output_tokens=1),
        cost_usd=0.5,
        price=Price(source="config", input=0.15, output=0.6),
        finish_reason="stop",
    )
    return _holes(msgspec.json.encode(record))


def _decision(route: str, backend: str) -> Decision:
    candidates = tuple(
        Candidate(backend=name, weight=1.0, load_us=0.5, predicted_us=0.25) for name in BACKENDS[:2]
    )
    return Decision(
        route=route,
        policy="cheapest_within_slo",
        at_us=12,
        candidates=candidates,
        chosen=backend,
        probability=1.0,
        capabilities=("chat",),
        input_bytes=1200,
        output_tokens=500,
        draw="<x>",
    )


def _holes(line: bytes) -> bytes:
    """The line with a place for each figure that differs."""
    line = line.replace(b"<s>", b"%b").replace(b"<x>", b"%016x").replace(b"<d>", b"%05d")
    for member, before, after in (
        (b"seq", b"0", b"%d"),
        (b"status", b"0", b"%d"),
        (b"total_us", b"0", b"%d"),
        (b"upstream_us", b"1", b"%d"),
        (b"first_byte_us", b"1", b"%d"),
        (b"bytes", b"0", b"%d"),
        (b"load_us", b"0.5", b"%d.5"),
        (b"predicted_us", b"0.25", b"%d.25"),
        (b"ended_us", b"0", b"%d"),
        (b"input_tokens", b"1", b"%d"),
        (b"output_tokens", b"1", b"%d"),
        (b"cost_usd", b"0.5", b"0.00%05d"),
    ):
        for end in (b",", b"}"):
            line = line.replace(
                b'"%b":%b%b' % (member, before, end), b'"%b":%b%b' % (member, after, end)
            )
    return line


def _feedback(stream: str, seq: int, ms: int, about: str, chance: random.Random) -> bytes:
    return msgspec.json.encode(
        Feedback(
            v=RECORD_VERSION,
            id=uuid7(ms, chance),
            time=_time(ms, 0).decode(),
            kind="feedback",
            gateway="gateway-1",
            worker=0,
            stream=stream,
            seq=seq,
            request_id=about,
            signal="thumbs",
            value=msgspec.Raw(b"true" if chance.random() < 0.8 else b"false"),
        )
    )


def _time(ms: int, us: int) -> bytes:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}{us % 1000:03d}Z".encode()
