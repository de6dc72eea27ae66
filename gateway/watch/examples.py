"""The requests that show a finding best: the records whose value is most surprising.

How surprising a value is: the logarithm of its cell's share now, over that in the reference. So
of a field that goes null a null is, of an unseen category one of these, of cents for euros one
far out. Of equally surprising ones the newest come first, from different requests.

Rule 1: ids only; no value leaves this module.
Rule 2: at most MOST_LINES are looked through.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Protocol

import msgspec
import numpy as np

from gateway.errors import GatewayError
from gateway.profiles.languages import LANGUAGE, languages
from gateway.profiles.profile import Profile
from gateway.profiles.recorded import outputs_of, rows_of, signal_of
from gateway.profiles.signals import where_of
from gateway.profiles.texts import measured
from gateway.store import Store
from gateway.store.filters import Filter

MOST_LINES = 1_000
SHOWN = 3
NEAR = 1.0  # nats less than the most surprising one, and shown as well
US_A_MINUTE = 60_000_000
RING_BYTES = 16 * 2**20


class Examples(Protocol):
    """Where lines are looked for."""

    def lines(self, route: str, version: str, first: int, end: int) -> Iterable[bytes]:
        """Predictions from minute `first` to before `end`, the newest first; bounded."""


class NoExamples:
    """Nowhere."""

    def lines(self, route: str, version: str, first: int, end: int) -> Iterable[bytes]:
        """None."""
        return ()


class StoredExamples:
    """Lines of the local store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def lines(self, route: str, version: str, first: int, end: int) -> Iterable[bytes]:
        """The newest of the store; none where it cannot be asked."""
        wanted = Filter(
            since_us=first * US_A_MINUTE,
            until_us=end * US_A_MINUTE,
            kind=("prediction", "shadow"),
            route=(route,),
            version=(version,) if version else (),
        )
        try:
            found = self._store.search(wanted, limit=MOST_LINES)
        except GatewayError:
            return ()
        return [match.line for match in found.matches]


class Ring:
    """The latest batches of lines, in memory: for who has no store."""

    def __init__(self, most_bytes: int = RING_BYTES) -> None:
        self._most, self._bytes = most_bytes, 0
        self._batches: deque[bytes] = deque()

    def add(self, data: bytes) -> None:
        """Lines of the log, each with its newline."""
        self._batches.append(data)
        self._bytes += len(data)
        while self._bytes > self._most and self._batches:
            self._bytes -= len(self._batches.popleft())

    def lines(self, route: str, version: str, first: int, end: int) -> Iterable[bytes]:
        """The newest of those that are held."""
        since, until = _moment(first), _moment(end)
        return islice(
            (
                line
                for batch in reversed(list(self._batches))
                for line in reversed(batch.splitlines())
                if _is_meant(line, route, version, since, until)
            ),
            MOST_LINES,
        )


class _Head(msgspec.Struct):
    kind: str = ""
    route: str = ""
    version: str = ""
    time: str = ""


def _is_meant(line: bytes, route: str, version: str, since: str, until: str) -> bool:
    try:
        head = msgspec.json.decode(line, type=_Head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    is_ours = head.route == route and head.version == version
    return is_ours and head.kind in {"prediction", "shadow"} and since <= head.time < until


def _moment(minute: int) -> str:
    """As records write it, so that texts compare as times do."""
    return str(np.datetime64(minute * 60, "s"))


def best_of(lines: Iterable[bytes], then: Profile, now: Profile) -> tuple[str, ...]:
    """Ids of the records that show best how a field changed."""
    if then.field.kind == "embedding":
        return ()
    surprise = _surprise(then, now)
    found: dict[str, float] = {}
    for line in islice(lines, MOST_LINES):
        record = _record(line)
        name = str(record.get("request_id") or record.get("id") or "")
        scores = [surprise[cell] for value in _values(record, then) for cell in _cell(then, value)]
        if name and scores:
            found.setdefault(name[:200], max(scores))
    least = max(max(found.values(), default=0.0) - NEAR, 0.0)
    best = sorted((name for name in found if found[name] > least), key=lambda one: -found[one])
    return tuple(best[:SHOWN])


def _surprise(then: Profile, now: Profile) -> list[float]:
    """Of each cell."""
    cells = then.counts.size
    before = (then.counts + 0.5) / (then.rows + cells / 2)
    after = (now.counts + 0.5) / (now.rows + cells / 2)
    return [math.log(share) for share in (after / before).tolist()]


def _record(line: bytes) -> Mapping[str, Any]:
    try:
        found = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _values(record: Mapping[str, Any], then: Profile) -> Iterator[Any]:
    """Of each row of a record; Ellipsis where a row lacks it."""
    name = then.field.of or then.field.name
    where, key = where_of(name)
    if where == "line":
        yield signal_of(record, name)
        return
    rows = rows_of(record.get("features"))
    if where == "predictions":
        rows, key = outputs_of(record.get("predictions")), name
    for row in islice(rows, MOST_LINES):
        yield row.get(key, ...)


def _measure(measure: str, text: bytes) -> Any:
    if measure == LANGUAGE:
        found = languages([text])
        return found[0] if found else ...
    return float(measured([text])[measure][0])


def _cell(then: Profile, value: Any) -> list[int]:
    """Where it would be counted."""
    field = then.field
    if field.measure and isinstance(value, str):
        value = _measure(field.measure, value.encode(errors="replace"))
    one = Profile(field)
    one.update(np.array([value], dtype=object))
    return [int(np.argmax(one.counts))] if one.rows else []
