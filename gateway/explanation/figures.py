"""Numbers as a record holds them, and sets that such numbers leave open.

A record rounds: a load has three decimals of a microsecond, a price twelve of a dollar. So
two candidates that the data plane told apart may look alike here. A Figure knows how far
it may be from what was compared; Members is a set of which some elements are certain and
others possible, because their figures are too close to tell.

Rule: with no slack every comparison is decided and every set is certain.
Knows nothing of policies; `distribution` builds on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

_FLOAT = 4e-16  # relative: one rounding of a double
_CLAMPED, _CLAMPED_SLACK = 9e15, 1e15  # what is larger is written as this


class Figure(Struct, frozen=True):
    """A number, and how far at most the one that was compared is from it."""

    value: float
    slack: float = 0.0

    def is_below(self, other: Figure) -> bool | None:
        """Whether it is lower; None: too close to tell."""
        gap, slack = other.value - self.value, self.slack + other.slack
        if slack and abs(gap) <= slack:
            return None
        return gap > 0


def recorded(value: float, half_step: float) -> Figure:
    """A number that was rounded to twice the half step."""
    if half_step and value >= _CLAMPED:
        return Figure(value, _CLAMPED_SLACK)
    return Figure(value, half_step + abs(value) * _FLOAT if half_step else 0.0)


class Members(Struct, frozen=True):
    """A set of positions: all that are `sure`, and any of those that are `possible`."""

    sure: tuple[int, ...]
    possible: tuple[int, ...] = ()

    @property
    def least(self) -> int:
        return len(self.sure)

    @property
    def most(self) -> int:
        return len(self.sure) + len(self.possible)

    def contains(self, position: int, size: int) -> tuple[bool, ...]:
        """Whether it is an element when the set has this size: yes, no, or either."""
        if position in self.sure:
            return (True,)
        if position not in self.possible or size == self.least:
            return (False,)
        return (True,) if size == self.most else (True, False)

    def can_be_nth(self, position: int, n: int, size: int) -> bool:
        """Whether a set of this size can have the position at place `n` of its order."""
        if True not in self.contains(position, size):
            return False
        below = [each < position for each in self.sure if each != position]
        maybe_below = [each < position for each in self.possible if each != position]
        fewest_below, fewest_above = sum(below), len(below) - sum(below)
        most_below = fewest_below + sum(maybe_below)
        most_above = fewest_above + len(maybe_below) - sum(maybe_below)
        return fewest_below <= n <= most_below and fewest_above <= size - 1 - n <= most_above


NOBODY = Members(())


def lowest(figures: Mapping[int, Figure]) -> Members:
    """Who has the lowest figure; several when they are equal, or too close to tell."""
    bound = min(figure.value + figure.slack for figure in figures.values())
    close = tuple(p for p, figure in figures.items() if figure.value - figure.slack <= bound)
    if len(close) == 1 or not any(figures[position].slack for position in close):
        return Members(close)
    return Members((), close)


def minus(positions: Members, taken: Members) -> Members:
    """Those of the first that are not in the second, as far as that can be told."""
    everyone = {*positions.sure, *positions.possible} - set(taken.sure)
    sure = (everyone & set(positions.sure)) - set(taken.possible)
    return Members(tuple(sorted(sure)), tuple(sorted(everyone - sure)))


def sizes(members: Members, at_least: int = 0) -> Iterator[int]:
    """Every size that the set may have."""
    yield from range(max(members.least, at_least), members.most + 1)
