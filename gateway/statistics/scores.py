"""Bounded scores, such as a judge's mark or an edit ratio in [0, 1]: exact, for any distribution.

Traffic is shared out at random, the challenger getting r of it, so that of one request with
score X, whoever answered, Z = (X - b)/r on the challenger and -(X - b)/(1 - r) on the champion
has the difference of both arms' means as its expectation, whatever the baseline b and whatever
the day does. Harm by more than a margin is a mean of W = -Z - margin above 0 (Z - margin for
`higher`). W >= -c, and betting the part λ/c of one's wealth on each W, λ in [0, 1), pays
1 + λ W/c >= exp(λ W/c - ψ(λ) (W/c)²), ψ(λ) = -log(1 - λ) - λ (Fan, Grama & Liu 2015, as in
Howard et al. 2020; the betting of Waudby-Smith & Ramdas, JRSS-B 2024). The right side needs
sums only. λ and b are spread over grids: an average of fair bets is fair.

`log_e_scores` is that average, from sums. `ScoresProcess` sees each score and bets 1 + λ W/c
itself, with the mean so far as baseline: somewhat sooner, where scores come one by one.

Rule: a score outside [0, 1] voids the guarantee; callers refuse it.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from gateway.statistics.events import Side
from gateway.statistics.means import Moments
from gateway.statistics.tails import Floats

_BETS = 0.5 ** np.arange(1, 14)  # λ: of a small effect, the best one is small
_BASELINES = np.linspace(0.05, 0.95, 10)


def log_e_scores(
    periods: Sequence[tuple[float, Moments, Moments]],
    *,
    margin: float = 0.0,
    direction: Side = "lower",
) -> float:
    """Evidence that the challenger's scores are lower (higher) by more than `margin`, absolute.

    Each period is (challenger's share of the traffic, champion, challenger). With `lower` the
    null is mean of the challenger >= champion's - margin; with `higher`, <= champion's + margin.
    """
    told = [each for each in periods if 0 < each[0] < 1]
    return math.fsum(float(log_e_array(*each, margin, direction)) for each in told)


def log_e_array(
    share: float, champion: Moments, challenger: Moments, margin: float, direction: Side
) -> Floats:
    """Of one period, or of as many as the moments are arrays of: averaged over bets, baselines."""
    sign = -1.0 if direction == "lower" else 1.0
    total: Floats = np.zeros(1)
    squares: Floats = np.zeros(1)
    for arm, factor in ((challenger, sign / share), (champion, -sign / (1 - share))):
        n, sum_, sum_squares = (np.asarray(each, dtype=float)[..., None] for each in arm)
        off = sum_ - n * _BASELINES
        off_squares = sum_squares - 2 * _BASELINES * sum_ + n * _BASELINES**2
        total = total + factor * off - margin * n
        squares = squares + factor**2 * off_squares - 2 * margin * factor * off + margin**2 * n
    worst = _worst(share, _BASELINES, sign) + margin
    return _average_log(total / worst, squares / worst**2)


def _worst(share: float, b: Floats, sign: float) -> Floats:
    """The most that one score can cost, before the margin."""
    ends = [sign * (b - end) / share for end in (0, 1)]
    others = [sign * (end - b) / (1 - share) for end in (0, 1)]
    return np.asarray(np.max(np.stack(ends + others), axis=0))


def _average_log(total: Floats, squares: Floats) -> Floats:
    """Logarithm of the average, over bets and the last axis, of what they have paid."""
    shrink = -np.log1p(-_BETS) - _BETS
    paid = total[..., None] * _BETS - squares[..., None] * shrink
    count = paid.shape[-1] * paid.shape[-2]
    return np.asarray(logsumexp(paid, axis=(-2, -1)) - math.log(count))


class ScoresProcess:
    """Bets on each score as it comes; the baseline is the mean of all before it."""

    def __init__(self, share: float, *, margin: float = 0.0, direction: Side = "lower") -> None:
        self.share = share
        self.margin = margin
        self._sign = -1.0 if direction == "lower" else 1.0
        self._n, self._total = 1, 0.5  # as if one score of ½ had come
        self._paid = np.zeros_like(_BETS)

    def update(self, score: float, *, is_challenger: bool) -> float:
        """Takes one score; says the evidence so far."""
        b = self._total / self._n
        weight = 1 / self.share if is_challenger else -1 / (1 - self.share)
        gain = self._sign * weight * (score - b) - self.margin
        worst = float(_worst(self.share, np.array([b]), self._sign)[0]) + self.margin
        self._paid += np.log1p(_BETS * gain / worst)
        self._n, self._total = self._n + 1, self._total + score
        return self.log_e

    @property
    def log_e(self) -> float:
        """Of all scores so far."""
        return float(logsumexp(self._paid)) - math.log(self._paid.size)
