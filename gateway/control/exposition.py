"""`/metrics`: the table of `telemetry`, filled from the board, as text.

One walk over the table; each group of metrics has one function that finds its figures. The
two forms of the text are `metric_text`'s.

Cost: 50 routes with 8 backends and every histogram in use are about 35,000 lines; a row's
histogram is one `%` of a template, not one call a line. Why not prometheus_client's own
registry: it takes several microseconds a line. Its parsers check this text in the tests.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

import gateway
from gateway.alerts.alert import SEVERITIES
from gateway.contracts.anomalies import slots
from gateway.control.backends import BackendFigures, backend_figures
from gateway.control.buckets import counts_within, splits
from gateway.control.figures import (
    BoardView,
    RowFigures,
    RowLabel,
    attempt_labels,
    route_labels,
    shadow_labels,
)
from gateway.control.log import values_of
from gateway.control.metric_text import Sample, Writer, braced, quoted
from gateway.control.parts import Parts
from gateway.control.processes import usage_of
from gateway.errors import OUTCOMES
from gateway.notices.receiver import ReceiverFigures
from gateway.switches import switches_of
from gateway.telemetry import (
    ALERT_METRICS,
    ATTEMPT_METRICS,
    BACKEND_METRICS,
    BREAKER_STATES,
    COUNTED_METRICS,
    DRIFT_METRICS,
    LOG_METRICS,
    NANO,
    NOTICE_METRICS,
    PROCESS_METRICS,
    RELOAD_RESULTS,
    ROLLOUT_METRICS,
    ROUTE_METRICS,
    SHADOW_METRICS,
    SINK_METRICS,
    SKIPS,
    STATUS_CLASSES,
    WATCH_METRICS,
    WHOLE_METRICS,
    WORKER_METRICS,
    Metric,
)

_REASONS = tuple(outcome.reason for outcome in OUTCOMES)
# Fields that hold a list, and the values of the last labels of each element.
_SLOTS: dict[str, Sequence[tuple[str, ...]]] = {
    "outcomes": [(reason,) for reason in _REASONS],
    "statuses": [(each,) for each in STATUS_CLASSES],
    "skips": [(skip,) for skip in SKIPS],
    "anomalies": slots(),
}


class Whole(Struct, frozen=True):
    """The gateway as a whole: for each metric its series, by label values."""

    refusals: Mapping[tuple[str, ...], float]
    records: Mapping[tuple[str, ...], float]
    record_bytes: Mapping[tuple[str, ...], float]
    records_dropped: Mapping[tuple[str, ...], float]
    build: Mapping[tuple[str, ...], float]
    plan: Mapping[tuple[str, ...], float]
    is_draining: Mapping[tuple[str, ...], float]
    reloads: Mapping[tuple[str, ...], float]
    is_last_reload_good: Mapping[tuple[str, ...], float]
    last_applied_at_s: Mapping[tuple[str, ...], float]
    last_propagation_s: Mapping[tuple[str, ...], float]
    switches_off: Mapping[tuple[str, ...], float]


def render(parts: Parts, *, is_openmetrics: bool = False) -> str:
    """The whole text."""
    out = Writer(is_openmetrics=is_openmetrics)
    plan, view = parts.configuration.plan, parts.board
    _write_rows(out, view, ROUTE_METRICS, route_labels(plan))
    _write_rows(out, view, ATTEMPT_METRICS, attempt_labels(plan))
    _write_rows(out, view, SHADOW_METRICS, shadow_labels(plan))
    _write_backends(out, backend_figures(view, plan, parts.now_ns()))
    workers = {str(worker.slot): worker for worker in parts.workers.seats()}
    _write_named(out, WORKER_METRICS, "worker", workers)
    usages = {name: usage_of(pid) for name, pid in _processes(parts).items()}
    _write_named(out, PROCESS_METRICS, "process", {k: u for k, u in usages.items() if u})
    _write_log(out, parts)
    _write_rollouts(out, parts)
    _write_notices(out, (*parts.webhooks(), *(parts.alerts.receivers() if parts.alerts else ())))
    _write_alerts(out, parts)
    _write_watch(out, parts)
    _write_whole(out, whole(parts))
    return out.text()


def whole(parts: Parts) -> Whole:
    """What is known of the gateway as a whole."""
    configuration, seats = parts.configuration, parts.board.seats()
    refused = zip(_REASONS, seats.refused, strict=False)
    return Whole(
        refusals={(reason,): count for reason, count in refused if count or reason == "no_route"},
        records={(): seats.records},
        record_bytes={(): seats.record_bytes},
        records_dropped={(): seats.records_dropped},
        build={(gateway.__version__, platform.python_version()): 1},
        plan={(configuration.plan.hash,): 1},
        is_draining={(): int(parts.workers.is_draining)},
        reloads={(result,): configuration.reloads.get(result, 0) for result in RELOAD_RESULTS},
        is_last_reload_good={(): int(configuration.failure is None)},
        last_applied_at_s={(): configuration.applied_at_s},
        last_propagation_s={(): configuration.propagation_s},
        switches_off={
            (name,): int(name in configuration.plan.off) for name in switches_of(configuration.plan)
        },
    )


def _write_rows(
    out: Writer, view: BoardView, metrics: Sequence[Metric], labels: Sequence[RowLabel]
) -> None:
    rows = view.rows(label.row for label in labels)
    names = [_row_labels(label) for label in labels]
    for metric in metrics:
        if metric.source in _SLOTS:
            out.samples(metric, _slot_samples(metric, rows, names))
        elif metric.kind != "histogram":
            values = (getattr(row, metric.source) for row in rows)
            out.samples(metric, zip((f"{{{name}}}" for name in names), values, strict=True))
    if histograms := [metric for metric in metrics if metric.kind == "histogram"]:
        _write_histograms(out, view, histograms, labels)


def _slot_samples(
    metric: Metric, rows: Sequence[RowFigures], names: Sequence[str]
) -> Iterable[Sample]:
    """One sample for each slot that ever counted, and always the first good one.

    Why: a series that is there from the start as 0 lets `increase()` see its first event.
    """
    of_slots = _SLOTS[metric.source]
    labels = metric.labels[-len(of_slots[0]) :]
    shown = {("ok",), ("2xx",), ("concurrency",)}
    for row, name in zip(rows, names, strict=True):
        for slot, value in zip(of_slots, getattr(row, metric.source), strict=False):
            if value or slot in shown:
                own = ",".join(f'{key}="{each}"' for key, each in zip(labels, slot, strict=True))
                yield f"{{{name},{own}}}", value


def _write_histograms(
    out: Writer, view: BoardView, metrics: Sequence[Metric], labels: Sequence[RowLabel]
) -> None:
    """Row by row, since reading a row is what costs; family by family into the text."""
    splits_at = [splits(metric.bounds_s, view.fine_buckets) for metric in metrics]
    templates = [_histogram_template(metric) for metric in metrics]
    series: list[list[str]] = [[] for _ in metrics]
    sources = [metric.source for metric in metrics]
    for label in labels:
        histograms = view.histograms(label.row, sources)
        name = _row_labels(label).replace("%", "%%")
        for metric, at, template, lines in zip(metrics, splits_at, templates, series, strict=True):
            if histogram := histograms.get(metric.source):
                counts = counts_within(histogram.counts, at)
                figures = (*counts, repr(histogram.sum * NANO), counts[-1])
                lines.append(template.replace("\0", name) % figures)
    for metric, lines in zip(metrics, series, strict=True):
        if lines:
            out.head(metric)
            out.lines += lines


def _histogram_template(metric: Metric) -> str:
    """The lines of one series, `%s` for its figures and NUL for its labels."""
    bounds = (*(repr(bound) for bound in metric.bounds_s), "+Inf")
    lines = [f'{metric.name}_bucket{{\0,le="{bound}"}} %s\n' for bound in bounds]
    return "".join(lines) + f"{metric.name}_sum{{\0}} %s\n{metric.name}_count{{\0}} %s\n"


def _write_backends(out: Writer, backends: Sequence[BackendFigures]) -> None:
    for metric in BACKEND_METRICS:
        if metric.source == "breaker":
            out.samples(metric, _breaker_samples(backends))
            continue
        pairs = ((b.name, getattr(b, metric.source)) for b in backends)
        out.samples(
            metric,
            ((braced(metric.labels, (name,)), _number(v)) for name, v in pairs if v is not None),
        )


def _breaker_samples(backends: Sequence[BackendFigures]) -> Iterable[Sample]:
    for backend in backends:
        for state in BREAKER_STATES:
            labels = braced(("backend", "state"), (backend.name, state))
            yield labels, int(backend.breaker == state)


def _write_named(
    out: Writer, metrics: Sequence[Metric], label: str, figures: Mapping[str, Any]
) -> None:
    for metric in metrics:
        out.samples(
            metric,
            (
                (braced((label,), (name,)), _number(getattr(figure, metric.source)))
                for name, figure in figures.items()
            ),
        )


def _processes(parts: Parts) -> dict[str, int]:
    figures = parts.log_figures()
    shipper = {"shipper": figures.pid} if figures else {}
    return {**parts.workers.processes(), **shipper}


def _write_log(out: Writer, parts: Parts) -> None:
    figures = parts.log_figures()
    values = values_of(parts, figures)
    for metric in LOG_METRICS:
        out.samples(metric, [("", values[metric.source])] if metric.source in values else [])
    sinks = {sink.name: sink for sink in figures.sinks} if figures else {}
    _write_named(out, SINK_METRICS, "sink", sinks)
    for metric in COUNTED_METRICS:
        lines = sorted(parts.drift_lines().items())
        out.samples(metric, ((braced(metric.labels, (name,)), count) for name, count in lines))


def _write_rollouts(out: Writer, parts: Parts) -> None:
    if parts.rollouts is None:
        return
    figures = parts.rollouts.figures()
    for metric in ROLLOUT_METRICS:
        series: Mapping[tuple[str, ...], float] = getattr(figures, metric.source)
        out.samples(metric, ((braced(metric.labels, key), value) for key, value in series.items()))


def _write_notices(out: Writer, webhooks: Sequence[ReceiverFigures]) -> None:
    """Webhooks of one host and port together."""
    for metric in NOTICE_METRICS:
        counts: dict[tuple[str, ...], int] = {}
        for each in webhooks:
            counts[each.place,] = counts.get((each.place,), 0) + getattr(each, metric.source)
        out.samples(metric, ((braced(metric.labels, key), n) for key, n in counts.items()))


def _write_alerts(out: Writer, parts: Parts) -> None:
    if parts.alerts is None:
        return
    opened = [alert.severity for alert in parts.alerts.alerts()]
    figures: dict[str, dict[tuple[str, ...], int]] = {
        "open": {(severity,): opened.count(severity) for severity in SEVERITIES},
        "turned_away": {(): parts.alerts.turned_away},
    }
    for metric in ALERT_METRICS:
        series = figures[metric.source]
        out.samples(metric, ((braced(metric.labels, key), n) for key, n in series.items()))
    looks = parts.alerts.looks()
    for metric in DRIFT_METRICS:
        values = ((one, getattr(one, metric.source)) for one in looks)
        out.samples(
            metric, ((braced(metric.labels, (one.route, one.rule)), n) for one, n in values)
        )


def _write_watch(out: Writer, parts: Parts) -> None:
    standing = parts.watch()
    if standing is None:
        return
    figures = {
        "data_until_s": standing.watermark * 60,
        "rules": standing.rules,
        "problems": len(standing.problems),
        "skipped": standing.skipped,
    }
    for metric in WATCH_METRICS:
        out.samples(metric, [("", figures[metric.source])])


def _write_whole(out: Writer, figures: Whole) -> None:
    for metric in WHOLE_METRICS:
        series: Mapping[tuple[str, ...], float] = getattr(figures, metric.source)
        out.samples(metric, ((braced(metric.labels, key), value) for key, value in series.items()))


def _number(value: float) -> float:
    return int(value) if isinstance(value, bool) else value


def _row_labels(label: RowLabel) -> str:
    pairs = f'route="{quoted(label.route)}"'
    pairs += f',backend="{quoted(label.backend)}"' if label.backend else ""
    return f'{pairs},arm="{quoted(label.arm)}"' if label.arm else pairs
