"""Which members of a line become columns of the store, and how.

A line is taken apart once, by `json_transform` with the shape that follows from this
table; a member that is missing or of another type is NULL. Beside these columns each row
has `segment`, `position` (line number in the segment, from 1), and the line: `line` as
text, or, where that is no JSON in UTF-8, `raw` as bytes.

Rule: columns are added at the end and never change their meaning: files are years old, and
      a column that an old file has not is NULL there.
"""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct


class Column(Struct, frozen=True):
    """One column: its name and type, and the member it is taken from."""

    name: str
    type: str  # of DuckDB
    member: str = ""  # dotted; default: the name


RECORDS: tuple[Column, ...] = (
    Column("v", "INTEGER"),
    Column("id", "VARCHAR"),
    Column("request_id", "VARCHAR"),
    Column("time", "TIMESTAMP"),
    Column("kind", "VARCHAR"),
    Column("stream", "VARCHAR"),
    Column("seq", "BIGINT"),
    Column("gateway", "VARCHAR"),
    Column("plan", "VARCHAR"),
    Column("route", "VARCHAR"),
    Column("protocol", "VARCHAR"),
    Column("operation", "VARCHAR"),
    Column("model", "VARCHAR"),
    Column("user", "VARCHAR"),
    Column("backend", "VARCHAR"),
    Column("version", "VARCHAR"),
    Column("outcome", "VARCHAR"),
    Column("status", "INTEGER"),
    Column("total_us", "BIGINT", "timing.total_us"),
    Column("first_byte_us", "BIGINT", "timing.first_byte_us"),
    Column("queue_us", "BIGINT", "timing.queue_us"),
    Column("input_tokens", "BIGINT", "usage.input_tokens"),
    Column("output_tokens", "BIGINT", "usage.output_tokens"),
    Column("cost_usd", "DOUBLE"),
    Column("attempts", "INTEGER"),  # how many
    Column("fallback", "VARCHAR"),
    Column("cache", "VARCHAR"),
    Column("finish_reason", "VARCHAR"),
    Column("confidence", "DOUBLE"),
    Column("trace_id", "VARCHAR"),
    Column("anomalies", "VARCHAR[]"),
    Column("predictions", "JSON"),
)
FEEDBACK: tuple[Column, ...] = (
    Column("v", "INTEGER"),
    Column("id", "VARCHAR"),
    Column("request_id", "VARCHAR"),  # of the record it is about
    Column("time", "TIMESTAMP"),
    Column("kind", "VARCHAR"),
    Column("stream", "VARCHAR"),
    Column("seq", "BIGINT"),
    Column("signal", "VARCHAR"),
    Column("value", "JSON"),
    Column("source", "VARCHAR"),
)
TABLES = {"records": RECORDS, "feedback": FEEDBACK}
PLACE = ("segment", "position", "line", "raw")
# What remains of a forgotten line beside its place.
KEPT_OF_FORGOTTEN = {"v", "time", "stream", "seq"}


LATER = {"records": ("anomalies", "predictions")}  # that the first files of the store have not


def padded(source: str, table: str = "records") -> str:
    """A source of rows of which some columns may be in none of its files: NULL there."""
    types = {column.name: column.type for column in TABLES[table]}
    later = ", ".join(f"NULL::{types[name]} AS {name}" for name in LATER.get(table, ()))
    if not later:
        return source
    return f"(SELECT * FROM {source} UNION ALL BY NAME SELECT {later} WHERE false)"


def names(table: str) -> list[str]:
    """The columns of a table, as its files have them."""
    return [*(column.name for column in TABLES[table]), *PLACE]


def quoted(name: str) -> str:
    """A name of this module as SQL has it; `user` and `time` are words of SQL."""
    return f'"{name}"'


def shape() -> str:
    """The shape that `json_transform` takes: all that either table needs of a line."""
    wanted: dict[str, Any] = {}
    for column in (*RECORDS, *FEEDBACK):
        *parents, member = (column.member or column.name).split(".")
        place = wanted
        for parent in parents:
            place = place.setdefault(parent, {})
        place[member] = ["VARCHAR"] if column.type == "VARCHAR[]" else column.type
    wanted["attempts"] = [{"backend": "VARCHAR"}]
    return json.dumps(wanted)


def selected(table: str) -> str:
    """The SELECT list that makes a table's rows of a transformed line `t` and its place."""
    taken = [f"{_taken(column)} AS {quoted(column.name)}" for column in TABLES[table]]
    return ", ".join([*taken, *PLACE])


def _taken(column: Column) -> str:
    if column.name == "attempts":
        return 'len(t."attempts")::INTEGER'
    return "t." + ".".join(quoted(part) for part in (column.member or column.name).split("."))
