"""What a gate says: four values, a sentence, and what it would need.

Knows nothing of how it was found out; `gates` makes them, `machine` acts on them, everyone
shows them.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Value = Literal["pass", "fail", "inconclusive", "not_enough_data"]
Kind = Literal["guardrail", "signal"]
Hop = Literal["assigned", "dispatched", "answered", "recorded", "feedback"]

HOPS: tuple[Hop, ...] = ("assigned", "dispatched", "answered", "recorded", "feedback")


class Verdict(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One gate, about one challenger."""

    gate: str
    arm: str
    metric: str
    kind: Kind = "guardrail"
    verdict: Value = "not_enough_data"
    sentence: str = ""
    log_e: float = 0.0  # natural logarithm of the evidence that the challenger is worse
    log_e_better: float = 0.0  # … that it is better
    # the challenger's figure against the champion's, in the metric's unit; None not known
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    needs_requests: int = 0  # of the challenger, until it may pass; 0 not known, or none
    needs_s: float = 0.0  # … at the present rate
    detectable: float | None = None  # the least change that would show with what is there


class RatioVerdict(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the arms' shares at one hop are as drawn."""

    hop: Hop
    verdict: Value = "not_enough_data"
    sentence: str = ""
    log_e: float = 0.0
    counts: dict[str, int] = {}  # by arm
    expected: dict[str, float] = {}  # shares, by arm


class Judgement(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that the gates say of a rollout at one moment."""

    at_ms: int
    verdicts: tuple[Verdict, ...] = ()
    srm: tuple[RatioVerdict, ...] = ()
    fails: tuple[Verdict, ...] = ()  # those that hold when all are looked at together (e-BH)
    next_needs: str = ""  # what is waited for, as a sentence; "" nothing
    needs_requests: int = 0
    needs_s: float = 0.0

    def failing_guardrails(self) -> tuple[Verdict, ...]:
        """Why it is rolled back."""
        return tuple(one for one in self.fails if one.kind == "guardrail")

    def may_advance(self) -> bool:
        """Whether every gate passes and no hop is suspicious."""
        return all(one.verdict == "pass" for one in self.verdicts) and not self.is_suspicious()

    def is_suspicious(self) -> bool:
        """Whether the arms' shares are not as drawn, at some hop."""
        return any(one.verdict == "fail" for one in self.srm)
