"""Reports and what stands behind them as programs read them: plain data.

Rule: what is called as in Evidently means what it means there: `drift_share`,
      `number_of_drifted_columns`, `drift_by_columns`.
Knows nothing of how they are made; imports no numbers library.
"""

from __future__ import annotations

from msgspec import Struct


class Distribution(Struct, frozen=True, kw_only=True):
    """Shares of a column's values by bin."""

    x: tuple[str, ...]  # names of the bins
    y: tuple[float, ...]
    mean: float | None


class ColumnDrift(Struct, frozen=True, kw_only=True):
    """One field."""

    column_name: str
    column_type: str  # num, cat, text, embedding
    stattest_name: str  # the test that says most; "" too few values
    drift_score: float  # its effect
    stattest_threshold: float  # from where that is large
    drift_detected: bool
    p_value: float  # all fields taken into account
    verdict: str  # in words
    reference: Distribution
    current: Distribution
    trend: tuple[float, ...] = ()  # the effect over time, 1 is large; the latest last


class Rows(Struct, frozen=True, kw_only=True):
    """Where values come from."""

    source: str
    rows: int
    hash: str = ""  # of a reference


class DriftReport(Struct, frozen=True, kw_only=True):
    """One look at all fields."""

    timestamp: str
    drift_share: float  # of the fields, from which the whole counts as drifted
    number_of_columns: int
    number_of_drifted_columns: int
    share_of_drifted_columns: float
    dataset_drift: bool
    drift_by_columns: dict[str, ColumnDrift]  # what drifts first
    reference: Rows
    current: Rows
    alpha: float  # of a false alarm, over all fields


class RuleReport(Struct, frozen=True, kw_only=True):
    """What one rule says of one version of a route's model."""

    rule: str
    compared_with: str  # training, pinned, last_week, champion, before
    version: str
    arm: str  # of a rollout; champion also where there is none
    since: str  # of the window, RFC 3339
    until: str
    report: DriftReport


class RouteReports(Struct, frozen=True, kw_only=True):
    """All rules on one route."""

    route: str
    data_until: str  # "" nothing was counted yet
    reports: tuple[RuleReport, ...]
    notes: tuple[str, ...] = ()  # what cannot be said, in sentences


class RuleLine(Struct, frozen=True, kw_only=True):
    """One rule on one version, in a line."""

    route: str
    rule: str
    compared_with: str
    version: str
    arm: str
    since: str
    until: str
    rows: int
    reference_rows: int
    fields: int
    drifted: int
    worst: tuple[str, ...]  # fields that drift, the largest effect first


class DriftOverview(Struct, frozen=True, kw_only=True):
    """All rules on all routes, and how counting goes."""

    source: str  # log, kafka
    data_until: str
    counted: dict[str, int]  # lines by what became of them, since counting began
    lines: tuple[RuleLine, ...]
    notes: tuple[str, ...] = ()
