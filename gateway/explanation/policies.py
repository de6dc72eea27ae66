"""The policies by their definitions, over the figures of a record.

One function a policy, as `docs/routing.md` describes them; the data plane's own are in
`_fast/policies`. Figures that follow from the configuration (weights without slow start,
quality, balance) are taken from the plan; what was learned or measured from the record.

Rule 1: a figure that a policy needs and the record lacks is a Missing, never a guess.
Rule 2: with `is_rounded` figures are as near as the record says, else taken as they are.
Knows nothing of draws; who was eligible is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec import Struct

from gateway.explanation.distribution import ByPair, ByWeight, Distribution, Evenly
from gateway.explanation.figures import Figure, Members, lowest, minus, recorded
from gateway.explanation.generator import WORD, mix, name_hash
from gateway.messages import Decision
from gateway.plan import BackendPlan, RoutePlan

# Half of the last decimal that a record has.
LOAD_US, USD, WEIGHT, SCORE, PROBABILITY = 0.5e-3, 0.5e-12, 0.5e-6, 0.5e-12, 0.5e-9
_NS_PER_US = 1000
_SLOW_START_FLOOR = 0.1  # share of its weight that a recovered backend starts with
_SMALLEST_STICKY = 2.0**-53


class Missing(Exception):
    """The record lacks a figure that the policy needs."""


class Case(Struct, frozen=True, kw_only=True):
    """One decision, its route, and the backends of its candidates."""

    decision: Decision
    route: RoutePlan
    backends: tuple[BackendPlan, ...]  # parallel to the candidates
    eligible: tuple[int, ...]  # positions
    is_rounded: bool

    def figure(self, name: str, position: int, half_step: float) -> Figure:
        candidate = self.decision.candidates[position]
        value = getattr(candidate, name)
        if value is None:
            raise Missing(f"the record lacks `{name}` of {candidate.backend}")
        return recorded(value, half_step if self.is_rounded else 0.0)

    def figures(self, name: str, half_step: float) -> dict[int, Figure]:
        return {position: self.figure(name, position, half_step) for position in self.eligible}

    def latencies_ns(self) -> dict[int, float]:
        """Predictions; exact, since a record has them to the nanosecond."""
        return {
            position: round(figure.value * _NS_PER_US)
            for position, figure in self.figures("predicted_us", 0.0).items()
        }


def distribution_of(case: Case) -> Distribution:
    """The chances of everyone eligible; Missing where the record does not say enough."""
    if case.decision.sticky:
        return Distribution(eligible=case.eligible, spread=Evenly(stickiest(case)))
    policy = POLICIES.get(case.decision.policy)
    if policy is None:
        raise Missing(f"there is no policy `{case.decision.policy}` in this version")
    return policy(case)


def _explored(
    case: Case, spread: Evenly | ByWeight | ByPair, unknown: Members | None = None
) -> Distribution:
    return Distribution(
        eligible=case.eligible,
        spread=spread,
        unknown=unknown or Members(()),
        exploration=case.route.exploration,
    )


def stickiest(case: Case) -> Members:
    """The lowest random score (rendezvous hashing); under `weighted` by its weight."""
    return lowest({p: Figure(score) for p, score in sticky_scores(case).items()})


def sticky_scores(case: Case) -> dict[int, float]:
    sticky = word_of(case.decision.sticky)
    is_weighted = case.decision.policy == "weighted" and len(case.eligible) > 1
    return {
        position: _random_score(
            mix(sticky ^ name_hash(case.backends[position].name)),
            _weight(case.route, position) if is_weighted else None,
        )
        for position in case.eligible
    }


def word_of(digits: str) -> int:
    """A recorded word of 64 bits."""
    try:
        return int(digits, 16) & WORD
    except ValueError:
        raise Missing(f"`{digits}` is no hexadecimal number") from None


def weight_bounds(case: Case, position: int) -> tuple[float, float]:
    """The lowest and the highest weight that slow start may have left of the plan's."""
    weight = _weight(case.route, position)
    slow_starts = case.backends[position].slow_start_ns > 0
    return weight * (_SLOW_START_FLOOR if slow_starts else 1.0), weight


def _random_score(word: int, weight: float | None) -> float:
    unit = ((word >> 11) + 0.5) * _SMALLEST_STICKY
    return 1.0 - unit if weight is None else -math.log(unit) / weight


def _weight(route: RoutePlan, position: int) -> float:
    return float(route.weights[position]) if position < len(route.weights) else 1.0


def _ordered(case: Case) -> Distribution:
    return _explored(case, Evenly(Members(case.eligible[:1])))


def _weighted(case: Case) -> Distribution:
    weights = case.figures("weight", WEIGHT)
    if not any(weight.value > 0 for weight in weights.values()):
        return _explored(case, Evenly(Members(case.eligible)))
    return _explored(case, ByWeight(weights))


def _least_loaded(case: Case) -> Distribution:
    return _explored(case, ByPair(case.figures("load_us", LOAD_US)))


def _cheapest(case: Case) -> Distribution:
    return _explored(case, Evenly(lowest(case.figures("expected_usd", USD))))


def _fastest(case: Case) -> Distribution:
    known = {p: ns for p, ns in case.latencies_ns().items() if ns > 0}
    if not known:
        return _explored(case, Evenly(Members(case.eligible)))
    best = lowest({p: Figure(ns) for p, ns in known.items()})
    return _explored(case, Evenly(best), minus(_stale(case), best))


def _cheapest_within_slo(case: Case) -> Distribution:
    latencies, prices = case.latencies_ns(), case.figures("expected_usd", USD)
    known = [p for p, ns in latencies.items() if ns > 0]
    limit_ns = case.route.slo.limit_ns if case.route.slo else 0
    within = [p for p in known if limit_ns == 0 or latencies[p] <= limit_ns]
    unseen = [p for p in case.eligible if p not in known]
    if within:
        best = lowest({p: prices[p] for p in within})
        return _explored(case, Evenly(best), _cheaper(case, prices, best))
    if unseen:
        best = lowest({p: prices[p] for p in unseen})
    else:
        best = lowest({p: Figure(latencies[p]) for p in known})
    return _explored(case, Evenly(best), minus(_stale(case), best))


def _cheaper(case: Case, prices: dict[int, Figure], best: Members) -> Members:
    """Who is not known lately and cheaper than the best: the others would not be chosen."""
    price = prices[(best.sure or best.possible)[0]]
    is_cheaper = {p: prices[p].is_below(price) for p in _stale(case).sure}
    return Members(
        tuple(p for p, cheaper in is_cheaper.items() if cheaper is True),
        tuple(p for p, cheaper in is_cheaper.items() if cheaper is None),
    )


def _balanced(case: Case) -> Distribution:
    best = lowest(_scores(case))
    is_known = any(ns > 0 for ns in case.latencies_ns().values())
    return _explored(case, Evenly(best), minus(_stale(case), best) if is_known else None)


def _scores(case: Case) -> dict[int, Figure]:
    """As recorded, else worked out: the record's other figures are rounded more."""
    if all(case.decision.candidates[position].score is not None for position in case.eligible):
        return case.figures("score", SCORE)
    return balanced_scores(case)


def balanced_scores(case: Case) -> dict[int, Figure]:
    """Cost, latency and 1 - quality, each scaled to 0 … 1; an unknown latency is 1/2."""
    prices, latencies = case.figures("expected_usd", USD), case.latencies_ns()
    known = [ns for ns in latencies.values() if ns > 0]
    middle = (min(known) + max(known)) / 2 if known else 0.0
    parts = (
        _scaled(prices),
        _scaled({p: Figure(ns if ns > 0 else middle) for p, ns in latencies.items()}),
        _scaled({p: Figure(1.0 - case.backends[p].quality) for p in case.eligible}),
    )
    return {
        position: Figure(
            sum(
                w * part[position].value for w, part in zip(case.route.balance, parts, strict=True)
            ),
            sum(
                w * part[position].slack for w, part in zip(case.route.balance, parts, strict=True)
            ),
        )
        for position in case.eligible
    }


def _scaled(figures: dict[int, Figure]) -> dict[int, Figure]:
    values = [figure.value for figure in figures.values()]
    low, span = min(values), max(values) - min(values)
    slack = max(figure.slack for figure in figures.values())
    if span <= 2 * slack:
        # Why 1: what looks equal may have been told apart, and is then scaled to 0 and 1.
        return {position: Figure(0.0, 1.0 if slack else 0.0) for position in figures}
    return {
        position: Figure((figure.value - low) / span, 4 * slack / (span - 2 * slack))
        for position, figure in figures.items()
    }


def _stale(case: Case) -> Members:
    """Whose latency is not known, or was not confirmed lately."""
    return Members(tuple(p for p in case.eligible if case.decision.candidates[p].stale))


POLICIES: dict[str, Callable[[Case], Distribution]] = {
    "ordered": _ordered,
    "weighted": _weighted,
    "least_loaded": _least_loaded,
    "cheapest": _cheapest,
    "fastest": _fastest,
    "cheapest_within_slo": _cheapest_within_slo,
    "balanced": _balanced,
}
