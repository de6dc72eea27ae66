"""One record explained: facts, each with a sentence, for a page and for programs.

`explain` puts together what the record says, the plan it was decided on and who put that
in force, what was said of the answer later, and the verdict of deciding again.

Rule 1: bodies are never here, only what became of them.
Rule 2: what is not known is said to be, never guessed.
Knows nothing of files; `lookup` finds what this needs, `page` writes it out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from msgspec import Raw, Struct, UnsetType

from gateway.explanation.bill import Bill, bill_of
from gateway.explanation.plans import FoundPlan, InForce
from gateway.explanation.redecide import Result, Verdict, chances_of, redecide
from gateway.explanation.words import (
    FALLBACKS,
    counted,
    joined,
    outcome_sentence,
    reason_sentence,
)
from gateway.messages import (
    RECORD_VERSION,
    Assignment,
    AttemptRecord,
    Candidate,
    Decision,
    Feedback,
    Payload,
    Record,
    Timing,
    TokenUsage,
)
from gateway.plan import CAPABILITIES, Plan


class Asked(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the client wanted."""

    bytes: int
    model: str = ""  # the name that the client used
    route: str = ""
    protocol: str = ""
    operation: str = ""
    method: str = ""
    path: str = ""
    user: str = ""
    streamed: bool = False
    capabilities: tuple[str, ...] = ()
    output_tokens: int = 0  # at most; 0 not said
    backend: str = ""  # the one that it named
    sticky: bool = False  # what decides is what it sticks to
    features: Raw | None = None
    headers: dict[str, str] = {}
    trace_id: str = ""


class ExplainedCandidate(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One candidate of one decision."""

    backend: str
    is_eligible: bool
    is_chosen: bool = False
    reason: str = ""  # why it could not be chosen, one token
    sentence: str = ""  # the same for people
    chance: float | None = None  # of being chosen; null: it cannot be worked out
    weight: float | None = None
    load_us: float | None = None
    expected_usd: float | None = None
    predicted_us: float | None = None
    score: float | None = None


class ExplainedDecision(Struct, frozen=True, kw_only=True):
    """One choice among the candidates of a route."""

    route: str
    policy: str
    at_us: int
    chosen: str  # "" nobody could be
    probability: float
    is_exploring: bool
    is_panic: bool
    candidates: tuple[ExplainedCandidate, ...]
    verdict: Verdict


class ExplainedAttempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One try at one backend; microseconds since the request was read."""

    number: int
    backend: str
    kind: Literal["first", "retry", "hedge", "fallback"]
    outcome: str
    begun_us: int
    ended_us: int
    sentence: str = ""  # of an outcome that is not good
    status: int = 0
    first_byte_us: int = 0
    reused: bool = False
    cost_usd: float = 0.0


class PlanFacts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The configuration that decided."""

    hash: str
    is_known: bool
    missing: str = ""  # why it is not
    since: str = ""  # RFC 3339
    until: str = ""  # "" it was the last one
    author: str = ""
    from_environment: tuple[str, ...] = ()  # what choosing looks at and the environment filled


class ExplainedAnomaly(Struct, frozen=True, kw_only=True):
    """One thing that is not as the route's contract wants it."""

    side: Literal["input", "output"]
    name: str  # as in docs/contracts.md
    place: str  # a JSON pointer; "" the body as a whole


class ExplainedPayload(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one body."""

    bytes: int
    state: Literal["kept", "encrypted", "digest", "none"]
    is_cut: bool = False  # only the beginning is there
    redacted: int = 0  # places that were taken out
    xxh3: str = ""


class RecordExplanation(Struct, frozen=True, kw_only=True):
    """Everything about one request."""

    id: str
    request_id: str
    time: str
    kind: str
    gateway: str
    worker: int
    outcome: str
    sentence: str  # of an outcome that is not good
    status: int
    asked: Asked
    decisions: tuple[ExplainedDecision, ...]
    attempts: tuple[ExplainedAttempt, ...]
    backend: str  # "" none answered
    model: str
    version: str
    fallback: str
    fallback_sentence: str
    finish_reason: str
    confidence: float | None
    predictions: Raw | None
    anomalies: tuple[ExplainedAnomaly, ...]  # what contracts say of request and answer
    cache: str
    plan: PlanFacts
    timing: Timing
    pauses_us: int  # between attempts; part of the gateway's time
    usage: TokenUsage | None
    bill: Bill
    assignments: tuple[Assignment, ...]
    request: ExplainedPayload
    response: ExplainedPayload
    feedback: tuple[Feedback, ...]
    verdict: Result | None  # of deciding again; null: nothing was decided
    notes: tuple[str, ...]


def explain(
    record: Record,
    found: FoundPlan,
    in_force: InForce | None = None,
    feedback: tuple[Feedback, ...] = (),
) -> RecordExplanation:
    """The explanation of a record; `found` is the plan of its hash, or why there is none."""
    verdicts = _verdicts(record, found)
    return RecordExplanation(
        id=record.id,
        request_id=record.request_id,
        time=record.time,
        kind=record.kind,
        gateway=record.gateway,
        worker=record.worker,
        outcome=record.outcome,
        sentence=outcome_sentence(record.outcome),
        status=record.status,
        asked=_asked(record),
        decisions=tuple(
            _decision(each, verdict, found)
            for each, verdict in zip(record.decisions, verdicts, strict=True)
        ),
        attempts=_attempts(record),
        backend=record.backend,
        model=record.backend_model,
        version=record.version,
        fallback=record.fallback,
        fallback_sentence=FALLBACKS.get(record.fallback, ""),
        finish_reason=record.finish_reason,
        confidence=record.confidence,
        predictions=None if isinstance(record.predictions, UnsetType) else record.predictions,
        anomalies=tuple(map(_anomaly, record.anomalies)),
        cache=record.cache,
        plan=_plan(record, found, in_force),
        timing=record.timing,
        pauses_us=_pauses_us(record),
        usage=record.usage,
        bill=bill_of(record, found.plan),
        assignments=record.assignments,
        request=_payload(record.request),
        response=_payload(record.response),
        feedback=feedback,
        verdict=overall([verdict.result for verdict in verdicts]),
        notes=_notes(record, found),
    )


def overall(results: list[Result]) -> Result | None:
    """One for all: the worst."""
    for result in ("disagrees", "cannot_say", "agrees"):
        if result in results:
            return result
    return None


def _verdicts(record: Record, found: FoundPlan) -> list[Verdict]:
    """Verdicts; what the environment may explain is not held against the record."""
    verdicts = redecide(record, found.plan, found.missing)
    if not found.undecided:
        return verdicts
    return [_with_doubt(verdict, found.undecided) for verdict in verdicts]


def _with_doubt(verdict: Verdict, places: tuple[str, ...]) -> Verdict:
    if verdict.result != "disagrees":
        return verdict
    return Verdict(
        route=verdict.route,
        result="cannot_say",
        recorded=verdict.recorded,
        expected=verdict.expected,
        reason=f"The environment decided {places[0]}, and what it said is not kept.",
    )


def _asked(record: Record) -> Asked:
    first = record.decisions[0] if record.decisions else None
    return Asked(
        bytes=record.request.bytes,
        model=record.model,
        route=first.route if first else record.route,
        protocol=record.protocol,
        operation=record.operation,
        method=record.method,
        path=record.path,
        user=record.user,
        streamed=record.streamed,
        capabilities=first.capabilities if first else (),
        output_tokens=first.output_tokens if first else 0,
        backend=first.required if first else "",
        sticky=bool(first and first.sticky),
        features=None if isinstance(record.features, UnsetType) else record.features,
        headers=record.headers,
        trace_id=record.trace_id,
    )


def _decision(decision: Decision, verdict: Verdict, found: FoundPlan) -> ExplainedDecision:
    chances = chances_of(decision, found.plan) if found.plan else {}
    return ExplainedDecision(
        route=decision.route,
        policy=decision.policy,
        at_us=decision.at_us,
        chosen=decision.chosen,
        probability=decision.probability,
        is_exploring=decision.exploring,
        is_panic=decision.panic,
        verdict=verdict,
        candidates=tuple(
            ExplainedCandidate(
                backend=each.backend,
                is_eligible=not each.excluded,
                is_chosen=each.backend == decision.chosen,
                reason=each.excluded,
                sentence=_sentence(each, decision, found.plan),
                chance=chances.get(each.backend),
                weight=each.weight,
                load_us=each.load_us,
                expected_usd=each.expected_usd,
                predicted_us=each.predicted_us,
                score=each.score,
            )
            for each in decision.candidates
        ),
    )


def _sentence(candidate: Candidate, decision: Decision, plan: Plan | None) -> str:
    """Why a candidate could not be chosen, as exactly as the plan lets us say; "" it could."""
    if not candidate.excluded:
        return ""
    sentence = reason_sentence(candidate.excluded)
    backends = {backend.name: backend for backend in plan.backends} if plan else {}
    backend = backends.get(candidate.backend)
    if backend is None:
        return sentence
    if candidate.excluded == "capability":
        lacks = [
            n for n in decision.capabilities if not CAPABILITIES.get(n, 0) & backend.capabilities
        ]
        return f"{sentence[:-1]}: {joined(lacks)}." if lacks else sentence
    if candidate.excluded == "context":
        return f"{sentence[:-1]}: {counted(backend.context_window, 'token')}."
    return sentence


def _attempts(record: Record) -> tuple[ExplainedAttempt, ...]:
    return tuple(
        ExplainedAttempt(
            number=number,
            backend=each.backend,
            kind=_kind(record, number, each),
            outcome=each.outcome,
            begun_us=each.begun_us,
            ended_us=each.ended_us,
            sentence=outcome_sentence(each.outcome),
            status=each.status,
            first_byte_us=each.first_byte_us,
            reused=each.reused,
            cost_usd=each.cost_usd,
        )
        for number, each in enumerate(record.attempts, 1)
    )


def _kind(
    record: Record, number: int, attempt: AttemptRecord
) -> Literal["first", "retry", "hedge", "fallback"]:
    """Why this attempt was made."""
    routes = [decision.route for decision in record.decisions]
    elsewhere = [each.at_us for each in record.decisions if each.route != routes[0]]
    if attempt.hedge:
        return "hedge"
    if record.fallback == "route" and elsewhere and attempt.begun_us >= elsewhere[0]:
        return "fallback"
    if record.fallback == "backend" and number == len(record.attempts):
        return "fallback"
    return "retry" if number > 1 else "first"


def _pauses_us(record: Record) -> int:
    """Time between attempts in which nothing was asked of anybody."""
    pauses, busy_until_us = 0, 0
    for number, each in enumerate(record.attempts):
        if number:
            pauses += max(0, each.begun_us - busy_until_us)
        busy_until_us = max(busy_until_us, each.ended_us)
    return max(0, pauses - record.timing.queue_us)


def _plan(record: Record, found: FoundPlan, in_force: InForce | None) -> PlanFacts:
    return PlanFacts(
        hash=record.plan,
        is_known=found.plan is not None,
        missing=found.missing,
        since=_moment(in_force.since_ms) if in_force else "",
        until=_moment(in_force.until_ms) if in_force and in_force.until_ms else "",
        author=in_force.author if in_force else "",
        from_environment=found.undecided,
    )


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _anomaly(text: str) -> ExplainedAnomaly:
    side, _, rest = text.partition(":")
    name, _, place = rest.partition(":")
    return ExplainedAnomaly(side="output" if side == "output" else "input", name=name, place=place)


def _payload(payload: Payload) -> ExplainedPayload:
    state: Literal["kept", "encrypted", "digest", "none"]
    if isinstance(payload.body, UnsetType):
        state = "digest" if payload.xxh3 else "none"
    else:
        state = "encrypted" if payload.type == "encrypted" else "kept"
    return ExplainedPayload(
        bytes=payload.bytes,
        state=state,
        is_cut=payload.truncated,
        redacted=payload.redacted,
        xxh3=payload.xxh3,
    )


def _notes(record: Record, found: FoundPlan) -> tuple[str, ...]:
    notes = []
    if record.v > RECORD_VERSION:
        notes.append(
            f"The record is of version {record.v}, this gateway knows {RECORD_VERSION}: "
            "what is new in it is not shown."
        )
    if found.missing:
        notes.append(found.missing)
    return tuple(notes)
