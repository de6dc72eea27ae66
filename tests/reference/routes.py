"""Choosing by definition: filters as sentences, policies as lists of everything that can happen.

A distribution is a list of (probability, position), one entry for each way the procedure can
go: every ordered pair of `least_loaded`, every candidate of an exploration. What is compared
are their sums.
"""

import math
from dataclasses import dataclass, field
from itertools import permutations

from gateway._fast.hashing import hash_of, mixed

SECOND_NS = 1_000_000_000
UNKNOWN_SHARE = 0.05
Way = tuple[float, int]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One candidate: what its backend is, and the state it is in."""

    name: str = "a"
    weight: int = 1
    is_disabled: bool = False
    capabilities: int = 0
    context_window: int = 0
    max_concurrency: int = 0
    slow_start_ns: int = 0
    input_usd: float = 0.0
    output_usd: float = 0.0
    request_usd: float = 0.0
    quality: float = 0.5
    # state; ages and delays are from now
    cools_for_ns: int = 0
    opens_in_ns: int | None = None  # half-open from then on; None is closed
    probes_out: int = 0  # of one
    is_unhealthy: bool = False
    healthy_for_ns: int | None = None  # None: since ever
    in_flight: tuple[int, int] = (0, 0)  # of two workers
    ewma_ns: int = 0  # as folded …
    ewma_age_ns: int = 0  # … so long ago, by the worker that was last
    bytes_per_token: float = 0.0  # 0 unknown, here and below
    output_tokens: float = 0.0
    failure_share: float = 0.0
    latency_ns: int = 0
    samples: int = 0


@dataclass(frozen=True, kw_only=True)
class Need:
    policy: str
    capabilities: int = 0
    input_bytes: int = 0
    output_tokens: int = 0
    tried: frozenset[int] = frozenset()
    required: int = -1
    sticky: int = 0
    limit_ns: int = 0


@dataclass(frozen=True, kw_only=True)
class Rules:
    exploration: float = 0.0
    panic_share: float = 0.0
    balance: tuple[float, float, float] = (1.0, 1.0, 1.0)


def is_broken(offer: Offer) -> bool:
    is_open = offer.opens_in_ns is not None and offer.opens_in_ns > 0
    return is_open or (offer.opens_in_ns is not None and offer.probes_out > 0)


def lacks(offer: Offer, position: int, need: Need) -> str:
    """Why this candidate could not serve the request on a good day."""
    wants_any = need.required < 0
    if offer.is_disabled or (need.policy == "weighted" and wants_any and offer.weight == 0):
        return "disabled"
    if not wants_any and need.required != position:
        return "not_wanted"
    if need.capabilities & ~offer.capabilities:
        return "capability"
    tokens = need.input_bytes / (offer.bytes_per_token or 4.0) + need.output_tokens
    if offer.context_window and tokens > offer.context_window:
        return "context"
    return ""


def is_panic(offers: list[Offer], need: Need, rules: Rules) -> bool:
    asked = [
        offer
        for position, offer in enumerate(offers)
        if not lacks(offer, position, need) and offer.cools_for_ns <= 0
    ]
    usable = [offer for offer in asked if not is_broken(offer) and not offer.is_unhealthy]
    return len(usable) < rules.panic_share * len(asked)


def reason(offers: list[Offer], position: int, need: Need, rules: Rules) -> str:
    """The first that applies."""
    offer, panics = offers[position], is_panic(offers, need, rules)
    if lacking := lacks(offer, position, need):
        return lacking
    if position in need.tried:
        return "tried"
    if offer.cools_for_ns > 0:
        return "cooling_down"
    if is_broken(offer) and not panics:
        return "breaker_open"
    if offer.is_unhealthy and not panics:
        return "unhealthy"
    if offer.max_concurrency and sum(offer.in_flight) >= offer.max_concurrency:
        return "at_limit"
    return ""


def started(offer: Offer) -> float:
    if not offer.slow_start_ns or offer.healthy_for_ns is None:
        return 1.0
    return min(1.0, max(0.1, offer.healthy_for_ns / offer.slow_start_ns))


def usd(offer: Offer, need: Need) -> float:
    known = [tokens for tokens in (offer.output_tokens, need.output_tokens) if tokens]
    price = need.input_bytes / (offer.bytes_per_token or 4.0) * offer.input_usd
    price += min(known, default=256) * offer.output_usd + offer.request_usd
    return price / (1 - min(offer.failure_share, 0.99))


def load(offer: Offer) -> float:
    in_flight = sum(offer.in_flight)
    if offer.ewma_ns == 0:
        return (1e18 + in_flight if in_flight else 0) / started(offer)
    cost = offer.ewma_ns * math.exp(-offer.ewma_age_ns / (10 * SECOND_NS))
    return cost * (in_flight + 1) / started(offer)


@dataclass
class Chooser:
    """The eligible candidates of one request."""

    offers: list[Offer]
    need: Need
    rules: Rules
    eligible: list[int] = field(init=False)

    def __post_init__(self) -> None:
        everyone = range(len(self.offers))
        self.eligible = [p for p in everyone if not reason(self.offers, p, self.need, self.rules)]

    def probabilities(self) -> list[float]:
        sums = [0.0] * len(self.offers)
        for probability, position in self.ways() if self.eligible else []:
            sums[position] += probability
        return sums

    def ways(self) -> list[Way]:
        if self.need.sticky:
            return [(1.0, self.stickiest())]
        explored = evenly(self.rules.exploration, self.eligible)
        rest = 1 - self.rules.exploration
        return explored + [(rest * p, at) for p, at in getattr(self, self.need.policy)()]

    def stickiest(self) -> int:
        def score(position: int) -> float:
            offer = self.offers[position]
            unit = (mixed(self.need.sticky ^ hash_of(offer.name.encode())) + 1024) / 2**64
            is_weighted = self.need.policy == "weighted" and len(self.eligible) > 1
            return -math.log(unit) / (offer.weight if is_weighted else 1)

        return min(self.eligible, key=score)

    def ordered(self) -> list[Way]:
        return [(1.0, self.eligible[0])]

    def weighted(self) -> list[Way]:
        weights = {p: self.offers[p].weight * started(self.offers[p]) for p in self.eligible}
        total = sum(weights.values())
        if total == 0:
            return evenly(1.0, self.eligible)
        return [(weight / total, position) for position, weight in weights.items()]

    def least_loaded(self) -> list[Way]:
        loads = {p: load(self.offers[p]) for p in self.eligible}
        pairs = list(permutations(self.eligible, 2)) or [(self.eligible[0],) * 2]
        # Of equal loads the first of the pair wins.
        return [(1 / len(pairs), b if loads[b] < loads[a] else a) for a, b in pairs]

    def cheapest(self) -> list[Way]:
        return evenly(1.0, self.lowest(self.prices(), self.eligible))

    def fastest(self) -> list[Way]:
        known = self.seen()
        if not known:
            return evenly(1.0, self.eligible)
        best = self.lowest(self.latencies(), known)
        return with_unknown(best, [p for p in self.stale() if p not in best])

    def cheapest_within_slo(self) -> list[Way]:
        known, prices = self.seen(), self.prices()
        unseen = [p for p in self.eligible if p not in known]
        limit_ns = self.need.limit_ns or math.inf
        within = [p for p in known if self.offers[p].latency_ns <= limit_ns]
        if within:
            best = self.lowest(prices, within)
            doubtful = [p for p in self.stale() if p not in within]
            return with_unknown(best, [p for p in doubtful if prices[p] < prices[best[0]]])
        best = self.lowest(prices, unseen) if unseen else self.lowest(self.latencies(), known)
        return with_unknown(best, [p for p in self.stale() if p not in best])

    def balanced(self) -> list[Way]:
        known = self.seen()
        flaws = {p: 1 - self.offers[p].quality for p in self.eligible}
        latencies = scaled({p: float(self.offers[p].latency_ns) for p in known})
        if len(set(latencies.values())) > 1:
            latencies = {p: latencies.get(p, 0.5) for p in self.eligible}
        parts = [scaled(self.prices()), latencies, scaled(flaws)]
        scores = {
            p: sum(w * part.get(p, 0.0) for w, part in zip(self.rules.balance, parts, strict=True))
            for p in self.eligible
        }
        best = self.lowest(scores, self.eligible)
        return with_unknown(best, [p for p in self.stale() if p not in best] if known else [])

    def prices(self) -> dict[int, float]:
        return {p: usd(self.offers[p], self.need) for p in self.eligible}

    def latencies(self) -> dict[int, float]:
        return {p: float(self.offers[p].latency_ns) for p in self.eligible}

    def seen(self) -> list[int]:
        return [p for p in self.eligible if self.offers[p].latency_ns]

    def stale(self) -> list[int]:
        return [
            p for p in self.eligible if not self.offers[p].latency_ns or self.offers[p].samples < 5
        ]

    @staticmethod
    def lowest(scores: dict[int, float], among: list[int]) -> list[int]:
        """All that are as low as the lowest, give or take a rounding."""
        least = min(scores[p] for p in among)
        return [p for p in among if math.isclose(scores[p], least, rel_tol=1e-9, abs_tol=1e-15)]


def evenly(probability: float, positions: list[int]) -> list[Way]:
    return [(probability / len(positions), position) for position in positions]


def with_unknown(best: list[int], unknown: list[int]) -> list[Way]:
    share = UNKNOWN_SHARE if unknown else 0.0
    return evenly(1 - share, best) + evenly(share, unknown)


def scaled(values: dict[int, float]) -> dict[int, float]:
    low, high = min(values.values(), default=0), max(values.values(), default=0)
    return {p: (value - low) / (high - low) if high > low else 0.0 for p, value in values.items()}
