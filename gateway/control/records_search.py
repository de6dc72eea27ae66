"""`/api/v1/records` and `/api/v1/records/stats`: the prediction log, searched and counted.

Filters come as query parameters, several values separated by commas. Questions are asked in
threads, AT_ONCE at a time; as many as MOST_WAITING wait for their turn, and who comes then is
told to come again.

Rule 1: a body is only given where the query asks for it (`payload=true`).
Rule 2: what was left out (damaged files, records of a newer gateway) is in `notes`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from gateway.config.units import Duration
from gateway.control.faults import Fault
from gateway.control.parts import Parts
from gateway.control.parts import Searches as AnySearches
from gateway.control.records import without_bodies
from gateway.log.names import DIRECTORY as LOG
from gateway.store import Store
from gateway.store.database import StoreError, WrongQuestion
from gateway.store.filters import Filter
from gateway.store.moments import moment_us
from gateway.store.search import Found, Match
from gateway.store.stats import GROUPS, Stats
from gateway.store.store import DIRECTORY as STORE
from gateway.threads import in_thread

T = TypeVar("T")
AT_ONCE = 2
MOST_WAITING = 16
LIMIT, MOST = 50, 1000

_SEVERAL = (
    "route",
    "backend",
    "model",
    "version",
    "user",
    "outcome",
    "kind",
    "status",
    "feedback",
    "anomaly",
)
_ALONE = ("since", "until", "min_cost_usd", "min_latency", "text")
_TRUE = {"1", "true", "yes"}

FILTERS = {
    "since": "from when: 2026-11-21T14:30:00Z, 2h, yesterday",
    "until": "until when, in the same forms",
    "route": "comma-separated, as all that follow up to `feedback`",
    "backend": "who answered",
    "model": "as the client named it",
    "version": "of the model",
    "user": "for whom",
    "outcome": "such as `ok`",
    "kind": "prediction, shadow, refusal, cancelled",
    "status": "503, 5xx",
    "feedback": "a signal that was given on the record; `any`",
    "anomaly": "of a contract: `any`, NAME, input:NAME, input:NAME:/pointer; comma-separated",
    "min_cost_usd": "cost at least so much",
    "min_latency": "took at least so long: 800ms",
    "text": "anywhere in the record",
}
SEARCH_QUERY = FILTERS | {
    "limit": f"at most so many records, the newest; default {LIMIT}, up to {MOST}",
    "payload": "`true`: with the bodies, as far as they are kept",
}
STATS_QUERY = FILTERS | {
    "by": f"comma-separated, of {', '.join(GROUPS)}; default: route,backend",
    "signals": "`true`: with the feedback on the records of each group",
}


class FoundRecord(Struct, frozen=True, kw_only=True):
    """One record and what was said of it."""

    record: dict[str, Any]  # its members are in docs/records.md
    feedback: tuple[dict[str, Any], ...] = ()


class FoundRecords(Struct, frozen=True, kw_only=True):
    """The newest records that match, the newest first."""

    records: tuple[FoundRecord, ...]
    has_more: bool
    notes: tuple[str, ...]  # what is left out, in sentences


class Searches:
    """Asks the store, a few questions at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def search(self, wanted: Filter, limit: int) -> Found:
        has_feedback = bool(wanted.feedback)
        call = functools.partial(
            self._store.search, wanted, limit=limit, with_feedback=has_feedback
        )
        return await self._asked(call)

    async def stats(self, wanted: Filter, by: tuple[str, ...], *, with_feedback: bool) -> Stats:
        call = functools.partial(self._store.stats, wanted, by, with_feedback=with_feedback)
        return await self._asked(call)

    async def _asked(self, call: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise Fault(503, "busy", "Too many searches wait for their turn; ask again later.")
        self._waiting += 1
        try:
            async with self._turns:
                return await in_thread(call, name="search")
        except WrongQuestion as error:
            raise Fault(400, error.reason, f"{error}.") from None
        finally:
            self._waiting -= 1


def searches_in(state: Path) -> Searches:
    """Of the store and the log in a state directory."""
    return Searches(Store(state / STORE, state / LOG))


async def search(parts: Parts, query: Mapping[str, str]) -> FoundRecords:
    """The newest records that match."""
    searches, wanted = _searches(parts), filter_of(query, parts.now_s())
    found = await searches.search(wanted, _limit(query.get("limit", "")))
    has_payload = query.get("payload", "").lower() in _TRUE
    return FoundRecords(
        records=tuple(_decoded(match, has_payload=has_payload) for match in found.matches),
        has_more=found.has_more,
        notes=found.notes,
    )


async def stats(parts: Parts, query: Mapping[str, str]) -> Stats:
    """Figures of the records that match, by group."""
    searches, wanted = _searches(parts), filter_of(query, parts.now_s())
    by = _values(query.get("by", "route,backend"))
    with_feedback = query.get("signals", "").lower() in _TRUE
    return await searches.stats(wanted, by, with_feedback=with_feedback)


def filter_of(query: Mapping[str, str], now_s: float) -> Filter:
    """The filter of a query; Fault where a parameter means nothing."""
    lists: dict[str, Any] = {name: _values(query.get(name, "")) for name in _SEVERAL}
    since, until, cost, latency, text = (query.get(name, "") for name in _ALONE)
    try:
        return Filter(
            **lists,
            since_us=moment_us(since, now_s) if since else None,
            until_us=moment_us(until, now_s) if until else None,
            min_cost_usd=float(cost) if cost else None,
            min_latency_us=int(Duration.parse(latency)) // 1000 if latency else None,
            text=text,
        )
    except (StoreError, ValueError) as error:
        raise Fault(400, WrongQuestion.reason, f"{str(error).rstrip('.')}.") from None


def _searches(parts: Parts) -> AnySearches:
    if parts.searches is None:
        raise Fault(503, "store_off", "The local store is off, so there is nothing to look in.")
    return parts.searches


def _limit(text: str) -> int:
    limit = int(text or LIMIT) if text.isascii() and (text.isdigit() or not text) else 0
    if not 1 <= limit <= MOST:
        raise Fault(400, WrongQuestion.reason, f"`limit` is a number from 1 to {MOST}.")
    return limit


def _values(text: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in text.split(",") if each.strip())


def _decoded(match: Match, *, has_payload: bool) -> FoundRecord:
    record = msgspec.json.decode(match.line)
    return FoundRecord(
        record=record if has_payload else without_bodies(record),
        feedback=tuple(msgspec.json.decode(line) for line in match.feedback),
    )
