from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway._fast.histogram import (
    Histogram,
    SlidingHistogram,
    coarse_bucket,
    coarse_edge,
    fine_bucket,
    fine_edge,
)
from tests.reference.histogram import KeptValues, KeptWindow

LIMIT = 2**42 - 1
SLOT_NS = 4_000_000_000
SLOTS = 8
BucketOf = Callable[[int], int]
RESOLUTIONS = [(fine_bucket, fine_edge, 4608, 128), (coarse_bucket, coarse_edge, 624, 16)]

# Every order of magnitude is as likely as any other.
values = st.integers(0, 64).flatmap(lambda bits: st.integers(0, 2**bits - 1))
shares = st.floats(0, 1)


def within(answer: int, exact: int, buckets_per_power: int) -> bool:
    """Whether a midpoint is as near the exact value as its bucket's width promises."""
    return abs(answer - exact) * 2 * buckets_per_power <= exact


@pytest.mark.parametrize("bucket_of, edge, buckets, sub", RESOLUTIONS)
def test_buckets_cover_every_value_once_and_in_order(
    bucket_of: BucketOf, edge: BucketOf, buckets: int, sub: int
) -> None:
    edges = [edge(bucket) for bucket in range(buckets)]
    assert edges[0] == 0
    assert all(low < high for low, high in pairwise(edges))
    assert [bucket_of(low) for low in edges] == list(range(buckets))
    assert [bucket_of(high - 1) for high in edges[1:]] == list(range(buckets - 1))
    assert bucket_of(LIMIT) == buckets - 1


@pytest.mark.parametrize("bucket_of, edge, buckets, sub", RESOLUTIONS)
def test_values_too_large_count_in_the_last_bucket(
    bucket_of: BucketOf, edge: BucketOf, buckets: int, sub: int
) -> None:
    assert [bucket_of(value) for value in (2**42, 2**63, 2**64 - 1)] == [buckets - 1] * 3


@pytest.mark.parametrize("bucket_of, edge, buckets, sub", RESOLUTIONS)
def test_there_is_no_edge_outside_the_buckets(
    bucket_of: BucketOf, edge: BucketOf, buckets: int, sub: int
) -> None:
    for bucket in (-1, buckets):
        with pytest.raises(IndexError, match=f"bucket {bucket} is not in"):
            edge(bucket)


@pytest.mark.parametrize("bucket_of, edge, buckets, sub", RESOLUTIONS)
def test_a_bucket_is_as_narrow_as_its_resolution(
    bucket_of: BucketOf, edge: BucketOf, buckets: int, sub: int
) -> None:
    for low, high in pairwise([edge(bucket) for bucket in range(buckets)]):
        assert (high - low) * sub <= max(low, sub)


def test_an_empty_histogram_has_quantile_zero() -> None:
    assert Histogram().quantile(0.99) == 0
    assert SlidingHistogram().quantile(0.99, 10**15) == 0


def test_a_histogram_counts_and_sums() -> None:
    histogram = Histogram()
    for value in (3, 3, 2**50):
        histogram.record(value)
    assert (histogram.total, histogram.sum) == (3, 2**50 + 6)
    assert len(histogram.counts) == Histogram.buckets
    assert (histogram.counts[3], histogram.counts[-1]) == (2, 1)


def test_a_cleared_histogram_is_empty() -> None:
    histogram = Histogram()
    histogram.record(7)
    histogram.clear()
    assert (histogram.total, histogram.sum, sum(histogram.counts)) == (0, 0, 0)


@pytest.mark.parametrize("q", [-1.0, 0.0, 1.0, 2.0, float("nan"), float("inf")])
def test_a_share_outside_zero_to_one_is_the_nearest_end(q: float) -> None:
    histogram = Histogram()
    for value in (10, 20):
        histogram.record(value)
    assert histogram.quantile(q) == (20 if q >= 1 else 10)


def test_merging_nothing_is_refused() -> None:
    with pytest.raises(TypeError):
        Histogram().merge(None)  # type: ignore[arg-type]


@given(st.lists(values, min_size=1), shares)
def test_a_quantile_is_within_half_a_bucket_of_the_sorted_list(
    recorded: list[int], q: float
) -> None:
    histogram, reference = Histogram(), KeptValues(LIMIT)
    for value in recorded:
        histogram.record(value)
        reference.record(value)
    assert within(histogram.quantile(q), reference.quantile(q), 128)
    assert histogram.total == len(recorded) == sum(histogram.counts)
    assert histogram.sum == sum(recorded) % 2**64


@given(st.lists(values), st.lists(values))
def test_merging_is_recording_both(left: list[int], right: list[int]) -> None:
    merged, both, other = Histogram(), Histogram(), Histogram()
    for histogram, recorded in ((merged, left), (other, right), (both, left + right)):
        for value in recorded:
            histogram.record(value)
    merged.merge(other)
    assert (merged.total, merged.sum, merged.counts) == (both.total, both.sum, both.counts)


def test_a_window_forgets_a_slot_at_a_time() -> None:
    window = SlidingHistogram()
    for slot in range(SLOTS):
        window.record(slot, slot * SLOT_NS)
    totals = [window.total((SLOTS - 1 + later) * SLOT_NS) for later in range(SLOTS + 1)]
    assert totals == [8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_a_slot_is_cleared_when_its_turn_comes_again() -> None:
    window = SlidingHistogram()
    window.record(5, 0)
    window.record(9, SLOTS * SLOT_NS)
    assert window.total(SLOTS * SLOT_NS) == 1
    assert window.quantile(1.0, SLOTS * SLOT_NS) == 9


def test_a_reader_whose_clock_is_a_tick_behind_sees_the_newest_slot() -> None:
    window = SlidingHistogram()
    window.record(5, 10 * SLOT_NS)
    assert window.total(10 * SLOT_NS - 1) == 1


@given(
    st.lists(st.tuples(values, st.integers(0, 3 * SLOT_NS)), min_size=1),
    st.integers(0, 40 * SLOT_NS),
    shares,
)
def test_a_window_agrees_with_the_list_of_recent_values(
    steps: list[tuple[int, int]], rest_ns: int, q: float
) -> None:
    window, reference = SlidingHistogram(), KeptWindow(LIMIT, SLOTS, SLOT_NS)
    now_ns = 10**15
    for value, step_ns in steps:
        now_ns += step_ns
        window.record(value, now_ns)
        reference.record(value, now_ns)
    for at_ns in (now_ns, now_ns + rest_ns):
        kept = reference.at(at_ns)
        assert window.total(at_ns) == len(kept.values) == sum(window.counts(at_ns))
        assert within(window.quantile(q, at_ns), kept.quantile(q), 16)
