"""Edges of the board's log-linear histograms, as `_fast/histogram.pxd` writes them.

A histogram has 2**shift buckets for each power of two: bucket i below 2**shift holds the
value i, the bucket (exponent, mantissa) above holds the values whose leading shift + 1 bits
are the same. Every edge below the last is a whole number that a float holds exactly.

Knows nothing of the board, of workers or of what is counted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FINE_SHIFT, COARSE_SHIFT = 7, 4
FINE_BUCKETS, COARSE_BUCKETS = 4608, 624
_LAST = FINE_BUCKETS - 1

Edges = NDArray[np.uint64]


def lower_edges(buckets: int, shift: int) -> Edges:
    """The smallest value of each bucket."""
    index = np.arange(buckets, dtype=np.int64)
    exponent = np.maximum((index >> shift) - 1, 0)
    mantissa = np.where(index >> shift == 0, index, index - (exponent << shift))
    edges: Edges = (mantissa << exponent).astype(np.uint64)
    return edges


def fine_edges() -> NDArray[np.float64]:
    """Of the fine histogram, with the end of its last bucket behind them."""
    return lower_edges(FINE_BUCKETS + 1, FINE_SHIFT).astype(np.float64)


def bucket_of(value: int) -> int:
    """The bucket of the fine histogram that a value counts in."""
    exponent = max(value.bit_length() - 1 - FINE_SHIFT, 0)
    return min((exponent << FINE_SHIFT) + (value >> exponent), _LAST)


def lower_edge(bucket: int) -> int:
    """The smallest value that counts in a bucket of the fine histogram."""
    exponent = max((bucket >> FINE_SHIFT) - 1, 0)
    return (bucket - (exponent << FINE_SHIFT)) << exponent


def bucket_from(value: float) -> int:
    """The first bucket of the fine histogram whose values are all at least so large."""
    bucket = bucket_of(int(value))
    return bucket if lower_edge(bucket) >= value else min(bucket + 1, _LAST)
