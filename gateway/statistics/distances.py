"""How unlike two samples are, from counts in the same cells; many fields in one pass.

Counts are matrices with a row a field (or one vector); a row that has fewer cells than the
others ends in zeros. With r of n and c of m counted in a cell, p = r/n and q = c/m:

    PSI = Σ (p - q) ln(p/q)              with half a count more in each cell (Jeffreys)
    JS = ½ Σ p log₂(p/a) + q log₂(q/a)   divergence in bits, a the average; scipy says its root
    Hellinger = √(½ Σ (√p - √q)²)
    chi² = Σ (√(m/n) r - √(n/m) c)² / (r + c)
    L∞ = max |p - q|
    KS = max |P - Q|                     at the cells' edges: never more than that of the values
    W1 = Σ |P - Q| width                 of the values moved into [first edge, last edge]

Nulls, K cells, w = 1/n + 1/m: PSI/w, 8 ln(2) JS/w, 8 Hellinger²/w and chi² are chi-square
with K - 1 degrees of freedom; KS/√w is Kolmogorov's, with Stephens' terms for few values;
W1/√w is the integral of a Brownian bridge's size, and where that is large the bridge is on one
side of 0 almost everywhere, so that its tail is that of the net integral, a sum whose skewness
is known; L∞ by Boole's inequality over binomial cells. All of them need about ten expected in
each cell (`pooled`), but KS and W1.

Rule: pooling looks at one sample only, the reference, so that it favours no outcome.
Sources: Yurdakul & Naranjo 2020 (PSI); Lin 1991 (JS); Read & Cressie 1988 (the family of
chi-square); Kolmogorov 1933; Stephens 1970 (few values); del Barrio, Giné & Matrán 1999 (W1).
"""

from __future__ import annotations

from math import pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

EXPECTED = 10.0  # in a cell, before a chi-square distribution is believed
LEAST_DEVIATION = 1e-200
BEYOND_NET = 1.2  # how much more often Σ |B| is large than |Σ B|
MEAN_SUPREMUM = 0.8687311606361592  # of a Brownian bridge's size: √(π/2) ln 2


class Cells(NamedTuple):
    """Both samples' counts, a row a field; the figures behind them are columns."""

    reference: Floats
    current: Floats
    is_cell: Floats  # 1 of cells, 0 of what fills up a row
    sizes: Floats  # how many cells a row has
    n: Floats  # what they add up to
    m: Floats
    noise: Floats  # 1/n + 1/m


def cells(reference: Floats, current: Floats, sizes: Floats | None = None) -> Cells:
    """As they are computed with; a row without values counts as one with a single value."""
    first, second = np.atleast_2d(reference), np.atleast_2d(current)
    count = np.full(len(first), first.shape[1]) if sizes is None else sizes
    given = count.astype(np.float64)[:, None]
    n = _totals(first)
    is_cell = (np.arange(first.shape[1]) < given).astype(np.float64)
    return with_current(Cells(first, second, is_cell, given, n, n, 2 / n), second)


def with_current(given: Cells, current: Floats, m: Floats | None = None) -> Cells:
    """The same with another current sample, and what its rows add up to where that is known."""
    total = _totals(current) if m is None else m
    noise = 1 / given.n + 1 / total
    return Cells(given.reference, current, given.is_cell, given.sizes, given.n, total, noise)


def _totals(counts: Floats) -> Floats:
    return np.maximum(np.add.reduce(counts, axis=1, keepdims=True), 1.0)


def pooled(reference: Floats, n: float, m: float, expected: float = EXPECTED) -> list[int]:
    """First cells of groups with enough expected in both samples, if they are alike.

    Neighbours go together; the last group takes what is left over.
    """
    scale = min(1.0, m / n) if n else 1.0
    starts, held = [0], 0.0
    for at, count in enumerate(reference.tolist()):
        if held >= expected:
            starts.append(at)
            held = 0.0
        held += count * scale
    if held < expected and len(starts) > 1:
        starts.pop()
    return starts


def psi(given: Cells) -> Floats:
    """Population stability index."""
    p = smoothed(given.reference, given.n, given)
    return psi_of(p, np.log(p), given)


def smoothed(counts: Floats, total: Floats, given: Cells) -> Floats:
    """Shares, with half a count more in each cell."""
    share = 1 / (total + given.sizes / 2)
    found: Floats = counts * share
    found += share / 2
    return found


def psi_of(p: Floats, log_p: Floats, given: Cells) -> Floats:
    """The same, of the reference's smoothed shares and their logarithms."""
    q = smoothed(given.current, given.m, given)
    apart = p - q
    np.log(q, out=q)
    np.subtract(log_p, q, out=q)
    if given.sizes.min() < q.shape[1]:
        q *= given.is_cell
    found: Floats = np.einsum("ij,ij->i", apart, q)
    return found


def psi_parts(given: Cells) -> Floats:
    """What each cell adds to PSI; 0 of what fills up a row."""
    p = smoothed(given.reference, given.n, given)
    q = smoothed(given.current, given.m, given)
    return np.asarray((p - q) * np.log(p / q) * given.is_cell)


def jensen_shannon(given: Cells) -> Floats:
    """Divergence in bits; its square root is the distance."""
    p, q = given.reference / given.n, given.current / given.m
    a = (p + q) / 2
    both = special.xlogy(p, p) + special.xlogy(q, q) - 2 * special.xlogy(a, a)
    return np.asarray(np.maximum(both.sum(axis=1), 0.0) / (2 * np.log(2)))


def hellinger(given: Cells) -> Floats:
    """Distance between 0 and 1."""
    p, q = given.reference / given.n, given.current / given.m
    return np.asarray(np.sqrt(((np.sqrt(p) - np.sqrt(q)) ** 2).sum(axis=1) / 2))


def chi_square(given: Cells) -> Floats:
    """Of homogeneity; cells that both lack count nothing."""
    ratio = np.sqrt(given.m / given.n)
    apart = (ratio * given.reference - given.current / ratio) ** 2
    both = given.reference + given.current
    return np.asarray((apart / np.maximum(both, 1.0)).sum(axis=1))


def largest_change(given: Cells) -> Floats:
    """L∞: of one cell's share."""
    return np.asarray(np.abs(given.reference / given.n - given.current / given.m).max(axis=1))


def below_edges(counts: Floats) -> Floats:
    """Share of the values in this cell and those before it."""
    running = np.cumsum(counts, axis=-1)
    found: Floats = running / np.maximum(running[..., -1:], 1.0)
    return found


def kolmogorov_smirnov(gaps: Floats) -> Floats:
    """Greatest of the gaps |P - Q| at the edges."""
    return np.asarray(np.maximum.reduce(gaps, axis=-1))


def wasserstein(gaps: Floats, widths: Floats) -> Floats:
    """Earth mover's distance, of gaps at edges and how much of the axis each stands for."""
    return np.asarray(np.einsum("...j,...j->...", gaps, widths))


# How often chance alone gives as much.


def chi_square_p(statistic: Floats, cells_: Floats) -> Floats:
    """Of what is chi-square with a degree of freedom for each cell but one."""
    freedom = np.asarray(cells_, np.float64) - 1
    found = special.gammaincc(np.maximum(freedom, 1e-9) / 2, statistic / 2)
    # Why: of one cell there is nothing to say, and what rounding leaves is not 0.
    return np.where(freedom > 0, found, 1.0)


def chi_square_limit(alpha: float, cells_: int) -> float:
    """What chance alone exceeds with probability alpha."""
    return float(2 * special.gammainccinv(max(cells_ - 1, 1) / 2, alpha))


def kolmogorov_p(gap: Floats, noise: Floats) -> Floats:
    """Of the greatest gap between samples."""
    root = 1 / np.sqrt(noise)
    return np.asarray(special.kolmogorov(gap * (root + 0.12 + 0.11 / root)))


def largest_change_p(change: Floats, given: Cells) -> Floats:
    """Of the largest change of a share, at most: the sum over cells of each one's probability.

    Exact in each cell, given how many there are in both samples together.
    """
    both = given.reference + given.current
    share = given.m / (given.m + given.n)
    # The current counts from which the cell's share has changed by as much.
    most = (change[:, None] + both / given.n) / given.noise
    least = (both / given.n - change[:, None]) / given.noise
    rose = special.betainc(np.maximum(most, 1e-9), np.maximum(both - most + 1, 1e-9), share)
    fell = special.betainc(np.maximum(both - least, 1e-9), np.maximum(least + 1, 1e-9), 1 - share)
    rose = np.where(most <= both, rose, 0.0)
    fell = np.where(least >= 0, fell, 0.0)
    return np.asarray(np.minimum(((rose + fell) * given.is_cell).sum(axis=1), 1.0))


def gamma_p(statistic: Floats, mean: Floats, variance: Floats) -> Floats:
    """Of what is about a gamma distribution with this mean and variance."""
    safe = np.where(mean > 0, mean, 1.0)
    spread = np.where(variance > 0, variance, 1e-300)
    found = special.gammaincc(safe**2 / spread, statistic * safe / spread)
    return np.asarray(np.where(mean > 0, found, np.where(statistic > 0, 0.0, 1.0)))


class Bridge(NamedTuple):
    """What is known of Σ |B(P)| width before values come, of many fields.

    B is a Brownian bridge, P the shares below the edges. The net is Σ B(P) width: what one value
    adds to it is how much width is below the value.
    """

    mean: Floats
    deviation: Floats  # of the net
    skewness: Floats  # of one value's part in it, or what its outliers make of that
    is_even: NDArray[np.bool_]  # whether there are outliers to both sides


def bridges(below: Floats, widths: Floats) -> Bridge:
    """Of fields, a row each. Of a normal X with deviation s, E|X| = s √(2/π)."""
    none, all_ = np.zeros((len(below), 1)), np.ones((len(below), 1))
    shares = np.diff(below, prepend=none, append=all_, axis=1)
    part = np.concatenate([none, np.cumsum(widths, axis=1)], axis=1)
    part -= np.sum(shares * part, axis=1, keepdims=True)
    mean = sqrt(2 / pi) * np.sum(np.sqrt(np.maximum(below * (1 - below), 0.0)) * widths, axis=1)
    # Why more than 0: a field that never varies has no net, and nothing to divide by it.
    deviation = np.maximum(np.sqrt(np.sum(shares * part**2, axis=1)), LEAST_DEVIATION)
    varies = deviation[:, None] > LEAST_DEVIATION
    scaled = np.divide(part, deviation[:, None], out=np.zeros_like(part), where=varies)
    skewness = np.abs(np.sum(shares * scaled**3, axis=1))
    # Why: a gamma distribution of skewness g has g² 3/2 for its excess of outliers.
    outliers = np.sqrt(np.maximum(np.sum(shares * scaled**4, axis=1) - 3, 0.0) / 1.5)
    is_even = np.asarray(outliers > 1.2 * skewness)
    return Bridge(mean, deviation, np.maximum(skewness, outliers), is_even)


def bridge_p(size: Floats, given: Bridge, n: Floats, m: Floats) -> Floats:
    """Of Σ |P - Q| width, in √(1/n + 1/m) times the net's deviations.

    The net's own tail, of both sides, and a fifth: from p = 0.05 down that is within a tenth of
    the probability of bridges with many edges and up to a fifth above that of few (drawn in
    tests/statistics/test_distances.py). Above that it only says that nothing is unusual.
    """
    # Why gamma: with few values the net is as skewed as one value over the root of their number.
    skewness = given.skewness * np.abs(1 / m**2 - 1 / n**2) / (1 / n + 1 / m) ** 1.5
    shape = 4 / np.maximum(skewness, 1e-3) ** 2
    away = size * np.sqrt(shape)
    one = special.gammaincc(shape, shape + away)
    other = special.gammainc(shape, np.maximum(shape - away, 0.0))
    both = one + np.where(given.is_even, one, other)
    return np.asarray(np.minimum(BEYOND_NET * both, 1.0))


def share_p(current: Floats, m: Floats, reference: Floats, n: Floats) -> Floats:
    """Two-sided, of "an event is as frequent in both": exact, given how many there were in all.

    Given their sum, events fall to the samples as the samples' sizes do.
    """
    share = m / (m + n)
    more = special.betainc(np.maximum(current, 0.5), reference + 1, share)
    fewer = special.betainc(np.maximum(reference, 0.5), current + 1, 1 - share)
    more = np.where(current > 0, more, 1.0)
    fewer = np.where(reference > 0, fewer, 1.0)
    return np.asarray(np.minimum(2 * np.minimum(more, fewer), 1.0))
