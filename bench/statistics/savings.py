"""What pairs and covariates save: variance, and requests until a difference is known.

The outcome and its covariate are normal with correlation rho; in a shadow the covariate is
the champion's figure for the same request.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.statistics.figure import Row, above
from gateway.statistics.means import Moments, mean_difference
from gateway.statistics.pairs import (
    adjusted_difference,
    joint_of,
    log_e_signs,
    paired_difference,
    sign_test,
)

VARIANCE = "CUPED: variance that is left"
PAIRED = "Requests until a difference of 0.2 standard deviations is known (median), 5 %"
SIGNS = "Pairs that differ: 8 % to 5 % of failures"
RHOS = (0.0, 0.5, 0.7, 0.9)
ALPHA, SHIFT, STEP, LONGEST = 0.05, 0.2, 50, 12_000
Values = NDArray[np.float64]


def rows(runs: int, seed: int) -> list[Row]:
    """All tables."""
    found = [row for rho in RHOS for row in variance(rho, runs, seed)]
    found += [row for rho in RHOS for row in waiting(rho, max(runs // 4, 20), seed)]
    return found + signs(runs, seed)


def correlated(rng: np.random.Generator, rho: float, n: int) -> tuple[Values, Values]:
    """An outcome and its covariate."""
    covariate = rng.normal(size=n)
    return rho * covariate + math.sqrt(1 - rho**2) * rng.normal(size=n), covariate


def variance(rho: float, runs: int, seed: int) -> list[Row]:
    """Of the difference of two arms of 1,000, and whether its interval still holds."""
    rng = np.random.default_rng((seed, round(100 * rho)))
    plain, adjusted, missed = [], [], 0
    for _ in range(runs):
        arms = [joint_of(*correlated(rng, rho, 1000)) for _ in range(2)]
        found = adjusted_difference([(arms[0], arms[1])], ALPHA, planned=2000)
        adjusted.append(found.estimate)
        plain.append((arms[1].top - arms[0].top) / 1000)
        missed += not found.low <= 0 <= found.high
    left, told = float(np.var(adjusted) / np.var(plain)), 1 - rho**2
    spread = 5 * told * math.sqrt(2 / runs)  # of a ratio of two variances, and some
    row = partial(Row, table=VARIANCE, case=f"rho {rho}")
    return [
        row(figure="measured", measured=left, least=told - spread, most=told + spread),
        row(figure="1 - rho^2", measured=told),
        row(figure="interval misses", measured=missed / runs, most=above(ALPHA, runs)),
    ]


def waiting(rho: float, runs: int, seed: int) -> list[Row]:
    """Requests of the challenger until each interval leaves 0, looked at every 50."""
    rng = np.random.default_rng((seed, round(100 * rho), 1))
    arms, adjusted, pairs = [], [], []
    for _ in range(runs):
        x, a = correlated(rng, rho, LONGEST)
        y, b = correlated(rng, rho, LONGEST)
        arms.append(_until(partial(_of_arms, x + SHIFT, y)))
        adjusted.append(_until(partial(_of_covariates, (x + SHIFT, a), (y, b))))
        pairs.append(_until(partial(_of_pairs, x + SHIFT, a)))
    row = partial(Row, table=PAIRED, case=f"rho {rho}")
    return [
        row(figure="two arms", measured=float(np.median(arms))),
        row(figure="two arms, CUPED", measured=float(np.median(adjusted))),
        row(figure="pairs", measured=float(np.median(pairs))),
    ]


def signs(runs: int, seed: int) -> list[Row]:
    """McNemar's test and its evidence: false alarms and power, 2,000 pairs, 40 looks."""
    rng = np.random.default_rng((seed, 3))
    looks = np.arange(STEP, 2001, STEP)
    found = []
    for worse, name in ((0.05, "no change"), (0.08, "8 % against 5 %")):
        fixed = sequential = 0
        for _ in range(runs):
            drawn = rng.random(2000)
            higher = np.cumsum(drawn < worse)
            lower = np.cumsum(drawn > 0.95)
            fixed += sign_test(int(higher[-1]), int(lower[-1]), direction="higher") <= ALPHA
            counts = {(int(higher[n - 1]), int(lower[n - 1])) for n in looks}
            sequential += any(log_e_signs(*each) >= -math.log(ALPHA) for each in counts)
        most = above(ALPHA, runs) if worse == 0.05 else math.inf
        row = partial(Row, table=SIGNS, case=name, most=most)
        found += [
            row(figure="exact test, one look", measured=fixed / runs),
            row(figure="evidence, 40 looks", measured=sequential / runs),
        ]
    return found


def _until(knows: Callable[[int], bool]) -> int:
    """The first look at which it knows, by doubling and halving: what is known stays known."""
    low, high = 1, LONGEST // STEP
    while low < high:
        middle = (low + high) // 2
        if knows(middle * STEP):
            high = middle
        else:
            low = middle + 1
    return low * STEP


def _of_arms(x: Values, y: Values, n: int) -> bool:
    pair = (_moments(y[:n]), _moments(x[:n]))
    return mean_difference([pair], ALPHA, planned=2000).low > 0


def _of_covariates(
    challenger: tuple[Values, Values], champion: tuple[Values, Values], n: int
) -> bool:
    arms = [joint_of(outcome[:n], covariate[:n]) for outcome, covariate in (champion, challenger)]
    return adjusted_difference([(arms[0], arms[1])], ALPHA, planned=2000).low > 0


def _of_pairs(x: Values, y: Values, n: int) -> bool:
    return paired_difference(joint_of(x[:n], y[:n]), ALPHA, planned=1000).low > 0


def _moments(values: Values) -> Moments:
    return Moments(values.size, float(np.sum(values)), float(np.sum(values**2)))
