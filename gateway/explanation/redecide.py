"""Decides again: what a record says of each choice, against the plan it was made on.

Filters that follow from plan and request are applied anew, the policy's distribution is
worked out from the recorded figures, and the draw is repeated from the recorded state of
the generator. Nothing of the data plane's code is used.

Rule 1: `disagrees` is never said of what rounding in the record explains; that is
        `cannot_say`, as is everything that would need what the record does not hold.
Rule 2: `agrees` means: who was eligible, who was chosen, how probable that was and whether
        it was to explore are all what this plan gives.
Knows nothing of files and words; `explanation` calls it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from gateway.explanation.distribution import Distribution, Way
from gateway.explanation.exclusions import contradictions
from gateway.explanation.figures import Figure
from gateway.explanation.policies import (
    PROBABILITY,
    SCORE,
    WEIGHT,
    Case,
    Missing,
    balanced_scores,
    distribution_of,
    sticky_scores,
    weight_bounds,
    word_of,
)
from gateway.messages import RECORD_VERSION, Decision, Record
from gateway.plan import Plan

RELATIVE = 1e-6  # what a probability or score may be off by, beside rounding

Result = Literal["agrees", "disagrees", "cannot_say"]


class Choice(Struct, frozen=True, kw_only=True):
    """Who was, or should have been, chosen."""

    backend: str  # "" nobody could be
    probability: float
    exploring: bool = False


class Verdict(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision, decided again."""

    route: str
    result: Result
    recorded: Choice
    expected: Choice | None = None  # None: it could not be worked out
    reason: str = ""  # why it disagrees or cannot be said, in one sentence


def redecide(record: Record, plan: Plan | None, missing: str = "") -> list[Verdict]:
    """A verdict on each decision; `missing` says why there is no plan."""
    unknown = _unknowable(record, plan, missing)
    if unknown or plan is None:
        return [_cannot_say(decision, unknown) for decision in record.decisions]
    return [_verdict(decision, plan) for decision in record.decisions]


def case_of(decision: Decision, plan: Plan, *, is_rounded: bool = False) -> Case:
    """A decision beside its route; Missing where the plan has another one."""
    family = (each for route in plan.routes for each in (route, *route.variants))
    is_meant = (each for each in family if (each.name, each.arm) == (decision.route, decision.arm))
    route = next(is_meant, None)
    if route is None:
        arm = f" with the arm {decision.arm}" if decision.arm else ""
        raise Missing(f"the plan has no route {decision.route}{arm}")
    backends = tuple(plan.backends[index] for index in route.candidates)
    if [each.name for each in backends] != [each.backend for each in decision.candidates]:
        raise Missing("the candidates are not those of the plan's route")
    eligible = tuple(p for p, each in enumerate(decision.candidates) if not each.excluded)
    return Case(
        decision=decision, route=route, backends=backends, eligible=eligible, is_rounded=is_rounded
    )


def chances_of(decision: Decision, plan: Plan) -> dict[str, float]:
    """The chance of each eligible candidate; {} where it cannot be worked out."""
    try:
        case = case_of(decision, plan)
        distribution = distribution_of(case) if case.eligible else None
    except Missing:
        return {}
    if distribution is None:
        return {}
    return {case.backends[p].name: next(distribution.chances(p)) for p in case.eligible}


def runner_up(decision: Decision, plan: Plan) -> str:
    """Who would have been the likeliest choice without the chosen one; "" nobody."""
    others = [each.backend for each in decision.candidates if not each.excluded]
    if decision.chosen not in others or len(others) == 1:
        return ""
    without = _without(decision, decision.chosen)
    chances = chances_of(without, plan)
    return max(chances, key=lambda name: chances[name], default="")


def _without(decision: Decision, backend: str) -> Decision:
    candidates = tuple(
        replace(each, excluded="tried") if each.backend == backend else each
        for each in decision.candidates
    )
    return replace(decision, candidates=candidates)


def _unknowable(record: Record, plan: Plan | None, missing: str) -> str:
    """Why nothing can be said about this record; "" something can."""
    if record.v > RECORD_VERSION:
        return f"The record is of version {record.v}; this gateway knows up to {RECORD_VERSION}."
    if plan is None:
        return missing or "The plan that it was decided on is not known."
    if plan.hash != record.plan:
        return "The plan is not the one that it was decided on."
    return ""


def _recorded(decision: Decision) -> Choice:
    return Choice(
        backend=decision.chosen, probability=decision.probability, exploring=decision.exploring
    )


def _cannot_say(decision: Decision, reason: str, expected: Choice | None = None) -> Verdict:
    return Verdict(
        route=decision.route,
        result="cannot_say",
        recorded=_recorded(decision),
        expected=expected,
        reason=reason,
    )


def _disagrees(decision: Decision, reason: str, expected: Choice | None = None) -> Verdict:
    return Verdict(
        route=decision.route,
        result="disagrees",
        recorded=_recorded(decision),
        expected=expected,
        reason=reason,
    )


def _verdict(decision: Decision, plan: Plan) -> Verdict:
    try:
        case = case_of(decision, plan)
    except Missing as missing:
        return _disagrees(decision, _sentence(missing))
    if wrong := next(contradictions(decision, case.route, case.backends), ""):
        return _disagrees(decision, wrong)
    if not case.eligible:
        return _of_nobody(decision)
    try:
        return _of_draw(case)
    except Missing as missing:
        return _cannot_say(decision, _sentence(missing))


def _sentence(missing: Missing) -> str:
    text = str(missing)
    return f"{text[:1].upper()}{text[1:]}."


def _of_nobody(decision: Decision) -> Verdict:
    nobody = Choice(backend="", probability=0.0)
    if _recorded(decision) != nobody:
        return _disagrees(decision, "Nobody was eligible, so nobody can be chosen.", nobody)
    return _agrees(decision, nobody)


def _agrees(decision: Decision, expected: Choice) -> Verdict:
    return Verdict(
        route=decision.route, result="agrees", recorded=_recorded(decision), expected=expected
    )


def _of_draw(case: Case) -> Verdict:
    decision, exact = case.decision, distribution_of(case)
    if wrong := next(_wrong_figures(case), ""):
        return _disagrees(decision, wrong)
    names = [backend.name for backend in case.backends]
    position = names.index(decision.chosen) if decision.chosen in names else -1
    if position not in case.eligible:
        return _disagrees(
            decision, "Who was chosen was not eligible.", _expected(case, exact, decision.draw)
        )
    if not decision.draw:
        return _of_chance(case, exact, position)
    expected = _expected(case, exact, decision.draw)
    if _is_reproduced(case, exact, position):
        return _agrees(decision, _recorded(decision))
    rounded = distribution_of(_rounded(case))
    if _is_reproduced(case, rounded, position):
        return _cannot_say(
            decision, "Figures were so near to each other that the record's do not tell.", expected
        )
    return _disagrees(decision, _difference(decision, expected), expected)


def _rounded(case: Case) -> Case:
    return replace(case, is_rounded=True)


def _expected(case: Case, distribution: Distribution, draw: str) -> Choice | None:
    if not draw:
        return None
    position, exploring = distribution.drawn(word_of(draw))
    return Choice(
        backend=case.backends[position].name,
        probability=next(distribution.chances(position)),
        exploring=exploring,
    )


def _difference(decision: Decision, expected: Choice | None) -> str:
    if expected is None or expected.backend != decision.chosen:
        return "The draw falls on another backend."
    if expected.exploring != decision.exploring:
        return "The draw was not " + ("to explore." if decision.exploring else "by the policy.")
    return "The choice had another probability."


def _is_reproduced(case: Case, distribution: Distribution, position: int) -> bool:
    """Whether some way leads to what is recorded."""
    ways = distribution.ways(word_of(case.decision.draw), position)
    slack = distribution.slack(position) if case.is_rounded else _weights_slack(case, position)
    return any(_is_recorded(case.decision, way, slack) for way in ways)


def _weights_slack(case: Case, position: int) -> float:
    """How far rounded weights move a probability, also where they are taken as they are."""
    return distribution_of(_rounded(case)).slack(position)


def _is_recorded(decision: Decision, way: Way, slack: float) -> bool:
    return way.exploring == decision.exploring and _is_near(
        way.probability, decision.probability, slack
    )


def _is_near(expected: float, recorded: float, slack: float) -> bool:
    return math.isclose(expected, recorded, rel_tol=RELATIVE, abs_tol=slack + PROBABILITY)


def _of_chance(case: Case, distribution: Distribution, position: int) -> Verdict:
    """Without the generator's state only the probability can be checked."""
    decision = case.decision
    chances = list(distribution.chances(position))
    if not any(_is_near(chance, decision.probability, 0.0) for chance in chances):
        return _disagrees(decision, "The choice had another probability.")
    if decision.probability < 1 - RELATIVE:
        return _cannot_say(decision, "The record lacks the state of the generator.")
    return _agrees(decision, _recorded(decision))


def _wrong_figures(case: Case) -> Iterator[str]:
    """What follows from the plan and from other figures of the record is worked out anew."""
    if case.decision.sticky:
        yield from _wrong_scores(case, {p: Figure(s) for p, s in sticky_scores(case).items()})
    elif case.decision.policy == "balanced":
        yield from _wrong_scores(case, balanced_scores(_rounded(case)))
    elif case.decision.policy == "weighted":
        for position, weight in case.figures("weight", WEIGHT).items():
            low, high = weight_bounds(case, position)
            if not low - 2 * WEIGHT <= weight.value <= high + 2 * WEIGHT:
                yield f"The weight of {case.backends[position].name} is not the plan's."


def _wrong_scores(case: Case, scores: Mapping[int, Figure]) -> Iterator[str]:
    for position, score in scores.items():
        recorded = case.decision.candidates[position].score
        slack = score.slack + 2 * SCORE
        if recorded is not None and not math.isclose(
            recorded, score.value, rel_tol=RELATIVE, abs_tol=slack
        ):
            name = case.backends[position].name
            yield f"The score of {name} does not follow from the other figures."
