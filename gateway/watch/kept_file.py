"""The file of what was counted: SQLite, written in transactions, read meanwhile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec

from gateway.errors import GatewayError
from gateway.watch.changes import Changes

LIVE = ""  # the part of the shipper
WAIT_S = 10.0
VERSION = 1  # of the schema

_SCHEMA = """
CREATE TABLE IF NOT EXISTS slices (
    basis TEXT NOT NULL, route TEXT NOT NULL, version TEXT NOT NULL, arm TEXT NOT NULL,
    minute INTEGER NOT NULL, span INTEGER NOT NULL, part TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (basis, route, version, arm, span, minute, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS states (
    part TEXT PRIMARY KEY, marks BLOB NOT NULL, told BLOB NOT NULL, newest INTEGER NOT NULL,
    epoch INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (
    basis TEXT NOT NULL, route TEXT NOT NULL, stream TEXT NOT NULL,
    first INTEGER NOT NULL, back INTEGER NOT NULL, minute INTEGER NOT NULL,
    PRIMARY KEY (basis, route, stream)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS filled (
    basis TEXT NOT NULL, route TEXT NOT NULL, segment TEXT NOT NULL, minute INTEGER NOT NULL,
    PRIMARY KEY (basis, route, segment)
) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


class KeptError(GatewayError):
    """Profiles cannot be kept, or read."""

    reason = "watch"


class Damaged(KeptError):
    """The file is no database any more."""


class KeptFile:
    """Opened by the first who writes, and for each reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Let it go; the next call opens it anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; KeptError where it cannot be."""
        try:
            connection = self._opened()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise self._error("write", error) from None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            connection = sqlite3.connect(
                self.path, timeout=WAIT_S, isolation_level=None, check_same_thread=False
            )
            self._connection = connection
            connection.execute("PRAGMA journal_mode = WAL")
            # Why: a checkpoint of the log follows, and this must not be older after a power cut.
            connection.execute("PRAGMA synchronous = FULL")
            self._is_made(connection)
            connection.executescript(_SCHEMA)
        return self._connection

    def _is_made(self, connection: sqlite3.Connection) -> bool:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found > VERSION:
            raise KeptError(f"{self.path} was written by a newer gateway: it has version {found}")
        return bool(found)

    def _error(self, verb: str, error: Exception) -> KeptError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        is_damage = code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
        return (Damaged if is_damage else KeptError)(f"cannot {verb} {self.path}: {error}")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """None where there is no file yet."""
        try:
            if self._connection is not None:
                yield self._connection
                return
            if not self.path.exists():
                yield None
                return
            with closing(
                sqlite3.connect(
                    f"{self.path.absolute().as_uri()}?mode=rw",
                    uri=True,
                    timeout=WAIT_S,
                    isolation_level=None,
                )
            ) as connection:
                yield connection if self._is_made(connection) else None
        except sqlite3.Error as error:
            raise self._error("read", error) from None

    def set_aside(self, stamp: str) -> None:
        """Move a damaged file, and what belongs to it, out of the way."""
        self.close()
        for ending in ("", "-wal", "-shm"):
            path = self.path.with_name(self.path.name + ending)
            with suppress(FileNotFoundError):
                path.rename(self.path.with_name(f"{self.path.name}.damaged-{stamp}{ending}"))


def state_of(connection: sqlite3.Connection, part: str) -> Changes:
    """Marks, told and newest of a part."""
    row = connection.execute(
        "SELECT marks, told, newest FROM states WHERE part = ?", [part]
    ).fetchone()
    if row is None:
        return Changes()
    decode = msgspec.msgpack.decode
    return Changes(
        marks=decode(row[0], type=dict[str, int]),
        told=decode(row[1], type=dict[str, int]),
        newest=row[2],
    )
