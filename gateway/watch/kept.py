"""What was counted, on disk: `state/drift/profiles.sqlite`.

    slices   encoded profiles by part, basis, source and time
    states   of each part: marks, told, newest
    claims   by basis and stream: from which line on the log's reader counts, and up to which
             line the backfill did
    filled   by basis: segments that the backfill counted

A *part* is one who counts: the sink of the shipper, and the backfill. Each writes its own rows
and whole values; readers add the parts up. So nobody waits for anybody, and nothing is lost
where two write.

Rule 1: profiles and the marks that they stand for come in one transaction.
Rule 2: of every line one part is in charge, and this is written before either counts.
Rule 3: who begins to write a part ends the time of who did before, wherever that one is.
Rule 4: a reader sees the state before or after a transaction; it never waits for a writer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.profiles.slices import Source
from gateway.watch.changes import HOUR, HOURS_KEPT, Changes, Key
from gateway.watch.kept_file import LIVE, KeptError, KeptFile, state_of
from gateway.watch.kept_view import KeptView
from gateway.watch.view import View

FILE = "drift/profiles.sqlite"  # under the state directory
BACKFILL = "backfill"  # the part of the command

_OF_KEY = "basis = ? AND route = ? AND version = ? AND arm = ? AND span = ? AND minute = ?"


class Kept:
    """Profiles of one state directory; one writer a part, any number of readers."""

    def __init__(self, path: Path, part: str = LIVE) -> None:
        """`part` keeps apart who counts."""
        self._file = KeptFile(path)
        self._part = part
        self._epoch = 0  # 0: not begun
        self._oldest = 0

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._file.path

    def close(self) -> None:
        """Let the file go; the next call opens it anew."""
        self._file.close()

    def set_aside(self, stamp: str) -> None:
        """Move a damaged file out of the way; the next call makes a new one."""
        self._file.set_aside(stamp)

    # -- one part

    def save(
        self,
        changes: Changes,
        *,
        filled: Sequence[tuple[str, str]] = (),
        segment: str = "",
        now: int = 0,
    ) -> None:
        """Durable when it returns, all of it or nothing; KeptError where that cannot be.

        `filled` are the bases, name and route, that the segment was counted on by this.
        """
        if not self._epoch:
            self.begin()
        with self._file.writing() as connection:
            if _epoch(connection, self._part) != self._epoch:
                raise KeptError(f"somebody else counts into {self.path} meanwhile")
            connection.executemany(
                f"DELETE FROM slices WHERE {_OF_KEY} AND part = ?",  # noqa: S608 - ours
                [(*_columns(key), self._part) for key in changes.gone],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO slices"
                " (basis, route, version, arm, span, minute, part, value)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(*_columns(key), self._part, value) for key, value in changes.profiles.items()],
            )
            encode = msgspec.msgpack.encode
            connection.execute(
                "UPDATE states SET marks = ?, told = ?, newest = ? WHERE part = ?",
                [encode(changes.marks), encode(changes.told), changes.newest, self._part],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO filled (basis, route, segment, minute) VALUES (?, ?, ?, ?)",
                [(*basis, segment, now) for basis in filled],
            )
            if changes.oldest > self._oldest:  # Why: of other parts, too, which may be at rest
                connection.execute("DELETE FROM slices WHERE minute < ?", [changes.oldest])
        self._oldest = changes.oldest

    def begin(self) -> tuple[Changes, list[Key]]:
        """From now on this one writes the part, nobody who began before; what there is."""
        empty = msgspec.msgpack.encode({})
        with self._file.writing() as connection:
            self._epoch = _epoch(connection, self._part) + 1
            connection.execute(
                "INSERT INTO states (part, marks, told, newest, epoch) VALUES (?, ?, ?, 0, ?)"
                " ON CONFLICT DO UPDATE SET epoch = excluded.epoch",
                [self._part, empty, empty, self._epoch],
            )
        return self.load()

    def load(self) -> tuple[Changes, list[Key]]:
        """What this part has: marks, told and newest; and the keys, whose values stay on disk."""
        with self._file.reading() as connection:
            if connection is None:
                return Changes(), []
            changes = state_of(connection, self._part)
            rows = connection.execute(
                "SELECT basis, route, version, arm, minute, span FROM slices WHERE part = ?",
                [self._part],
            )
            sources: dict[Source, Source] = {}  # Why: one of each, however many keys there are
            keys = [
                Key(row[0], sources.setdefault(Source(*row[1:4]), Source(*row[1:4])), *row[4:])
                for row in rows
            ]
        return changes, keys

    def value(self, key: Key) -> bytes | None:
        """Of a key of this part."""
        with self._file.reading() as connection:
            if connection is None:
                return None
            row = connection.execute(
                f"SELECT value FROM slices WHERE {_OF_KEY} AND part = ?",  # noqa: S608 - ours
                [*_columns(key), self._part],
            ).fetchone()
            return bytes(row[0]) if row else None

    # -- who counts what

    def claim(
        self, bases: Sequence[tuple[str, str]], stream: str, first: int, minute: int = 0
    ) -> dict[tuple[str, str], int]:
        """The log's reader counts the stream from `first` on; up to where the backfill did.

        Durable. Asked again, it is what it was. `bases` are names and routes.
        """
        with self._file.writing() as connection:
            found = {}
            for basis, route in bases:
                known = _claimed(connection, basis, route, stream)
                back = known[1] if known else 0
                begin = known[0] if known and known[0] else max(first, back + 1)
                _write_claim(connection, (basis, route, stream), begin, back, minute)
                found[basis, route] = back
            _forget(connection, minute)
            return found

    def claim_back(self, basis: tuple[str, str], stream: str, last: int, minute: int = 0) -> int:
        """The last line of a stream that the backfill counts: those before are its own, too.

        Durable; what it once was it is, however often it is asked for.
        """
        with self._file.writing() as connection:
            known = _claimed(connection, *basis, stream)
            first, back = known or (0, 0)
            upto = min(last, first - 1) if first else last
            _write_claim(connection, (*basis, stream), first, max(back, upto), minute)
            _forget(connection, minute)
            return max(back, upto)

    def first(self, basis: tuple[str, str], stream: str) -> int:
        """From which line on the log's reader counts; 0 it was not there."""
        with self._file.reading() as connection:
            known = _claimed(connection, *basis, stream) if connection else None
            return known[0] if known else 0

    def unfilled(self, bases: Sequence[tuple[str, str]], segment: str) -> list[tuple[str, str]]:
        """Those bases that the backfill did not count the segment on."""
        with self._file.reading() as connection:
            if connection is None:
                return list(bases)
            rows = connection.execute(
                "SELECT basis, route FROM filled WHERE segment = ?", [segment]
            ).fetchall()
            return [one for one in bases if one not in rows]

    # -- all parts

    def view(self) -> View:
        """All parts added up; readable while others write, and before anything was written."""
        return KeptView(self._file.path)

    def told(self) -> dict[str, dict[str, int]]:
        """Lines by result, by part."""
        with self._file.reading() as connection:
            if connection is None:
                return {}
            rows = connection.execute("SELECT part, told FROM states").fetchall()
        return {part: msgspec.msgpack.decode(told, type=dict[str, int]) for part, told in rows}


def _columns(key: Key) -> tuple[str, str, str, str, int, int]:
    return (key.basis, *key.source, key.span, key.minute)


def _epoch(connection: sqlite3.Connection, part: str) -> int:
    row = connection.execute("SELECT epoch FROM states WHERE part = ?", [part]).fetchone()
    return int(row[0]) if row else 0


def _claimed(
    connection: sqlite3.Connection, basis: str, route: str, stream: str
) -> tuple[int, int] | None:
    row: tuple[int, int] | None = connection.execute(
        "SELECT first, back FROM claims WHERE basis = ? AND route = ? AND stream = ?",
        [basis, route, stream],
    ).fetchone()
    return row


def _forget(connection: sqlite3.Connection, minute: int) -> None:
    """What was written so long ago that the lines it is about are not kept any more."""
    before = minute - (HOURS_KEPT + 24) * HOUR
    connection.execute("DELETE FROM claims WHERE minute < ? AND minute > 0", [before])
    connection.execute("DELETE FROM filled WHERE minute < ? AND minute > 0", [before])


def _write_claim(
    connection: sqlite3.Connection, of: tuple[str, str, str], first: int, back: int, minute: int
) -> None:
    connection.execute(
        "INSERT INTO claims (basis, route, stream, first, back, minute) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET first = excluded.first, back = excluded.back",
        [*of, first, back, minute],
    )
