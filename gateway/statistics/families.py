"""Several questions at once: which answers stand, and what they say together.

e-BH (Wang & Ramdas, JRSS-B 2022) keeps the expected share of false rejections below alpha
whatever the e-values have to do with each other, as metrics of the same requests do.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp


def e_bh(log_e: Sequence[float], alpha: float) -> list[bool]:
    """Which are rejected: the k largest, k the greatest with e_(k) >= K / (k alpha)."""
    count = len(log_e)
    order = sorted(range(count), key=lambda at: -log_e[at])
    rejected = 0
    for k, at in enumerate(order, start=1):
        if log_e[at] >= math.log(count / (k * alpha)):
            rejected = k
    chosen = set(order[:rejected])
    return [at in chosen for at in range(count)]


def log_mean(log_e: Sequence[float]) -> float:
    """The average of e-values that may depend on each other; 0 of none.

    Evidence against all their nulls together, and two-sided evidence from both sides.
    """
    if not log_e:
        return 0.0
    if max(log_e) == math.inf:
        return math.inf
    return float(logsumexp(np.asarray(log_e))) - math.log(len(log_e))


def p_value(log_e: float) -> float:
    """Anytime-valid: min(1, 1/e)."""
    return math.exp(-max(log_e, 0.0))


def adjusted(p: NDArray[np.float64], *, dependent: bool = False) -> NDArray[np.float64]:
    """p-values such that rejecting those at most alpha keeps false discoveries below alpha.

    Benjamini & Hochberg 1995; where tests may depend on each other in any way, Benjamini &
    Yekutieli 2001. If nothing is to be found, anything is rejected with probability alpha.
    """
    count = p.size
    if not count:
        return p
    order = np.argsort(p)
    ranks = np.arange(1, count + 1)
    factor = float(np.sum(1 / ranks)) if dependent else 1.0
    scaled = p[order] * (count * factor) / ranks
    found = np.empty(count)
    found[order] = np.minimum.accumulate(scaled[::-1])[::-1]
    return np.minimum(found, 1.0, out=found)
