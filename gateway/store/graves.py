"""Tombstones in place of lines, in a volume or in a sealed segment that waits in the log.

A tombstone has the line's place in the log and its length; nothing else is left of it. The
volume or segment is written anew and takes the old one's place; that the manifest has to
be told stands in the catalog before, or in the same step.

Knows nothing of why lines go; `forgetting` and `retention` do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gateway.log.files import replace_durably, why
from gateway.log.lines import LineError, tombstone
from gateway.store.catalog import Pending
from gateway.store.changes import Changes
from gateway.store.columns import KEPT_OF_FORGOTTEN, TABLES, names, padded, quoted
from gateway.store.database import Connection, StoreError
from gateway.store.filters import Where
from gateway.store.rows import PARSED, Rows, load
from gateway.store.volume import Volume

_WITH_GRAVES = """
SELECT {columns} FROM {source} r
LEFT JOIN graves g ON r.segment = g.grave_segment AND r.position = g.grave_position
"""

Conditions = Mapping[str, Where]  # by table: which lines go
Place = tuple[str, int, str]  # segment, position, line


def bury_in_volume(
    changes: Changes, connection: Connection, volume: Volume, conditions: Conditions, reason: str
) -> Counter[str]:
    """How many lines of each table are tombstones now that were none."""
    found = {
        table: _stored(connection, changes.directory, volume, table, condition)
        for table, condition in conditions.items()
        if volume.has(table)
    }
    graves = [place for places in found.values() for place in places]
    if graves:
        _register(connection, graves)
        changes.write(
            connection,
            volume.day,
            {
                table: _with_graves(changes.directory, volume, table)
                for table in TABLES
                if table == "records" or volume.has(table)
            },
            changes.catalog.segments_of([volume]),
            instead_of=[volume],
            pending=_pending(graves, reason),
        )
    return Counter({table: len(places) for table, places in found.items()})


def bury_in_segment(
    changes: Changes, connection: Connection, path: Path, conditions: Conditions, reason: str
) -> Counter[str]:
    """The same; nothing where the segment is not there any more."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Counter()
    load(connection, data, path.name)
    found = loaded_places(connection, conditions)
    graves = [place for places in found.values() for place in places]
    if graves:
        changes.catalog.expect(_pending(graves, reason))
        _replace(changes, path, _buried(data, graves))
    return Counter({table: len(places) for table, places in found.items()})


def loaded_places(connection: Connection, conditions: Conditions) -> dict[str, list[Place]]:
    """Lines that match, of what was loaded last."""
    found: dict[str, list[Place]] = {}
    for table, condition in conditions.items():
        sql = f"SELECT segment, position, line FROM ({PARSED[table].sql}) WHERE {condition.sql}"
        found[table] = connection.execute(sql, condition.parameters).fetchall()
    return found


def _stored(
    connection: Connection, directory: Path, volume: Volume, table: str, condition: Where
) -> list[Place]:
    file = str(volume.path(directory, f"{table}.parquet"))
    sql = f"SELECT segment, position, line FROM read_parquet($file) WHERE {condition.sql}"
    return connection.execute(sql, condition.parameters | {"file": file}).fetchall()


def _with_graves(directory: Path, volume: Volume, table: str) -> Rows:
    """The rows of a table with tombstones in place of those in `graves`."""
    files = [str(volume.path(directory, f"{table}.parquet"))]
    source = padded("read_parquet($files, union_by_name = true)", table)
    columns = ", ".join(_columns(table))
    return Rows(_WITH_GRAVES.format(columns=columns, source=source), {"files": files})


def _columns(table: str) -> Iterable[str]:
    known = {column.name: column.type for column in TABLES[table]}
    for name in names(table):
        column = quoted(name)
        if name == "kind":
            yield "CASE WHEN g.grave IS NULL THEN r.kind ELSE 'forgotten' END AS kind"
        elif name == "line":
            yield "coalesce(g.grave, r.line) AS line"
        elif name in KEPT_OF_FORGOTTEN or name not in known:
            yield f"r.{column} AS {column}"
        else:
            yield f"CASE WHEN g.grave IS NULL THEN r.{column} END AS {column}"


def _register(connection: Connection, graves: Sequence[Place]) -> None:
    """Make the table `graves`."""
    import numpy as np  # noqa: PLC0415  slow to import, and reading needs none

    found = {
        "grave_segment": np.array([place[0] for place in graves], dtype=object),
        "grave_position": np.array([place[1] for place in graves], dtype=np.int32),
        "grave": np.array([_tombstone(place[2]).decode() for place in graves], dtype=object),
    }
    connection.register("found_graves", found)
    connection.execute("CREATE OR REPLACE TEMP TABLE graves AS SELECT * FROM found_graves")
    connection.unregister("found_graves")


def _buried(data: bytes, graves: Iterable[Place]) -> bytes:
    lines = data.split(b"\n")
    for _segment, position, line in graves:
        lines[position - 1] = _tombstone(line)
    return b"\n".join(lines)


def _tombstone(line: str) -> bytes:
    try:
        return tombstone(line.encode())
    except LineError as error:
        raise StoreError(f"a line cannot be forgotten: {error}") from None


def _pending(graves: Iterable[Place], reason: str) -> list[Pending]:
    counts = Counter(place[0] for place in graves)
    return [Pending(segment, count, reason) for segment, count in counts.items()]


def _replace(changes: Changes, path: Path, content: bytes) -> None:
    try:
        replace_durably(path, content)
        # Why: the shipper may have removed the segment meanwhile; its entry in the manifest was
        # there before it unlinked the old file, or it unlinks this one.
        if changes.manifest().is_removed(path.name):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {why(error)}") from None
