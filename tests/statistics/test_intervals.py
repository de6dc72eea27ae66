"""Intervals of one sample: beside scipy's, and as often right as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from gateway.statistics.intervals import (
    Bounds,
    combined,
    fewer,
    normal_quantile,
    on_scale,
    scaled,
    student,
    unscaled,
    wilson,
)


@pytest.mark.parametrize("hits, n", [(0, 1), (0, 50), (1, 50), (25, 50), (49, 50), (50, 50)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_wilson_is_that_of_scipy(hits: int, n: int, confidence: float) -> None:
    expected = stats.binomtest(hits, n).proportion_ci(confidence, method="wilson")
    found = wilson(hits, n, confidence)
    assert found.value == hits / n
    assert found[1:] == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_share_of_nothing_is_unknown() -> None:
    assert all(math.isnan(each) for each in wilson(0, 0))


def test_student_is_that_of_scipy() -> None:
    values = np.random.default_rng(1).exponential(size=30)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    found = student(30, float(values.mean()), float(values.var(ddof=1)))
    assert found[1:] == pytest.approx((expected.low, expected.high))


def test_one_value_has_no_interval() -> None:
    assert math.isnan(student(1, 3.0, math.nan).low)


@pytest.mark.parametrize("scale, value", [("plain", -3.0), ("log", 0.2), ("logit", 0.97)])
def test_scales_go_both_ways(scale: str, value: float) -> None:
    assert unscaled(scaled(value, scale), scale) == pytest.approx(value)  # type: ignore[arg-type]


def test_interval_on_the_logit_stays_between_0_and_1() -> None:
    found = on_scale(0.99, 3.0, "logit", normal_quantile(0.95))
    assert 0 < found.low < 0.99 < found.high < 1


def test_interval_at_the_end_of_a_scale_is_unknown() -> None:
    assert math.isnan(on_scale(1.0, 0.1, "logit", 2.0).low)


def test_combined_shares_are_covered_as_often_as_said() -> None:
    rng = np.random.default_rng(2)
    shares, sizes = np.array([0.9, 0.5, 0.98]), np.array([40, 200, 60])
    hits = rng.binomial(sizes, shares, size=(2000, 3))
    covered = 0
    for row in hits.tolist():
        parts = [wilson(h, n) for h, n in zip(row, sizes.tolist(), strict=True)]
        found = combined(parts, [1 / 3] * 3)
        covered += found.low <= shares.mean() <= found.high
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)


def test_combination_keeps_the_lopsidedness_of_its_parts() -> None:
    found = combined([Bounds(1.0, 0.8, 1.0), Bounds(0.5, 0.4, 0.6)], [0.5, 0.5])
    assert found.value - found.low > found.high - found.value


@pytest.mark.parametrize(
    "table",
    [(0, 10, 5, 10), (5, 10, 5, 10), (700, 1000, 90_000, 100_000), (0, 5, 0, 5), (5, 5, 5, 5)],
)
def test_fewer_hits_are_as_likely_as_fisher_says(table: tuple[int, int, int, int]) -> None:
    hits, n, other, other_n = table
    counts = [[hits, n - hits], [other, other_n - other]]
    expected = stats.fisher_exact(counts, alternative="less").pvalue
    assert fewer(*table) == pytest.approx(expected, rel=1e-6)


def test_more_hits_than_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and n"):
        fewer(11, 10, 0, 10)
