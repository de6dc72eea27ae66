"""Records that match, the newest first, with the feedback on them where it is asked for.

Volumes are asked from the newest on, two, four, eight at a time, until what remains is
older than all that was found.

Cost: filters on columns read those columns alone: about 0.1 s a million records; `text` reads
the lines themselves, about 1 s a million.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from msgspec import Struct

from gateway.store.feedback import load_feedback, with_feedback_of
from gateway.store.filters import Filter, Where, checked, where
from gateway.store.look import Look, Sources, looked, parquet_for
from gateway.store.rows import RECORDS_PARSED, load
from gateway.store.volume import Volume

_MATCHES = """
SELECT epoch_us("time"), id, request_id, line FROM {source}
WHERE {where} ORDER BY "time" DESC LIMIT $most
"""

_SAID = 'SELECT about, line FROM said WHERE about IN (SELECT unnest($keys)) ORDER BY "time"'

Row = tuple[Any, ...]  # time, id, request id, line


class Match(Struct, frozen=True, kw_only=True):
    """One record that was found."""

    line: bytes  # exactly as it was written
    feedback: tuple[bytes, ...] = ()  # lines on it, the oldest first


class Found(Struct, frozen=True, kw_only=True):
    """What a search found."""

    matches: tuple[Match, ...] = ()  # the newest first
    has_more: bool = False  # there are more than were asked for
    notes: tuple[str, ...] = ()  # what could not be searched, in sentences


def search(sources: Sources, wanted: Filter, most: int, *, with_feedback: bool = False) -> Found:
    """The newest records that match, at most so many."""
    condition = where(checked(wanted))
    has_feedback = with_feedback or bool(wanted.feedback)

    def ask(look: Look) -> Found:
        if has_feedback:
            load_feedback(look, wanted)
        filtered = with_feedback_of(condition, wanted)
        rows = _rows(look, filtered, most + 1, parquet_for(wanted))
        rows.sort(key=itemgetter(0), reverse=True)
        look.note_lines()
        matches = _matches(look, rows[:most], has_feedback=has_feedback)
        return Found(matches=matches, has_more=len(rows) > most, notes=tuple(look.notes))

    return looked(sources, wanted, ask)


def _rows(look: Look, condition: Where, most: int, source: str) -> list[Row]:
    """At least the newest matches."""
    bound = condition.parameters | {"most": most}
    rows = list(_live_rows(look, condition.sql, bound))
    sql = _MATCHES.format(source=source, where=condition.sql)
    for asked, older in _portions(look.readable(look.volumes, "records")):
        rows += look.ask(asked, "records", sql, bound)
        if len(rows) >= most and older:
            rows.sort(key=itemgetter(0), reverse=True)
            del rows[most:]
            if rows[-1][0] > max(each.last_us for each in older):
                break
    return rows


def _live_rows(look: Look, condition: str, bound: Mapping[str, Any]) -> Iterator[Row]:
    sql = _MATCHES.format(source=f"({RECORDS_PARSED.sql})", where=condition)
    for segment in look.live:
        load(look.connection, segment.data(), segment.segment)
        yield from look.connection.execute(sql, bound).fetchall()


def _portions(volumes: Sequence[Volume]) -> Iterator[tuple[Sequence[Volume], Sequence[Volume]]]:
    """The newest volumes, more each time, and those that remain then."""
    begin, size = 0, 2
    while begin < len(volumes):
        yield volumes[begin : begin + size], volumes[begin + size :]
        begin, size = begin + size, size * 2


def _matches(look: Look, rows: Sequence[Row], *, has_feedback: bool) -> tuple[Match, ...]:
    said: dict[str, list[bytes]] = {}
    keys = sorted({key for row in rows for key in row[1:3] if key})
    if has_feedback and keys:
        for about, line in look.connection.execute(_SAID, {"keys": keys}).fetchall():
            said.setdefault(about, []).append(line.encode())
    return tuple(
        Match(
            line=row[3].encode(),
            feedback=tuple(line for key in dict.fromkeys(row[1:3]) for line in said.get(key, ())),
        )
        for row in rows
    )
