"""Shares of yes among answers, of two arms: accepted of rated, agreeing of compared.

Two ways. The asymptotic sequences give an interval, take a margin, and are for shares that
are neither rare nor nearly all. The exact evidence takes hits and misses as two kinds of
events (see `events`): if the challenger's share is no lower, whoever gave a hit is the
challenger with probability at most its share of the traffic, and whoever gave a miss with at
least that; both bets are fair given what came before, and so is their product. It assumes
nothing of the share over time, and has no margin, since the share itself is not in it.

Rule: rare events belong to `events`, not here.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from gateway.statistics import events
from gateway.statistics.events import Side
from gateway.statistics.sequences import Estimate, arms_difference, arms_ratio
from gateway.statistics.tails import Floats

_SPREAD = 0.2  # of the log of a share's ratio, beforehand: shares move by parts, not to manifolds


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


share_difference, share_ratio = arms_difference, arms_ratio  # of Shares


def log_e_shares(
    periods: Sequence[tuple[float, Share, Share]], *, direction: Side = "lower"
) -> float:
    """Exact evidence that the challenger's share of hits is lower (higher).

    Each period is (challenger's share of the traffic, champion, challenger). It also rises
    when the challenger's answers are rated oftener or more rarely: ask `srm` about that first.
    """
    return math.fsum(
        float(log_e_array(traffic, y.hits, y.n, x.hits, x.n, direction=direction))
        for traffic, y, x in periods
        if 0 < traffic < 1
    )


def log_e_array(
    traffic: float,
    champion_hits: ArrayLike,
    champion: ArrayLike,
    challenger_hits: ArrayLike,
    challenger: ArrayLike,
    *,
    direction: Side = "lower",
) -> Floats:
    """The same for arrays of counts of one period."""
    opposite: Side = "higher" if direction == "lower" else "lower"
    x, y = np.asarray(challenger_hits, dtype=float), np.asarray(champion_hits, dtype=float)
    around = (1 / (_SPREAD**2 * (1 - traffic)), 1 / (_SPREAD**2 * traffic))
    hits = events.log_e_array(x, y, traffic, direction=direction, prior=around)
    misses = events.log_e_array(
        np.asarray(challenger) - x,
        np.asarray(champion) - y,
        traffic,
        direction=opposite,
        prior=around,
    )
    return hits + misses
