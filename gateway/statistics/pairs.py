"""Two answers to the same request: what shadows give, and what a covariate saves.

A pair has no difference of traffic in it, so it needs several times fewer requests than two
arms do. Outcomes are compared by the pairs that differ (McNemar: the sign test), figures by
their differences, labels by the share of pairs that disagree. Each has an exact or fixed test
for one look and evidence for any number of looks.

Sums of a pair's two figures are a `Joint` with the challenger's on top and the champion's at
the bottom. In CUPED the covariate is at the bottom: a value from before the experiment, or
the champion's figure for the same request.

Sources: McNemar 1947; Deng, Xu, Kohavi and Walker 2013 (CUPED); `events` and `sequences`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, logsumexp, stdtr, stdtrit

from gateway.statistics.events import log_e_events
from gateway.statistics.means import Joint, JointPair, Moments
from gateway.statistics.sequences import (
    UNKNOWN,
    Contrast,
    Direction,
    Estimate,
    Interval,
    bound_of,
    contrast,
    difference,
    log_e_of,
    mixture_time,
)

Side = Literal["either", "higher", "lower"]

_BETS = 0.5 ** np.arange(0.25, 8, 0.25)  # parts of the wealth; of a small effect the best is small


class FixedTest(NamedTuple):
    """An estimate, its interval and p-value: of one look, planned beforehand."""

    estimate: float
    low: float
    high: float
    p: float


# Outcomes: ok or not, valid or not, preferred or not


def sign_test(higher: int, lower: int, *, direction: Side = "either") -> float:
    """p-value of "as often higher as lower", exact; ties are left out. One look.

    McNemar's exact test is this on the pairs of which only one side failed.
    """
    n = higher + lower
    if n == 0:
        return 1.0
    if direction == "either":
        return min(2 * _at_least(max(higher, lower), n), 1.0)
    return _at_least(higher if direction == "higher" else lower, n)


def mcnemar(only_champion_ok: int, only_challenger_ok: int, *, direction: Side = "either") -> float:
    """p-value of "both fail as often", from the pairs that differ; `higher`: challenger's more."""
    return sign_test(only_champion_ok, only_challenger_ok, direction=direction)


def log_e_signs(higher: int, lower: int) -> float:
    """Evidence that a pair is higher more often than lower, valid however often one looks."""
    return log_e_events(higher, lower, 0.5)


def log_e_outcomes(
    worse: int,
    better: int,
    both: int,
    *,
    margin: float = 0.0,
    direction: Literal["higher", "lower"] = "higher",
) -> float:
    """Evidence that the challenger fails more (less) than 1 + margin times as often, from pairs.

    `worse`, `better` and `both` count the pairs in which the challenger alone, the champion
    alone, and both of them failed. With a margin those matter in which both did: challengers
    that fail 1.1 times as often, mostly together with the champion, fail alone far more than
    1.1 times as often as it does.

    The bet is on W = x - (1 + margin) y, of a pair's failures x and y, whose mean the null puts
    at no more (less) than 0: 1 + b W for each, averaged over a grid of b. Without a margin it
    is the evidence of signs.
    """
    if margin == 0:
        return log_e_events(worse, better, 0.5, direction=direction)
    factor = 1 + margin
    sign = 1.0 if direction == "higher" else -1.0
    gains = np.array([1.0, -factor, 1 - factor]) * sign
    most = max(-float(np.min(gains)), 1e-9)  # W is never below it: the wealth stays above 0
    paid = np.log1p(np.multiply.outer(_BETS / most, gains)) @ np.array([worse, better, both])
    return float(logsumexp(paid)) - math.log(_BETS.size)


def log_e_share(hits: int, n: int, limit: float) -> float:
    """Evidence that a share is above `limit`, valid however often one looks.

    For the share of pairs that disagree: `log_e_share(disagreeing, compared, 0.02)`.
    """
    if limit <= 0:
        return math.inf if hits else 0.0
    return log_e_events(hits, n - hits, limit)


def log_e_share_below(hits: int, n: int, limit: float) -> float:
    """Evidence that a share is below `limit`: what it takes to pass."""
    return log_e_share(n - hits, n, 1 - limit)


def _at_least(k: int, n: int) -> float:
    """P(X >= k) of n fair coins."""
    return float(betainc(k, n - k + 1, 0.5)) if k > 0 else 1.0


# Figures: latency, cost, tokens, scores


def joint_of(challenger: ArrayLike, champion: ArrayLike) -> Joint:
    """Sums of figures that are at hand one by one."""
    x, y = np.asarray(challenger, dtype=float), np.asarray(champion, dtype=float)
    sums = (x, y, x * x, y * y, x * y)
    return Joint(x.size, *(float(np.sum(each)) for each in sums))


def differences(pairs: Joint, ratio: float = 1.0) -> Moments:
    """Moments of the challenger's figure less `ratio` times the champion's."""
    squares = pairs.top_squares - 2 * ratio * pairs.products + ratio**2 * pairs.bottom_squares
    return Moments(pairs.n, pairs.top - ratio * pairs.bottom, max(squares, 0.0))


def paired_difference(
    pairs: Joint,
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    planned: float = 5000,
) -> Interval:
    """Mean of challenger less champion; null: at most (least, with `lower`) `margin`, absolute.

    Asymptotic, valid however often one looks; `planned` is a number of pairs.
    """
    each = differences(pairs).estimate
    if not each.is_known:
        return UNKNOWN
    mean = pairs.bottom / pairs.n
    found = Contrast(mean, mean + each.value, 0.0, each.variance, pairs.n)
    return difference(found, alpha, margin=margin, direction=direction, planned=planned)


def paired_ratio(
    pairs: Joint,
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    planned: float = 5000,
) -> Interval:
    """Challenger's mean over champion's, of figures not negative; null: at most 1 + margin.

    Fieller's interval with the pairs' covariance; valid however often one looks.
    """
    each = differences(pairs, 1 + margin).estimate
    if not each.is_known or pairs.bottom <= 0:
        return UNKNOWN
    t = float(mixture_time(pairs.n, alpha, direction=direction, planned=planned))
    scale = max(abs(pairs.top), pairs.bottom) / pairs.n
    error = max(math.sqrt(each.variance), 1e-9 * scale)  # figures that never vary: nine digits
    log_e = float(log_e_of(each.value / error, t, direction=direction))
    found = pairs.top / pairs.bottom
    low, high = _fieller(pairs, bound_of(t, alpha, direction=direction))
    low = 0.0 if direction == "lower" else min(low, found)  # rounding, where nothing varies
    high = math.inf if direction == "higher" else max(high, found)
    return Interval(found, low, high, log_e)


def _fieller(pairs: Joint, z: float) -> tuple[float, float]:
    """Ratios r with |x - r y| <= z sqrt(var x - 2 r cov + r^2 var y); 0, inf where no end is."""
    x, y, variance, covariance, base = _of_means(pairs)
    a, b, c = y * y - z * z * base, x * y - z * z * covariance, x * x - z * z * variance
    if a <= 0:
        return 0.0, math.inf
    root = math.sqrt(max(b * b - a * c, 0.0))
    return max((b - root) / a, 0.0), (b + root) / a


def _of_means(pairs: Joint) -> tuple[float, float, float, float, float]:
    """Both means, and their variances and covariance."""
    n = pairs.n
    x, y = pairs.top / n, pairs.bottom / n
    scale = n * (n - 1)
    return (
        x,
        y,
        max(pairs.top_squares - n * x * x, 0.0) / scale,
        (pairs.products - n * x * y) / scale,
        max(pairs.bottom_squares - n * y * y, 0.0) / scale,
    )


def paired_test(pairs: Joint, alpha: float) -> FixedTest:
    """Student's test of the differences: for one look at the end of a shadow."""
    each = differences(pairs).estimate
    if not each.is_known:
        return FixedTest(math.nan, -math.inf, math.inf, 1.0)
    error, freedom = math.sqrt(each.variance), pairs.n - 1
    reach = float(stdtrit(freedom, 1 - alpha / 2)) * error
    t = each.value / error if error else math.copysign(math.inf, each.value) if each.value else 0.0
    p = float(2 * stdtr(freedom, -abs(t)))
    return FixedTest(each.value, each.value - reach, each.value + reach, p)


# Covariates


def cuped(outcomes: ArrayLike, covariates: ArrayLike) -> NDArray[np.float64]:
    """Outcomes less what the covariate foretold; the same mean, variance times 1 - rho^2."""
    y, x = np.asarray(outcomes, dtype=float), np.asarray(covariates, dtype=float)
    adjusted: NDArray[np.float64] = y - slope([joint_of(y, x)]) * (x - np.mean(x))
    return adjusted


def slope(arms: Sequence[Joint]) -> float:
    """cov(outcome, covariate) / var(covariate), within arms; 0 where the covariate is constant."""
    known = [(arm.n * (arm.n - 1), _of_means(arm)) for arm in arms if arm.n > 1]
    spread = math.fsum(size * base for size, (_, _, _, _, base) in known)
    together = math.fsum(size * covariance for size, (_, _, _, covariance, _) in known)
    return together / spread if spread > 0 else 0.0


def correlation(arm: Joint) -> float:
    """Of outcome and covariate; the variance that is left is 1 - rho^2."""
    if arm.n < 2:
        return 0.0
    _, _, variance, covariance, base = _of_means(arm)
    both = math.sqrt(variance * base)
    return min(max(covariance / both, -1.0), 1.0) if both > 0 else 0.0


def adjusted_difference(
    periods: Sequence[JointPair],
    alpha: float,
    *,
    margin: float = 0.0,
    direction: Direction = "either",
    planned: float = 5000,
) -> Interval:
    """`mean_difference` of two arms' outcomes (top), each adjusted by its covariate (bottom).

    Champion and challenger of each period. One slope for all, so that it favours no arm.
    """
    theta = slope([arm for pair in periods for arm in pair])
    found = contrast(
        (_adjusted(champion, theta, middle), _adjusted(challenger, theta, middle))
        for champion, challenger in periods
        for middle in (_covariate_mean(champion, challenger),)
    )
    return difference(found, alpha, margin=margin, direction=direction, planned=planned)


def _covariate_mean(champion: Joint, challenger: Joint) -> float:
    return (champion.bottom + challenger.bottom) / max(champion.n + challenger.n, 1)


def _adjusted(arm: Joint, theta: float, middle: float) -> Estimate:
    left = differences(arm, theta).estimate
    return left._replace(value=left.value + theta * middle)


def projected(pairs: Joint, champion: Moments) -> Estimate:
    """The challenger's mean over all of the champion's traffic, from the copied part of it.

    x - theta (y of the pairs - y of all): the champion's figures for requests that were not
    copied tell how the copied ones differ from the rest.
    """
    theta = slope([pairs])
    left, whole = differences(pairs, theta).estimate, champion.estimate
    return Estimate(
        left.value + theta * whole.value, left.variance + theta**2 * whole.variance, pairs.n
    )
