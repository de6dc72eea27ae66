"""Lines of the log as rows of a DuckDB table.

`load` takes the bytes of whole lines apart in the table `parsed`, one row a line in
order; PARSED selects from it what the store's two tables hold.

Rule 1: every line has exactly one row, whatever is in it: what is no JSON in UTF-8 is in `raw`.
Rule 2: a line whose kind is not `feedback` belongs to the records: tombstones and damage too.

Cost: about 6 µs a record of 1.8 KB, on one core.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gateway.store.columns import selected, shape
from gateway.store.database import Connection, failures

_PARSE = """
CREATE OR REPLACE TEMP TABLE parsed AS
SELECT try(json_transform(line, $shape)) AS t, line, raw, position, $segment AS segment FROM (
    SELECT position,
           CASE WHEN {is_good} THEN line END AS line,
           CASE WHEN NOT {is_good} THEN coalesce(raw, encode(line)) END AS raw
    FROM (SELECT l.line, l.position, d.raw FROM loaded l LEFT JOIN damaged d USING (position))
)
ORDER BY position
"""
_PARSE_GOOD = """
CREATE OR REPLACE TEMP TABLE parsed AS
SELECT json_transform(line, $shape) AS t, line, NULL::BLOB AS raw, position, $segment AS segment
FROM (SELECT line::VARCHAR AS line, position FROM loaded)
"""


class Rows(Struct, frozen=True):
    """A SELECT and its parameters."""

    sql: str
    parameters: dict[str, Any] = {}


RECORDS_PARSED = Rows(
    f"SELECT {selected('records')} FROM parsed WHERE t.kind IS DISTINCT FROM 'feedback'"
)
FEEDBACK_PARSED = Rows(f"SELECT {selected('feedback')} FROM parsed WHERE t.kind = 'feedback'")
PARSED = {"records": RECORDS_PARSED, "feedback": FEEDBACK_PARSED}


def load(connection: Connection, data: bytes, segment: str) -> int:
    """Make the table `parsed` of whole lines; how many there are."""
    import numpy as np  # noqa: PLC0415  slow to import, and reading needs none

    damaged: dict[int, bytes] = {}
    try:
        lines = data.decode().split("\n")[:-1]
    except UnicodeDecodeError:
        lines = [
            _text_of(line, number, damaged) for number, line in enumerate(data.split(b"\n")[:-1], 1)
        ]
    loaded = {
        "line": np.array(lines, dtype=object),
        "position": np.arange(1, len(lines) + 1, dtype=np.int32),
    }
    connection.register("loaded", loaded)
    try:
        _parse(connection, segment, damaged)
    finally:
        connection.unregister("loaded")
    return len(lines)


def _parse(connection: Connection, segment: str, damaged: dict[int, bytes]) -> None:
    parameters = {"shape": shape(), "segment": segment}
    if not damaged:
        try:
            connection.execute(_PARSE_GOOD, parameters)
        except failures():
            pass  # a line is no JSON; found out below which
        else:
            return
    connection.execute("CREATE OR REPLACE TEMP TABLE damaged (position INTEGER, raw BLOB)")
    for position, raw in damaged.items():
        connection.execute("INSERT INTO damaged VALUES ($1, $2)", [position, raw])
    is_good = "(raw IS NULL AND json_valid(line))"
    connection.execute(_PARSE.format(is_good=is_good), parameters)


def _text_of(line: bytes, number: int, damaged: dict[int, bytes]) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        damaged[number] = line
        return ""
