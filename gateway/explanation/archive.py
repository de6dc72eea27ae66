"""The records of a state directory: its local store, and what is still in its log.

Knows where they lie; `lookup` knows what to do with them. Works with no gateway running.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway.explanation.lookup import Lookup, Span
from gateway.explanation.plans import Plans
from gateway.log.names import DIRECTORY as LOG
from gateway.messages import Record
from gateway.store.filters import Filter
from gateway.store.store import DIRECTORY as STORE
from gateway.store.store import Store


def lookup_in(state: Path) -> Lookup:
    """Looks up the records of a state directory."""
    return Lookup(Archive(Store(state / STORE, state / LOG)), Plans(state))


class Archive:
    """The store as a Source."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, key: str) -> Sequence[bytes]:
        return self._store.find_all(key)

    def feedback_on(self, record: Record) -> Sequence[bytes]:
        return self._store.feedback_of(record.id, record.request_id)

    def span(self) -> Span | None:
        groups = self._store.stats(Filter(), by=("day",)).groups
        days = sorted(group.by["day"] for group in groups)
        return Span(days[0], days[-1]) if days else None
