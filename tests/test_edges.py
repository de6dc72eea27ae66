"""Edges of the board's buckets, against the compiled histogram that counts in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.histogram import coarse_bucket, coarse_edge, fine_bucket, fine_edge
from gateway.edges import (
    COARSE_BUCKETS,
    COARSE_SHIFT,
    FINE_BUCKETS,
    FINE_SHIFT,
    bucket_from,
    bucket_of,
    fine_edges,
    lower_edge,
    lower_edges,
)

FINE = lower_edges(FINE_BUCKETS, FINE_SHIFT)


def test_edges_are_those_of_the_board() -> None:
    assert FINE.tolist() == [fine_edge(bucket) for bucket in range(FINE_BUCKETS)]
    coarse = lower_edges(COARSE_BUCKETS, COARSE_SHIFT).tolist()
    assert coarse == [coarse_edge(bucket) for bucket in range(COARSE_BUCKETS)]
    assert (fine_bucket(2**64 - 1), coarse_bucket(2**64 - 1)) == (
        FINE_BUCKETS - 1,
        COARSE_BUCKETS - 1,
    )


def test_a_float_holds_every_edge_exactly() -> None:
    floats = fine_edges()
    assert floats[:-1].tolist() == [fine_edge(bucket) for bucket in range(FINE_BUCKETS)]
    assert floats[-1] == 2**42


@pytest.mark.parametrize("bucket", [0, 1, 127, 128, 255, 256, 1000, FINE_BUCKETS - 1])
def test_an_edge_is_the_first_value_of_its_bucket(bucket: int) -> None:
    assert lower_edge(bucket) == fine_edge(bucket) == FINE[bucket]
    assert bucket_of(lower_edge(bucket)) == bucket
    assert bucket_from(lower_edge(bucket)) == bucket


@given(st.integers(0, 2**43))
def test_a_value_counts_where_the_board_counts_it(value: int) -> None:
    assert bucket_of(value) == fine_bucket(value)
    assert lower_edge(bucket_of(value)) == FINE[bucket_of(value)] <= value
    assert bucket_from(value) == min(int(np.searchsorted(FINE, value)), FINE_BUCKETS - 1)
