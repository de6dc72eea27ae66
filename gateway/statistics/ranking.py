"""How well scores order positives before negatives: the area under the ROC curve.

    AUC = P(a positive scores higher than a negative) + ½ P(as high)

Its variance is that of DeLong, DeLong & Clarke-Pearson 1988, by midranks in n log n (Sun & Xu
2014), and its interval is taken on the logit, which keeps it in [0, 1]. Where every positive is
before every negative that variance is 0; then Wilson's interval of as many pairs as the
smaller class has rows stands in, which is wide rather than wrong.

`expected_auc` is the same with rows that are positive with a probability only: what labels
that are not there yet will say, if the probabilities are right.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.statistics.intervals import Bounds, normal_quantile, on_scale, wilson

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Auc(NamedTuple):
    """An area and the variance of it; nan where one class is not there."""

    value: float
    variance: float
    positives: int
    negatives: int


def auc(scores: Floats, is_positive: Flags) -> Auc:
    """Of rows whose labels are known."""
    positive, negative = scores[is_positive], scores[~is_positive]
    m, n = positive.size, negative.size
    if not m or not n:
        return Auc(math.nan, math.nan, m, n)
    among_all = midranks(np.concatenate([positive, negative]))
    beaten = (among_all[:m] - midranks(positive)) / n  # share of negatives below each positive
    lost = 1 - (among_all[m:] - midranks(negative)) / m  # share of positives above each negative
    value = float(beaten.mean())
    variance = _variance(beaten) / m + _variance(lost) / n
    return Auc(value, variance, m, n)


def interval(found: Auc, confidence: float = 0.95) -> Bounds:
    """By DeLong's variance."""
    if not math.isfinite(found.value) or min(found.positives, found.negatives) < 2:
        return Bounds(found.value, math.nan, math.nan)
    deviation = logit_deviation(found)
    if deviation == 0.0 or not math.isfinite(deviation):
        few = min(found.positives, found.negatives)
        return wilson(found.value * few, few, confidence)
    return on_scale(found.value, deviation, "logit", normal_quantile(confidence))


def logit_deviation(found: Auc) -> float:
    """The standard error of its logit; nan where the area is 0, 1 or unknown."""
    if not 0 < found.value < 1:
        return math.nan
    return math.sqrt(found.variance) / (found.value * (1 - found.value))


def expected_auc(scores: Floats, chances: Floats) -> tuple[float, Floats]:
    """Of rows that are positive with these chances; and its derivative by each label."""
    points, inverse = np.unique(scores, return_inverse=True)
    count = points.size
    p = chances
    positives, negatives = float(p.sum()), float((1 - p).sum())
    if positives <= 0 or negatives <= 0:
        return math.nan, np.zeros_like(scores)
    below = _share_below(1 - p, inverse, count) / negatives  # of negatives, below each row
    above = 1 - _share_below(p, inverse, count) / positives  # of positives, above it
    value = float(np.dot(p, below) / positives)
    slopes: Floats = (below - value) / positives - (above - value) / negatives
    return value, slopes


def midranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the average of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: Floats = ends - (counts - 1) / 2
    return middle[inverse]


def _share_below(weights: Floats, inverse: NDArray[np.int64], count: int) -> Floats:
    """Weight of rows with a lower score, and half of that of equal ones."""
    groups = np.bincount(inverse, weights=weights, minlength=count)
    before: Floats = np.cumsum(groups) - groups / 2
    return before[inverse]


def _variance(values: Floats) -> float:
    return float(values.var(ddof=1)) if values.size > 1 else 0.0
