"""Which volumes there are and which segments they hold: `catalog.sqlite`.

SQLite, so that a volume comes, or takes the place of others, in one step that a crash
cannot cut in two. What is here can be read from the Parquet files again: of two volumes
that hold the same segment the one with the higher number is in force, since it was
written from the other.

Rule 1: writers hold the store's lock; a reader sees the catalog before or after a step.
Rule 2: `pending` holds what the manifest has yet to be told; it comes with the volume that it is
        about, and goes when the manifest has it.

Knows nothing of DuckDB; `rebuilt` gets what the files say from its caller.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from gateway.store.database import StoreError
from gateway.store.volume import Volume, described

FILE_NAME = "catalog.sqlite"
WAIT_S = 10.0
_MOST_BOUND = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS volumes (
    number INTEGER PRIMARY KEY, day TEXT NOT NULL, records INTEGER NOT NULL,
    feedback INTEGER NOT NULL, bytes INTEGER NOT NULL, first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL, newer INTEGER NOT NULL, damaged INTEGER NOT NULL,
    forgotten INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS segments (
    segment TEXT PRIMARY KEY, volume INTEGER NOT NULL, lines INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS segments_by_volume ON segments (volume);
CREATE TABLE IF NOT EXISTS pending (
    segment TEXT PRIMARY KEY, records INTEGER NOT NULL, reason TEXT NOT NULL
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


class Pending(Struct, frozen=True):
    """Tombstones that the manifest has not been told of."""

    segment: str
    records: int  # how many lines were replaced
    reason: str


class Damaged(StoreError):
    """The catalog is no database any more; it can be rebuilt."""


class Catalog:
    """The catalog of one store; each call opens the file anew."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME

    @property
    def exists(self) -> bool:
        return self.path.exists()

    # reading

    def volumes(self) -> list[Volume]:
        """All of them, the newest first."""
        with self._read() as connection:
            rows = connection.execute("SELECT * FROM volumes ORDER BY last_us DESC, number DESC")
            return [described(row) for row in rows]

    def snapshot(self, asked: Collection[str]) -> tuple[list[Volume], set[str]]:
        """The volumes, and which of these segments are in them, at one moment."""
        with self._read() as connection:
            connection.execute("BEGIN")
            rows = connection.execute("SELECT * FROM volumes ORDER BY last_us DESC, number DESC")
            volumes = [described(row) for row in rows]
            return volumes, set(_known(connection, list(asked)))

    def volume_of(self, segment: str) -> Volume | None:
        sql = "SELECT v.* FROM volumes v JOIN segments s ON s.volume = v.number WHERE s.segment = ?"
        with self._read() as connection:
            row = connection.execute(sql, [segment]).fetchone()
            return described(row) if row else None

    def segments_of(self, volumes: Iterable[Volume]) -> dict[str, int]:
        """The segments of these volumes and how many lines each has."""
        sql = "SELECT segment, lines FROM segments WHERE volume = ? ORDER BY segment"
        with self._read() as connection:
            return {
                row["segment"]: row["lines"]
                for volume in volumes
                for row in connection.execute(sql, [volume.number])
            }

    def pending(self) -> list[Pending]:
        with self._read() as connection:
            return [Pending(**dict(row)) for row in connection.execute("SELECT * FROM pending")]

    # writing

    def next_number(self) -> int:
        with self._read() as connection:
            return 1 + (connection.execute("SELECT max(number) FROM volumes").fetchone()[0] or 0)

    def put(
        self,
        volume: Volume,
        segments: Mapping[str, int],
        *,
        instead_of: Collection[Volume] = (),
        pending: Iterable[Pending] = (),
    ) -> None:
        """Add a volume, in place of others where it was written from them."""
        with self._write() as connection:
            _drop(connection, instead_of)
            columns = volume.__struct_fields__
            marks = ", ".join("?" * len(columns))
            values = [getattr(volume, name) for name in columns]
            connection.execute(
                f"INSERT INTO volumes ({', '.join(columns)}) VALUES ({marks})",
                values,
            )
            connection.executemany(
                "INSERT INTO segments VALUES (?, ?, ?)",
                [(segment, volume.number, lines) for segment, lines in segments.items()],
            )
            _expect(connection, pending)

    def expect(self, pending: Iterable[Pending]) -> None:
        """The manifest will have to be told, when what is about to be done was done."""
        with self._write() as connection:
            _expect(connection, pending)

    def drop(self, volumes: Collection[Volume]) -> None:
        with self._write() as connection:
            _drop(connection, volumes)

    def settle(self, segment: str) -> None:
        """The manifest knows."""
        with self._write() as connection:
            connection.execute("DELETE FROM pending WHERE segment = ?", [segment])

    def set_aside(self, stamp: str) -> None:
        """Move a damaged catalog out of the way."""
        with suppress(FileNotFoundError):
            self.path.rename(self.path.with_name(f"{FILE_NAME}.damaged-{stamp}"))
        self.path.with_name(f"{FILE_NAME}-journal").unlink(missing_ok=True)

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with self._connected("rw") as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._connected("rwc") as connection:
            connection.executescript(_SCHEMA)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    def create(self) -> None:
        """Make the file where it is not there."""
        if not self.exists:
            self.path.touch(mode=0o600)
            with self._write():
                pass

    @contextmanager
    def _connected(self, mode: str) -> Iterator[sqlite3.Connection]:
        try:
            with closing(
                sqlite3.connect(
                    f"{self.path.absolute().as_uri()}?mode={mode}",
                    uri=True,
                    timeout=WAIT_S,
                    isolation_level=None,
                )
            ) as connection:
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA synchronous = FULL")
                yield connection
        except sqlite3.Error as error:
            kind = Damaged if _is_damage(error) else StoreError
            raise kind(f"cannot use {self.path}: {error}") from None


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    is_foreign = "no such table" in str(error) or "no such column" in str(error)
    return code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} or is_foreign


def _drop(connection: sqlite3.Connection, volumes: Collection[Volume]) -> None:
    numbers = [(volume.number,) for volume in volumes]
    connection.executemany("DELETE FROM segments WHERE volume = ?", numbers)
    connection.executemany("DELETE FROM volumes WHERE number = ?", numbers)


def _expect(connection: sqlite3.Connection, pending: Iterable[Pending]) -> None:
    connection.executemany(
        # Why not added up: the same lines may be in a volume and in the log.
        "INSERT INTO pending VALUES (?, ?, ?) ON CONFLICT (segment) DO UPDATE"
        " SET records = max(records, excluded.records)",
        [(each.segment, each.records, each.reason) for each in pending],
    )


def _known(connection: sqlite3.Connection, asked: list[str]) -> Iterator[str]:
    for begin in range(0, len(asked), _MOST_BOUND):
        part = asked[begin : begin + _MOST_BOUND]
        marks = ", ".join("?" * len(part))
        sql = f"SELECT segment FROM segments WHERE segment IN ({marks})"
        for row in connection.execute(sql, part):
            yield row["segment"]
