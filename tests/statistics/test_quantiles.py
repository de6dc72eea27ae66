"""Quantiles from buckets, against the values themselves, scipy, and the board's own buckets."""

from collections import Counter
from math import isclose

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gateway.edges import fine_edges
from gateway.statistics import quantiles
from gateway.statistics.quantiles import (
    distribution_gap,
    distributions_differ,
    exceedance_test,
    exceedances,
    log_quantile,
    mann_whitney,
    quantile,
    quantile_ratio,
    raised,
    threshold,
    uniform_radius,
    values_needed,
)

EDGES = fine_edges()
HISTOGRAMS = st.dictionaries(st.integers(0, 200), st.integers(1, 50), min_size=1, max_size=30)


def buckets_of(values: np.ndarray) -> list[int]:
    return (np.searchsorted(EDGES, values, side="right") - 1).tolist()  # type: ignore[no-any-return]


def counted(values: np.ndarray) -> dict[int, int]:
    return dict(Counter(buckets_of(values)))


def latencies(seed: int, n: int, *, slower: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(18, 0.8, n) * slower


@pytest.mark.parametrize("wanted", [0.01, 0.25, 0.5, 0.9, 0.99])
def test_quantile_lies_within_a_bucket_of_the_values_own(wanted: float) -> None:
    values = latencies(1, 5000)
    near = np.quantile(values, [wanted - 0.001, wanted + 0.001])
    found = quantile(counted(values), EDGES, wanted)
    assert near[0] * (1 - 1 / 128) <= found <= near[1] * (1 + 1 / 128)


def test_standard_error_is_that_of_the_normal_theory() -> None:
    """se(log q) -> sqrt(q (1 - q) / n) / (f(q) q) for the lognormal."""
    n, sigma = 40_000, 0.8
    z = stats.norm.ppf(0.9)
    expected = np.sqrt(0.9 * 0.1 / n) / (stats.norm.pdf(z) / sigma)
    errors = [log_quantile(counted(latencies(seed, n)), EDGES, 0.9)[1] for seed in range(5)]
    assert np.mean(errors) == pytest.approx(expected, rel=0.1)


def test_interval_of_the_ratio_holds_the_truth_as_often_as_it_says() -> None:
    held = 0
    for seed in range(200):
        champion = counted(latencies(2 * seed, 2000))
        challenger = counted(latencies(2 * seed + 1, 2000, slower=1.2))
        ratio = quantile_ratio(champion, challenger, EDGES, 0.9)
        held += ratio.low <= 1.2 <= ratio.high
    assert 0.90 <= held / 200 <= 0.99


def test_interval_says_how_many_values_it_lacks() -> None:
    few = counted(latencies(1, 500))
    assert quantile_ratio(few, few, EDGES, 0.99).needed == 1500
    assert quantile_ratio(few, few, EDGES, 0.9).needed == 0
    nothing = quantile_ratio({}, few, EDGES, 0.99)
    assert (nothing.low, nothing.high, nothing.needed) == (0.0, float("inf"), 2000)


@pytest.mark.parametrize("wanted, needed", [(0.5, 100), (0.9, 200), (0.95, 400), (0.99, 2000)])
def test_needed_values(wanted: float, needed: int) -> None:
    assert values_needed(wanted) == needed


@given(HISTOGRAMS, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_frozen_edge_leaves_at_most_the_rest_above(counts: dict[int, int], wanted: float) -> None:
    at = threshold(counts, wanted)
    n = sum(counts.values())
    assert exceedances(counts, at) <= n * (1 - wanted) + 1e-9
    assert exceedances(counts, at - 1) > n * (1 - wanted) - 1e-9


@given(st.integers(1, 4600), st.floats(1.0, 3.0))
def test_raised_edge_is_the_next_above(bucket: int, factor: float) -> None:
    at = raised(bucket, factor, EDGES)
    assert EDGES[at] >= EDGES[bucket] * factor * (1 - 1e-9) or at == len(EDGES) - 2
    assert EDGES[at - 1] < EDGES[bucket] * factor


def test_margin_of_nothing_leaves_the_edge() -> None:
    assert all(raised(bucket, 1.0, EDGES) == bucket for bucket in range(0, 4600, 7))


@pytest.mark.parametrize(
    "challenger, challenger_n, champion, champion_n", [(30, 500, 20, 500), (3, 50, 40, 4950)]
)
def test_exceedance_test_is_the_binomial_test(
    challenger: int, challenger_n: int, champion: int, champion_n: int
) -> None:
    share = challenger_n / (challenger_n + champion_n)
    expected = stats.binomtest(challenger, challenger + champion, share, alternative="greater")
    found = exceedance_test(challenger, challenger_n, champion, champion_n)
    assert found == pytest.approx(expected.pvalue, rel=1e-9)


def test_exceedance_test_of_nothing_says_nothing() -> None:
    assert exceedance_test(0, 100, 5, 100) == 1.0
    assert exceedance_test(5, 0, 5, 100) == 1.0


@pytest.mark.parametrize("slower", [1.0, 1.05, 1.5])
def test_rank_test_is_that_of_scipy_on_buckets(slower: float) -> None:
    first, second = latencies(1, 800, slower=slower), latencies(2, 500)
    expected = stats.mannwhitneyu(buckets_of(first), buckets_of(second), method="asymptotic")
    found = mann_whitney(counted(first), counted(second))
    assert found.u == expected.statistic
    assert isclose(found.p, expected.pvalue, rel_tol=1e-9)
    assert found.share == pytest.approx(found.u / (800 * 500))


def test_rank_test_on_buckets_is_near_that_of_the_values() -> None:
    first, second = latencies(1, 5000, slower=1.05), latencies(2, 5000)
    expected = stats.mannwhitneyu(first, second)
    found = mann_whitney(counted(first), counted(second))
    assert found.u == pytest.approx(expected.statistic, rel=1e-3)
    assert found.p == pytest.approx(expected.pvalue, rel=0.2)


@given(HISTOGRAMS, HISTOGRAMS)
def test_rank_test_does_not_mind_the_order(first: dict[int, int], second: dict[int, int]) -> None:
    one, other = mann_whitney(first, second), mann_whitney(second, first)
    assert one.u + other.u == sum(first.values()) * sum(second.values())
    assert one.p == pytest.approx(other.p)
    assert one.z == pytest.approx(-other.z)


def test_rank_test_of_nothing_says_nothing() -> None:
    assert mann_whitney({}, {3: 4}).p == 1.0
    assert mann_whitney({3: 9}, {3: 4}) == quantiles.RankTest(18.0, 0.5, 0.0, 1.0)


@given(HISTOGRAMS, HISTOGRAMS)
@settings(max_examples=20, deadline=None)
def test_gap_is_the_greatest_distance_of_the_shares_below_an_edge(
    first: dict[int, int], second: dict[int, int]
) -> None:
    edges = range(max(*first, *second) + 2)
    shares = [
        [sum(n for at, n in counts.items() if at < edge) / sum(counts.values()) for edge in edges]
        for counts in (first, second)
    ]
    expected = max(abs(one - other) for one, other in zip(*shares, strict=True))
    assert distribution_gap(first, second) == pytest.approx(expected)


def test_band_is_that_of_the_theorem() -> None:
    """0.85 sqrt((log log(e n) + 0.8 log(1612 / alpha)) / n) from the first value on."""
    expected = 0.85 * np.sqrt((np.log(np.log(np.e * 10_000)) + 0.8 * np.log(1612 / 0.05)) / 10_000)
    assert uniform_radius(10_000, 0.05) == pytest.approx(expected)
    assert uniform_radius(50, 0.05, first=100) == 1.0


def test_distributions_that_differ_are_told_apart_and_equal_ones_are_not() -> None:
    base = counted(latencies(1, 20_000))
    assert not distributions_differ(base, counted(latencies(2, 20_000)))
    assert distributions_differ(base, counted(latencies(2, 20_000, slower=1.3)))
    assert not distributions_differ(counted(latencies(1, 90)), counted(latencies(1, 90) * 9))
    assert distribution_gap({}, base) == 0.0
