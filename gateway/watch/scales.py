"""Whether values are a well-known number of times what they were: cents for euros.

The factor is one of FACTORS, or one divided by it. Mean and deviation have to be those of the
reference times the factor, and so has the share of values up to each of the frozen edges, as
far as the counts between two edges can tell.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gateway.profiles.profile import Profile

Floats = NDArray[np.float64]

FEW = 30  # values, below which moments say nothing
FACTORS = (
    *(10.0**power for power in range(1, 10)),
    *(24.0, 60.0, 3600.0, 86_400.0, 1024.0, 2.0**20, 2.0**30),  # of time, of bytes
    *(1.609344, 2.2046226, 2.54, 3.280839895, 3.6),  # miles, pounds, inches, feet, m/s
)
_ALL = np.array([*FACTORS, *(1 / factor for factor in FACTORS)])
_LOGS = np.log(_ALL)
_IS_ROUND = np.isclose(np.log10(_ALL) % 1, 0)  # powers of ten: the likelier ones
LEAST_LOG = 0.02
MOST_LOG = 0.15  # how far a ratio may be from a factor
MOST_SMALL = 0.05  # likewise of factors below five: chance has those more often
_MOST = np.where(np.abs(_LOGS) >= math.log(5), MOST_LOG, MOST_SMALL)
SPREAD = 2.0  # times that the deviation may be off: it has a heavy tail


def factor_of(then: Profile, now: Profile) -> float:
    """The factor; 0 none."""
    if not then.field.is_ordered or min(then.values, now.values) < FEW:
        return 0.0
    spread = then.deviation
    if not spread > 0 or not now.deviation > 0:
        return 0.0
    is_centred = abs(then.mean) < 0.3 * spread
    ratio = now.deviation / spread if is_centred else now.mean / then.mean
    if ratio <= 0:
        return 0.0
    error = math.sqrt(1 / then.values + 1 / now.values)
    error *= 1.0 if is_centred else spread / abs(then.mean)
    apart = np.abs(_LOGS - math.log(ratio))
    # Why four standard errors: what a mean may be off by in samples of these sizes.
    near = apart <= np.minimum(LEAST_LOG + 4 * error, _MOST)
    order = np.lexsort((apart, ~_IS_ROUND))
    for at in order[near[order]].tolist():
        factor = float(_ALL[at])
        if _is_scaled(then, now, factor):
            return factor
    return 0.0


def _is_scaled(then: Profile, now: Profile, factor: float) -> bool:
    """Whether spread, and the share up to each edge, are what they are after scaling."""
    if abs(math.log(now.deviation / then.deviation / factor)) > math.log(SPREAD):
        return False
    edges = np.array(then.field.edges)
    before, after = _below(then), _below(now)
    # Within a bin nobody knows where its values are: the share is between those at its edges.
    padded = np.concatenate([[0.0], before, [1.0]])
    at = np.searchsorted(edges, edges / factor, side="right")
    gap = np.maximum(padded[at] - after, after - padded[at + 1])
    noise = 2 * math.sqrt(1 / then.values + 1 / now.values)
    return bool(gap.max() <= noise + 0.05)


def _below(profile: Profile) -> Floats:
    """Share of the values up to each edge."""
    counts = profile.counts[: profile.field.bins]
    shares: Floats = np.cumsum(counts)[:-1] / profile.values
    return shares
