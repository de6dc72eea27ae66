"""Counts, outcomes, latency, tokens, cost and feedback, by route, backend or what else.

Quantiles are those of DuckDB's t-digest: within about 1 % of the rank.
Rule: copies of requests are counted only where they can be told apart, by backend or kind;
      what is said of a request is never said of its copies.

Cost: about 0.1 s a million records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway.store.columns import quoted
from gateway.store.database import WrongQuestion
from gateway.store.feedback import load_feedback, with_feedback_of
from gateway.store.filters import Filter, Where, checked, where
from gateway.store.look import Look, Sources, looked, parquet_for
from gateway.store.rows import RECORDS_PARSED, Rows, load

GROUPS = ("route", "backend", "version", "model", "user", "kind", "outcome", "protocol", "day")
QUANTILES = (0.5, 0.95, 0.99)
MOST_GROUPS = 1000
_OF_CLIENTS = ("prediction", "refusal", "cancelled")

_NEEDED = (
    "id", "request_id", "kind", "outcome", "total_us", "first_byte_us", "input_tokens",
    "output_tokens", "cost_usd", "fallback", "attempts",
)  # fmt: skip
_FIGURES = f"""
SELECT {{keys}}, count(*),
       count(*) FILTER (WHERE outcome = 'ok'),
       histogram(coalesce(outcome, '')),
       approx_quantile(total_us, {list(QUANTILES)}),
       approx_quantile(first_byte_us, {list(QUANTILES)}),
       coalesce(sum(input_tokens), 0)::BIGINT,
       coalesce(sum(output_tokens), 0)::BIGINT,
       coalesce(sum(cost_usd), 0.0),
       count(*) FILTER (WHERE fallback <> ''),
       count(*) FILTER (WHERE attempts > 1)
FROM {{records}} GROUP BY ALL
"""
_SIGNALS = """
SELECT {keys}, signal, count(*), count(DISTINCT id), avg(value) FROM (
    SELECT r.*, s.signal, s.value FROM {records} r JOIN said s ON s.about = r.id
    WHERE s.is_wanted
    UNION ALL
    SELECT r.*, s.signal, s.value FROM {records} r JOIN said s ON s.about = r.request_id
    WHERE s.is_wanted AND r.request_id <> r.id AND r.kind IS DISTINCT FROM 'shadow'
) GROUP BY ALL
"""


class LatencyQuantiles(Struct, frozen=True, kw_only=True):
    """Quantiles in seconds; null where nothing was measured."""

    p50_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None


class SignalFigures(Struct, frozen=True, kw_only=True):
    """One signal on the records of a group."""

    signal: str
    count: int
    records: int  # that have it
    mean: float | None  # of values that are numbers; true is 1


class Group(Struct, frozen=True, kw_only=True):
    """The records that have these values in common."""

    by: dict[str, str]
    records: int
    ok: int
    outcomes: dict[str, int]
    total: LatencyQuantiles
    first_byte: LatencyQuantiles
    input_tokens: int
    output_tokens: int
    cost_usd: float
    fallbacks: int
    retried: int
    feedback: tuple[SignalFigures, ...] = ()


class Stats(Struct, frozen=True, kw_only=True):
    """All groups, the largest first."""

    groups: tuple[Group, ...] = ()
    notes: tuple[str, ...] = ()  # what is left out, in sentences


def stats(
    sources: Sources, wanted: Filter, by: Sequence[str], *, with_feedback: bool = False
) -> Stats:
    """Figures of the records that match, for each combination of what they are grouped by."""
    unknown = [name for name in by if name not in GROUPS]
    if unknown:
        raise WrongQuestion(f"records cannot be grouped by `{unknown[0]}`; by {', '.join(GROUPS)}")
    if not (wanted.kind or wanted.backend or {"kind", "backend"} & set(by)):
        wanted = replace(wanted, kind=_OF_CLIENTS)
    condition = where(checked(wanted))
    has_feedback = with_feedback or bool(wanted.feedback)

    def ask(look: Look) -> Stats:
        if has_feedback:
            load_feedback(look, wanted)
        filtered = with_feedback_of(condition, wanted)
        question = _Question(look, filtered, by, parquet_for(wanted))
        signals = question.asked(_SIGNALS) if has_feedback else []
        groups = [_group(by, row, signals) for row in question.asked(_FIGURES)]
        look.note_lines()
        if len(groups) > MOST_GROUPS:
            look.notes.append(f"Of {len(groups)} groups, the {MOST_GROUPS} largest are here.")
        groups.sort(key=lambda group: group.records, reverse=True)
        return Stats(groups=tuple(groups[:MOST_GROUPS]), notes=tuple(look.notes))

    return looked(sources, wanted, ask)


class _Question:
    """Queries over the matching records of volumes and live segments."""

    def __init__(self, look: Look, condition: Where, by: Sequence[str], source: str) -> None:
        self._look, self._connection, self._condition = look, look.connection, condition
        self._source = source
        self._keys = [f"coalesce({quoted(name)}, '')" for name in by] or ["''"]
        columns = [*_NEEDED, *(name for name in by if name not in {*_NEEDED, "day"})]
        # Why all groups name `time`: a day is a part of it.
        days = ["strftime(\"time\", '%Y-%m-%d') AS day"] if "day" in by else []
        self._columns = ", ".join([*map(quoted, columns), *days])
        self._keep_live()

    def asked(self, query: str) -> list[tuple[Any, ...]]:
        live = "SELECT * FROM live"
        stored = f"SELECT {self._columns} FROM {self._source} WHERE {self._condition.sql}"
        keys = ", ".join(self._keys)
        return self._look.ask(
            self._look.volumes,
            "records",
            query.format(keys=keys, records=f"({stored} UNION ALL {live})"),
            self._condition.parameters,
            otherwise=Rows(query.format(keys=keys, records=f"({live})")),
        )

    def _keep_live(self) -> None:
        """Make the table `live`: records that match and are in no volume."""
        rows = f"SELECT {self._columns} FROM ({RECORDS_PARSED.sql}) WHERE {self._condition.sql}"
        load(self._connection, b"", "")
        self._connection.execute(
            f"CREATE OR REPLACE TEMP TABLE live AS {rows}", self._condition.parameters
        )
        for segment in self._look.live:
            load(self._connection, segment.data(), segment.segment)
            self._connection.execute(f"INSERT INTO live {rows}", self._condition.parameters)


def _group(by: Sequence[str], row: Sequence[Any], signals: Sequence[Sequence[Any]]) -> Group:
    width = max(len(by), 1)
    key, figures = row[:width], row[width:]
    return Group(
        by=dict(zip(by, key, strict=False)),
        records=figures[0],
        ok=figures[1],
        outcomes=figures[2] or {},
        total=_latency(figures[3]),
        first_byte=_latency(figures[4]),
        input_tokens=figures[5],
        output_tokens=figures[6],
        cost_usd=figures[7],
        fallbacks=figures[8],
        retried=figures[9],
        feedback=tuple(
            SignalFigures(signal=each[width], count=n, records=records, mean=mean)
            for each in sorted(signals, key=lambda each: str(each[width]))
            for n, records, mean in [each[width + 1 :]]
            if each[:width] == key
        ),
    )


def _latency(quantiles_us: Sequence[float] | None) -> LatencyQuantiles:
    if not quantiles_us:
        return LatencyQuantiles()
    p50, p95, p99 = (round(each / 1e6, 6) for each in quantiles_us)
    return LatencyQuantiles(p50_s=p50, p95_s=p95, p99_s=p99)
