"""Records that match, written to a file: NDJSON, CSV or Parquet.

NDJSON has the lines exactly as they were written; CSV and Parquet have the store's columns,
Parquet the line too. In no particular order: volume after volume, then what is in the log.

Rule: the file gets its name when it is whole; a file of that name is replaced.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from msgspec import Struct

from gateway.log.files import why
from gateway.store.columns import RECORDS, quoted
from gateway.store.database import StoreError
from gateway.store.feedback import load_feedback, with_feedback_of
from gateway.store.filters import Filter, Where, checked, where
from gateway.store.look import PADDED, Look, Sources, looked
from gateway.store.rows import RECORDS_PARSED, Rows, load

Format = Literal["ndjson", "csv", "parquet"]
FORMATS: tuple[str, ...] = get_args(Format)

_COLUMNS = ", ".join(quoted(column.name) for column in RECORDS)
_TAKEN = {"ndjson": "line", "csv": _COLUMNS, "parquet": f"{_COLUMNS}, line"}
# Why such a CSV: no byte of a line is quoted, escaped or taken for a separator. JSON in UTF-8
# holds no control characters.
_OPTIONS = {
    "ndjson": r"FORMAT csv, HEADER false, DELIMITER E'\x01', QUOTE '', ESCAPE '', NULLSTR ''",
    "csv": "FORMAT csv, HEADER true",
    "parquet": "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 16384",
}


class Exported(Struct, frozen=True, kw_only=True):
    """What was written."""

    records: int
    notes: tuple[str, ...] = ()  # what is left out, in sentences


def export(sources: Sources, wanted: Filter, form: Format, path: Path) -> Exported:
    """Write all records that match."""
    condition = where(checked(wanted))
    fresh = path.with_name(f".{path.name}.new")

    def ask(look: Look) -> Exported:
        if wanted.feedback:
            load_feedback(look, wanted)
        records = _copy(look, with_feedback_of(condition, wanted), form, fresh)
        look.note_lines()
        return Exported(records=records, notes=tuple(look.notes))

    try:
        fresh.touch(mode=0o600)
        exported = looked(sources, wanted, ask)
        fresh.replace(path)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {why(error)}") from None
    finally:
        fresh.unlink(missing_ok=True)
    return exported


def _copy(look: Look, condition: Where, form: Format, path: Path) -> int:
    _load_live(look, condition, form)
    taken = _TAKEN[form]
    stored = f"SELECT {taken} FROM {PADDED} WHERE {condition.sql}"
    copy = "COPY ({rows}) TO $target (USE_TMP_FILE false, " + _OPTIONS[form] + ")"
    target = {"target": str(path)}
    rows = look.ask(
        look.volumes,
        "records",
        copy.format(rows=f"{stored} UNION ALL SELECT * FROM live"),
        condition.parameters | target,
        otherwise=Rows(copy.format(rows="SELECT * FROM live"), target),
    )
    return int(rows[0][0])


def _load_live(look: Look, condition: Where, form: Format) -> None:
    """Make the table `live` of what matches and is in no volume."""
    rows = f"SELECT {_TAKEN[form]} FROM ({RECORDS_PARSED.sql}) WHERE {condition.sql}"
    load(look.connection, b"", "")
    look.connection.execute(f"CREATE OR REPLACE TEMP TABLE live AS {rows}", condition.parameters)
    for segment in look.live:
        load(look.connection, segment.data(), segment.segment)
        look.connection.execute(f"INSERT INTO live {rows}", condition.parameters)
