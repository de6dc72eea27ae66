"""Quantiles and whole distributions from histograms: what two arms' latencies say.

A histogram is sparse counts by bucket, `{bucket: count}`, and `edges`, the lower edges of
all buckets with the end of the last one behind them. Histograms of several processes and
minutes add up, and so does all that is computed here.

The gate of choice is the exceedance: freeze a bucket edge near the champion's p99, count
what lies above it in each arm, and leave the two counts to `events` (valid however often
one looks) or to `exceedance_test` (one look). The interval of a ratio of quantiles is for
reading: it has no power below about 20 values beyond the quantile, see `values_needed`.

Rule: a value is known to its bucket only; quantiles interpolate inside it on the log scale.
Sources: Deng, Knoblich and Lu 2018 (quantile intervals by ranks); Mann and Whitney 1947
with ties by midranks; Howard and Ramdas 2022, theorem 2 (band on the whole distribution).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, exp, inf, log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Counts = Mapping[int, int]
Edges = NDArray[np.float64]

BEYOND = 20  # values beyond a quantile that its interval needs: 2,000 values for a p99
LEAST = 100  # and at least so many in all: intervals here rest on the normal approximation


class QuantileRatio(NamedTuple):
    """How many times the champion's quantile the challenger's is."""

    ratio: float
    low: float
    high: float
    log_error: float  # standard error of the ratio's logarithm
    needed: int  # values that the smaller arm lacks before the interval means anything


class RankTest(NamedTuple):
    """Mann and Whitney's test of two samples."""

    u: float  # pairs where the first sample's value is the greater, ties half
    share: float  # of all pairs: 0.5 when neither tends to be greater
    z: float  # with continuity correction; above 0 the first sample tends to be greater
    p: float  # two-sided


def total_of(counts: Counts) -> int:
    """How many values were counted."""
    return sum(counts.values())


def values_needed(quantile: float) -> int:
    """How many values an arm needs before an interval of this quantile means anything."""
    return max(ceil(round(BEYOND / min(quantile, 1 - quantile), 6)), LEAST)


def exceedances(counts: Counts, bucket: int) -> int:
    """Values at or above the lower edge of `bucket`."""
    return sum(count for at, count in counts.items() if at >= bucket)


def threshold(counts: Counts, quantile: float) -> int:
    """The first bucket above the one that the quantile falls into: where to freeze a limit.

    At most 1 - quantile of the counted values exceed it.
    """
    rank = max(ceil(quantile * total_of(counts)), 1)
    seen = 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return bucket + 1
    return 0


def raised(bucket: int, factor: float, edges: Edges) -> int:
    """The bucket whose edge is nearest above `factor` times this bucket's edge.

    For a margin: the challenger's values are held against the raised edge.
    """
    wanted = edges[bucket] * factor
    at = int(np.searchsorted(edges, wanted * (1 - 1e-12)))
    return min(at, len(edges) - 2)


def exceedance_test(challenger: int, challenger_n: int, champion: int, champion_n: int) -> float:
    """p-value of "the challenger's values exceed no oftener", from counts above a frozen edge.

    Exact given the sum of the counts, which then falls to the arms as their sizes do.
    Rule: one look. Assumes an edge that was frozen before these values came.
    """
    both = challenger + champion
    if challenger == 0 or challenger_n == 0 or champion_n == 0:
        return 1.0
    share = challenger_n / (challenger_n + champion_n)
    return float(special.betainc(challenger, both - challenger + 1, share))


def quantile(counts: Counts, edges: Edges, wanted: float) -> float:
    """The value below which a share `wanted` of the counted values lie."""
    return exp(_log_at(counts, edges, (wanted * total_of(counts),))[0])


def log_quantile(
    counts: Counts, edges: Edges, wanted: float, *, alpha: float = 0.05
) -> tuple[float, float]:
    """The quantile's logarithm and its standard error, from the ranks around it.

    sigma = (Y_U - Y_L) / 2z, with L, U = n (q -+ z sqrt(q (1 - q) / n)).
    """
    n = total_of(counts)
    z = float(special.ndtri(1 - alpha / 2))
    spread = z * sqrt(n * wanted * (1 - wanted))
    below, at, above = _log_at(
        counts, edges, (wanted * n - spread, wanted * n, wanted * n + spread)
    )
    return at, (above - below) / (2 * z)


def quantile_ratio(
    champion: Counts, challenger: Counts, edges: Edges, wanted: float, *, alpha: float = 0.05
) -> QuantileRatio:
    """Ratio of the arms' quantiles with its interval, by the difference of logarithms.

    Rule: one look; no verdict while `needed` is above 0.
    """
    n = min(total_of(champion), total_of(challenger))
    needed = max(values_needed(wanted) - n, 0)
    if n == 0:
        return QuantileRatio(1.0, 0.0, inf, inf, needed)
    base, base_error = log_quantile(champion, edges, wanted, alpha=alpha)
    other, other_error = log_quantile(challenger, edges, wanted, alpha=alpha)
    error = sqrt(base_error**2 + other_error**2)
    half = float(special.ndtri(1 - alpha / 2)) * error
    difference = other - base
    ratio, low, high = exp(difference), exp(difference - half), exp(difference + half)
    return QuantileRatio(ratio, low, high, error, needed)


def _log_at(counts: Counts, edges: Edges, ranks: tuple[float, ...]) -> list[float]:
    """Logarithms of the values at these ranks of 0 … n; inside a bucket, in a straight line.

    Why interpolation: midpoints alone make the ranks' distance a multiple of the bucket's
    width, and the interval of large samples too short too often.
    """
    buckets = np.array(sorted(counts), dtype=np.int64)
    buckets = buckets[[counts[int(at)] > 0 for at in buckets]]
    weights = np.array([counts[int(at)] for at in buckets], dtype=np.float64)
    running = np.concatenate(([0.0], np.cumsum(weights)))
    inner = np.clip(ranks, 0.5, running[-1] - 0.5)
    at = np.clip(np.searchsorted(running, inner) - 1, 0, len(buckets) - 1)
    low = np.log(np.maximum(edges[buckets[at]], 0.5))  # Why 0.5: bucket 0 holds the value 0
    high = np.log(np.maximum(edges[buckets[at] + 1], 1.0))
    values: list[float] = (low + (high - low) * (inner - running[at]) / weights[at]).tolist()
    return values


def mann_whitney(first: Counts, second: Counts) -> RankTest:
    """Whether the first sample's values tend to be greater; buckets are ties.

    U = sum over buckets of first_b (second below b + second_b / 2), variance
    n m / 12 ((N + 1) - sum (t^3 - t) / (N (N - 1))).
    """
    n, m = total_of(first), total_of(second)
    if n == 0 or m == 0:
        return RankTest(0.0, 0.5, 0.0, 1.0)
    both = n + m
    u, below, ties = 0.0, 0, 0
    for bucket in sorted({*first, *second}):
        ours, theirs = first.get(bucket, 0), second.get(bucket, 0)
        u += ours * (below + theirs / 2)
        below += theirs
        ties += (ours + theirs) ** 3 - (ours + theirs)
    variance = n * m / 12 * ((both + 1) - ties / (both * (both - 1)))
    if variance <= 0:
        return RankTest(u, 0.5, 0.0, 1.0)
    distance = u - n * m / 2
    # The correction of one half never crosses the middle.
    z = np.copysign(max(abs(distance) - 0.5, 0.0), distance) / sqrt(variance)
    return RankTest(u, u / (n * m), float(z), float(2 * special.ndtr(-abs(z))))


def uniform_radius(n: int, alpha: float, *, first: int = 1) -> float:
    """Half-width of a band on the whole distribution that holds at all n >= first together.

    0.85 sqrt((log(1 + log(n / first)) + 0.8 log(1612 / alpha)) / n).
    """
    if n < first:
        return 1.0
    return min(0.85 * sqrt((log(1 + log(n / first)) + 0.8 * log(1612 / alpha)) / n), 1.0)


def distribution_gap(first: Counts, second: Counts) -> float:
    """The greatest distance between two distributions' shares below an edge (Kolmogorov's D).

    At edges only, so never greater than that of the values themselves.
    """
    n, m = total_of(first), total_of(second)
    if n == 0 or m == 0:
        return 0.0
    gap, ours, theirs = 0.0, 0, 0
    for bucket in sorted({*first, *second}):
        ours += first.get(bucket, 0)
        theirs += second.get(bucket, 0)
        gap = max(gap, abs(ours / n - theirs / m))
    return gap


def distributions_differ(
    first: Counts, second: Counts, *, alpha: float = 0.05, minimum: int = LEAST
) -> bool:
    """Whether two distributions differ at all, valid however often one looks.

    A sequential Kolmogorov-Smirnov test: the gap is wider than both bands together.
    """
    n, m = total_of(first), total_of(second)
    if min(n, m) < minimum:
        return False
    radius = uniform_radius(n, alpha / 2, first=minimum) + uniform_radius(
        m, alpha / 2, first=minimum
    )
    return distribution_gap(first, second) > radius
