"""One question over volumes and live segments; what cannot be read is left out, and said.

A Look is one moment: live segments held open, the volumes of the catalog without them.
When a file vanishes under it (volumes are merged and expire), it is `Vanished`, and the
caller takes another look; when one is damaged, the others answer.

Rule: nothing is left out silently: `notes` says what, in sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from gateway.store.catalog import Catalog, Damaged
from gateway.store.changes import repair
from gateway.store.columns import padded
from gateway.store.database import Connection, Database, StoreError, failures, sentence_of
from gateway.store.filters import Filter
from gateway.store.live import LiveSegment, live_segments, without
from gateway.store.rows import Rows
from gateway.store.volume import Volume

T = TypeVar("T")
PARQUET = "read_parquet($files, union_by_name = true)"  # in queries that `ask` gets
# The same with the columns that came later, where no file may have them; five times the cost.
PADDED = padded(PARQUET)
TRIES = 4


def parquet_for(wanted: Filter) -> str:
    """What a query with this filter reads from."""
    return PADDED if wanted.anomaly else PARQUET


class Vanished(Exception):
    """A file of the store went while it was read."""


class Sources(Struct, frozen=True):
    """Where records are."""

    directory: Path  # of the store
    log_directory: Path
    database: Database


class Look:
    """The store and the log at one moment."""

    def __init__(
        self,
        sources: Sources,
        volumes: Sequence[Volume],
        live: Sequence[LiveSegment],
        wanted: Filter,
        stack: ExitStack,
        *,
        is_last: bool,
    ) -> None:
        """`_since`: with what came after the records that are wanted, for feedback on them."""
        since = msgspec.structs.replace(wanted, until_us=None)
        self.volumes_since = [v for v in volumes if since.overlaps(v.first_us, v.last_us)]
        self.volumes = [v for v in self.volumes_since if wanted.overlaps(v.first_us, v.last_us)]
        self.live_since = [each for each in live if each.may_hold(since)]
        self.live = [each for each in self.live_since if each.may_hold(wanted)]
        self.notes: list[str] = []
        self._sources, self._stack, self._is_last = sources, stack, is_last
        self._damaged: set[int] = set()

    @cached_property
    def connection(self) -> Connection:
        """To DuckDB, as long as the look takes; opened when it is needed."""
        return self._stack.enter_context(self._sources.database.connection())

    def path(self, volume: Volume, ending: str) -> Path:
        return volume.path(self._sources.directory, ending)

    def readable(self, volumes: Sequence[Volume], table: str) -> list[Volume]:
        return [each for each in volumes if each.has(table) and each.number not in self._damaged]

    def ask(
        self,
        volumes: Sequence[Volume],
        table: str,
        sql: str,
        parameters: Mapping[str, Any],
        *,
        otherwise: Rows | None = None,
    ) -> list[tuple[Any, ...]]:
        """All rows of a query over PARQUET; of the other query where no volume has any."""
        while good := self.readable(volumes, table):
            files = [str(self.path(each, f"{table}.parquet")) for each in good]
            try:
                return self.connection.execute(sql, {**parameters, "files": files}).fetchall()
            except failures() as error:
                self._leave_out_damaged(good, table, error)
        if otherwise is None:
            return []
        return self.connection.execute(otherwise.sql, otherwise.parameters).fetchall()

    def note_lines(self) -> None:
        """Say that some records were not, or not wholly, understood."""
        volumes = self.readable(self.volumes, "records")
        if newer := sum(each.newer for each in volumes):
            self.notes.append(
                f"{newer} lines were written by a newer gateway; of them only what this one"
                " knows is understood."
            )
        if damaged := sum(each.damaged for each in volumes):
            self.notes.append(f"{damaged} damaged lines could not be understood.")

    def _leave_out_damaged(self, volumes: Sequence[Volume], table: str, error: Exception) -> None:
        """Find out which files the query failed for; raise where it was for none."""
        paths = {each: self.path(each, f"{table}.parquet") for each in volumes}
        if not self._is_last and not all(path.exists() for path in paths.values()):
            raise Vanished
        damaged = [each for each in volumes if not is_readable(self.connection, paths[each])]
        if not damaged:
            raise StoreError(sentence_of(error)) from None
        for each in damaged:
            self._damaged.add(each.number)
            self.notes.append(
                f"{paths[each]} is missing or damaged; the {each.records} records and"
                f" {each.feedback} feedback lines of this volume are left out."
            )


def is_readable(connection: Connection, path: Path) -> bool:
    """Whether every value of a file can be read."""
    sql = "SELECT bit_xor(hash(COLUMNS(*))) FROM read_parquet($file)"
    try:
        connection.execute(sql, {"file": str(path)}).fetchall()
    except failures():
        return False
    return True


def looked(sources: Sources, wanted: Filter, ask: Callable[[Look], T]) -> T:
    """What `ask` finds; asked anew where files vanished meanwhile."""
    for turn in range(TRIES):
        try:
            with look_at(sources, wanted, is_last=turn == TRIES - 1) as look:
                return ask(look)
        except Vanished:
            continue
    raise StoreError("the store changes faster than it can be read; try again")


@contextmanager
def look_at(sources: Sources, wanted: Filter, *, is_last: bool = True) -> Iterator[Look]:
    """One moment of what may match."""
    with ExitStack() as stack:
        live = stack.enter_context(live_segments(sources.log_directory))
        volumes, known = _snapshot(sources, {each.segment for each in live})
        kept = without(live, known)
        yield Look(sources, volumes, kept, wanted, stack, is_last=is_last)


def _snapshot(sources: Sources, asked: Collection[str]) -> tuple[list[Volume], set[str]]:
    """The volumes, and which of these segments are in them."""
    catalog = Catalog(sources.directory)
    if not catalog.exists:
        return [], set()
    try:
        return catalog.snapshot(asked)
    except Damaged:
        repair(sources.directory, sources.log_directory)
        return catalog.snapshot(asked)
