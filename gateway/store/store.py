"""The door of the local store: what the shipper, the command line and the admin API call.

Every call opens what it needs and may be made from any thread; changes take turns with
those of other processes. It works with no gateway running.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from gateway.store.catalog import Catalog
from gateway.store.changes import Changes
from gateway.store.database import Database, connected, failures
from gateway.store.export import Exported, Format, export
from gateway.store.filters import Filter
from gateway.store.finding import find, find_feedback
from gateway.store.forgetting import Forgotten, forget, resume_orders
from gateway.store.labelled import Labelled, LabelQuestion, labelled
from gateway.store.look import Sources
from gateway.store.orders import Hold, read_orders
from gateway.store.retention import Expired, expire
from gateway.store.search import Found, search
from gateway.store.segments import lines_in
from gateway.store.stats import Stats, stats
from gateway.store.upkeep import add_segment, join_volumes
from gateway.store.volume import Volume

DIRECTORY = "store"  # under the state directory
LIMIT = 50
MOST_JOINS = 100  # of one call
WRITERS = 1  # threads; requests are served on the same cores


class Store:
    """The store of one state directory, and the log's files beside it."""

    def __init__(
        self, directory: Path, log_directory: Path, *, now: Callable[[], float] = time.time
    ) -> None:
        self._sources = Sources(directory, log_directory, Database())
        self._changes = Changes(directory, log_directory)
        self._now = now

    def close(self) -> None:
        """Let the database go; the next question opens it anew."""
        self._sources.database.close()

    # asking

    def find(self, key: str) -> bytes | None:
        """The line of the record with this id or request id, the newest of several."""
        return next(iter(self.find_all(key)), None)

    def find_all(self, key: str) -> list[bytes]:
        """Every record with this id or request id, the newest first."""
        return find(self._sources, key)

    def feedback_of(self, *keys: str) -> list[bytes]:
        """Every signal on the record that has one of these ids, the oldest first."""
        return find_feedback(self._sources, keys)

    def search(self, wanted: Filter, *, limit: int = LIMIT, with_feedback: bool = False) -> Found:
        """The newest records that match."""
        return search(self._sources, wanted, limit, with_feedback=with_feedback)

    def stats(
        self,
        wanted: Filter,
        by: Sequence[str] = ("route", "backend"),
        *,
        with_feedback: bool = False,
    ) -> Stats:
        """Counts, outcomes, latency, tokens, cost and feedback of the records that match."""
        return stats(self._sources, wanted, by, with_feedback=with_feedback)

    def labelled(self, question: LabelQuestion) -> Labelled:
        """Predictions of a route beside what was said of each, the oldest first."""
        return labelled(self._sources, question)

    def export(self, wanted: Filter, form: Format, path: Path) -> Exported:
        """Write the records that match to a file."""
        return export(self._sources, wanted, form, path)

    def lines_of(self, segment: str) -> Iterator[bytes] | None:
        """The lines of a segment without newlines; None where the store has it not."""
        catalog = Catalog(self._sources.directory)
        volume = catalog.volume_of(segment) if catalog.exists else None
        if volume is None:
            return None
        return self._lines_of(segment)

    def _lines_of(self, segment: str) -> Iterator[bytes]:
        # Why nothing of a damaged volume: whoever compares the lines misses them.
        with self._sources.database.connection() as connection, suppress(failures()):
            volume = Catalog(self._sources.directory).volume_of(segment)
            if volume is not None:
                yield from lines_in(connection, self._sources.directory, volume, segment)

    def segments(self, since_us: int = 0) -> dict[str, int]:
        """Segments in volumes that hold anything since then; up to when, at most."""
        catalog = Catalog(self._sources.directory)
        if not catalog.exists:
            return {}
        volumes = [volume for volume in catalog.volumes() if volume.last_us >= since_us]
        return {
            segment: volume.last_us
            for volume in volumes
            for segment in catalog.segments_of([volume])
        }

    def volumes(self) -> list[Volume]:
        """What the store consists of, the newest first."""
        catalog = Catalog(self._sources.directory)
        return catalog.volumes() if catalog.exists else []

    # changing

    def add(self, path: Path) -> bool:
        """Take a sealed segment, durably; False where it was taken before."""
        with connected(threads=WRITERS) as connection:
            return add_segment(self._changes, connection, path, self._now_us())

    def compact(self, most: int = MOST_JOINS) -> int:
        """Make few volumes of many; how many were made."""
        joined = 0
        with connected(threads=WRITERS) as connection:
            while joined < most and join_volumes(self._changes, connection, self._now_us()):
                joined += 1
        return joined

    def expire(self, keep_days: int, max_bytes: int) -> Expired:
        """Delete what is too old or too much; finish what was interrupted."""
        with connected(threads=WRITERS) as connection:
            resume_orders(self._changes, connection, self._now_us())
            return expire(self._changes, connection, self._now_us(), keep_days, max_bytes)

    def forget(self, user: str) -> Forgotten:
        """Put tombstones in place of a user's records and of the feedback on them."""
        with connected() as connection:
            return forget(self._changes, connection, user, self._now_us())

    # holds

    def holds(self) -> tuple[Hold, ...]:
        return read_orders(self._sources.directory).holds

    def add_hold(self, hold: Hold) -> None:
        with connected(threads=WRITERS) as connection, self._changes.begun(connection):
            self._changes.order(self._changes.orders().with_hold(hold))

    def remove_hold(self, hold_id: str) -> None:
        with connected(threads=WRITERS) as connection, self._changes.begun(connection):
            self._changes.order(self._changes.orders().without_hold(hold_id))

    def _now_us(self) -> int:
        return int(self._now() * 1_000_000)
