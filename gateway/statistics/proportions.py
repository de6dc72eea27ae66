"""Shares of yes among answers, of two arms: accepted of rated, agreeing of compared.

Two ways. The asymptotic sequences give an interval, take a margin, and are for shares that
are neither rare nor nearly all. The exact evidence takes hits and misses as two kinds of
events (see `events`): if the challenger's share is no lower, whoever gave a hit is the
challenger with probability at most its share of the traffic, and whoever gave a miss with at
least that; both bets are fair given what came before, and so is their product. It assumes
nothing of the share over time, and has no margin, since the share itself is not in it.

Rule: rare events belong to `events`, not here.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from gateway.statistics.events import Side, log_e_events
from gateway.statistics.sequences import Direction, Estimate, Interval, contrast, difference, ratio


class Share(NamedTuple):
    """So many of so many."""

    hits: int
    n: int

    @property
    def estimate(self) -> Estimate:
        """The share, to be compared. Half a hit and half a miss keep its variance off 0."""
        if self.n < 1:
            return Estimate(0.0, 0.0, 0)
        likely = (self.hits + 0.5) / (self.n + 1)
        return Estimate(self.hits / self.n, likely * (1 - likely) / self.n, self.n)


Pair: TypeAlias = tuple[Share, Share]  # champion, challenger: of one segment


def share_difference(
    segments: Sequence[Pair],
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    planned: float = 5000,
) -> Interval:
    """Challenger's share less champion's; null: at most (least, with `lower`) `margin`."""
    found = contrast((y.estimate, x.estimate) for y, x in segments)
    return difference(found, alpha, margin=margin, direction=direction, planned=planned)


def share_ratio(
    segments: Sequence[Pair],
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    planned: float = 5000,
) -> Interval:
    """Challenger's share over champion's; null: at most (least, with `lower`) 1 + margin."""
    found = contrast((y.estimate, x.estimate) for y, x in segments)
    return ratio(found, alpha, margin=margin, direction=direction, planned=planned)


def log_e_shares(
    segments: Sequence[tuple[float, Share, Share]], *, direction: Side = "lower"
) -> float:
    """Exact evidence that the challenger's share of hits is lower (higher).

    Each segment is (challenger's share of the traffic, champion, challenger). It also rises
    when the challenger's answers are rated oftener or more rarely: ask `srm` about that first.
    """
    opposite: Side = "higher" if direction == "lower" else "lower"
    return sum(
        log_e_events(x.hits, y.hits, traffic, direction=direction)
        + log_e_events(x.n - x.hits, y.n - y.hits, traffic, direction=opposite)
        for traffic, y, x in segments
    )
