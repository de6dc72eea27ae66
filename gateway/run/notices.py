"""What the desk decided, as a notice: the one place that knows both."""

from __future__ import annotations

import math
from collections.abc import Callable

from gateway.config.rollouts import Rollout
from gateway.notices.notice import Fact, Notice, Teller
from gateway.rollout.counts import CHAMPION
from gateway.rollout.decisions import Decision
from gateway.rollout.steps import PPM_PER_PERCENT, step_in_words

LARGEST_E = 1e12


def telling(teller: Teller) -> Callable[[Decision, Rollout], None]:
    """What the desk calls with each decision."""
    return lambda decision, rollout: teller.tell(notice_of(decision, rollout))


def notice_of(decision: Decision, rollout: Rollout) -> Notice:
    return Notice(
        event=decision.event,
        rollout=decision.rollout,
        route=rollout.route,
        sentence=decision.sentence,
        at_ms=decision.at_ms,
        facts=_facts(decision, rollout),
    )


def _facts(decision: Decision, rollout: Rollout) -> dict[str, Fact]:
    facts: dict[str, Fact] = {
        "phase": decision.phase,
        "weight": sum(decision.weights.values()) / PPM_PER_PERCENT,
        "by": decision.actor,
        "decision": decision.n,
    }
    if 0 <= decision.step < len(rollout.steps):
        facts["step"] = step_in_words(rollout.steps[decision.step])
    if decision.revision > 1:
        facts["revision"] = decision.revision
    failing = decision.judgement.failing_guardrails() if decision.judgement else ()
    if failing:
        facts["gate"] = failing[0].gate
        facts["arm"] = failing[0].arm
        facts["e_value"] = min(math.exp(min(failing[0].log_e, 700.0)), LARGEST_E)
    if decision.periods:
        facts["challenger_requests"] = sum(
            counts.assigned
            for period in decision.periods
            for name, counts in period.evidence.arms.items()
            if name != CHAMPION
        )
    return facts
