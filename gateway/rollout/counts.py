"""What evidence is made of: numbers that add up, over workers, minutes and steps.

    later.minus(earlier)   what came in between
    one.plus(other)        both together

Rule 1: sums only (and sums of squares and products), so that adding is merging.
Rule 2: a histogram is {bucket of the board's fine histogram: count}, without zeros.
Rule 3: nothing here says what is good; `metrics` does.

Knows nothing of the board and of the log; `evidence` and `feedback_join` fill it in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct, field

from gateway.plan import PPM

CHAMPION = "champion"
FINISHES = ("none", "stop", "length", "tools", "filter", "other")  # the board's order

Histogram = dict[int, int]


class _Sums(Struct, kw_only=True, omit_defaults=True):
    """Fields that are added one by one: numbers, tuples of them, Sums, dicts of these."""

    def plus(self, other: Self) -> Self:
        return self.combined(other, 1)

    def minus(self, other: Self) -> Self:
        return self.combined(other, -1)

    def combined(self, other: Self, sign: int) -> Self:
        names = self.__struct_fields__
        return type(self)(
            **{name: _added(getattr(self, name), getattr(other, name), sign) for name in names}
        )


class SignalCounts(_Sums):
    """One signal of the product, about the answers of one arm."""

    n: int = 0  # requests that it was given for; each counts once
    positive: int = 0  # of these: accepted, thumbs up, done; a signal without a value
    total: float = 0.0  # of the values, 0 to 1 where the signal has a range
    squares: float = 0.0


class ArmCounts(_Sums):
    """All that is known of one arm's requests."""

    assigned: int = 0  # requests that were given this arm
    dispatched: int = 0  # of these: sent to a backend, or on their way there
    answered: int = 0  # of these: neither lost nor left by the client
    recorded: int = 0  # of these: not missing in the log
    ended: int = 0
    errors: int = 0  # not answered as it should be by the arm itself; rescued ones too
    timeouts: int = 0
    truncated: int = 0
    rescued: int = 0  # answered by the champion instead
    refusals: int = 0  # stopped by a content filter
    cut_off: int = 0  # stopped at the length limit
    schema_violations: int = 0
    finishes: tuple[int, ...] = (0,) * len(FINISHES)
    cost_nano_usd: int = 0
    cost_squares_usd2: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    input_squares: float = 0.0
    output_squares: float = 0.0
    total_ns: Histogram = {}
    first_byte_ns: Histogram = {}
    feedback: dict[str, SignalCounts] = {}  # by signal, `signal@SECONDS` where it must mature


class Paired(_Sums):
    """One figure of the same requests under both: sums for differences and for CUPED."""

    n: int = 0
    champion: float = 0.0
    challenger: float = 0.0
    champion_squares: float = 0.0
    challenger_squares: float = 0.0
    products: float = 0.0
    lower: int = 0  # pairs in which the challenger's is the lower one …
    higher: int = 0  # … and the higher one

    def add(self, champion: float, challenger: float) -> None:
        self.n += 1
        self.champion += champion
        self.challenger += challenger
        self.champion_squares += champion * champion
        self.challenger_squares += challenger * challenger
        self.products += champion * challenger
        self.lower += challenger < champion
        self.higher += challenger > champion


class PairCounts(_Sums):
    """The answers of a shadow beside those that clients got, for the same requests."""

    pairs: int = 0
    compared: int = 0  # of which something could be compared
    agreeing: int = 0
    both_ok: int = 0
    only_champion_ok: int = 0
    only_challenger_ok: int = 0
    neither_ok: int = 0
    # of pairs whose schema was looked at
    both_valid: int = 0
    only_champion_valid: int = 0
    only_challenger_valid: int = 0
    neither_valid: int = 0
    # of pairs that a judge saw
    champion_preferred: int = 0
    challenger_preferred: int = 0
    ties: int = 0
    # of pairs that are both ok
    latency_us: Paired = field(default_factory=Paired)
    first_byte_us: Paired = field(default_factory=Paired)
    cost_usd: Paired = field(default_factory=Paired)
    output_tokens: Paired = field(default_factory=Paired)
    similarity: SignalCounts = field(default_factory=SignalCounts)


class Evidence(Struct, kw_only=True, omit_defaults=True):
    """What is known at one moment, or what came between two of them."""

    at_ms: int = 0
    arms: dict[str, ArmCounts] = {}  # `champion` and the challengers
    pairs: dict[str, PairCounts] = {}  # by challenger
    open_breakers: tuple[str, ...] = ()  # arms none of whose backends takes requests
    # Of a reading, feedback comes by the step that its requests were in, then by arm and signal:
    # it may be later than the step. `evidence.Account` gives it to the period it belongs to.
    late: dict[int, dict[str, dict[str, SignalCounts]]] = {}
    # Of a reading: who counted. Another one counts from nothing.
    board: str = ""
    log: str = ""

    def plus(self, other: Evidence) -> Evidence:
        """The later of the two says when it was and which breakers are open."""
        later = max(self, other, key=lambda one: one.at_ms)
        return self._combined(other, 1, later)

    def minus(self, earlier: Evidence) -> Evidence:
        return self._combined(earlier, -1, self)

    def _combined(self, other: Evidence, sign: int, named: Evidence) -> Evidence:
        return Evidence(
            at_ms=named.at_ms,
            arms=_added(self.arms, other.arms, sign),
            pairs=_added(self.pairs, other.pairs, sign),
            late=_added(self.late, other.late, sign),
            open_breakers=named.open_breakers,
        )

    def arm(self, name: str) -> ArmCounts:
        return self.arms.get(name) or ArmCounts()


class Frozen(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A quantile of the champion's times, found before what it is used on: a bucket of them."""

    bucket: int  # slower than the champion's quantile: buckets from here on
    value_ns: int  # lower edge of that bucket
    # What had been counted when it was found: (all, from the bucket on, from the challenger's
    # own bucket on) by arm; only what comes later is evidence.
    before: dict[str, tuple[int, int, int]] = {}
    margin_bucket: int = 0  # the challenger's own: the same with the gate's margin


class Period(Struct, kw_only=True, omit_defaults=True):
    """What was gained while the weights were constant: a step, or a part of one."""

    weights: dict[str, int]  # parts per million of the rollout's units, by challenger
    evidence: Evidence = field(default_factory=Evidence)
    step: int = 0
    since_ms: int = 0
    until_ms: int = 0
    frozen: dict[str, Frozen] = {}  # by gate
    # one figure a minute, by gate and arm, for the judge that wants such; the last day's
    points: dict[str, dict[str, list[float]]] = {}

    def share(self, arm: str) -> float:
        """The part of the units that the arm gets, 0 to 1."""
        if arm == CHAMPION:
            return max(1.0 - sum(self.weights.values()) / PPM, 0.0)
        return self.weights.get(arm, 0) / PPM


def above(histogram: Mapping[int, int], bucket: int) -> int:
    """How many values are in this bucket or a higher one."""
    return sum(count for index, count in histogram.items() if index >= bucket)


def size(histogram: Mapping[int, int]) -> int:
    return sum(histogram.values())


def bucket_at(histogram: Mapping[int, int], quantile: float) -> int:
    """The bucket of the nearest-rank quantile; ValueError where nothing was counted."""
    rank = max(1, -int(-quantile * size(histogram) // 1))
    seen = 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= rank:
            return bucket
    raise ValueError("an empty histogram has no quantile")


def _added(one: Any, other: Any, sign: int) -> Any:
    """`one` and `sign` times `other`; both are of one kind."""
    if isinstance(one, _Sums):
        return one.combined(other, sign)
    if isinstance(one, tuple):
        return tuple(a + sign * b for a, b in zip(one, other, strict=True))
    if not isinstance(one, dict):
        return one + sign * other
    merged = dict(one)
    for key, value in other.items():
        before = merged.get(key)
        if isinstance(value, int | float):  # a histogram: most of what there is to add
            merged[key] = (before or 0) + sign * value
        else:
            merged[key] = _added(type(value)() if before is None else before, value, sign)
    return {key: value for key, value in merged.items() if value or isinstance(value, _Sums)}
