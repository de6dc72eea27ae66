"""A look at all fields as plain data, for a page, for programs, for a terminal.

`report_of` makes it of a reference, current profiles and a verdict. Distributions of numbers
are drawn on equally wide bins between the reference's outer edges, the tails in the outermost;
categories by name, the most frequent of the reference first.

Rule: what the JSON calls a thing is what people know from Evidently: `drift_share`,
      `number_of_drifted_columns`, `drift_by_columns`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from gateway.drift.report_view import ColumnDrift, Distribution, DriftReport, Rows
from gateway.drift.verdict import Finding, Verdict
from gateway.profiles.fields import Field
from gateway.profiles.profile import Profile
from gateway.profiles.reference import Reference

DRAWN = 24  # bins of a drawing
NAMED = 12  # categories of one
DRIFT_SHARE = 0.5  # of the fields: Evidently's usual threshold for the whole data set

_COLUMN_TYPES = {"numeric": "num", "score": "num", "category": "cat", "boolean": "cat"}
_QUALITY_WORDS = {
    "missing": "missing",
    "null": "null",
    "nan": "NaN",
    "above": "+infinity",
    "below": "-infinity",
    "unseen": "categories the reference never had",
    "violation": "of another type",
    "zero": "zero",
    "rare": "of categories that were rare",
    "under": "below all that the reference had",
    "over": "above all that the reference had",
}
_LEAST_P = 1e-300
_SPARKS = "▁▂▃▄▅▆▇█"


class FieldReport(Struct, frozen=True, kw_only=True):
    """One field."""

    name: str
    kind: str
    labels: tuple[str, ...]  # of the bins
    reference: tuple[float, ...]  # shares
    current: tuple[float, ...]
    test: str  # the one that says most; "" too few values
    effect: float = 0.0
    limit: float = 0.0
    p: float = 1.0  # all fields taken into account
    is_drift: bool = False
    verdict: str = ""  # in words
    trend: tuple[float, ...] = ()  # the effect over time, 1 is large, the latest last
    reference_mean: float | None = None
    current_mean: float | None = None


class ReportData(Struct, frozen=True, kw_only=True):
    """All fields, the ones that drift first."""

    title: str
    made_at: str
    reference: str  # where it comes from
    reference_hash: str
    reference_rows: int
    current: str
    current_rows: int
    alpha: float  # of a false alarm, over all fields
    fields: tuple[FieldReport, ...]

    @property
    def drifted(self) -> int:
        return sum(field.is_drift for field in self.fields)


def report_of(
    reference: Reference,
    current: Mapping[str, Profile],
    verdict: Verdict,
    *,
    title: str,
    source: str,
    alpha: float,
    now_s: float,
    trends: Mapping[str, Sequence[float]] | None = None,
) -> ReportData:
    """`source` says where the current values come from."""
    by_field: dict[str, list[Finding]] = {}
    for finding in verdict.findings():
        by_field.setdefault(finding.field, []).append(finding)
    fields = [
        _field(profile, current.get(name), by_field.get(name, []), (trends or {}).get(name, ()))
        for name, profile in reference.profiles.items()
    ]
    fields.sort(key=lambda one: (not one.is_drift, -one.effect / (one.limit or 1.0), one.name))
    return ReportData(
        title=title,
        made_at=datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        reference=reference.source,
        reference_hash=reference.hash,
        reference_rows=reference.rows,
        current=source,
        current_rows=max((profile.rows for profile in current.values()), default=0),
        alpha=alpha,
        fields=tuple(fields),
    )


def view_of(report: ReportData) -> DriftReport:
    """For programs."""
    count = len(report.fields)
    share = report.drifted / count if count else 0.0
    reference = Rows(
        source=report.reference, hash=report.reference_hash, rows=report.reference_rows
    )
    return DriftReport(
        timestamp=report.made_at,
        drift_share=DRIFT_SHARE,
        number_of_columns=count,
        number_of_drifted_columns=report.drifted,
        share_of_drifted_columns=share,
        dataset_drift=count > 0 and share >= DRIFT_SHARE,
        drift_by_columns={field.name: _column(field) for field in report.fields},
        reference=reference,
        current=Rows(source=report.current, rows=report.current_rows),
        alpha=report.alpha,
    )


def as_json(report: ReportData) -> bytes:
    """The same as text."""
    return msgspec.json.encode(view_of(report))


def as_text(report: ReportData) -> str:
    """For a terminal: a line a field: both distributions, and the trend where it is known."""
    head = (
        f"{report.title}: {report.drifted} of {len(report.fields)} fields drift"
        f" ({report.current_rows:,} rows against {report.reference_rows:,})"
    )
    width = max((len(_plain(field.name)) for field in report.fields), default=0)
    trend = max((len(field.trend) for field in report.fields), default=0)
    lines = [
        f"{'!' if field.is_drift else ' '} {_plain(field.name):<{width}}  "
        f"{sparkline(field.reference)}  {sparkline(field.current)}  "
        f"{f'{trendline(field.trend):<{trend}}  ' if trend else ''}{_plain(field.verdict)}"
        for field in report.fields
    ]
    return "\n".join([head, *lines])


def sparkline(values: Sequence[float]) -> str:
    """One character a value, the largest full."""
    top = max(values, default=0.0)
    if not top > 0:
        return _SPARKS[0] * len(values)
    return "".join(_SPARKS[min(int(len(_SPARKS) * value / top), len(_SPARKS) - 1)]
                   for value in values)  # fmt: skip


def trendline(values: Sequence[float]) -> str:
    """Effects over time; what reaches the upper half is large."""
    top = len(_SPARKS) - 1
    return "".join(_SPARKS[min(int(top * max(value, 0.0) / 2), top)] for value in values)


def _column(field: FieldReport) -> ColumnDrift:
    return ColumnDrift(
        column_name=field.name,
        column_type=_COLUMN_TYPES.get(field.kind, field.kind),
        stattest_name=field.test,
        drift_score=field.effect,
        stattest_threshold=field.limit,
        drift_detected=field.is_drift,
        p_value=field.p,
        verdict=field.verdict,
        reference=Distribution(x=field.labels, y=field.reference, mean=field.reference_mean),
        current=Distribution(x=field.labels, y=field.current, mean=field.current_mean),
        trend=field.trend,
    )


def _field(
    profile: Profile, current: Profile | None, findings: Sequence[Finding], trend: Sequence[float]
) -> FieldReport:
    current = current or Profile(profile.field)
    labels, before, after = _drawn(profile, current)
    lead = next((one for one in findings if one.is_drift), None) or _most(findings)
    return FieldReport(
        name=profile.field.name,
        kind=profile.field.kind,
        labels=labels,
        reference=before,
        current=after,
        test=lead.test if lead else "",
        effect=_number(lead.effect) if lead else 0.0,
        limit=lead.limit if lead else 0.0,
        p=_number(lead.adjusted) if lead else 1.0,
        is_drift=bool(lead and lead.is_drift),
        verdict=_words(findings, lead, current),
        trend=tuple(_number(value) for value in trend),
        reference_mean=_mean(profile),
        current_mean=_mean(current),
    )


def _most(findings: Sequence[Finding]) -> Finding | None:
    return max(findings, key=lambda one: one.effect / (one.limit or 1.0), default=None)


def _words(findings: Sequence[Finding], lead: Finding | None, current: Profile) -> str:
    if lead is None or (not lead.is_drift and lead.current == 0):
        return f"too few values to tell ({current.values:,})"
    if lead.test in _QUALITY_WORDS and lead.is_drift:
        share = f"{lead.statistic:.1%}"
        said = f"changed by {lead.effect:.1%} where {lead.limit:.0%} is large"
        return f"{share} {_QUALITY_WORDS[lead.test]}, {said}"
    p = f"p {lead.adjusted:.2g}" if lead.adjusted > _LEAST_P else f"p < {_LEAST_P:g}"
    said = f"{lead.test} {lead.effect:.3g} where {lead.limit:g} is large, {p}"
    if lead.is_drift:
        return f"drifts: {said}"
    if any(one.is_significant for one in findings):
        return f"changed, but little: {said}"
    return f"as before: {said}"


def _drawn(
    profile: Profile, current: Profile
) -> tuple[tuple[str, ...], tuple[float, ...], tuple[float, ...]]:
    """Labels, and the shares of both."""
    field = profile.field
    edges = [edge for edge in field.edges if field.low <= edge <= field.high]  # not zero's alone
    if field.is_ordered and len(edges) > 1 and edges[-1] > edges[0]:
        grid = np.linspace(edges[0], edges[-1], DRAWN - 1)
        labels = (f"< {grid[0]:.4g}", *(f"{edge:.4g}" for edge in grid))
        return labels, _on_grid(profile, grid), _on_grid(current, grid)
    names = (*field.categories[:NAMED], "other", "unseen") if not field.is_ordered else ("all",)
    return names, _by_name(profile, field), _by_name(current, field)


def _on_grid(profile: Profile, grid: np.ndarray[Any, Any]) -> tuple[float, ...]:
    counts = profile.counts[: profile.field.bins]
    total = max(int(counts.sum()), 1)
    below = np.interp(grid, np.array(profile.field.edges), np.cumsum(counts)[:-1])
    parts = np.diff(np.concatenate([[0.0], below, [float(total if counts.sum() else 0)]]))
    return tuple(round(float(part) / total, 5) for part in parts)


def _by_name(profile: Profile, field: Field) -> tuple[float, ...]:
    counts = profile.counts[: field.bins].tolist()
    unseen = profile.specials["unseen"]
    total = max(sum(counts) + unseen, 1)
    if field.is_ordered:
        return (sum(counts) / total,)
    named = counts[: min(NAMED, len(field.categories))]
    parts = (*named, sum(counts[len(named) :]), unseen)
    return tuple(round(part / total, 5) for part in parts)


def _mean(profile: Profile) -> float | None:
    is_known = profile.field.is_ordered and profile.values
    return _number(profile.mean) if is_known else None


def _number(value: float) -> float:
    """One that JSON has."""
    return round(float(value), 6) if math.isfinite(value) else 0.0


def _plain(text: str) -> str:
    """Without what could move a terminal's cursor: names come from elsewhere."""
    return "".join(character if character.isprintable() else " " for character in text)
