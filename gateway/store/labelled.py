"""Predictions of a route beside what was said of each: rows to measure performance by.

Of several signals of one name on a record the last counts, of those that came before
`horizon_us` after it: so every stretch of time has labels of the same age, and a cohort that
is older than that does not change any more.

Of more than `most` records a part is taken by the hash of their ids: the same one each time, and
no stretch of time is left out.

Cost: about 10 us a record that is taken; of others only narrow columns are read, where the
prediction is one of COLUMNS: the lines of millions of records are gigabytes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct

from gateway.store.feedback import load_feedback
from gateway.store.filters import Filter, checked, where
from gateway.store.look import PADDED, Look, Sources, looked
from gateway.store.rows import RECORDS_PARSED, Rows, load

MOST = 200_000
_HASHES = 1 << 20

# Pointers into the record that need not the whole line.
COLUMNS = {
    "/predictions": "predictions",
    "/finish_reason": "CASE WHEN finish_reason IS NOT NULL THEN to_json(finish_reason) END",
    "/confidence": "CASE WHEN confidence IS NOT NULL THEN to_json(confidence) END",
}
_NEEDED = (
    'id, request_id, epoch_us("time") AS at_us, version, ({prediction})::VARCHAR AS prediction'
)
# A record is named by its id or by the client's; of what was said within the horizon the last.
_JOINED = """
WITH taken AS (
    SELECT * FROM {records} WHERE id IS NOT NULL AND hash(id) % {hashes} < $part
    QUALIFY row_number() OVER (PARTITION BY id ORDER BY at_us) = 1
), joined AS (
    SELECT t.id, epoch_us(s."time") AS said_us, json_extract(s.line, '/value') AS value
    FROM taken t JOIN said s ON s.about = t.id WHERE s.is_wanted
    UNION ALL
    SELECT t.id, epoch_us(s."time"), json_extract(s.line, '/value')
    FROM taken t JOIN said s ON s.about = t.request_id
    WHERE s.is_wanted AND t.request_id <> t.id
), last AS (
    SELECT t.id, arg_max(b.value, b.said_us)
                 FILTER (WHERE b.said_us < t.at_us + $horizon) AS value,
           count(*) FILTER (WHERE b.said_us >= t.at_us + $horizon) AS late
    FROM taken t JOIN joined b USING (id) GROUP BY t.id, t.at_us
)
SELECT t.id, t.request_id, t.at_us, coalesce(t.version, ''),
       t.prediction, l.value::VARCHAR, coalesce(l.late, 0)
FROM taken t LEFT JOIN last l USING (id)
ORDER BY t.at_us, t.id
"""
_COUNT = "SELECT count(*) FROM {records}"


class LabelledRow(NamedTuple):
    """One record; prediction and label are JSON, None where there is none."""

    id: str
    request_id: str
    at_us: int  # microseconds since 1970
    version: str  # of the model
    prediction: str | None
    label: str | None
    late: int  # signals that came after the horizon


class Labelled(Struct, frozen=True):
    """Records in order of time, and what is left out, in sentences."""

    rows: tuple[LabelledRow, ...] = ()
    records: int = 0  # there are; more than rows where a part was taken
    notes: tuple[str, ...] = ()


class LabelQuestion(Struct, frozen=True, kw_only=True):
    """Which records, and which signal on them."""

    route: str
    since_us: int
    until_us: int
    signal: str
    pointer: str  # of the prediction in the record
    horizon_us: int
    most: int = MOST


def labelled(sources: Sources, question: LabelQuestion) -> Labelled:
    """Answered predictions of the route, and the label of each that has one."""
    wanted = Filter(
        route=(question.route,),
        kind=("prediction",),
        outcome=("ok",),
        since_us=question.since_us,
        until_us=question.until_us,
        feedback=(question.signal,),
    )
    condition = where(checked(wanted))

    def ask(look: Look) -> Labelled:
        load_feedback(look, wanted)
        prediction = COLUMNS.get(question.pointer, "json_extract(line, $pointer)")
        needed = _NEEDED.format(prediction=prediction)
        given = condition.parameters
        if question.pointer not in COLUMNS:
            given = given | {"pointer": question.pointer}
        live = _keep_live(look, f"SELECT {needed} FROM {{}} WHERE {condition.sql}", given)
        stored = f"(SELECT {needed} FROM {PADDED} WHERE {condition.sql} UNION ALL {live})"
        count = _asked(look, _COUNT, stored, live, given, {})[0][0]
        part = _HASHES if count <= question.most else max(_HASHES * question.most // count, 1)
        more = {"part": part, "horizon": question.horizon_us}
        rows = _asked(look, _JOINED, stored, live, given, more)
        look.note_lines()
        return Labelled(tuple(LabelledRow(*row) for row in rows), count, tuple(look.notes))

    return looked(sources, wanted, ask)


def _asked(
    look: Look,
    query: str,
    stored: str,
    live: str,
    parameters: dict[str, Any],
    more: dict[str, Any],
) -> list[tuple[Any, ...]]:
    return look.ask(
        look.volumes,
        "records",
        query.format(records=stored, hashes=_HASHES),
        {**parameters, **more},
        otherwise=Rows(query.format(records=f"({live})", hashes=_HASHES), more),
    )


def _keep_live(look: Look, query: str, parameters: dict[str, Any]) -> str:
    """The table of records that match and are in no volume, as a SELECT."""
    rows = query.format(f"({RECORDS_PARSED.sql})")
    load(look.connection, b"", "")
    look.connection.execute(f"CREATE OR REPLACE TEMP TABLE live AS {rows}", parameters)
    for segment in look.live:
        load(look.connection, segment.data(), segment.segment)
        look.connection.execute(f"INSERT INTO live {rows}", parameters)
    return "SELECT * FROM live"
