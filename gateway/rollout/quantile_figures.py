"""The ratio of two arms' quantiles, for reading beside a verdict that exceedances have given.

Rule: none below `fewest` values of an arm: there it is as likely noise as not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gateway.config.rollouts import Gate
from gateway.edges import fine_edges
from gateway.rollout.comparisons import Stretch
from gateway.rollout.counts import Histogram
from gateway.rollout.metrics import Metric
from gateway.statistics.quantiles import quantile_ratio
from gateway.statistics.sequences import Interval

_EDGES = fine_edges()


def ratio_of(
    stretches: Sequence[Stretch], gate: Gate, metric: Metric, fewest: int
) -> Interval | None:
    """How many times the champion's quantile the challenger's is; None: not known."""
    if metric.histogram is None:
        return None
    served = [one for one in stretches if 0 < one.share < 1]
    champion = _sum(metric.histogram(one.champion) for one in served)
    challenger = _sum(metric.histogram(one.challenger) for one in served)
    if min(champion.total(), challenger.total()) < fewest:
        return None
    quantile = int(gate.quantile[1:]) / 100
    found = quantile_ratio(champion, challenger, _EDGES, quantile)
    return Interval(found.ratio, found.low, found.high, 0.0) if not found.needed else None


def _sum(histograms: Iterable[Histogram]) -> Counter[int]:
    whole: Counter[int] = Counter()
    for one in histograms:
        whole.update(one)
    return whole
