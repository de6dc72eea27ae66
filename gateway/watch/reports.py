"""What the rules say now, of all that is kept: reports with a trend, for people.

Each rule is asked for the window that ends with the newest minute that is whole, as a look of it
would be, and for as many windows before it: that is the trend.

Rule 1: reading only; what people look at opens and ends no alert.
Rule 2: bounded: MOST_UNITS units of a rule, PARTS windows of a trend.
Cost: a window of an hour of 20 fields is read in about 20 ms a unit; a trend is PARTS of them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gateway.config.recording import Kafka
from gateway.config.watching import Drift
from gateway.drift.current import trends
from gateway.drift.report import ReportData, report_of, view_of
from gateway.drift.report_view import DriftOverview, RouteReports, RuleLine, RuleReport
from gateway.log.names import DIRECTORY as LOG
from gateway.profiles.reference import frozen
from gateway.store import Store
from gateway.store.store import DIRECTORY as STORE
from gateway.watch.basis import DIRECTORY, Bases, BasisDocuments, BasisFiles, bases_of, recorded_in
from gateway.watch.kept import FILE, Kept
from gateway.watch.references import Pair, Pairs, Span, rows_of
from gateway.watch.terms import Terms, terms_of
from gateway.watch.view import View

PARTS = 24
MOST_UNITS = 20
MOST_WORST = 5

_THEN = {
    "last_week": "the same hours a week before",
    "champion": "the champion, meanwhile",
    "before": "what came before",
}


class Reported(Struct, frozen=True, kw_only=True):
    """What a rule says of one version of a route's model."""

    route: str
    rule: str
    compared_with: str  # training, pinned, last_week, champion, before
    version: str
    arm: str
    span: tuple[int, int]  # minutes since 1970
    report: ReportData


class Reports:
    """Of all rules; made anew for each question, as what is kept may be another's by then."""

    def __init__(
        self,
        drift: Drift,
        bases: Bases,
        view: View,
        counted: dict[str, int],
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """`counted` are lines by what became of them."""
        self.counted = counted
        self._terms, self._view, self._now_s = terms_of(drift, bases), view, now_s
        self.notes: list[str] = [f"{each}." for each in bases.problems]  # what cannot be said
        self.notes += [f"The fields of `{route}` are being learned." for route in bases.learning]

    @property
    def data_until(self) -> str:
        """RFC 3339; "" nothing is there."""
        return _moment(self._view.watermark)

    def of(self, route: str = "", rule: str = "", *, with_trend: bool) -> list[Reported]:
        """Of one route and rule, or of all; what drifts most first within a rule."""
        found: list[Reported] = []
        for name, where in sorted(self._terms):
            if (not route or route == where) and (not rule or rule == name):
                found += self._of_rule(name, where, with_trend=with_trend)
        return found

    def _of_rule(self, name: str, route: str, *, with_trend: bool) -> Iterator[Reported]:
        terms = self._terms[name, route]
        span = terms.span(self._view.watermark)
        pairs = terms.pairs(self._view, span)
        if pairs.unjudged or not pairs.judged:
            versions = ", ".join(f"`{each}`" for each in pairs.unjudged if each)
            of = f" of version {versions}" if versions else ""
            self.notes.append(
                f"{name} on {route}: too few rows{of} in the last {terms.window} minutes, or in"
                f" what they are compared with; {terms.least} are needed."
            )
        made = [
            self._reported(name, route, pair, terms.alpha / len(pairs.judged), span)
            for pair in pairs.judged[:MOST_UNITS]
        ]
        earlier = list(self._earlier(terms)) if with_trend and made else []
        made = [_with_trend(one, earlier, terms) for one in made]
        yield from sorted(made, key=lambda one: (-one.report.drifted, one.arm, one.version))

    def _reported(self, name: str, route: str, pair: Pair, alpha: float, span: Span) -> Reported:
        terms = self._terms[name, route]
        basis, kind = terms.basis, terms.kind
        verdict = terms.battery(pair).look(pair.now, alpha, control=terms.control)
        reference = frozen(
            pair.then.values(),
            source=_THEN.get(kind, basis.reference.source),
            rows=rows_of(pair.then) if kind in _THEN else basis.reference.rows,
        )
        whose = f", version {pair.unit.version}" if pair.unit.version else ""
        whose += f", arm {pair.unit.arm}" if pair.unit.arm != "champion" else ""
        report = report_of(
            reference,
            pair.now,
            verdict,
            title=f"Drift of {route}: {name}{whose}",
            source=f"{_moment(span.first)} to {_moment(span.end)}",
            alpha=alpha,
            now_s=self._now_s(),
        )
        return Reported(
            route=route,
            rule=name,
            compared_with=kind,
            version=pair.unit.version,
            arm=pair.unit.arm,
            span=(span.first, span.end),
            report=replace(report, reference_hash=basis.name),
        )

    def _earlier(self, terms: Terms) -> Iterator[Pairs]:
        """Windows before, the oldest first; none before there was anything."""
        begins = [
            minutes[0]
            for source in self._view.sources(terms.basis)
            if (minutes := self._view.minutes(terms.basis, source))
        ]
        for back in range(PARTS - 1, -1, -1):
            span = terms.span(self._view.watermark - back * terms.window)
            if begins and span.end > min(begins):
                yield terms.pairs(self._view, span)


def _with_trend(one: Reported, earlier: list[Pairs], terms: Terms) -> Reported:
    """0 where there was too little to say."""
    found: dict[str, list[float]] = {field.name: [] for field in one.report.fields}
    for pairs in earlier:
        pair = next((each for each in pairs.judged if each.unit == (one.version, one.arm)), None)
        effects = trends(terms.battery(pair), [pair.now]) if pair else {}
        for name in found:
            found[name] += effects.get(name, [0.0])
    fields = tuple(
        replace(field, trend=tuple(round(value, 4) for value in found[field.name]))
        for field in one.report.fields
    )
    return replace(one, report=replace(one.report, fields=fields))


def reports_in(state: Path, drift: Drift, routes: Sequence[str]) -> Reports:
    """Of a state directory, whether a gateway runs there or not. Blocks: reads files."""
    store = Store(state / STORE, state / LOG)
    shelf = BasisFiles(state / DIRECTORY)
    bases = bases_of(drift, routes, shelf, recorded=recorded_in(store))
    kept = Kept(state / FILE)
    found = Reports(drift, bases, kept.view(), _sum(kept.told().values()))
    if drift.consumer.source == "kafka":
        topic = drift.consumer.state_topic
        found.notes.append(
            f"What `gateway drift watch` counts is on the topic {topic};"
            " `gateway drift status` reads it."
        )
    elif bases.of_rule and not found.data_until:
        found.notes.append("Nothing was counted yet.")
    return found


async def reports_of_group(
    state: Path, drift: Drift, routes: Sequence[str], kafka: Kafka
) -> Reports:
    """Of what a consumer group has committed; `state` has what was made of files."""
    from gateway.watch.group.committed import committed  # noqa: PLC0415  an extra

    found = await committed(kafka, drift.consumer)
    learned = BasisDocuments(found.documents)
    bases = bases_of(drift, routes, BasisFiles(state / DIRECTORY), learned=learned)
    return Reports(drift, bases, found.view, found.told)


def _sum(told: Iterable[Mapping[str, int]]) -> dict[str, int]:
    whole = Counter[str]()
    for one in told:
        whole.update(one)
    return dict(whole)


def overview_view(drift: Drift, reports: Reports) -> DriftOverview:
    """Of all routes, for programs; without trends."""
    lines = tuple(map(line_of, reports.of(with_trend=False)))
    return DriftOverview(
        source=drift.consumer.source,
        data_until=reports.data_until,
        counted=reports.counted,
        lines=lines,
        notes=tuple(reports.notes),
    )


def reports_view(route: str, reports: Reports, rule: str = "") -> RouteReports:
    """Of one route, and one rule or all, for programs."""
    found = reports.of(route, rule, with_trend=True)
    return RouteReports(
        route=route,
        data_until=reports.data_until,
        reports=tuple(
            RuleReport(
                rule=one.rule,
                compared_with=one.compared_with,
                version=one.version,
                arm=one.arm,
                since=_moment(one.span[0]),
                until=_moment(one.span[1]),
                report=view_of(one.report),
            )
            for one in found
        ),
        notes=tuple(reports.notes),
    )


def line_of(one: Reported) -> RuleLine:
    """In short."""
    report = one.report
    return RuleLine(
        route=one.route,
        rule=one.rule,
        compared_with=one.compared_with,
        version=one.version,
        arm=one.arm,
        since=_moment(one.span[0]),
        until=_moment(one.span[1]),
        rows=report.current_rows,
        reference_rows=report.reference_rows,
        fields=len(report.fields),
        drifted=report.drifted,
        worst=tuple(field.name for field in report.fields if field.is_drift)[:MOST_WORST],
    )


def chosen(found: list[Reported], version: str = "", arm: str = "") -> Reported | None:
    """The one that is asked for, else the one that says most."""
    meant = [one for one in found if version in {"", one.version} and arm in {"", one.arm}]
    return max(meant, key=lambda one: (one.report.drifted, one.report.current_rows), default=None)


def _moment(minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%dT%H:%M:%SZ}" if minute else ""
