"""The chances that candidates had, and who is drawn from them.

A Distribution is what `_fast/policies` calls a Draw: `exploration` of the requests go to
anyone eligible, UNKNOWN_SHARE of the rest to somebody unknown where there is one, all
others as the policy spreads them: evenly over the best, by weight, or by pairs.

`ways` lists every way in which one candidate can have been drawn from a state of the
generator, each with the chance that the whole procedure then gave it. With certain figures
there is at most one way; with rounded ones there may be several.

Rule: random numbers are taken in the data plane's order, and as many.
Knows nothing of records and plans; `policies` makes them, `redecide` asks them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from msgspec import Struct

from gateway.explanation.figures import NOBODY, Figure, Members, sizes
from gateway.explanation.generator import Generator

UNKNOWN_SHARE = 0.05  # of the requests, to find out what is not known


class Spread(Protocol):
    """How the policy itself spreads requests; `state` is the generator's before its draw."""

    def chances(self, position: int) -> Iterator[float]:
        """Every chance that a position may have had."""

    def ways(self, state: int, position: int) -> Iterator[float]:
        """The same, of the cases in which it is drawn."""

    def drawn(self, state: int) -> int:
        """Who is drawn when figures are taken as they are."""

    def slack(self, position: int) -> float:
        """How far the chance may be off for the rounding of figures."""


class Evenly(Struct, frozen=True):
    """Each of the best alike."""

    best: Members

    def chances(self, position: int) -> Iterator[float]:
        for size in sizes(self.best, 1):
            for is_best in self.best.contains(position, size):
                yield 1 / size if is_best else 0.0

    def ways(self, state: int, position: int) -> Iterator[float]:
        for size in sizes(self.best, 1):
            if self.best.can_be_nth(position, Generator(state).below(size), size):
                yield 1 / size

    def drawn(self, state: int) -> int:
        positions = self.best.sure or self.best.possible
        return positions[Generator(state).below(len(positions))]

    def slack(self, _position: int) -> float:
        return 0.0


class ByWeight(Struct, frozen=True):
    """By weight; at least one is above 0."""

    weights: Mapping[int, Figure]

    def chances(self, position: int) -> Iterator[float]:
        weight = self.weights.get(position)
        yield weight.value / self._total if weight else 0.0

    def ways(self, state: int, position: int) -> Iterator[float]:
        if position == self.drawn(state) or self._is_near(state, position):
            yield from self.chances(position)

    def drawn(self, state: int) -> int:
        point = Generator(state).unit() * self._total
        last = next(iter(self.weights))
        for position, weight in self.weights.items():
            if weight.value > 0:
                last = position
                point -= weight.value
                if point < 0:
                    break
        return last

    def slack(self, position: int) -> float:
        weight = self.weights.get(position)
        return (weight.slack + self._slack) / self._total if weight else 0.0

    def _is_near(self, state: int, position: int) -> bool:
        """Whether the point is so near to its part that rounding may have put it there."""
        if position not in self.weights or not self._slack:
            return False
        point = Generator(state).unit() * self._total
        low = sum(each.value for at, each in self.weights.items() if at < position)
        high = low + self.weights[position].value
        return low - self._slack <= point <= high + self._slack

    @property
    def _total(self) -> float:
        return sum(weight.value for weight in self.weights.values())

    @property
    def _slack(self) -> float:
        return sum(weight.slack for weight in self.weights.values())


class ByPair(Struct, frozen=True):
    """Two at random, in random order; the lower load wins, of equal ones the first."""

    loads: Mapping[int, Figure]

    def chances(self, position: int) -> Iterator[float]:
        size = len(self.loads)
        if position not in self.loads or size == 1:
            yield 1.0 if position in self.loads else 0.0
            return
        won = unclear = 0
        for other, load in self.loads.items():
            if other != position:
                wins = _orders_won(self.loads[position], load)
                won += wins or 0
                unclear += wins is None
        for more in range(2 * unclear + 1):
            yield (won + more) / (size * (size - 1))

    def ways(self, state: int, position: int) -> Iterator[float]:
        one, other = self._pair(state)
        is_other = self.loads[other].is_below(self.loads[one])
        winners = {None: (one, other), True: (other,), False: (one,)}[is_other]
        if position in winners:
            yield from self.chances(position)

    def drawn(self, state: int) -> int:
        one, other = self._pair(state)
        return other if self.loads[other].value < self.loads[one].value else one

    def slack(self, _position: int) -> float:
        return 0.0

    def _pair(self, state: int) -> tuple[int, int]:
        positions = tuple(self.loads)
        if len(positions) == 1:
            return positions[0], positions[0]
        generator = Generator(state)
        first = generator.below(len(positions))
        second = generator.below(len(positions) - 1)
        second += second >= first
        return positions[first], positions[second]


def _orders_won(load: Figure, other: Figure) -> int | None:
    """How many of the two orders of a pair the first wins; None: too close to tell."""
    is_below = load.is_below(other)
    if is_below is None:
        return None
    return 2 * is_below + (load.value == other.value)


class Way(Struct, frozen=True):
    """How somebody can have been drawn."""

    probability: float
    exploring: bool


class Distribution(Struct, frozen=True, kw_only=True):
    """The whole procedure."""

    eligible: tuple[int, ...]  # in order
    spread: Spread
    unknown: Members = NOBODY
    exploration: float = 0.0

    def ways(self, state: int, position: int) -> Iterator[Way]:
        """Every way in which this one is drawn."""
        generator = Generator(state)
        if self.exploration > 0 and generator.unit() < self.exploration:
            if self.eligible[generator.below(len(self.eligible))] == position:
                yield from (Way(chance, True) for chance in self.chances(position))
            return
        for size in sizes(self.unknown):
            yield from self._ways_among(size, generator.state, position)

    def chances(self, position: int) -> Iterator[float]:
        """Every chance that it may have had."""
        for size in sizes(self.unknown):
            for chance in self.spread.chances(position):
                yield from self._whole(chance, size, position)

    def drawn(self, state: int) -> tuple[int, bool]:
        """Who is drawn when figures are taken as they are, and whether to explore."""
        generator = Generator(state)
        if self.exploration > 0 and generator.unit() < self.exploration:
            return self.eligible[generator.below(len(self.eligible))], True
        unknown = self.unknown.sure
        if unknown and generator.unit() < UNKNOWN_SHARE:
            return unknown[generator.below(len(unknown))], True
        return self.spread.drawn(generator.state), False

    def slack(self, position: int) -> float:
        return self.spread.slack(position)

    def _ways_among(self, size: int, state: int, position: int) -> Iterator[Way]:
        """The ways when so many are unknown."""
        generator = Generator(state)
        if size and generator.unit() < UNKNOWN_SHARE:
            if self.unknown.can_be_nth(position, generator.below(size), size):
                for chance in self.spread.chances(position):
                    yield Way(self._with_unknown(chance, size, is_unknown=True), True)
            return
        for chance in self.spread.ways(generator.state, position):
            for probability in self._whole(chance, size, position):
                yield Way(probability, False)

    def _whole(self, chance: float, size: int, position: int) -> Iterator[float]:
        for is_unknown in self.unknown.contains(position, size):
            yield self._with_unknown(chance, size, is_unknown=is_unknown)

    def _with_unknown(self, chance: float, size: int, *, is_unknown: bool) -> float:
        share = UNKNOWN_SHARE if size else 0.0
        chance = (1 - share) * chance + (share / size if is_unknown else 0.0)
        return self.exploration / len(self.eligible) + (1 - self.exploration) * chance
