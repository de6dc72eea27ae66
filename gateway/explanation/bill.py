"""What an answer cost, how that was computed, and what it would have cost elsewhere.

Rule: the price is the record's own; another backend's comes from the plan of the time.
"""

from __future__ import annotations

from msgspec import Struct

from gateway.explanation.redecide import runner_up
from gateway.messages import Decision, Price, Record, TokenUsage
from gateway.plan import BackendPlan, Plan

_MILLION = 1_000_000
_NANO = 1e-9  # costs are counted in whole ones


class Term(Struct, frozen=True):
    """One part of a price."""

    count: int
    noun: str  # input token, cached input token, output token, request
    usd_each: float  # per million tokens, or per request

    @property
    def usd(self) -> float:
        return self.count * self.usd_each / (1 if self.noun == "request" else _MILLION)


class Elsewhere(Struct, frozen=True, kw_only=True):
    """The same tokens at another backend's price."""

    backend: str
    usd: float


class Bill(Struct, frozen=True, kw_only=True):
    """The cost of one request."""

    usd: float  # all attempts together
    terms: tuple[Term, ...] = ()  # of the answer
    source: str = ""  # of the price
    other_attempts_usd: float = 0.0
    runner_up: Elsewhere | None = None  # who would have been asked instead
    note: str = ""  # what does not add up, or is not known


def bill_of(record: Record, plan: Plan | None) -> Bill:
    """The bill."""
    if record.price is None:
        note = "" if record.cost_usd == 0 else "The record lacks the price."
        return Bill(usd=record.cost_usd, note=note)
    usage = record.usage or TokenUsage()
    terms = _terms(usage, record.price)
    answer_usd = sum(term.usd for term in terms)
    others_usd = record.cost_usd - answer_usd
    return Bill(
        usd=record.cost_usd,
        terms=terms,
        source=record.price.source,
        other_attempts_usd=others_usd if others_usd > 2 * _NANO else 0.0,
        runner_up=_runner_up(record, plan, usage),
        note=_note(record, others_usd),
    )


def _terms(usage: TokenUsage, price: Price) -> tuple[Term, ...]:
    terms = (
        Term(usage.input_tokens - usage.cached_tokens, "input token", price.input),
        Term(usage.cached_tokens, "cached input token", price.cached),
        Term(usage.output_tokens, "output token", price.output),
        Term(1, "request", price.request),
    )
    return tuple(term for term in terms if term.count and term.usd_each)


def _note(record: Record, others_usd: float) -> str:
    if record.usage is None:
        return "The backend did not say how many tokens it used."
    tries = sum(1 for attempt in record.attempts if attempt.cost_usd > 0)
    if others_usd < -2 * _NANO or (others_usd > 2 * _NANO and tries < 2):
        return "The recorded cost is not what tokens and price give."
    return ""


def _runner_up(record: Record, plan: Plan | None, usage: TokenUsage) -> Elsewhere | None:
    decision = deciding(record)
    if plan is None or decision is None or record.usage is None:
        return None
    name = runner_up(decision, plan)
    backend = next((each for each in plan.backends if each.name == name), None)
    if backend is None:
        return None
    return Elsewhere(backend=name, usd=sum(term.usd for term in _terms(usage, _price(backend))))


def deciding(record: Record) -> Decision | None:
    """The decision that the answer came of."""
    chosen = [each for each in record.decisions if each.chosen == record.backend != ""]
    return chosen[-1] if chosen else None


def _price(backend: BackendPlan) -> Price:
    return Price(
        source="plan",
        input=backend.input_usd * _MILLION,
        output=backend.output_usd * _MILLION,
        cached=backend.cached_usd * _MILLION,
        request=backend.request_usd,
    )
