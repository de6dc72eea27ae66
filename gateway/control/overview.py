"""Puts the board's figures and the recent past next to the plan's names.

One `Overview` answers `status`, `routes` and `backends` by looking at its parts when it is
asked; it decides nothing. `views` has the answers' shapes and units.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

import gateway
from gateway.control.backends import (
    QUANTILES,
    BackendFigures,
    Latency,
    backend_figures,
    latency,
    latency_of,
)
from gateway.control.figures import RowFigures, attempt_rows, copy_rows, rows_of
from gateway.control.log import log_view
from gateway.control.parts import Parts, Version, Worker
from gateway.control.recent import SHORT_NS, WINDOW_NS, Moment, Recent
from gateway.control.rollout_views import views as rollout_views
from gateway.control.views import (
    AlertLine,
    BackendView,
    CandidateView,
    LookLine,
    PlanSummary,
    RouteView,
    SloView,
    Status,
    Totals,
    Traffic,
    WatchView,
)
from gateway.errors import OUTCOMES
from gateway.plan import BackendPlan, Plan, RoutePlan
from gateway.telemetry import NANO

SHOWN_CHANGES = 5
SHOWN_ALERTS = 20
SHOWN_LOOKS = 50
SHOWN_NOTES = 10
COPIES = "shadow:"  # before the name of a backend as copies see it
_QUANTILE_NAMES = ("p50", "p90", "p95", "p99")
_FAULTS = ("gateway", "upstream")


class Overview:
    """Looks at the parts when asked."""

    def __init__(self, parts: Parts, recent: Recent) -> None:
        self._parts = parts
        self._recent = recent
        self._changes: tuple[Version, ...] = ()
        self._changes_of: object = None

    def status(self) -> Status:
        """Everything at a glance."""
        parts, configuration, moment = self._parts, self._parts.configuration, self._moment()
        plan, workers = configuration.plan, tuple(parts.workers.seats())
        figures = self._figures()
        candidates = {
            route.name: [plan.backends[index].name for index in route.candidates]
            for route in plan.routes
        }
        health, sentence = health_of(
            figures, workers, candidates, is_draining=parts.workers.is_draining
        )
        return Status(
            version=gateway.__version__,
            at=timestamp(parts.now_s()),
            uptime_s=round((parts.now_ns() - parts.started_ns) * NANO, 1),
            health=health,
            sentence=sentence,
            plan=PlanSummary(plan.hash, timestamp(configuration.applied_at_s)),
            traffic=_traffic_of(moment, plan.routes),
            routes=self.routes(moment, figures),
            backends=self.backends(moment, figures),
            workers=workers,
            changes=self._latest_changes(),
            failure=configuration.failure,
            data_url=parts.data_url,
            log=log_view(parts),
            rollouts=rollout_views(parts),
            alerts=_alert_lines(parts),
            looks=_look_lines(parts),
            watch=_watch(parts),
        )

    def routes(
        self, moment: Moment | None = None, figures: Sequence[BackendFigures] | None = None
    ) -> tuple[RouteView, ...]:
        """Every route of the plan."""
        plan, moment = self._parts.configuration.plan, moment or self._moment()
        states = {b.name: b.state for b in figures or self._figures()}
        return tuple(_route_view(plan, route, moment, states) for route in plan.routes)

    def backends(
        self, moment: Moment | None = None, figures: Sequence[BackendFigures] | None = None
    ) -> tuple[BackendView, ...]:
        """Every backend of the plan."""
        plan, moment = self._parts.configuration.plan, moment or self._moment()
        pairs = zip(plan.backends, figures or self._figures(), strict=True)
        return tuple(self._backend_view(plan, backend, now, moment) for backend, now in pairs)

    def _latest_changes(self) -> tuple[Version, ...]:
        """Read again only when a configuration was offered, since the page asks each second."""
        configuration = self._parts.configuration
        offered = (configuration.plan.hash, sum(configuration.reloads.values()))
        if self._changes_of != offered:
            self._changes = tuple(configuration.history()[:SHOWN_CHANGES])
            self._changes_of = offered
        return self._changes

    def _moment(self) -> Moment:
        return self._recent.moment(self._parts.configuration.plan, self._parts.now_ns())

    def _figures(self) -> list[BackendFigures]:
        parts = self._parts
        return backend_figures(parts.board, parts.configuration.plan, parts.now_ns())

    def _backend_view(
        self, plan: Plan, backend: BackendPlan, now: BackendFigures, moment: Moment
    ) -> BackendView:
        rows_by_route = {
            route.name: attempt_rows(route) | copy_rows(route) for route in plan.routes
        }
        routes = tuple(name for name, rows in rows_by_route.items() if backend.index in rows)
        rows = [rows_by_route[name][backend.index] for name in routes]
        view, now_ns = self._parts.board, self._parts.now_ns()
        traffic = _traffic(moment, rows)
        return BackendView(
            name=backend.name,
            protocol=backend.protocol,
            url=url_of(backend),
            model=backend.model,
            version=backend.version,
            now=now,
            first_byte=latency(view, backend, "first_byte", now_ns),
            total=latency(view, backend, "total", now_ns),
            routes=routes,
            attempts_per_s=traffic.requests_per_s,
            success_share=traffic.success_share,
            cost_per_hour_usd=traffic.cost_per_hour_usd,
            totals=_totals(moment.now.rows[row] for row in rows),
        )


def _route_view(
    plan: Plan, route: RoutePlan, moment: Moment, states: Mapping[str, str]
) -> RouteView:
    recent = moment.difference(route.row, WINDOW_NS).row
    return RouteView(
        name=route.name,
        protocol=route.protocol,
        policy=route.policy,
        traffic=_traffic_of(moment, [route]),
        total=_latency(moment, route, "total_ns"),
        first_byte=_latency(moment, route, "first_byte_ns"),
        outcomes={o.reason: n for o, n in zip(OUTCOMES, recent.outcomes, strict=False) if n},
        candidates=_candidates(plan, route, moment, states),
        fallback=tuple(step.kind for step in route.fallback),
        slo=_slo(route, moment),
        queue_max=route.queue.maximum,
        totals=_route_totals(moment, route),
        rates_per_s=moment.rates_per_s(route.row),
    )


def _candidates(
    plan: Plan, route: RoutePlan, moment: Moment, states: Mapping[str, str]
) -> tuple[CandidateView, ...]:
    recents = [moment.difference(row, WINDOW_NS).row for row in route.rows]
    all_attempts = sum(row.requests for row in recents)
    return tuple(
        CandidateView(
            backend=plan.backends[index].name,
            weight=weight,
            state=states[plan.backends[index].name],
            attempts_per_s=_traffic(moment, [row]).requests_per_s,
            share=round(recent.requests / all_attempts, 4) if all_attempts else None,
            success_share=success_share(recent.outcomes),
        )
        for index, weight, row, recent in zip(
            route.candidates, route.weights, route.rows, recents, strict=True
        )
    )


def _slo(route: RoutePlan, moment: Moment) -> SloView | None:
    if route.slo is None:
        return None
    name = _QUANTILE_NAMES[route.slo.quantile]
    q = int(name[1:]) / 100
    actual_ns = moment.latency_ns(route.row, f"{route.slo.metric}_ns", [q])[0]
    return SloView(
        metric=route.slo.metric,
        quantile=name,
        limit_s=route.slo.limit_ns * NANO,
        actual_s=None if actual_ns is None else round(actual_ns * NANO, 6),
        is_met=None if actual_ns is None else actual_ns <= route.slo.limit_ns,
    )


def _latency(moment: Moment, route: RoutePlan, name: str) -> Latency:
    return latency_of(moment.latency_ns(route.row, name, QUANTILES))


def _traffic(moment: Moment, rows: Sequence[int]) -> Traffic:
    """Of these rows together."""
    short = [moment.difference(row, SHORT_NS) for row in rows]
    long = [moment.difference(row, WINDOW_NS) for row in rows]
    outcomes = [sum(column) for column in zip(*(d.row.outcomes for d in long), strict=True)]
    return Traffic(
        requests_per_s=round(sum(d.per_s(d.row.requests) for d in short), 3),
        success_share=success_share(outcomes),
        in_flight=sum(d.row.in_flight for d in long),
        queued=sum(d.row.queued for d in long),
        cost_per_hour_usd=round(sum(d.per_s(d.row.cost_nano_usd) for d in long) * NANO * 3600, 6),
    )


def _traffic_of(moment: Moment, routes: Sequence[RoutePlan]) -> Traffic:
    """Requests as the clients see them, and what the attempts cost."""
    own = _traffic(moment, [route.row for route in routes])
    attempts = _traffic(moment, [row for route in routes for row in rows_of(route)[1:]])
    return msgspec.structs.replace(own, cost_per_hour_usd=attempts.cost_per_hour_usd)


def success_share(outcomes: Sequence[int]) -> float | None:
    """Of what was not the client's own fault."""
    failed = sum(n for o, n in zip(OUTCOMES, outcomes, strict=False) if o.fault in _FAULTS)
    judged = failed + (outcomes[0] if outcomes else 0)
    return round(1 - failed / judged, 5) if judged else None


def _totals(rows: Iterable[RowFigures]) -> Totals:
    all_rows = list(rows)
    counts = {
        name: sum(getattr(row, name) for row in all_rows)
        for name in Totals.__struct_fields__
        if name != "cost_usd"
    }
    return Totals(**counts, cost_usd=sum(row.cost_nano_usd for row in all_rows) * NANO)


def _route_totals(moment: Moment, route: RoutePlan) -> Totals:
    """Requests of the route's own row, tokens and cost of its attempts."""
    rows = moment.now.rows
    own = _totals([rows[route.row]])
    attempts = _totals(rows[row] for row in rows_of(route)[1:])
    return msgspec.structs.replace(
        own,
        input_tokens=attempts.input_tokens,
        output_tokens=attempts.output_tokens,
        cached_tokens=attempts.cached_tokens,
        cost_usd=attempts.cost_usd,
    )


def health_of(
    backends: Sequence[BackendFigures],
    workers: Sequence[Worker],
    candidates: Mapping[str, Sequence[str]],
    *,
    is_draining: bool,
) -> tuple[str, str]:
    """One word and one sentence for the whole gateway; candidates are by route."""
    up = sum(worker.is_up for worker in workers)
    # Why not those of copies: no client depends on them.
    backends = [backend for backend in backends if not backend.name.startswith(COPIES)]
    away = [backend.name for backend in backends if not backend.is_up]
    if is_draining:
        return "draining", "The gateway is finishing what it has and takes nothing new."
    if not up:
        return "down", "No worker is running: no request is served."
    if backends and len(away) == len(backends):
        return "down", "No backend takes requests."
    if away:
        return "degraded", f"{_listed(away)} not taking requests; {_instead(away, candidates)}."
    if up < len(workers):
        return "degraded", f"{up} of {len(workers)} workers are running."
    return "ok", "Everything is up."


def _instead(away: Sequence[str], candidates: Mapping[str, Sequence[str]]) -> str:
    """Who stands in, or which routes have nobody left who could."""
    stranded = [route for route, names in candidates.items() if set(names) <= set(away)]
    if not stranded:
        return "the others stand in"
    named = f"the route {stranded[0]}" if len(stranded) == 1 else f"{len(stranded)} routes"
    return f"no candidate of {named} is left"


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"{names[0]} is"
    if len(names) <= 3:
        return f"{', '.join(names[:-1])} and {names[-1]} are"
    return f"{len(names)} backends are"


def url_of(backend: BackendPlan) -> str:
    """Where the backend is; never with credentials, since the plan keeps those apart."""
    if backend.scheme == "unix":
        return f"unix://{backend.host}:{backend.base_path}"
    return f"{backend.scheme}://{backend.authority}{backend.base_path}"


def timestamp(at_s: float) -> str:
    """RFC 3339, UTC, whole seconds."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _watch(parts: Parts) -> WatchView | None:
    standing = parts.watch()
    if standing is None:
        return None
    until = timestamp(standing.watermark * 60) if standing.watermark else ""
    learning = (f"The fields of `{route}` are being learned." for route in standing.learning)
    notes = (*(f"{each.rstrip('.')}." for each in standing.problems), *learning)
    return WatchView(until, standing.rules, standing.skipped, notes[:SHOWN_NOTES])


def _look_lines(parts: Parts) -> tuple[LookLine, ...]:
    """Those that found most first, where there are too many."""
    looks = parts.alerts.looks() if parts.alerts else ()
    if len(looks) > SHOWN_LOOKS:
        looks = tuple(sorted(looks, key=lambda one: -one.findings)[:SHOWN_LOOKS])
    return tuple(
        LookLine(
            one.route, one.rule, timestamp(one.at_ms / 1000), one.looks, one.findings, one.named
        )
        for one in looks
    )


def _alert_lines(parts: Parts) -> tuple[AlertLine, ...]:
    if parts.alerts is None:
        return ()
    now = timestamp(parts.now_s())
    return tuple(
        AlertLine(
            alert.id,
            alert.severity,
            alert.route,
            alert.title,
            alert.lead.sentence,
            alert.opened_at,
            len(alert.followers) + alert.followers_left_out,
            alert.silenced_until > now,
        )
        for alert in parts.alerts.alerts(SHOWN_ALERTS)
    )
