"""Whether there is less traffic than there was: two counts, and how much such counts vary.

Counts of two windows are Poisson about rates of their own, and the rates vary by more than
counting does: each is gamma about the same mean, with relative deviation s. Given the sum n of
both, the share of the later one is then beta(1/s², 1/s²), and its count beta-binomial:

    p = P(X <= now),  X ~ BetaBinomial(now + then, 1/s², 1/s²)

exact whatever the mean. The noise s is learned of pairs of windows before, of the same distance:
its log-likelihood is that of the same law, and what is used is the UPPER quantile of the posterior
under a flat prior of log s, since p is more sensitive to too small an s than to too large a one.

Assumes that pairs are alike and independent; neighbouring hours are not quite. A level that is
another than that of the pairs' own past is noise to it, and makes it slower, never rasher.
Cost: 0.2 ms of noise for 100 pairs; 10 us of a fall, 0.1 ms of counts near FINE.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from scipy import special

from gateway.profiles.fields import Floats

LEAST_PAIRS = 20  # below which nothing is said
UPPER = 0.9
FINE = 20_000  # rows, above which counting adds nothing to the noise
GRID: Floats = np.geomspace(0.005, 2.0, 80)  # relative deviations
_SHAPES: Floats = GRID**-2


class Fall(Struct, frozen=True, kw_only=True):
    """One count against another."""

    now: int
    then: int
    lost: float  # share of what there was, or was expected
    p: float


def noise_of(pairs: Sequence[tuple[int, int]]) -> float | None:
    """The relative deviation of rates that pairs (later, earlier) speak of; None of too few."""
    counts = np.array([pair for pair in pairs if sum(pair)], np.float64)
    if len(counts) < LEAST_PAIRS:
        return None
    # Why by two: the law is symmetric, so that a column of each shape is one subtraction.
    later, earlier = counts[:, 0][:, None], counts[:, 1][:, None]
    likelihood = (
        special.betaln(later + _SHAPES, earlier + _SHAPES) - special.betaln(_SHAPES, _SHAPES)
    ).sum(axis=0)
    weights = np.exp(likelihood - likelihood.max())
    below = np.cumsum(weights) / weights.sum()
    return float(GRID[int(np.searchsorted(below, UPPER))])


def fall_of(now: int, then: int, noise: float) -> Fall:
    """How surely, and by how much, there is less than there was."""
    lost = 1.0 - now / then if then else 0.0
    return Fall(now=now, then=then, lost=lost, p=_lower_tail(now, now + then, noise**-2))


def _lower_tail(count: int, total: int, shape: float) -> float:
    if not total:
        return 1.0
    if total > FINE:
        return float(special.betainc(shape, shape, (count + 0.5) / total))
    each = np.arange(count + 1, dtype=np.float64)
    choose = -np.log1p(total) - special.betaln(total - each + 1, each + 1)
    logs = choose + special.betaln(each + shape, total - each + shape)
    return float(min(1.0, np.exp(special.logsumexp(logs) - special.betaln(shape, shape))))
