"""The area under the ROC curve: beside scikit-learn, and DeLong by its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import roc_auc_score

from gateway.statistics.ranking import auc, expected_auc, interval, midranks

Floats = NDArray[np.float64]


def sample(seed: int, n: int, *, ties: bool) -> tuple[Floats, NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    truth = rng.random(n) < 0.3
    scores = rng.normal(truth * 1.0, 1.0)
    return (np.round(scores, 0) if ties else scores), truth


@pytest.mark.parametrize("ties", [False, True])
def test_area_is_that_of_scikit_learn(ties: bool) -> None:
    scores, truth = sample(1, 500, ties=ties)
    assert auc(scores, truth).value == pytest.approx(roc_auc_score(truth, scores))


@pytest.mark.parametrize("ties", [False, True])
def test_variance_is_that_of_the_definition(ties: bool) -> None:
    scores, truth = sample(2, 120, ties=ties)
    x, y = scores[truth], scores[~truth]
    beats = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    expected = beats.mean(axis=1).var(ddof=1) / x.size + beats.mean(axis=0).var(ddof=1) / y.size
    assert auc(scores, truth).variance == pytest.approx(float(expected))


def test_midranks_are_those_of_scipy() -> None:
    values = np.random.default_rng(3).integers(0, 20, 100).astype(np.float64)
    assert midranks(values).tolist() == stats.rankdata(values).tolist()


def test_one_class_alone_has_no_area() -> None:
    found = auc(np.array([0.1, 0.9]), np.array([True, True]))
    assert math.isnan(found.value)
    assert math.isnan(interval(found).low)


def test_perfect_order_of_few_rows_is_not_certain() -> None:
    truth = np.arange(40) >= 30
    found = interval(auc(truth.astype(np.float64), truth))
    assert found.value == found.high == 1.0
    assert 0.6 < found.low < 0.8  # of ten positives


def test_area_is_covered_as_often_as_said() -> None:
    truth_area = float(stats.norm.cdf(1 / math.sqrt(2)))
    covered = 0
    for seed in range(400):
        found = interval(auc(*sample(seed, 300, ties=False)))
        covered += found.low <= truth_area <= found.high
    assert covered / 400 == pytest.approx(0.95, abs=0.03)


def test_expected_area_of_certain_rows_is_the_area() -> None:
    scores, truth = sample(4, 200, ties=True)
    value, _slopes = expected_auc(scores, truth.astype(np.float64))
    assert value == pytest.approx(auc(scores, truth).value)


def test_slopes_are_derivatives_of_the_expected_area() -> None:
    scores, _truth = sample(5, 30, ties=True)
    chances = np.random.default_rng(5).uniform(0.1, 0.9, 30)
    _value, slopes = expected_auc(scores, chances)
    step = 1e-6
    for at in (0, 7, 29):
        moved = chances.copy()
        moved[at] += step
        less = chances.copy()
        less[at] -= step
        slope = (expected_auc(scores, moved)[0] - expected_auc(scores, less)[0]) / (2 * step)
        assert slopes[at] == pytest.approx(slope, abs=1e-6)
