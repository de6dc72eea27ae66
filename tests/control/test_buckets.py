"""Reading log-linear histograms, against the definition and the sorted list of values."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.buckets import counts_within, midpoints, quantiles, splits
from gateway.edges import lower_edges
from gateway.telemetry import LATENCY_S, OVERHEAD_S
from tests.control.histograms import COARSE, FINE, bucket_of

FINE_EDGES = lower_edges(FINE.buckets, FINE.shift)
VALUES = st.lists(st.integers(0, 2**41), min_size=1, max_size=200)


def counted(values: list[int]) -> np.ndarray:
    counts = np.zeros(FINE.buckets, dtype=np.uint64)
    for value in values:
        counts[bucket_of(value, FINE)] += 1
    return counts


def test_midpoint_is_within_the_stated_error() -> None:
    for shape in (FINE, COARSE):
        edges = lower_edges(shape.buckets + 1, shape.shift).astype(float)
        middles = midpoints(shape.buckets, shape.shift).astype(float)
        errors = np.maximum(edges[1:] - 1 - middles, middles - edges[:-1])
        assert (errors <= edges[:-1] / 2 ** (shape.shift + 1)).all()


def test_bounds_are_split_within_the_stated_error() -> None:
    for bounds in (LATENCY_S, OVERHEAD_S):
        at = splits(bounds, FINE.buckets)
        assert at[0] == 0
        actual = FINE_EDGES[at[1:]].astype(float) * 1e-9
        assert np.allclose(actual, bounds, rtol=0.004)


@given(VALUES)
def test_counts_within_bounds_are_the_values_below_the_nearest_edge(values: list[int]) -> None:
    at = splits(LATENCY_S, FINE.buckets)
    edges = FINE_EDGES[at[1:]]
    expected = [sum(value < edge for value in values) for edge in edges]
    assert counts_within(counted(values), at) == [*expected, len(values)]


@given(VALUES, st.sampled_from([0.5, 0.95, 0.99]))
def test_quantile_is_the_nearest_rank_within_the_stated_error(values: list[int], q: float) -> None:
    found = quantiles(counted(values), midpoints(FINE.buckets, FINE.shift), [q])[0]
    exact = sorted(values)[max(int(np.ceil(q * len(values))), 1) - 1]
    assert found is not None
    assert abs(found - exact) <= exact / 256 + 1


def test_quantiles_of_nothing_are_none() -> None:
    assert quantiles(counted([]), midpoints(FINE.buckets, FINE.shift), [0.5, 0.9]) == [None, None]
