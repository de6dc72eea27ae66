"""Intervals of shares and means of one sample, and whether two samples differ.

    wilson    of a share: the score interval (Wilson 1927); inside [0, 1], sound at 0 and n hits
    student   of a mean: Student's t from count, mean and variance
    on_scale  of what has a standard error on another scale: log keeps it positive, logit in [0, 1]
    combined  of a weighted sum of independent figures that have intervals: the recovered variances
              of Zou & Donner 2008 (MOVER), which keep the lopsidedness of each
    fewer     chance that a sample of an equal share would have so few hits: Fisher's exact test

Each interval is two-sided. Arguments are of one sample: counts, not shares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

Scale = Literal["plain", "log", "logit"]


class Bounds(NamedTuple):
    """A figure and its interval; nan where nothing is known."""

    value: float
    low: float
    high: float


UNKNOWN = Bounds(math.nan, math.nan, math.nan)


def wilson(hits: float, n: float, confidence: float = 0.95) -> Bounds:
    """So many of so many; `n` may be an effective size."""
    if n <= 0:
        return UNKNOWN
    z = normal_quantile(confidence)
    share, shrunk = hits / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / shrunk
    half = z / shrunk * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return Bounds(share, 0.0 if hits <= 0 else low, 1.0 if hits >= n else high)


def student(n: int, mean: float, variance: float, confidence: float = 0.95) -> Bounds:
    """Of values with this mean and this variance of one value."""
    if n < 2:
        return Bounds(mean, math.nan, math.nan)
    half = student_quantile(confidence, n - 1) * math.sqrt(max(variance, 0.0) / n)
    return Bounds(mean, mean - half, mean + half)


def on_scale(value: float, deviation: float, scale: Scale, quantile: float) -> Bounds:
    """`deviation` is the standard error of the scaled value; nan at the ends of a scale."""
    middle = scaled(value, scale)
    if not (math.isfinite(middle) and math.isfinite(deviation)):
        return Bounds(value, math.nan, math.nan)
    low, high = middle - quantile * deviation, middle + quantile * deviation
    return Bounds(value, unscaled(low, scale), unscaled(high, scale))


def combined(parts: Sequence[Bounds], weights: Sequence[float]) -> Bounds:
    """The weighted sum of independent figures; weights are positive."""
    value = math.fsum(w * part.value for w, part in zip(weights, parts, strict=True))
    below = math.fsum(
        (w * (part.value - part.low)) ** 2 for w, part in zip(weights, parts, strict=True)
    )
    above = math.fsum(
        (w * (part.high - part.value)) ** 2 for w, part in zip(weights, parts, strict=True)
    )
    return Bounds(value, value - math.sqrt(below), value + math.sqrt(above))


def fewer(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """Chance of at most `hits` of `n` where the shares are equal, given all hits together."""
    total = hits + other_hits
    least, most = max(0, total - other_n), min(n, total)
    if not 0 <= hits <= n or not 0 <= other_hits <= other_n:
        raise ValueError("hits are between 0 and n")
    k = np.arange(least, most + 1)
    logs = _log_choose(n, k) + _log_choose(other_n, total - k)
    shares = np.exp(logs - logs.max())
    return float(min(shares[: hits - least + 1].sum() / shares.sum(), 1.0))


def scaled(value: float, scale: Scale) -> float:
    """Infinite at the ends of a scale."""
    if scale == "plain":
        return value
    if scale == "log":
        return math.log(value) if value > 0 else -math.inf
    return float(special.logit(value))


def unscaled(value: float, scale: Scale) -> float:
    """The reverse."""
    if scale == "plain":
        return value
    return math.exp(min(value, 700.0)) if scale == "log" else float(special.expit(value))


def normal_quantile(confidence: float) -> float:
    """How many standard errors a two-sided interval is wide, to each side."""
    return float(special.ndtri((1 + confidence) / 2))


def student_quantile(confidence: float, degrees: float) -> float:
    """The same of Student's t."""
    return float(special.stdtrit(degrees, (1 + confidence) / 2))


def _log_choose(
    n: int, k: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    found: np.ndarray[tuple[int], np.dtype[np.float64]] = (
        special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    )
    return found
