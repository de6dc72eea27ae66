"""Finds a record and all that explains it: the plan, its history, what was said later.

Rule 1: nothing here needs a running gateway: everything is read from the state directory.
Rule 2: what is not there is a NoRecord with a sentence that says where was looked.
Knows nothing of Parquet and segments; a Source finds lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from gateway.errors import GatewayError
from gateway.explanation.explanation import RecordExplanation, explain
from gateway.explanation.plans import Plans
from gateway.log.lines import LineError, decode
from gateway.messages import Feedback, Record

_MOST_NAMED = 10  # in one sentence


class NoRecord(GatewayError):
    """There is no such record, or none that can be read."""

    reason = "no_record"


class Span(Struct, frozen=True):
    """The times that a source has records of, RFC 3339."""

    first: str
    last: str


class Source(Protocol):
    """Where lines of the log are found."""

    def find(self, key: str) -> Sequence[bytes]:
        """Every line of this id, or of this request id, the newest first."""

    def feedback_on(self, record: Record) -> Sequence[bytes]:
        """Lines of feedback on it, the oldest first."""

    def span(self) -> Span | None:
        """What times there are records of; None: there are none."""


class Lookup:
    """The records of one gateway."""

    def __init__(self, source: Source, plans: Plans) -> None:
        self._source, self._plans = source, plans

    def line(self, key: str) -> bytes:
        """The line of a record, as it was written; NoRecord."""
        return self._lines(key)[0]

    def record(self, key: str) -> Record:
        """The record of an id, or of a request id; NoRecord."""
        return record_of(self.line(key))

    def explanation(self, key: str) -> RecordExplanation:
        """The record of an id explained; NoRecord."""
        newest, *others = self._lines(key)
        found = self.explained(record_of(newest))
        return replace(found, notes=(*found.notes, *_namesakes(others)))

    def explained(self, record: Record) -> RecordExplanation:
        return explain(
            record,
            self._plans.find(record.plan),
            self._plans.in_force(record.plan, _ms_of(record.time)),
            tuple(self._signals(record)),
        )

    def _lines(self, key: str) -> Sequence[bytes]:
        lines = self._source.find(key)
        if not lines:
            raise NoRecord(f"There is no record of {_shown(key)}; {self._where()}")
        return lines

    def _signals(self, record: Record) -> list[Feedback]:
        found = []
        for line in self._source.feedback_on(record):
            # What a newer gateway wrote is left out.
            with suppress(LineError):
                found.append(decode(line))
        return [each for each in found if isinstance(each, Feedback)]

    def _where(self) -> str:
        span = self._source.span()
        if span is None:
            return "there are no records at all."
        return f"there are records from {span.first} to {span.last}."


def record_of(line: bytes) -> Record:
    """A line as a record; NoRecord where it is none that this version can read."""
    try:
        found = decode(line)
    except LineError as error:
        raise NoRecord(str(error)) from None
    if isinstance(found, Feedback):
        raise NoRecord(f"This is the id of feedback on the request {_shown(found.request_id)}.")
    return found


def _namesakes(lines: Sequence[bytes]) -> Iterator[str]:
    """Notes on copies of the request, and on earlier ones for which a client chose the same id."""
    ids: dict[bool, list[str]] = {True: [], False: []}
    for line in lines:
        with suppress(NoRecord):
            record = record_of(line)
            ids[record.kind == "shadow"].append(record.id)
    if ids[True]:
        named = ", ".join(ids[True][:_MOST_NAMED])
        yield f"It was copied to other backends; the records are {named}."
    if ids[False]:
        named = ", ".join(ids[False][:_MOST_NAMED])
        yield f"Other requests had this id too; their records are {named}."


def _ms_of(time: str) -> int:
    try:
        return int(datetime.fromisoformat(time).timestamp() * 1000)
    except ValueError:
        return 0


def _shown(key: str) -> str:
    """An id as somebody gave it, safe to print."""
    text = "".join(each if each.isprintable() else "?" for each in key)
    return text if len(text) <= 80 else f"{text[:80]}…"
