"""signatures; being written"""

from collections.abc import Sequence
from typing import NamedTuple

from gateway.statistics.sequences import Direction, Interval


class Moments(NamedTuple):
    """Count, sum and sum of squares; they add up (a.plus(b), a.minus(b))."""

    n: int
    total: float
    squares: float

    def plus(self, other: "Moments") -> "Moments":
        raise NotImplementedError

    def minus(self, other: "Moments") -> "Moments":
        raise NotImplementedError


class Joint(NamedTuple):
    """Sums of two quantities of the same units, for their ratio: cost and accepts."""

    n: int
    top: float
    bottom: float
    top_squares: float
    bottom_squares: float
    products: float


Pair = tuple[Moments, Moments]  # champion, challenger: of one segment


def mean_difference(
    segments: Sequence[Pair],
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    planned: float = 5000,
) -> Interval:
    """Challenger's mean minus champion's; null: at most (least, with `lower`) `margin`, absolute.

    Segments are compared each within itself, so that a change over time does no harm.
    """
    raise NotImplementedError


def mean_ratio(
    segments: Sequence[Pair],
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    planned: float = 5000,
) -> Interval:
    """Challenger's mean divided by champion's; null: at most (least) 1 + margin. For gates."""
    raise NotImplementedError


def quotient_ratio(
    segments: Sequence[tuple[Joint, Joint]],
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    planned: float = 5000,
) -> Interval:
    """The same for ratios of sums, such as cost per accepted answer (delta method)."""
    raise NotImplementedError


def quotient_difference(
    segments: Sequence[tuple[Joint, Joint]],
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    planned: float = 5000,
) -> Interval:
    raise NotImplementedError
