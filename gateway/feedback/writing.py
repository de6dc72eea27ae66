"""From signals to the lines of the log, each with its id.

Rule: the id of a signal with an idempotency key follows from key, request and signal alone, so
      that the same again, here or at another gateway, is the same Feedback.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from gateway.feedback.signals import Signal, stamp
from gateway.messages import RECORD_VERSION, Feedback

Redact = Callable[[str], str]


class Accepted(Struct, frozen=True):
    """The answer: the ids of what was taken, in order."""

    ids: tuple[str, ...]


def records_of(
    signals: Sequence[Signal],
    *,
    now_s: float | None = None,
    redact: Redact | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> list[Feedback]:
    """What is written down: gateway, worker, stream and seq are left to the log's writer.

    `redact` goes over every text that people wrote. Of signals with one id the first counts.
    """
    at_s = time.time() if now_s is None else now_s
    found: dict[str, Feedback] = {}
    for signal in signals:
        name = _derived_id(signal) if signal.key else _new_id(at_s, random)
        found.setdefault(name, _record(signal, name, at_s, redact or _as_it_is))
    return list(found.values())


def _record(signal: Signal, name: str, at_s: float, redact: Redact) -> Feedback:
    value = UNSET if signal.value is UNSET else _each_text(signal.value, redact)
    return Feedback(
        v=RECORD_VERSION,
        id=name,
        time=stamp(datetime.fromtimestamp(at_s, UTC)),
        kind="feedback",
        gateway="",
        worker=0,
        stream="",
        seq=0,
        request_id=signal.request_id,
        signal=signal.signal,
        value=UNSET if value is UNSET else Raw(msgspec.json.encode(value)),
        comment=redact(signal.comment) if signal.comment else "",
        source=redact(signal.source) if signal.source else "",
        happened_at=signal.happened_at,
    )


def _derived_id(signal: Signal) -> str:
    """UUIDv8: the same for the same key, request and signal."""
    parts = (signal.key, signal.request_id, signal.signal)
    digest = hashlib.sha256(b"\0".join(part.encode("utf-8", "surrogatepass") for part in parts))
    return _uuid(int.from_bytes(digest.digest()[:16], "big"), 8)


def _new_id(at_s: float, random: Callable[[int], bytes]) -> str:
    """UUIDv7: in the order of time."""
    return _uuid(int(at_s * 1000) << 80 | int.from_bytes(random(10), "big"), 7)


def _uuid(number: int, version: int) -> str:
    number = number & ~(0xF << 76) | version << 76
    return str(uuid.UUID(int=number & ~(0x3 << 62) | 0x2 << 62))


def _as_it_is(text: str) -> str:
    return text


def _each_text(value: Any, redact: Redact) -> Any:
    """The value with `redact` applied to each text in it, names of members left alone."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list):
        return [_each_text(item, redact) for item in value]
    if isinstance(value, dict):
        return {name: _each_text(item, redact) for name, item in value.items()}
    return value
