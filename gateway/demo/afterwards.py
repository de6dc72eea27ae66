"""What the prediction log says afterwards: one rescued request explained, whether inputs
drifted, and the log's balance.

Knows nothing of the terminal; asks the admin API, as anybody could.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from gateway.demo.client import Client
from gateway.demo.models import MORTAL
from gateway.explanation.explanation import RecordExplanation

T = TypeVar("T")
API = "/api/v1"
OK = 200
LOOKED_AT = 500  # records
LEAST_RECORDS = 50  # to say anything of drift
DYING = timedelta(seconds=4)  # after which its breaker keeps all requests away


class Attempt(Struct, frozen=True):
    """As much of an attempt as is needed to choose one request."""

    backend: str
    outcome: str


class Record(Struct, frozen=True):
    """As much of a record."""

    id: str
    outcome: str = ""
    attempts: tuple[Attempt, ...] = ()

    @property
    def is_rescued(self) -> bool:
        """Answered well, after an attempt that was not."""
        return self.outcome == "ok" and len(self.attempts) > 1 and self.attempts[0].outcome != "ok"


class Found(Struct, frozen=True):
    record: Record


class FoundRecords(Struct, frozen=True):
    records: tuple[Found, ...] = ()


class FoundLine(Struct, frozen=True):
    record: msgspec.Raw


class FoundLines(Struct, frozen=True):
    records: tuple[FoundLine, ...] = ()


class Sink(Struct, frozen=True):
    """How much of the log one sink has."""

    name: str
    appended: int
    shipped: int
    waiting: int
    dropped: int

    @property
    def sentence(self) -> str:
        return (
            f"{self.appended} appended = {self.shipped} shipped to the {self.name}"
            f" + {self.waiting} waiting + {self.dropped} dropped"
        )


class Figures(Struct, frozen=True):
    sinks: tuple[Sink, ...] = ()


class Log(Struct, frozen=True):
    figures: Figures | None = None


class Afterwards(Struct, frozen=True):
    """Everything that is told at the end."""

    rescue: RecordExplanation | None = None
    drift: str = ""  # of the inputs of fraud's models, as `gateway drift status` prints it
    sinks: tuple[Sink, ...] = ()


async def look_back(
    admin: Client, began: datetime, died: datetime | None, in_cents: datetime | None = None
) -> Afterwards:
    """What the log has; nothing where the gateway does not answer any more."""
    try:
        drift = "" if in_cents is None else await _drift(admin, began, in_cents)
        id_ = await _rescued(admin, began, died)
        rescue = None if id_ is None else await _explanation(admin, id_)
        log = await _asked(admin, f"{API}/log", Log)
    except (OSError, EOFError, ValueError):
        return Afterwards()
    return Afterwards(rescue, drift, log.figures.sinks if log.figures else ())


async def _drift(admin: Client, began: datetime, changed: datetime) -> str:
    """Fraud's inputs since something changed against those before."""
    before = await _lines(admin, since=began, until=changed)
    after = await _lines(admin, since=changed)
    if min(len(before), len(after)) < LEAST_RECORDS:
        return ""
    from gateway.demo.inputs import compared  # noqa: PLC0415  takes half a second

    return compared(before, after, changed.timestamp())


async def _lines(admin: Client, **when: datetime) -> list[bytes]:
    query = {"route": "fraud", "kind": "prediction", "limit": str(LOOKED_AT)}
    query |= {name: _text(moment) for name, moment in when.items()}
    found = await _asked(admin, f"{API}/records?{urlencode(query)}", FoundLines)
    return [bytes(each.record) for each in found.records]


async def _rescued(admin: Client, began: datetime, died: datetime | None) -> str | None:
    """A request that the model's death hit, else any that needed another attempt."""
    spans = [(began, None)] if died is None else [(died, died + DYING), (began, None)]
    for since, until in spans:
        query = {"since": _text(since), "outcome": "ok", "limit": str(LOOKED_AT)}
        if until is not None:
            query["until"] = _text(until)
        found = await _asked(admin, f"{API}/records?{urlencode(query)}", FoundRecords)
        chosen = choose(each.record for each in found.records)
        if chosen is not None:
            return chosen.id
    return None


def choose(records: Iterable[Record]) -> Record | None:
    """The one to tell of: let down by the model that died, if there is one."""
    rescued = [record for record in records if record.is_rescued]
    by_death = (each for each in rescued if each.attempts[0].backend == MORTAL.name)
    return next(by_death, next(iter(rescued), None))


async def _explanation(admin: Client, id_: str) -> RecordExplanation:
    return await _asked(admin, f"{API}/records/{id_}/explanation", RecordExplanation)


async def _asked(admin: Client, path: str, kind: type[T]) -> T:
    answer = await admin.ask(path)
    if answer.status != OK:
        raise ValueError(f"status {answer.status}")
    return msgspec.json.decode(answer.body, type=kind)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
