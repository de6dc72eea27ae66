"""The judge against the cases that Kayenta's own suites publish, and laws of its parts.

Names of cases follow theirs (ClassifierSuite, ScorerSuite, DetectorSuite, StatisticSuite,
TransformSuite, MannWhitneySuite).
"""

from math import isnan, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gateway.statistics import kayenta
from gateway.statistics.kayenta import (
    Classified,
    Label,
    Rule,
    Series,
    classify,
    cleaned,
    common_language,
    judge,
    location_shift,
    mean_ratio,
    outliers,
    score,
    standardised,
)
from tests.statistics import kayenta_series as data

ONES, TENS, ZEROS = (1.0,) * 5, (10.0,) * 5, (0.0,) * 5
TENFOLD = ((20.0, 22.0, 21.0, 25.0, 30.0), (1.0, 2.2, 1.1, 2.5, 3.0))
NEVER_ZERO = (54.9, 54.5, 55.1, 55.6, 57.4)
RISE_FROM_ZERO = (
    *(0.05000000074505806,) * 3,
    *(0.01666666753590107,) * 3,
    0.03333333507180214,
    *(0.05000000260770321,) * 2,
    0.13333333656191826,
)

# canary, baseline, settings, label
CLASSIFIER_SUITE: dict[str, tuple[Any, Any, dict[str, Any], Label]] = {
    "pass": (data.CANARY_TEN, data.BASELINE_TEN, {}, "Pass"),
    "high": (data.CANARY_TWENTY, data.BASELINE_TEN, {}, "High"),
    "low": (data.CANARY_TEN, data.BASELINE_TWENTY, {}, "Low"),
    "directional, increase": (
        data.CANARY_TEN,
        data.BASELINE_TWENTY,
        {"direction": "increase"},
        "Pass",
    ),
    "directional, decrease": (
        data.CANARY_TWENTY,
        data.BASELINE_TEN,
        {"direction": "decrease"},
        "Pass",
    ),
    "directional, high": (
        data.CANARY_TWENTY,
        data.BASELINE_TEN,
        {"direction": "increase"},
        "High",
    ),
    "directional, low": (
        data.CANARY_TEN,
        data.BASELINE_TWENTY,
        {"direction": "decrease"},
        "Low",
    ),
    "high, large input": (data.CANARY_LARGE, data.BASELINE_LARGE, {}, "High"),
    "mean ratio, high": (*TENFOLD, {"allowed_decrease": 0.8, "allowed_increase": 1.2}, "High"),
    "mean ratio, low": (
        data.CANARY_TEN,
        data.BASELINE_TWENTY,
        {"direction": "decrease", "allowed_decrease": 0.8, "allowed_increase": 1.2},
        "Low",
    ),
    "mean ratio, pass": (
        (10.0, 12.2, 10.1, 12.5, 23.0),
        (20.0, 22.0, 21.0, 25.0, 30.0),
        {"allowed_decrease": 0.5, "allowed_increase": 1.0},
        "Pass",
    ),
    "mean ratio, pass, large input": (
        data.CANARY_LARGE,
        data.BASELINE_LARGE,
        {"allowed_decrease": 1.0, "allowed_increase": 5.0},
        "Pass",
    ),
    "tied observations": ((1.0,) * 3, (1.0,) * 2, {"direction": "decrease"}, "Pass"),
    "identical populations": (
        (1.0, 2.0, 3.0, 4.0, 5.0),
        (5.0, 4.0, 3.0, 2.0, 1.0),
        {"direction": "decrease"},
        "Pass",
    ),
    "leading zero": ((0.0, 1.0, 1.0, 1.0, 1.0), ONES, {"direction": "decrease"}, "Pass"),
    "missing experiment data": ((), (1.0, 2.0, 3.0, 4.0, 5.0), {}, "Nodata"),
    "missing, NaN replaced": ((), (1.0, 2.0, 3.0), {"nan_strategy": "replace"}, "Pass"),
    "missing, data required": ((), (1.0, 2.0), {"must_have_data": True}, "NodataFailMetric"),
    "majority tied": ((1.0, 1.0, 1.0, 1.0, 10.0), ONES, {}, "Pass"),
    "tied ranks": (TENS, ONES, {}, "High"),
    "tied ranks with zeros": (TENS, ZEROS, {}, "High"),
    "zero mean, pass": (ZEROS, ZEROS, {"allowed_decrease": 0.8, "allowed_increase": 1.2}, "Pass"),
}
# The same at the tolerance of 0.2 and the confidence of 0.98, by the share of pairs.
CLES_SUITE: dict[str, tuple[Any, Any, tuple[float, float], Label]] = {
    "pass": (data.CANARY_RARE, data.BASELINE_RARE, (0.5, 0.8), "Pass"),
    "high": (data.CANARY_TENFOLD, data.BASELINE_TENFOLD, (0.2, 0.8), "High"),
    "low": (data.CANARY_BELOW, data.BASELINE_BELOW, (0.2, 0.8), "Low"),
}
# critical bounds and allowed increase; label and whether it fails the canary
CRITICAL_SUITE: dict[str, tuple[Any, Any, dict[str, Any], Label, bool]] = {
    "critical high": (*TENFOLD, {"critical_increase": 1.2}, "High", True),
    "critical low": (
        (2.0, 2.0, 2.0, 2.0, 3.0),
        (10.0, 20.2, 10.1, 20.5, 30.0),
        {"critical_decrease": 1.2, "critical_increase": 1.0},
        "Low",
        True,
    ),
    "high but not critical": (
        *TENFOLD,
        {"allowed_increase": 5.0, "critical_increase": 13.0},
        "High",
        False,
    ),
    "pass": (*TENFOLD, {"allowed_increase": 13.0, "critical_increase": 15.0}, "Pass", False),
    "default thresholds": (*TENFOLD, {}, "High", True),
    "missing": ((), (1.0, 2.0, 3.0, 4.0, 5.0), {"direction": "decrease"}, "Nodata", True),
    "zero mean": (
        RISE_FROM_ZERO,
        (0.0,) * 10,
        {"nan_strategy": "replace", "critical_decrease": 0.8, "critical_increase": 1.2},
        "High",
        True,
    ),
}


@pytest.mark.parametrize("case", CLASSIFIER_SUITE)
def test_metric_is_classified_as_kayenta_does(case: str) -> None:
    canary, baseline, settings_, label = CLASSIFIER_SUITE[case]
    result = classify(baseline, canary, Rule(**settings_), tolerance=0.10, confidence=0.95)
    assert result.label == label
    assert not result.critical


@pytest.mark.parametrize("case", CLES_SUITE)
def test_share_of_pairs_is_an_effect_size(case: str) -> None:
    canary, baseline, (low, high), label = CLES_SUITE[case]
    rule = Rule(measure="cles", allowed_decrease=low, allowed_increase=high)
    assert classify(baseline, canary, rule, tolerance=0.20).label == label


@pytest.mark.parametrize("case", CRITICAL_SUITE)
def test_critical_metric_fails_the_canary_beyond_its_own_bounds(case: str) -> None:
    canary, baseline, settings_, label, is_critical = CRITICAL_SUITE[case]
    rule = Rule(critical=True, **settings_)
    result = classify(baseline, canary, rule, tolerance=0.10, confidence=0.95)
    assert (result.label, result.critical) == (label, is_critical)


@pytest.mark.parametrize(
    "canary, baseline, label", [(NEVER_ZERO, ZEROS, "High"), (ZEROS, NEVER_ZERO, "Low")]
)
def test_effect_that_cannot_be_had_is_ignored(canary: Any, baseline: Any, label: Label) -> None:
    rule = Rule(allowed_decrease=0.8, allowed_increase=1.2)
    result = classify(baseline, canary, rule, tolerance=0.10, confidence=0.95)
    assert result.label == label
    assert isnan(result.deviation)


def test_missing_data_has_a_reason() -> None:
    assert classify((), (), Rule(critical=True), name="errors").reason == "Missing data for errors"


# MannWhitneySuite: values of R's wilcox.test with conf.int


@pytest.mark.parametrize(
    "canary, baseline, confidence, low, high, estimate",
    [
        ((10.0, 20.0, 30.0, 40.0), (1.0, 2.0, 3.0, 4.0), 0.95, 6.0, 39.0, 22.5),
        (
            data.CANARY_HALVES,
            data.BASELINE_HALVES,
            0.95,
            -0.500002521696696,
            -3.486287505871302e-5,
            -0.4999393907180323,
        ),
        (
            data.CANARY_HALVES_LARGE,
            data.BASELINE_HALVES_LARGE,
            0.98,
            -0.4999173250549087,
            -6.912685789769486e-6,
            -3.45044082729315e-5,
        ),
        (
            data.CANARY_LARGE,
            data.BASELINE_LARGE,
            0.95,
            3.521755377702165e-5,
            2.02456461662334e-5,
            2.6279243045155653e-5,
        ),
    ],
    ids=["four", "halves", "halves, large", "large"],
)
def test_shift_is_that_of_r(
    canary: Any, baseline: Any, confidence: float, low: float, high: float, estimate: float
) -> None:
    shift = location_shift(canary, baseline, confidence)
    assert shift.low == pytest.approx(low, abs=1e-6)
    assert shift.high == pytest.approx(high, abs=1e-6)
    assert shift.estimate == pytest.approx(estimate, abs=1e-4)


def test_standardised_rank_sum_is_that_of_r() -> None:
    x, y = np.array(data.CANARY_LARGE), np.sort(data.BASELINE_LARGE)
    least, most = x.min() - y[-1], x.max() - y[0]
    assert (least, most) == pytest.approx((-3.124999999999986, 5.555555555555557), abs=1e-9)
    z = 1.9599639845400536
    found = [standardised(at, q, x, y) for at in (least, most) for q in (z, -z)]
    expected = [17.090968923762254, 21.01089689284236, -20.997687930433106, -17.077759961353]
    assert found == pytest.approx(expected, abs=1e-6)


@given(
    st.lists(st.floats(-100, 100), min_size=4, max_size=30),
    st.lists(st.floats(-100, 100), min_size=4, max_size=30),
)
@settings(deadline=None, max_examples=50)
def test_rank_sum_is_that_of_scipy(x: list[float], y: list[float]) -> None:
    if len({*x, *y}) == 1:
        return
    ours = standardised(0.0, 0.0, np.array(x), np.sort(y))
    theirs = stats.mannwhitneyu(x, y, method="asymptotic").pvalue
    assert min(2 * stats.norm.sf(abs(ours)), 1.0) == pytest.approx(theirs, abs=1e-9)


# DetectorSuite, TransformSuite, StatisticSuite


@pytest.mark.parametrize(
    "values, found",
    [
        ((21.0, 23.0, 24.0, 25.0, 50.0, 29.0, 23.0, 21.0), [50.0]),
        ((1.0, 1.0, 1.0, 5.0, -1.0, -1.0, -1.0, -5.0), [5.0, -5.0]),
        ((), []),
        (data.NIST_BEARINGS, [1441.0]),
    ],
    ids=["one", "two sides", "empty", "NIST"],
)
def test_outliers_lie_beyond_the_fences(values: Any, found: list[float]) -> None:
    array = np.array(values)
    assert array[outliers(array, 1.5)].tolist() == found


def test_lenient_fences_never_lie_inside_the_99th_percentile() -> None:
    values = np.array([1.0] * 5 + [20.0] + [1.0] * 5)
    assert outliers(values, 3.0).any()
    assert outliers(values, 3.0, lenient=True).tolist() == [False] * 5 + [True] + [False] * 5


def test_nan_is_removed_or_replaced() -> None:
    values = (nan, 10.1, 20.2, 30.3, nan, 40.4)
    assert cleaned(values, Rule()).tolist() == [10.1, 20.2, 30.3, 40.4]
    assert cleaned(values, Rule(nan_strategy="replace")).tolist() == [0, 10.1, 20.2, 30.3, 0, 40.4]
    assert cleaned((nan, nan, nan), Rule()).tolist() == []


@pytest.mark.parametrize(
    "canary, baseline, ratio", [(ONES, ONES, 1.0), (TENS, ONES, 10.0), (TENS, (100.0,) * 5, 0.1)]
)
def test_mean_ratio(canary: Any, baseline: Any, ratio: float) -> None:
    assert mean_ratio(np.array(baseline), np.array(canary)) == ratio


def test_mean_ratio_of_nothing_is_unknown() -> None:
    assert isnan(mean_ratio(np.array(ZEROS), np.array(TENS)))


@pytest.mark.parametrize(
    "canary, baseline, share",
    [
        ((1.0, 2.0, 3.0, 4.0, 5.0), (1.0, 2.0, 3.0, 4.0, 5.0), 0.5),
        ((2.3, 2.6, 3.3), (25.3, 25.2, 24.6), 0.0),
        (data.CANARY_ABOVE, data.BASELINE_ABOVE, 0.771),
        (data.CANARY_UNDER, data.BASELINE_UNDER, 0.12),
    ],
)
def test_share_of_pairs(canary: Any, baseline: Any, share: float) -> None:
    assert common_language(np.sort(baseline), np.array(canary)) == pytest.approx(share, abs=1e-3)


# ScorerSuite: (label, group, critical) of each metric


def metric(label: Label, group: str = "test-group", critical: bool = False) -> Classified:
    return Classified("test-metric", label, critical=critical, groups=(group,))


@pytest.mark.parametrize(
    "metrics, weights, expected",
    [
        ([metric("Pass")], {}, 100.0),
        ([metric("High")], {}, 0.0),
        ([metric("Nodata")], {}, 0.0),
        ([metric("Pass"), metric("Pass"), metric("Nodata", "no-data")], {}, 100.0),
        ([metric("Pass"), metric("High")], {}, 50.0),
        ([metric("Pass"), metric("High"), metric("Low")], {}, 33.33),
        (
            [metric("Pass", "group-1"), metric("Pass", "group-1"), metric("High", "group-2")],
            {"group-1": 75.0, "group-2": 25.0},
            75.0,
        ),
        (
            [metric("Pass", "group-1"), metric("High", "group-1"), metric("High", "group-2")],
            {"group-1": 50.0, "group-2": 50.0},
            25.0,
        ),
        (
            [metric("Pass", "group-1"), metric("Nodata", "group-1"), metric("High", "group-2")],
            {"group-1": 50.0, "group-2": 50.0},
            50.0,
        ),
        ([metric("Pass"), metric("High", critical=True)], {}, 0.0),
        ([metric("Low"), metric("Pass", critical=True)], {}, 50.0),
        ([metric("Pass"), metric("Nodata", critical=True)], {}, 0.0),
        (
            [metric(each, "group1") for each in ("High", "Low", "Pass")]
            + [metric("High", "group2")],
            {"group1": 15.0, "group2": 85.0},
            5.0,
        ),
        ([metric("Pass"), metric("NodataFailMetric")], {}, 50.0),
        ([metric("Pass", "a"), metric("High", "b")], {"a": 80.0}, 80.0),
    ],
)
def test_score_is_the_weighted_sum_of_groups(
    metrics: list[Classified], weights: dict[str, float], expected: float
) -> None:
    assert score(metrics, weights).score == expected


def test_groups_without_data_score_nothing_but_count_in_full() -> None:
    scored = score([metric("Pass", "a"), metric("Pass", "a"), metric("Nodata", "b")], {})
    assert scored.groups == {"a": 100.0, "b": 0.0}
    assert scored.score == 100.0


# NetflixJudgeSuite's configuration, and the whole


def test_judge_combines_metrics_groups_and_thresholds() -> None:
    low, high = (1.0, 2.0, 3.0, 4.0), (10.0, 20.0, 30.0, 40.0)
    judged = judge(
        [
            Series("cpu", low, high, groups=("system", "example")),
            Series("requests", low, low, groups=("requests", "example")),
            Series("foo", (), (), groups=("bar",)),
        ],
        {"requests": 50.0, "system": 50.0},
    )
    # High by a hair: the shift of four points against four reaches from 6 at 98 %, and the
    # bound is a quarter of 22.5. Groups with a weight of their own leave none for the others.
    assert [each.label for each in judged.metrics] == ["High", "Pass", "Nodata"]
    assert judged.score.groups == {"system": 0.0, "example": 50.0, "requests": 100.0, "bar": 0.0}
    assert (judged.grade, judged.score.score) == ("Fail", 50.0)


def test_muted_metric_is_classified_and_not_scored() -> None:
    judged = judge(
        [
            Series("a", data.BASELINE_TEN, data.CANARY_TEN, groups=("g",)),
            Series("b", data.BASELINE_TEN, data.CANARY_TWENTY, Rule(muted=True), ("g",)),
        ]
    )
    assert [each.label for each in judged.metrics] == ["Pass", "High"]
    assert (judged.grade, judged.score.score) == ("Pass", 100.0)


@pytest.mark.parametrize("of_100, grade", [(95.0, "Pass"), (94.99, "Marginal"), (74.99, "Fail")])
def test_thresholds_belong_to_the_better_grade(of_100: float, grade: str) -> None:
    assert kayenta.grade_of(of_100, 95.0, 75.0) == grade


def test_what_cannot_be_computed_is_an_error_that_does_not_score() -> None:
    judged = judge([Series("one point", (3.0,), (5.0,), groups=("g",))])
    assert judged.metrics[0].label == "Error"
    assert judged.score.score == 100.0


def test_noise_of_constant_series_is_the_same_each_time() -> None:
    first = [classify(ONES, TENS, tolerance=0.1) for _ in range(3)]
    assert len(set(first)) == 1
    assert first[0].label == "High"


@pytest.mark.parametrize(
    "baseline, canary",
    [
        ((1.0,) * 10, (1.0,) * 3 + (100.0,) * 7),  # spinnaker#6278: 7 of 10 at a hundredfold
        ((0.0,) * 55 + (1.0,) * 5, (0.0,) * 45 + (1.0,) * 15),  # kayenta#426: sparse errors
    ],
)
def test_known_blind_spots_are_kept(baseline: Any, canary: Any) -> None:
    """Compatible means with its faults: what it passes, this passes."""
    assert classify(baseline, canary).label == "Pass"


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=40))
@settings(deadline=None, max_examples=50)
def test_equal_series_pass(values: list[float]) -> None:
    assert classify(values, list(reversed(values))).label == "Pass"
