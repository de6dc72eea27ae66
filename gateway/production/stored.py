"""Figures of versions, counted from the records of the local store.

One look at the store for all spans, one query a span. What is still in the log's own
files is counted with it as long as it is little, since it is read line by line.

Cost: about 0.3 s of CPU time a million records, so at most MOST_RECORDS are counted: of
      spans with more only the last part, which `Tally.shorter` tells.
Rule: what is left out is said in the notes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.errors import OUTCOMES
from gateway.production.figures import Counted, Figures, Span, Tally
from gateway.store.columns import RECORDS, quoted
from gateway.store.database import Database
from gateway.store.filters import Filter
from gateway.store.look import PARQUET, Look, Sources, looked
from gateway.store.rows import FEEDBACK_PARSED, RECORDS_PARSED, load
from gateway.store.volume import Volume

MOST_RECORDS = 1_000_000  # of all spans together
LATE_US = 7 * 86_400 * 1_000_000  # feedback that comes later than this is not waited for
MOST_LIVE_BYTES = 16 << 20
SOURCE = "records of the local store"

_FAULTS = frozenset(o.reason for o in OUTCOMES if o.fault in {"gateway", "upstream"})
_NEEDED = (
    "time", "kind", "route", "backend", "version", "outcome", "total_us", "cost_usd", "id",
    "request_id",
)  # fmt: skip
_RECORDS = f"SELECT {', '.join(map(quoted, _NEEDED))} FROM {{rows}}"  # noqa: S608  names of columns
_HEARD = "SELECT id, request_id AS about FROM {rows}"
_TYPES = {column.name: column.type for column in RECORDS}
_TABLES = f"""
CREATE OR REPLACE TEMP TABLE live ({", ".join(f"{quoted(n)} {_TYPES[n]}" for n in _NEEDED)});
CREATE OR REPLACE TEMP TABLE said (id VARCHAR, about VARCHAR);
"""
_MEANT = """
WHERE "time" >= make_timestamp($since::BIGINT) AND "time" < make_timestamp($until::BIGINT)
AND kind NOT IN ('shadow', 'forgotten') AND list_contains($routes, route)
"""
_COUNT = """
SELECT route, coalesce(backend, ''), count(*), histogram(coalesce(outcome, '')),
       approx_quantile(total_us, [0.5, 0.95]) FILTER (WHERE outcome = 'ok'),
       coalesce(sum(cost_usd), 0.0), histogram(coalesce(version, ''))
FROM {records} GROUP BY ALL
"""
# Why in two steps: a join by one of two columns would compare each record with each signal.
_SAID = """
WITH judged AS MATERIALIZED (
    SELECT route, coalesce(backend, '') AS backend, id, request_id FROM {records}
    WHERE id IN (SELECT about FROM said) OR request_id IN (SELECT about FROM said)
), signals AS (
    SELECT route, backend, said.id FROM judged JOIN said ON about = judged.id
    UNION SELECT route, backend, said.id FROM judged JOIN said ON about = request_id
)
SELECT route, backend, count(DISTINCT id) FROM signals GROUP BY ALL
"""


class StoredFigures:
    """Of one store and the log beside it."""

    def __init__(self, directory: Path, log_directory: Path) -> None:
        self._sources = Sources(directory, log_directory, Database())

    def over(self, spans: Sequence[Span], routes: Sequence[str]) -> Tally:
        """StoreError where the store cannot be read."""
        wanted = Filter(
            since_us=_us(min(span.since_s for span in spans)),
            until_us=_us(max(span.until_s for span in spans)),
            route=tuple(routes),
        )

        def ask(look: Look) -> Tally:
            _load(look, (wanted.until_us or 0) + LATE_US)
            [has_feedback] = look.connection.execute("SELECT count(*) > 0 FROM said").fetchall()[0]
            shorter = {span: _shortened(span, look, MOST_RECORDS // len(spans)) for span in spans}
            counted = {}
            for span in spans:
                question = _Question(look, shorter[span], routes)
                said = question.asked(_SAID) if has_feedback else []
                counted[span] = _counted(question.asked(_COUNT), said)
            return Tally(counted, SOURCE, tuple(look.notes), shorter)

        return looked(self._sources, wanted, ask)


class _Question:
    """Queries over the records of a span."""

    def __init__(self, look: Look, span: Span, routes: Sequence[str]) -> None:
        self._look = look
        since_us, until_us = _us(span.since_s), _us(span.until_s)
        own = Filter(since_us=since_us, until_us=until_us)
        self._volumes = [v for v in look.volumes if own.overlaps(v.first_us, v.last_us)]
        self._parameters = {"since": since_us, "until": until_us, "routes": list(routes)}

    def asked(self, query: str) -> list[tuple[Any, ...]]:
        live = f"{_RECORDS.format(rows='live')} {_MEANT}"
        stored = f"{_RECORDS.format(rows=PARQUET)} {_MEANT}"
        both = query.format(records=f"({stored} UNION ALL {live})")
        rows = self._look.ask(self._volumes, "records", both, self._parameters)
        if self._look.readable(self._volumes, "records"):
            return rows
        only_live = query.format(records=f"({live})")
        return self._look.connection.execute(only_live, self._parameters).fetchall()


def _shortened(span: Span, look: Look, most: int) -> Span:
    """The last part of the span, with about so many records; whole seconds."""
    records = sum(_records_in(span, volume) for volume in look.volumes)
    if records <= most:
        return span
    length_s = max(int((span.until_s - span.since_s) * most / records), 60)
    return Span(max(span.since_s, float(int(span.until_s) - length_s)), span.until_s)


def _records_in(span: Span, volume: Volume) -> float:
    """How many of its records are of the span, as if they came evenly."""
    first_us, last_us = volume.first_us, max(volume.last_us, volume.first_us + 1)
    common_us = min(last_us, _us(span.until_s)) - max(first_us, _us(span.since_s))
    return volume.records * max(common_us, 0) / (last_us - first_us)


def _load(look: Look, until_us: int) -> None:
    """Make the tables `live`, records that are in no volume, and `said`, feedback until then."""
    connection = look.connection
    live = _RECORDS.format(rows=f"({RECORDS_PARSED.sql})")
    heard = _HEARD.format(rows=f"({FEEDBACK_PARSED.sql})")
    connection.execute(_TABLES)
    stored = f"INSERT INTO said {_HEARD.format(rows=PARQUET)}"
    said = [volume for volume in look.volumes_since if volume.first_us < until_us]
    look.ask(said, "feedback", stored, {})
    left_bytes = MOST_LIVE_BYTES
    for segment in look.live_since:
        data = segment.data()
        left_bytes -= len(data)
        if left_bytes >= 0:
            load(connection, data, segment.segment)
            connection.execute(f"INSERT INTO live {live}")
            connection.execute(f"INSERT INTO said {heard}")
    if left_bytes < 0:
        look.notes.append("what came in the last minutes is not counted yet")


def _counted(rows: Sequence[Sequence[Any]], said: Sequence[Sequence[Any]]) -> Counted:
    signals = {(route, backend): count for route, backend, count in said}
    found = {(row[0], row[1]): _figures(row[2:], signals.get((row[0], row[1]), 0)) for row in rows}
    routes = {row[0] for row in rows}
    return found | {(route, ""): _whole(r for r in rows if r[0] == route) for route in routes}


def _figures(row: Sequence[Any], signals: int) -> Figures:
    requests, outcomes, quantiles_us, cost_usd, versions = row
    p50_s, p95_s = (round(each / 1e6, 6) for each in quantiles_us) if quantiles_us else (None, None)
    return Figures(
        requests=requests,
        error_share=_failed(outcomes) / requests,
        p50_s=p50_s,
        p95_s=p95_s,
        cost_usd=cost_usd / requests,
        feedback_per_request=signals / requests,
        versions={version: count for version, count in versions.items() if version},
    )


def _whole(rows: Iterable[Sequence[Any]]) -> Figures:
    """The route itself: what nobody answered is among its rows, too."""
    found = [(row[2], _failed(row[3])) for row in rows]
    requests = sum(count for count, _ in found)
    return Figures(requests=requests, error_share=sum(failed for _, failed in found) / requests)


def _failed(outcomes: Mapping[str, int]) -> int:
    return sum(count for reason, count in outcomes.items() if reason in _FAULTS)


def _us(at_s: float) -> int:
    return int(at_s * 1e6)
