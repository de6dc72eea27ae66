"""The records of a state directory: its local store, and what is still in its log.

Knows where they lie; `lookup` knows what to do with them. Works with no gateway running.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from gateway.explanation.lookup import Lookup, NoRecord, Span, record_of
from gateway.explanation.plans import Plans
from gateway.log.names import DIRECTORY as LOG
from gateway.log.names import list_segments, started_ms
from gateway.messages import Record
from gateway.store.catalog import Catalog
from gateway.store.filters import Filter
from gateway.store.store import DIRECTORY as STORE
from gateway.store.store import Store


def lookup_in(state: Path) -> Lookup:
    """Looks up the records of a state directory."""
    return Lookup(Archive(state / STORE, state / LOG), Plans(state))


class Archive:
    """Store and log as one Source."""

    def __init__(self, directory: Path, log_directory: Path) -> None:
        self._directory, self._log_directory = directory, log_directory
        self._store = Store(directory, log_directory)

    def find(self, key: str) -> Sequence[bytes]:
        return self._store.find_all(key)

    def feedback_on(self, record: Record) -> Sequence[bytes]:
        return self._store.feedback_of(record.id, record.request_id)

    def span(self) -> Span | None:
        newest = self._store.search(Filter(), limit=1).matches
        if not newest:
            return None
        try:
            last = record_of(newest[0].line).time
        except NoRecord:
            last = ""
        return Span(min(self._beginnings(), default=last), last)

    def _beginnings(self) -> list[str]:
        """When the volumes of the store, and the processes that wrote the rest, began."""
        catalog = Catalog(self._directory)
        volumes = catalog.volumes() if catalog.exists else []
        times_s = [volume.first_us / 1e6 for volume in volumes if volume.first_us]
        times_s += [started_ms(n.stream) / 1e3 for n, _ in list_segments(self._log_directory)]
        return [_moment(time_s) for time_s in times_s]


def _moment(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
