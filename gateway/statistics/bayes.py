"""The Bayesian option: chance to beat the champion, and what choosing the challenger costs.

Shares have a Beta posterior, means a normal one. The expected loss is how much worse the
challenger is on average in those worlds where it is worse; a small one is a reason to stop
although nothing is certain.

Rule: these are statements about the posterior, not error rates. Looking again and again and
stopping at 95 % goes wrong far oftener than one time in twenty (docs/statistics-judges.md has
the figures); where that matters use `events` and `sequences`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, ndtr

Better = Literal["higher", "lower"]
Prior = tuple[float, float]

UNIFORM: Prior = (1.0, 1.0)
NODES = 200


class Belief(NamedTuple):
    """What is believed of challenger against champion."""

    chance: float  # that the challenger is the better one
    loss: float  # expected, of choosing the challenger though it is worse; in the metric's unit
    champion_loss: float  # expected, of staying with the champion though it is worse


def shares(
    champion: tuple[int, int],
    challenger: tuple[int, int],
    *,
    better: Better = "higher",
    prior: Prior = UNIFORM,
) -> Belief:
    """Of two shares, each (hits, n)."""
    a, b = _posterior(champion, prior), _posterior(challenger, prior)
    above, gain = _chance_above(b, a), _mean_excess(b, a)
    loss = gain - (_mean(b) - _mean(a))  # E(a - b)+ = E(b - a)+ - E(b - a)
    if better == "higher":
        return Belief(above, max(loss, 0.0), gain)
    return Belief(1 - above, gain, max(loss, 0.0))


def means(
    difference: float,
    standard_error: float,
    *,
    better: Better = "higher",
    prior_mean: float = 0.0,
    prior_deviation: float = math.inf,
) -> Belief:
    """Of a difference of means, challenger less champion, with a normal prior on it."""
    mean, deviation = difference, standard_error
    if math.isfinite(prior_deviation):
        weight = prior_deviation**2 / (prior_deviation**2 + standard_error**2)
        mean = weight * difference + (1 - weight) * prior_mean
        deviation = math.sqrt(weight) * standard_error
    mean = mean if better == "higher" else -mean
    if deviation <= 0:
        return Belief(float(mean > 0) + 0.5 * (mean == 0), max(-mean, 0.0), max(mean, 0.0))
    z = mean / deviation
    density = math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    gain = deviation * density + mean * float(ndtr(z))
    return Belief(float(ndtr(z)), max(gain - mean, 0.0), gain)


def _posterior(counted: tuple[int, int], prior: Prior) -> Prior:
    hits, n = counted
    return prior[0] + hits, prior[1] + n - hits


def _mean(beta: Prior) -> float:
    return beta[0] / (beta[0] + beta[1])


def _chance_above(upper: Prior, lower: Prior) -> float:
    """P(U > L): the distribution of L at U's quantiles, averaged."""
    places, weights = _nodes()
    at = betaincinv(*upper, places)
    return float(np.sum(weights * betainc(*lower, at)))


def _mean_excess(upper: Prior, lower: Prior) -> float:
    """E(U - L)+ = E U P(U' > L) - E L P(U > L'), each primed one with one hit more."""
    more_upper, more_lower = (upper[0] + 1, upper[1]), (lower[0] + 1, lower[1])
    first = _mean(upper) * _chance_above(more_upper, lower)
    return max(first - _mean(lower) * _chance_above(upper, more_lower), 0.0)


@lru_cache(maxsize=1)
def _nodes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss and Legendre's places on (0, 1)."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return (nodes + 1) / 2, weights / 2
