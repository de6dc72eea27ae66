"""Segments in volumes: which there are, and their lines, exactly as they were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.store.database import Connection
from gateway.store.volume import Volume

ROWS_AT_ONCE = 2000

_LINES = """
SELECT position, line, raw FROM ({tables}) WHERE segment = $segment ORDER BY position
"""
_TABLE = "SELECT segment, position, line, raw FROM read_parquet({file})"


def lines_in(
    connection: Connection, directory: Path, volume: Volume, segment: str
) -> Iterator[bytes]:
    """The segment's lines without newlines, in their order."""
    tables, parameters = _tables(directory, volume)
    query = _LINES.format(tables=tables)
    rows = connection.execute(query, parameters | {"segment": segment})
    while some := rows.fetchmany(ROWS_AT_ONCE):
        for _position, line, raw in some:
            yield line.encode() if line is not None else raw


def segments_in(connection: Connection, directory: Path, volume: Volume) -> dict[str, int]:
    """The segments of a volume, and how many lines each has."""
    tables, parameters = _tables(directory, volume)
    query = f"SELECT segment, count(*) FROM ({tables}) GROUP BY segment ORDER BY segment"
    return dict(connection.execute(query, parameters).fetchall())


def _tables(directory: Path, volume: Volume) -> tuple[str, dict[str, str]]:
    """Both tables of a volume as a query."""
    parameters = {"records": str(volume.path(directory, "records.parquet"))}
    parts = [_TABLE.format(file="$records")]
    if volume.feedback:
        parameters["feedback"] = str(volume.path(directory, "feedback.parquet"))
        parts.append(_TABLE.format(file="$feedback"))
    return " UNION ALL ".join(parts), parameters
