"""The ratio of two arms' quantiles, for reading beside a verdict that exceedances have given.

Rule: none below `fewest` values of an arm: there it is as likely noise as not.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.config.rollouts import Gate
from gateway.rollout.comparisons import Stretch
from gateway.rollout.counts import ArmCounts, size
from gateway.rollout.metrics import Metric
from gateway.statistics.quantiles import log_linear_edges, quantile_ratio
from gateway.statistics.sequences import Interval

_EDGES = log_linear_edges(4608, 7)  # of the board's fine histogram


def ratio_of(
    stretches: Sequence[Stretch], gate: Gate, metric: Metric, fewest: int
) -> Interval | None:
    """How many times the champion's quantile the challenger's is; None: not known."""
    if metric.histogram is None:
        return None
    champion, challenger = ArmCounts(), ArmCounts()
    for one in stretches:
        if 0 < one.share < 1:
            champion = champion.plus(ArmCounts(total_ns=metric.histogram(one.champion)))
            challenger = challenger.plus(ArmCounts(total_ns=metric.histogram(one.challenger)))
    if min(size(champion.total_ns), size(challenger.total_ns)) < fewest:
        return None
    quantile = int(gate.quantile[1:]) / 100
    found = quantile_ratio(champion.total_ns, challenger.total_ns, _EDGES, quantile)
    return Interval(found.ratio, found.low, found.high, 0.0) if not found.needed else None
