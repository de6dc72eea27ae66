"""An alert as people and programs see it: in the admin API, and in what receivers are told."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from gateway.alerts.alert import Alert, Status, Symptom
from gateway.alerts.finding import Fact, Window, sentence_of
from gateway.alerts.kinds import KINDS, RUNBOOKS
from gateway.config.watching import AlertSeverity, Drift

MOST_FOLLOWERS = 50


class SymptomView(Struct, frozen=True, kw_only=True):
    """One thing that was found."""

    kind: str
    field: str
    model: str
    version: str
    rule: str
    severity: AlertSeverity
    sentence: str
    count: int  # times that it was found
    first_at: str
    last_at: str
    is_over: bool
    test: str = ""
    effect: float | None = None
    p: float | None = None
    log_e: float | None = None
    reference: Window | None = None
    current: Window | None = None
    evidence: dict[str, Fact] = {}
    requests: tuple[str, ...] = ()  # ids of the requests that show it best


class AlertView(Struct, frozen=True, kw_only=True):
    """One alert."""

    id: int
    status: Status
    severity: AlertSeverity
    route: str
    title: str
    cause: str  # where it comes from, as far as that was said
    opened_at: str
    last_at: str  # when it was found last
    resolved_at: str  # "" it is open
    resolved_by: str  # "" it went away by itself
    silenced_until: str
    silenced_by: str
    count: int  # findings in all
    runbook: str  # what to do: a URL, or a path in the repository
    lead: SymptomView  # nearest to the cause
    followers: tuple[SymptomView, ...] = ()
    followers_left_out: int = 0
    holds: tuple[str, ...] = ()  # what is so only while it is open: `backend.new off`


def view_of(alert: Alert, drift: Drift) -> AlertView:
    leader, kind = alert.leader, KINDS[alert.leader.finding.kind]
    others = sorted(
        (one for key, one in alert.symptoms.items() if key != alert.lead),
        key=lambda one: (KINDS[one.finding.kind].rank, one.first_ms, one.finding.field),
    )
    rule = drift.rules.get(leader.rule)
    runbooks = drift.alerts.runbooks.rstrip("/") or RUNBOOKS
    field = f": {leader.finding.field}" if leader.finding.field else ""
    return AlertView(
        id=alert.id,
        status=alert.status,
        severity=alert.severity,
        route=alert.route,
        title=f"{kind.title}{field}",
        cause=alert.cause,
        opened_at=_time(alert.opened_ms),
        last_at=_time(alert.last_ms),
        resolved_at=_time(alert.resolved_ms),
        resolved_by=alert.resolved_by,
        silenced_until=_time(alert.silenced_until_ms),
        silenced_by=alert.silenced_by,
        count=alert.count,
        runbook=(rule.runbook if rule else "") or f"{runbooks}/{kind.page}.md",
        lead=_symptom_view(leader),
        followers=tuple(map(_symptom_view, others[:MOST_FOLLOWERS])),
        followers_left_out=max(0, len(others) - MOST_FOLLOWERS),
        holds=(
            *(f"{name} off" for name in alert.switched),
            *(f"{action} {target}" for action, target in alert.held),
        ),
    )


def _symptom_view(symptom: Symptom) -> SymptomView:
    finding = symptom.finding
    return SymptomView(
        kind=finding.kind,
        field=finding.field,
        model=finding.model,
        version=finding.version,
        rule=symptom.rule,
        severity=symptom.severity,
        sentence=sentence_of(finding, KINDS[finding.kind].title),
        count=symptom.count,
        first_at=_time(symptom.first_ms),
        last_at=_time(symptom.last_ms),
        is_over=symptom.is_over,
        test=finding.test,
        effect=finding.effect,
        p=finding.p,
        log_e=finding.log_e,
        reference=finding.reference,
        current=finding.current,
        evidence=finding.evidence,
        requests=finding.requests,
    )


def _time(at_ms: int) -> str:
    if not at_ms:
        return ""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
