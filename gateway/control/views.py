"""The answers of the admin API about what is going on; `overview` fills them in.

Units are in the names: seconds, bytes, USD. Rates follow the last ten seconds, shares and
quantiles the last minute (of backends: half a minute), totals count since the gateway
started. "Success" leaves out what is the client's own fault: ok / (ok + the gateway's and
the upstream's faults), null while there is nothing to judge.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.control.backends import BackendFigures, Latency
from gateway.control.log import LogView
from gateway.control.parts import Version, Worker
from gateway.control.rollout_views import RolloutView


class Totals(Struct, frozen=True):
    """Counted since the gateway started."""

    requests: int
    retries: int
    hedges: int
    fallbacks: int
    streams: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float


class Traffic(Struct, frozen=True):
    """What is happening."""

    requests_per_s: float
    success_share: float | None
    in_flight: int
    queued: int
    cost_per_hour_usd: float


class CandidateView(Struct, frozen=True):
    """A backend as a candidate of one route."""

    backend: str
    weight: int
    state: str
    attempts_per_s: float
    share: float | None  # of the route's attempts in the last minute
    success_share: float | None


class SloView(Struct, frozen=True):
    """The promise of a route, and how the last minute kept it."""

    metric: str
    quantile: str
    limit_s: float
    actual_s: float | None
    is_met: bool | None


class RouteView(Struct, frozen=True):
    """One route."""

    name: str
    protocol: str
    policy: str
    traffic: Traffic
    total: Latency
    first_byte: Latency
    outcomes: dict[str, int]  # of the last minute, by reason
    candidates: tuple[CandidateView, ...]
    fallback: tuple[str, ...]
    slo: SloView | None
    queue_max: int
    totals: Totals
    rates_per_s: tuple[float, ...]  # the last minute, every five seconds


class BackendView(Struct, frozen=True):
    """One backend."""

    name: str
    protocol: str
    url: str
    model: str
    version: str
    now: BackendFigures
    first_byte: Latency
    total: Latency
    routes: tuple[str, ...]
    attempts_per_s: float
    success_share: float | None
    cost_per_hour_usd: float
    totals: Totals


class PlanSummary(Struct, frozen=True):
    """The plan in force."""

    hash: str
    applied_at: str


class WatchView(Struct, frozen=True):
    """How the watch over profiles stands."""

    data_until: str  # RFC 3339; "" no data yet
    rules: int  # pairs of a rule and a route that are looked at
    skipped: int  # looks that were too far in arrears
    notes: tuple[str, ...]  # what cannot be looked at, in sentences


class LookLine(Struct, frozen=True):
    """What one rule of `drift.rules` found on one route, last."""

    route: str
    rule: str
    at: str  # until when its data are, RFC 3339
    looks: int  # since the controller started
    findings: int  # in the latest look
    named: tuple[str, ...]  # fields of it, the first that were told


class AlertLine(Struct, frozen=True):
    """An alert that is open, in a line; `GET /api/v1/alerts/ID` has all of it."""

    id: int
    severity: str
    route: str
    title: str
    sentence: str
    opened_at: str
    followers: int
    is_silent: bool


class Status(Struct, frozen=True):
    """Everything at a glance."""

    version: str
    at: str
    uptime_s: float
    health: str  # "ok", "degraded", "down", "draining"
    sentence: str
    plan: PlanSummary
    traffic: Traffic
    routes: tuple[RouteView, ...]
    backends: tuple[BackendView, ...]
    workers: tuple[Worker, ...]
    changes: tuple[Version, ...]
    failure: Version | None  # the last configuration offered, if it was refused
    data_url: str  # where clients send requests
    log: LogView
    rollouts: tuple[RolloutView, ...]
    alerts: tuple[AlertLine, ...] = ()  # the newest first
    looks: tuple[LookLine, ...] = ()  # of the rules of `drift`, by route and rule
    watch: WatchView | None = None  # null: nothing is watched here
