"""A view of the file of what was counted; all parts added up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gateway.profiles.profile import Profile
from gateway.profiles.slices import Source
from gateway.watch.basis import Basis
from gateway.watch.changes import Key, rows_in
from gateway.watch.kept_file import LIVE, KeptFile
from gateway.watch.view import is_inside, reach_of, summed

# The first source behind another one. Why in three: each begins where the index has it, past all
# the slices of the source before.
_OF = "SELECT version, arm FROM slices WHERE basis = ? AND route = ?"
_FIRST = f"{_OF} ORDER BY version, arm LIMIT 1"
_NEXT_ARM = f"{_OF} AND version = ? AND arm > ? ORDER BY arm LIMIT 1"
_NEXT_VERSION = f"{_OF} AND version > ? ORDER BY version, arm LIMIT 1"


class KeptView:
    """A view of the file; each question reads it anew."""

    def __init__(self, path: Path) -> None:
        self._file = KeptFile(path)
        self.settled = 0

    @property
    def watermark(self) -> int:
        """Of the log's reader; the backfill is behind it, unless there was no reader."""
        with self._file.reading() as connection:
            if connection is None:
                return 0
            rows = dict(connection.execute("SELECT part, newest FROM states").fetchall())
        return rows.get(LIVE, 0) or max(rows.values(), default=0)

    def sources(self, basis: Basis) -> tuple[Source, ...]:
        """Those of the basis's route, in order."""
        found: list[Source] = []
        of = (basis.name, basis.route)
        with self._file.reading() as connection:
            row = connection.execute(_FIRST, of).fetchone() if connection else None
            while connection and row:
                found.append(Source(basis.route, *row))
                row = (
                    connection.execute(_NEXT_ARM, [*of, *row]).fetchone()
                    or connection.execute(_NEXT_VERSION, [*of, row[0]]).fetchone()
                )
        return tuple(found)

    def minutes(self, basis: Basis, source: Source) -> tuple[int, ...]:
        """First minutes of slices, rising."""
        sql = (
            "SELECT DISTINCT minute FROM slices"
            " WHERE basis = ? AND route = ? AND version = ? AND arm = ? ORDER BY minute"
        )
        return tuple(row[0] for row in self._rows(sql, [basis.name, *source]))

    def window(
        self, basis: Basis, source: Source, field: str, first_minute: int, end_minute: int
    ) -> Profile:
        """Of one field."""
        values = self._values(basis, source, first_minute, end_minute)
        return summed(basis, values, (field,))[field]

    def profiles(
        self, basis: Basis, source: Source, first_minute: int, end_minute: int
    ) -> dict[str, Profile]:
        """Of all fields."""
        return summed(basis, self._values(basis, source, first_minute, end_minute))

    def rows(
        self, basis: Basis, source: Source, field: str, first_minute: int, end_minute: int
    ) -> list[tuple[int, int, int]]:
        """Of one source."""
        sql = (
            "SELECT minute, span, value FROM slices WHERE basis = ? AND route = ? AND version = ?"
            " AND arm = ? AND span IN (1, 60) AND minute >= ? AND minute < ?"
        )
        low, high = reach_of(first_minute, end_minute)
        return [
            (minute, span, rows_in(bytes(value), field))
            for minute, span, value in self._rows(sql, [basis.name, *source, low, high])
            if minute + span > first_minute
        ]

    def _values(self, basis: Basis, source: Source, first: int, end: int) -> Iterator[bytes]:
        sql = (
            "SELECT minute, span, value FROM slices WHERE basis = ? AND route = ? AND version = ?"
            " AND arm = ? AND span IN (1, 60) AND minute >= ? AND minute < ?"
        )
        low, high = reach_of(first, end)
        for minute, span, value in self._rows(sql, [basis.name, *source, low, high]):
            if is_inside(Key(basis.name, source, minute, span), first, end):
                yield bytes(value)

    def _rows(self, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._file.reading() as connection:
            return connection.execute(sql, parameters).fetchall() if connection else []
