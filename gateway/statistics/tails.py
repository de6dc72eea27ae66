"""Logarithms of Beta densities and tails that neither overflow nor cancel.

A density is Stirling's remainder and two deviances (Loader 2000, "Fast and accurate
computation of binomial probabilities"), since differences of `betaln` lose every digit that
counts at 10^12 events. A tail is scipy's, or, where that is 0, its continued fraction, which
converges at once so far out.

Rule: probabilities come as p and q = 1 - p, each exact, so that a share of 10^-6 and its
complement are both known to the last digit.
Cost: some ten numpy operations; arrays of any shape.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc, gammaln, log1p

Floats: TypeAlias = NDArray[np.float64]

_HALF_LOG_2_PI = 0.5 * float(np.log(2 * np.pi))
_TINY = 1e-300
_FAR = 1e-250  # tails below are taken from the continued fraction
_STEPS = 400  # of it; some dozens are enough where it is used


def stirling_remainder(z: ArrayLike) -> Floats:
    """Logarithm of Γ(z + 1) less Stirling's (z + 1/2) log z - z + log √(2π); z > 0."""
    z = np.asarray(z, dtype=float)
    small = np.minimum(z, 16.0)
    exact = gammaln(small + 1) - (small + 0.5) * np.log(small) + small - _HALF_LOG_2_PI
    s = 1 / np.maximum(z, 16.0)
    s2 = s * s
    series = s * (1 / 12 - s2 * (1 / 360 - s2 * (1 / 1260 - s2 * (1 / 1680 - s2 / 1188))))
    return np.asarray(np.where(z < 16, exact, series))


def deviance(x: ArrayLike, mean: ArrayLike) -> Floats:
    """The deviance x log(x/mean) + mean - x, exact where they are close; x, mean > 0."""
    x, mean = np.asarray(x, dtype=float), np.asarray(mean, dtype=float)
    t = (x - mean) / mean
    near = np.clip(t, -0.05, 0.05)
    series = np.zeros_like(near)
    for k in range(15, 1, -1):  # (1 + t) log(1 + t) - t = Σ (-t)^k / (k (k - 1))
        series = (series * -near) + 1 / (k * (k - 1))
    far = (1 + t) * log1p(t) - t
    return np.asarray(mean * np.where(np.abs(t) < 0.05, series * near * near, far))


def log_beta_odds_density(a: ArrayLike, b: ArrayLike, p: ArrayLike, q: ArrayLike) -> Floats:
    """Logarithm of p q times the density of Beta(a, b) at p: the density of the log-odds."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    n = a + b
    peak = stirling_remainder(n) - stirling_remainder(a) - stirling_remainder(b)
    spread = 0.5 * (np.log(a) + np.log(b) - np.log(n)) - _HALF_LOG_2_PI
    return np.asarray(peak + spread - deviance(a, n * p) - deviance(b, n * q))


def log_upper_tail(a: ArrayLike, b: ArrayLike, p: ArrayLike, q: ArrayLike) -> Floats:
    """Logarithm of P(Beta(a, b) > p)."""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    p, q = np.asarray(p, dtype=float), np.asarray(q, dtype=float)
    a, b, p, q = np.broadcast_arrays(a, b, p, q)
    tail = np.asarray(betaincc(a, b, p))
    found = np.asarray(np.log(np.maximum(tail, _TINY)))
    far = tail < _FAR
    if np.any(far):
        fraction = _continued_fraction(b[far], a[far], q[far])
        found[far] = log_beta_odds_density(a[far], b[far], p[far], q[far]) + np.log(
            fraction / b[far]
        )
    return found


def log_hazard(a: ArrayLike, b: ArrayLike, p: ArrayLike, q: ArrayLike) -> Floats:
    """Logarithm of the log-odds' density at p over the chance to be above p, of Beta(a, b)."""
    return log_beta_odds_density(a, b, p, q) - log_upper_tail(a, b, p, q)


def _continued_fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    """I_x(a, b) is x^a (1-x)^b / (a B(a, b)) times this (DLMF 8.17.22, Lentz's method)."""
    c = np.ones_like(a)
    d = 1 / (1 - (a + b) * x / (a + 1))
    whole = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / (1 + even * d)
        c = 1 + even / c
        whole = whole * d * c
        d = 1 / (1 + odd * d)
        c = 1 + odd / c
        step = d * c
        whole = whole * step
        if np.all(np.abs(step - 1) < 1e-13):
            break
    return whole
