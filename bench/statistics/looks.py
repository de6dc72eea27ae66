"""What looking again does to tests that are not made for it, and to those that are.

Normal outcomes without a difference, looked at 5 and 200 times over a planned number.
"""

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from bench.statistics.figure import Row, above
from gateway.statistics.bayes import means
from gateway.statistics.sequences import bound_of, mixture_time
from gateway.statistics.sequential_groups import boundaries, continuous_boundary, pocock

FALSE = "False alarms without a difference, 5 % one-sided"
POWER = "Power for a difference of 3 standard errors at the planned number"
OVER = "Beyond the plan: 20 looks in it, 20 more after it"
ALPHA, PLANNED, SHIFT = 0.05, 10_000, 3.0
BELIEVED = 0.95
Values = NDArray[np.float64]


def rows(runs: int, seed: int) -> list[Row]:
    """All tables."""
    found = []
    for looks in (5, 200):
        parts = np.arange(1, looks + 1) / looks
        limits = limits_of(parts)
        for table, shift in ((FALSE, 0.0), (POWER, SHIFT)):
            z = walks(parts, shift, runs, seed)
            for name, limit in limits.items():
                is_valid = "z-test" not in name and "Bayes" not in name
                most = above(ALPHA, runs) if is_valid and not shift else math.inf
                measured = float(np.mean(np.any(z >= limit, axis=1)))
                row = partial(Row, table=table, case=name, figure=f"{looks} looks")
                found.append(row(measured=measured, most=most))
    return found + beyond(runs, seed)


def limits_of(parts: Values) -> dict[str, Values]:
    """The z that each test wants at each look."""
    return {
        "z-test at every look (invalid)": np.full(parts.size, -ndtri(ALPHA)),
        "Bayes, chance 95 % at every look": _believed(parts),
        "O'Brien-Fleming spending": np.array(boundaries(parts.tolist(), ALPHA)),
        "Pocock spending": np.array(boundaries(parts.tolist(), ALPHA, spending=pocock)),
        "continuous boundary": np.array([continuous_boundary(part, ALPHA) for part in parts]),
        "confidence sequence": _sequence(parts),
    }


def walks(parts: Values, shift: float, runs: int, seed: int) -> Values:
    """The z of each run at each look; its mean at part 1 is `shift`."""
    ahead = np.diff(parts, prepend=0.0)
    rng = np.random.default_rng((seed, parts.size, round(shift)))
    steps = rng.normal(shift * ahead, np.sqrt(ahead), (runs, parts.size))
    walked: Values = np.cumsum(steps, axis=1) / np.sqrt(parts)
    return walked


def beyond(runs: int, seed: int) -> list[Row]:
    """Going on after the plan: the spent boundary cannot reject, the last one kept does."""
    parts = np.arange(1, 41) / 20
    z = walks(parts, 0.0, runs, seed)
    limits = np.array(boundaries(parts.tolist(), ALPHA))
    kept = np.where(parts > 1, limits[19], limits)
    continuous = np.array([continuous_boundary(part, ALPHA) for part in parts])
    row = partial(Row, table=OVER, figure="false alarms")
    return [
        row(case="spent", measured=_rate(z, limits), most=above(ALPHA, runs)),
        row(case="continuous", measured=_rate(z, continuous), most=above(ALPHA, runs)),
        row(case="the last bound kept (invalid)", measured=_rate(z, kept)),
    ]


def _rate(z: Values, limits: Values) -> float:
    return float(np.mean(np.any(z >= limits, axis=1)))


def _believed(parts: Values) -> Values:
    """With a prior as wide as ten standard errors of the whole plan; by bisection."""
    errors = 1 / np.sqrt(parts)
    limits = []
    for error in errors:
        low, high = 0.0, 10.0
        for _ in range(40):
            z = (low + high) / 2
            is_sure = means(z * error, error, prior_deviation=10.0).chance >= BELIEVED
            low, high = (low, z) if is_sure else (z, high)
        limits.append(high)
    return np.array(limits)


def _sequence(parts: Values) -> Values:
    """The z where the evidence of a confidence sequence reaches 1 / alpha."""
    times = mixture_time(parts * PLANNED, ALPHA, direction="higher", planned=PLANNED)
    return np.array([bound_of(float(t), ALPHA, direction="higher") for t in times])
