"""Reading the board's log-linear histograms: midpoints, quantiles, counts at given bounds.

Where the buckets begin is in `edges`; this module only reads arrays of counts.

Cost: numpy over a few thousand counts; for readers, never for requests.
Knows nothing of the board, of workers or of what is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.edges import FINE_SHIFT, lower_edges
from gateway.telemetry import NANO

Counts = NDArray[np.uint64]


def midpoints(buckets: int, shift: int) -> Counts:
    """The value that stands for each bucket: within 1 / 2**(shift + 1) of all in it."""
    edges = lower_edges(buckets + 1, shift)
    middles: Counts = edges[:-1] + (edges[1:] - edges[:-1]) // np.uint64(2)
    return middles


def splits(bounds_s: Sequence[float], buckets: int, shift: int = FINE_SHIFT) -> NDArray[np.intp]:
    """0, and for each bound the first bucket above it: the edge nearest to the bound.

    Why: a bound in seconds is no bucket's edge; the nearest is within half a bucket, 0.4 %.
    """
    edges = lower_edges(buckets, shift).astype(np.float64) * NANO
    bounds = np.asarray(bounds_s)
    above = np.clip(np.searchsorted(edges, bounds), 1, buckets - 1)
    is_nearer_below = bounds - edges[above - 1] < edges[above] - bounds
    return np.concatenate(([0], np.where(is_nearer_below, above - 1, above)))


def counts_within(counts: NDArray[Any], at: NDArray[np.intp]) -> list[int]:
    """Values at or below each bound of `splits`, and of all: cumulative, as `le` wants them."""
    within: list[int] = np.add.reduceat(counts, at).cumsum().tolist()
    return within


def quantiles(counts: NDArray[Any], values: Counts, wanted: Sequence[float]) -> list[int | None]:
    """The nearest-rank quantiles of the counted values; None where nothing was counted."""
    running = np.cumsum(counts, dtype=np.uint64)
    total = int(running[-1])
    if total == 0:
        return [None] * len(wanted)
    ranks = [min(max(int(np.ceil(q * total)), 1), total) for q in wanted]
    return [int(values[at]) for at in np.searchsorted(running, ranks)]
