"""Rollouts as they are shown: the desk's views with figures in place of histograms.

Rule: times are RFC 3339, shares are 0 to 1, weights are percent, as people write them.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from msgspec import Struct

from gateway.control.parts import Parts
from gateway.edges import lower_edge
from gateway.rollout.counts import ArmCounts, Histogram, bucket_at
from gateway.rollout.decisions import Decision
from gateway.rollout.desk import ArmView, View
from gateway.rollout.machine import ENDED
from gateway.rollout.verdict import RatioVerdict, Verdict
from gateway.telemetry import NANO

LARGEST_E = 1e12  # beyond it a figure says nothing more
MILLI = 1e-3


class ArmFigures(Struct, frozen=True, kw_only=True):
    """One arm in figures, of this revision."""

    name: str
    weight: float  # percent of the rollout's units
    is_out: bool  # a challenger that left
    assigned: int  # requests
    answered: int
    errors: int
    error_share: float | None
    timeouts: int
    rescued: int  # answered by the champion instead
    p50_s: float | None
    p99_s: float | None
    first_byte_p50_s: float | None
    cost_per_request_usd: float | None
    output_tokens_per_request: float | None
    feedback: dict[str, float]  # mean of each signal


class GateView(Struct, frozen=True, kw_only=True):
    """What one gate says of one challenger."""

    gate: str
    arm: str
    metric: str
    kind: str
    verdict: str
    sentence: str
    e_value: float  # evidence that the challenger is worse; 1 none, 1 / alpha is enough
    estimate: float | None  # challenger against champion, in the metric's unit
    low: float | None
    high: float | None
    needs_requests: int  # of the challenger, until it may pass; 0 not known, or none
    needs_s: float
    detectable: float | None  # the least change that would show now


class ShareView(Struct, frozen=True, kw_only=True):
    """Whether the arms' shares at one hop are as drawn."""

    hop: str
    verdict: str
    sentence: str
    counts: dict[str, int]
    e_value: float


class StepView(Struct, frozen=True):
    """One step, in Argo's words."""

    words: str
    state: str  # done, current, next


class RolloutView(Struct, frozen=True, kw_only=True):
    """One rollout."""

    name: str
    route: str
    source: str  # `file` or `hand`
    phase: str
    revision: int
    step: int  # index of the step that was taken last; -1 none yet
    steps: tuple[StepView, ...]
    weight: float  # percent of the units that get a challenger
    mirror: float  # percent of the requests that are copied to it
    since: str
    step_since: str
    sentence: str  # what it waits for, or why it ended
    wait: str  # the same as a token
    needs: str  # what its gates still need
    arms: tuple[ArmFigures, ...]  # the champion first
    gates: tuple[GateView, ...]
    shares: tuple[ShareView, ...]
    winner: str
    edit: str  # of a promoted one: what to write into the file to make it permanent
    failure: str  # why what was decided is not in force yet
    verbs: tuple[str, ...]  # that are possible now
    is_dry_run: bool
    is_ended: bool
    spec_hash: str
    propagation_s: float | None  # of the last change: from the verdict to the last worker
    spec: str = ""  # as declared, with defaults, as JSON; only where one is asked for


class DecisionView(Struct, frozen=True, kw_only=True):
    """One entry of the decision log, without its evidence."""

    n: int
    at: str
    rollout: str
    revision: int
    actor: str
    event: str
    sentence: str
    phase: str
    step: int
    weights: dict[str, float]  # percent, from then on
    has_evidence: bool  # `explain` finds its verdicts again


def views(parts: Parts) -> tuple[RolloutView, ...]:
    """All rollouts; none where there is no desk."""
    return tuple(map(view_of, parts.rollouts.rollouts())) if parts.rollouts else ()


def view_of(view: View) -> RolloutView:
    return RolloutView(
        name=view.name,
        route=view.route,
        source=view.source,
        phase=view.phase,
        revision=view.revision,
        step=view.step,
        steps=tuple(StepView(words, _state(view, at)) for at, words in enumerate(view.steps)),
        weight=view.weight,
        mirror=view.mirror,
        since=_time(view.since_ms),
        step_since=_time(view.step_since_ms),
        sentence=view.sentence,
        wait=view.wait,
        needs=view.needs,
        arms=tuple(map(figures_of, view.arms)),
        gates=tuple(map(_gate_view, view.verdicts)),
        shares=tuple(map(_share_view, view.srm)),
        winner=view.winner,
        edit=view.edit,
        failure=view.failure,
        verbs=view.verbs,
        is_dry_run=view.is_dry_run,
        is_ended=view.phase in ENDED,
        spec_hash=view.spec_hash,
        propagation_s=None if view.propagation_ms is None else view.propagation_ms * MILLI,
    )


def figures_of(arm: ArmView) -> ArmFigures:
    counts = arm.counts
    signals = {name: s.total / s.n for name, s in counts.feedback.items() if s.n}
    return ArmFigures(
        name=arm.name,
        weight=arm.weight,
        is_out=arm.is_out,
        assigned=counts.assigned,
        answered=counts.answered,
        errors=counts.errors,
        error_share=_per(counts.errors, _ended(counts)),
        timeouts=counts.timeouts,
        rescued=counts.rescued,
        p50_s=_quantile_s(counts.total_ns, 0.5),
        p99_s=_quantile_s(counts.total_ns, 0.99),
        first_byte_p50_s=_quantile_s(counts.first_byte_ns, 0.5),
        cost_per_request_usd=_per(counts.cost_nano_usd * NANO, _ended(counts)),
        output_tokens_per_request=_per(counts.output_tokens, _ended(counts)),
        feedback={name: round(mean, 6) for name, mean in signals.items()},
    )


def decision_view_of(decision: Decision) -> DecisionView:
    return DecisionView(
        n=decision.n,
        at=_time(decision.at_ms),
        rollout=decision.rollout,
        revision=decision.revision,
        actor=decision.actor,
        event=decision.event,
        sentence=decision.sentence,
        phase=decision.phase,
        step=decision.step,
        weights={name: ppm / 10_000 for name, ppm in decision.weights.items()},
        has_evidence=decision.judgement is not None,
    )


def _gate_view(verdict: Verdict) -> GateView:
    return GateView(
        gate=verdict.gate,
        arm=verdict.arm,
        metric=verdict.metric,
        kind=verdict.kind,
        verdict=verdict.verdict,
        sentence=verdict.sentence,
        e_value=_e_value(verdict.log_e),
        estimate=verdict.estimate,
        low=verdict.low,
        high=verdict.high,
        needs_requests=verdict.needs_requests,
        needs_s=verdict.needs_s,
        detectable=verdict.detectable,
    )


def _share_view(verdict: RatioVerdict) -> ShareView:
    return ShareView(
        hop=verdict.hop,
        verdict=verdict.verdict,
        sentence=verdict.sentence,
        counts=verdict.counts,
        e_value=_e_value(verdict.log_e),
    )


def _state(view: View, at: int) -> str:
    if at < view.step or view.phase == "promoted":
        return "done"
    is_there = at == view.step and view.phase not in {"rolled_back", "aborted"}
    return "current" if is_there else "next"


def _e_value(log_e: float) -> float:
    return float(f"{min(math.exp(min(log_e, 700.0)), LARGEST_E):.4g}")


def _ended(counts: ArmCounts) -> int:
    return counts.ended or counts.answered


def _per(value: float, count: int) -> float | None:
    return float(f"{value / count:.6g}") if count else None


def _quantile_s(histogram: Histogram, quantile: float) -> float | None:
    return lower_edge(bucket_at(histogram, quantile)) * NANO if histogram else None


def _time(at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at_ms else ""
