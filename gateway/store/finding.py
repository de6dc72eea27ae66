"""One record by its id or by the request id that the client chose; the feedback on it.

Volumes are asked through their indices (`ids`), segments of the log by looking for the id
in their bytes. DuckDB is only needed to read a row that an index found.

Cost: some 20 ms where DuckDB is loaded, whatever the number of records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gateway.store.filters import Filter
from gateway.store.ids import rows_of
from gateway.store.live import head_of
from gateway.store.look import Look, Sources, looked

LONGEST_KEY = 1024
FEEDBACK = "feedback"

_ROW = """
SELECT line FROM read_parquet($files, file_row_number = true)
WHERE file_row_number = $row AND (id = $key OR request_id = $key)
"""
_SCAN = """
SELECT line FROM read_parquet($files) WHERE id = $key
UNION SELECT line FROM read_parquet($files) WHERE request_id = $key
"""


def find(sources: Sources, key: str) -> list[bytes]:
    """Every record that has this id or request id, the newest first; copies come last."""
    lines = looked(sources, Filter(), lambda look: list(_records(look, key)))
    return sorted(dict.fromkeys(lines), key=_rank_of, reverse=True)


def find_feedback(sources: Sources, keys: Sequence[str]) -> list[bytes]:
    """Every signal on the record with one of these ids, the oldest first, each once."""
    lines = looked(sources, Filter(), lambda look: list(_feedback(look, set(keys))))
    by_id = {_id_of(line): line for line in sorted(lines, key=_time_of, reverse=True)}
    return sorted(by_id.values(), key=_time_of)


def _records(look: Look, key: str) -> Iterator[bytes]:
    if not 0 < len(key) <= LONGEST_KEY:
        return
    for line in _stored(look, key, "records"):
        yield line
        if _id_of(line) == key:  # ids are unique, request ids need not be
            return
    yield from _live(look, key, is_feedback=False)


def _feedback(look: Look, keys: Iterable[str]) -> Iterator[bytes]:
    for key in keys:
        if 0 < len(key) <= LONGEST_KEY:
            yield from _stored(look, key, FEEDBACK)
            yield from _live(look, key, is_feedback=True)


def _stored(look: Look, key: str, table: str) -> Iterator[bytes]:
    for volume in look.readable(look.volumes, table):
        rows = rows_of(look.path(volume, f"{table}.ids"), key)
        # Why one by one: DuckDB skips what is around one row, and there is hardly ever another.
        for bound in [{}] if rows is None else [{"row": row} for row in rows]:
            sql = _ROW if bound else _SCAN
            for (line,) in look.ask([volume], table, sql, {"key": key, **bound}):
                yield line.encode()


def _live(look: Look, key: str, *, is_feedback: bool) -> Iterator[bytes]:
    for segment in look.live:
        for line in segment.lines_with(key):
            head = head_of(line)
            if head is not None and (head.kind == FEEDBACK) == is_feedback:
                yield line


def _id_of(line: bytes) -> str:
    head = head_of(line)
    return head.id if head else ""


def _rank_of(line: bytes) -> tuple[bool, str]:
    head = head_of(line)
    return (head.kind != "shadow", head.time) if head else (False, "")


def _time_of(line: bytes) -> str:
    head = head_of(line)
    return head.time if head else ""
