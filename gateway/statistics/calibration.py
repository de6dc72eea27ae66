"""Whether probabilities are as often right as they say.

Rows are put into bins of equal size by their score. In bin b with n_b of n rows, the gap is the
share of positives less the mean score:

    ECE = Σ n_b/n |gap_b|        as it is usually written

Chance alone makes every gap, and so ECE, larger than it is in truth. The value that is told has
taken away what a folded normal distribution adds to the part of each gap that its variance does not
explain. The interval does not rest on that: with v_b the variance of a gap, ECE as written is off
by at most the ECE of the noise, of mean Σ w_b √(2 v_b / π) and variance Σ w_b² v_b (1 - 2/π), which
bounds it from below; and it is too high on average, with a variance of at most Σ w_b² v_b, which
bounds it from above. So it covers at least as often as it says. Measured: docs/performance.md.

`isotonic` makes probabilities of scores: the non-decreasing step function that is nearest to the
labels (pool adjacent violators).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy import special

from gateway.statistics.intervals import Bounds, normal_quantile

Floats = NDArray[np.float64]

BINS = 10
LEAST_IN_BIN = 20


class Bin(NamedTuple):
    """Rows of like scores."""

    rows: int
    score: float  # mean
    share: float  # of positives
    variance: float  # of the gap


class Ece(NamedTuple):
    """The expected calibration error, as written and with what chance adds taken away."""

    plain: float
    bounds: Bounds
    deviation: float  # at most, of `plain`
    excess: float  # of `bounds.value`, that may be chance


def bins_of(scores: Floats, labels: Floats, most: int = BINS) -> list[Bin]:
    """Bins of equal size; equal scores stay together."""
    count = min(most, max(scores.size // LEAST_IN_BIN, 1))
    edges = np.unique(np.quantile(scores, np.arange(1, count) / count, method="inverted_cdf"))
    at = np.searchsorted(edges, scores, side="left")
    found = []
    for number in np.unique(at):
        is_in = at == number
        s, y = scores[is_in], labels[is_in]
        rows = int(s.size)
        # Why the larger: of rare positives there may be none yet in a bin.
        expected = float(np.sum(s * (1 - s))) / rows**2
        seen = float((y - s).var(ddof=1)) / rows if rows > 1 else 0.0
        found.append(Bin(rows, float(s.mean()), float(y.mean()), max(expected, seen)))
    return found


def ece(bins: list[Bin], confidence: float = 0.95) -> Ece:
    """Of the bins of one sample."""
    rows = sum(one.rows for one in bins)
    weights = np.array([one.rows / rows for one in bins])
    gaps = np.array([one.share - one.score for one in bins])
    variances = np.array([one.variance for one in bins])
    plain = float(weights @ np.abs(gaps))
    truth = np.sqrt(np.maximum(gaps**2 - variances, 0.0))
    value = plain - float(weights @ (folded_normal_mean(truth, np.sqrt(variances)) - truth))
    value = max(value, 0.0)
    noise = float(weights @ np.sqrt(2 * variances / math.pi))
    deviation = math.sqrt(float(weights**2 @ variances))
    z = normal_quantile(confidence)
    low = plain - noise - z * deviation * math.sqrt(1 - 2 / math.pi)
    bounds = Bounds(value, min(max(low, 0.0), value), min(plain + z * deviation, 1.0))
    return Ece(plain, bounds, deviation, value - max(plain - noise, 0.0))


def folded_normal_mean(mean: Floats, deviation: Floats) -> Floats:
    """Of the size of normal numbers."""
    ratio = mean / np.maximum(deviation, 1e-300)
    size: Floats = deviation * math.sqrt(2 / math.pi) * np.exp(-(ratio**2) / 2)
    folded: Floats = size + mean * (1 - 2 * special.ndtr(-ratio))
    return folded


class Isotonic(Struct, frozen=True):
    """A step function of scores, linear between its steps."""

    scores: Floats
    chances: Floats

    def __call__(self, scores: Floats) -> Floats:
        """Probabilities; beyond the ends those of the ends."""
        return np.interp(scores, self.scores, self.chances)


def isotonic(scores: Floats, labels: Floats) -> Isotonic:
    """Fitted to labels of 0 and 1."""
    points, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    sums = np.bincount(inverse, weights=labels)
    levels: list[list[float]] = []  # of each block: sum, rows, how many points
    for total, rows in zip(sums.tolist(), counts.tolist(), strict=True):
        levels.append([total, rows, 1])
        while len(levels) > 1 and levels[-2][0] * levels[-1][1] >= levels[-1][0] * levels[-2][1]:
            last = levels.pop()
            levels[-1] = [a + b for a, b in zip(levels[-1], last, strict=True)]
    chances = np.repeat([one[0] / one[1] for one in levels], [int(one[2]) for one in levels])
    return Isotonic(points.astype(np.float64), chances)
