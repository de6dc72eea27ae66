"""signatures; being written"""

from collections.abc import Sequence
from typing import NamedTuple

from gateway.statistics.sequences import Direction, Interval


class Share(NamedTuple):
    """So many of so many."""

    hits: int
    n: int


Pair = tuple[Share, Share]  # champion, challenger: of one segment


def share_difference(
    segments: Sequence[Pair],
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    planned: float = 5000,
) -> Interval:
    """Challenger's share minus champion's, in absolute terms; asymptotic."""
    raise NotImplementedError


def share_ratio(
    segments: Sequence[Pair],
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    planned: float = 5000,
) -> Interval:
    """Challenger's share divided by champion's; asymptotic."""
    raise NotImplementedError


def log_e_shares(segments: Sequence[tuple[float, Share, Share]], *, direction: Direction) -> float:
    """Exact evidence of a lower (higher) share from hits and misses together; no margin.

    Each segment is (challenger's share of the traffic, champion, challenger).
    """
    raise NotImplementedError
