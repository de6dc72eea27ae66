"""Latency: how often intervals of a ratio of p99s hold the truth, and what detects a slower tail.

Lognormal latencies (sigma 0.8), equal arms; power is for a challenger 15 % slower throughout.
"""

import math
from collections import Counter
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench.statistics.figure import Row, above, below
from gateway.edges import fine_edges
from gateway.statistics.events import log_e_array
from gateway.statistics.quantiles import (
    Edges,
    QuantileRatio,
    exceedance_test,
    quantile_ratio,
    uniform_radius,
)

COVERAGE = "95 % interval of the ratio of two p99s"
EXCEEDANCE = "Requests above the champion's frozen p99"
BAND = "Band on the whole distribution, looked at 50 times, 5 %"
SIGMA, MIDDLE, P99, SLOWER, ALPHA = 0.8, 18.0, 0.99, 1.15, 0.05
SIZES = (500, 2000, 5000, 20_000)
Values = NDArray[np.float64]


def edges_of(step: float) -> Edges:
    """Edges that are a share `step` apart."""
    edges: Edges = np.exp(np.arange(MIDDLE - 6, MIDDLE + 7, math.log1p(step)))
    return edges


GRIDS = {
    "exact": edges_of(1e-5),
    "1 %": edges_of(0.01),
    "0.2 %": edges_of(0.002),
    "the board's": fine_edges(),
}
OURS = GRIDS["the board's"]


def rows(runs: int, seed: int) -> list[Row]:
    """All tables."""
    found = [row for n in SIZES for row in coverage(n, runs, seed)]
    found += [row for n in SIZES for row in exceedance(n, runs, seed)]
    return found + band(runs, seed)


def counted(values: Values, edges: Edges) -> Counter[int]:
    """The histogram of some values."""
    return Counter((np.searchsorted(edges, values, side="right") - 1).tolist())


def latencies(rng: np.random.Generator, n: int) -> Values:
    """Nanoseconds."""
    return rng.lognormal(MIDDLE, SIGMA, n)


def coverage(n: int, runs: int, seed: int) -> list[Row]:
    """How often the interval holds 1, how wide it is, and how often it sees 15 % more."""
    rng = np.random.default_rng((seed, n))
    held: Counter[str] = Counter()
    seen, widths = 0, []
    for _ in range(runs):
        champion, challenger = latencies(rng, n), latencies(rng, n)
        for name, edges in GRIDS.items():
            found = _ratio(champion, challenger, edges)
            held[name] += found.low <= 1 <= found.high
        widths.append(math.expm1(1.96 * _ratio(champion, challenger, OURS).log_error))
        seen += _ratio(champion, challenger * SLOWER, OURS).low > 1
    case = f"{n:,} values of each arm"
    row = partial(Row, table=COVERAGE, case=case)
    return [
        *(
            row(
                figure=f"coverage, {name} buckets",
                measured=held[name] / runs,
                least=below(0.93, runs),
            )
            for name in GRIDS
        ),
        row(figure="half-width", measured=float(np.median(widths))),
        row(figure="power for +15 %", measured=seen / runs),
    ]


def _ratio(champion: Values, challenger: Values, edges: Edges) -> QuantileRatio:
    return quantile_ratio(counted(champion, edges), counted(challenger, edges), edges, P99)


def exceedance(n: int, runs: int, seed: int) -> list[Row]:
    """The exact test at the end, and evidence looked at 50 times, of a p99 frozen before.

    The frozen edge comes from 100,000 earlier requests of the champion.
    """
    rng = np.random.default_rng((seed, n, 1))
    frozen = float(np.quantile(latencies(rng, 100_000), P99))
    looks = np.linspace(n / 50, n, 50).astype(int)
    case = f"{n:,} requests of each arm"
    found = []
    for slower, name in ((1.0, "no change"), (SLOWER, "+15 %")):
        fixed = sequential = 0
        for _ in range(runs):
            champion = np.cumsum(latencies(rng, n) > frozen)
            challenger = np.cumsum(latencies(rng, n) * slower > frozen)
            fixed += exceedance_test(int(challenger[-1]), n, int(champion[-1]), n) <= ALPHA
            log_e = log_e_array(challenger[looks - 1], champion[looks - 1], 0.5)
            sequential += bool(np.any(log_e >= -math.log(ALPHA)))
        most = above(ALPHA, runs) if slower == 1 else math.inf
        least = 0.0 if slower == 1 or n < 5000 else 0.70
        row = partial(Row, table=EXCEEDANCE, case=case, most=most)
        found += [
            row(figure=f"{name}: exact test, one look", measured=fixed / runs, least=least),
            row(figure=f"{name}: evidence, 50 looks", measured=sequential / runs),
        ]
    return found


def band(runs: int, seed: int) -> list[Row]:
    """How often the distribution ever leaves its band."""
    rng = np.random.default_rng((seed, 2))
    looks = np.linspace(100, 5000, 50).astype(int)
    left = 0
    for _ in range(runs):
        values = rng.random(5000)
        left += any(
            _distance(np.sort(values[:n])) > uniform_radius(int(n), ALPHA, first=100) for n in looks
        )
    measured = left / runs
    return [Row(table=BAND, case="uniform values", figure="left", measured=measured, most=ALPHA)]


def _distance(ordered: Values) -> float:
    n = ordered.size
    steps = np.arange(n + 1) / n
    return float(max(np.max(steps[1:] - ordered), np.max(ordered - steps[:-1])))
