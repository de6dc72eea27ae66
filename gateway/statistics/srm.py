"""Whether units were shared out as drawn: the sequential check of sample ratios.

Multinomial against a Dirichlet mixture around the drawn shares (Lindon & Malek, NeurIPS
2022): E = B(α + n)/B(α) Π θ_i^(-n_i), α = weight · θ. Valid however often one looks; the same
check serves each hop: assigned, dispatched, answered, recorded, rated.

Rule: counts of periods with other shares are not added: their log e are.
"""

import math
from collections.abc import Sequence

import numpy as np

from gateway.statistics.tails import Floats, deviance, stirling_remainder


def log_e_srm(counts: Sequence[int], shares: Sequence[float], *, weight: float = 100.0) -> float:
    """Evidence that units are not shared out as drawn; inf when an arm without a share has some.

    `weight`: how near to the drawn shares a fault is expected; units, as many as a prior of it.
    """
    if len(counts) != len(shares):
        raise ValueError(f"{len(counts)} counts for {len(shares)} shares; each arm has both")
    whole = math.fsum(shares)
    if whole <= 0 or any(share < 0 for share in shares):
        raise ValueError(f"shares {list(shares)} are not parts of anything")
    if any(count > 0 and share == 0 for count, share in zip(counts, shares, strict=True)):
        return math.inf
    drawn = [(n, share / whole) for n, share in zip(counts, shares, strict=True) if share > 0]
    n, theta = np.array(drawn, dtype=float).T
    return float(log_e_drawn(n, theta, weight))


def log_e_drawn(n: Floats, theta: Floats, weight: float = 100.0) -> Floats:
    """The same for arrays, arms along the last axis; `theta` > 0 adds to 1.

    log B(α + n)/B(α) with Stirling's remainders for log Γ (`tails`): what is large in it are
    deviances, each at least 0, and nothing cancels at 10^12 units.
    """
    alpha = weight * theta
    arms = n + alpha
    whole = np.sum(arms, axis=-1)
    # log Γ(z) = remainder(z) - ½ log z + z log z - z + …
    each = (
        deviance(arms, whole[..., None] * theta)
        + stirling_remainder(arms)
        - stirling_remainder(alpha)
        - 0.5 * np.log(arms / alpha)
    )
    all_ = stirling_remainder(whole) - stirling_remainder(weight) - 0.5 * np.log(whole / weight)
    return np.asarray(np.sum(each, axis=-1) - all_)
