"""Calibration: the error of its definition, its interval; isotonic as scikit-learn has it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from gateway.statistics.calibration import bins_of, ece, isotonic

Floats = NDArray[np.float64]


def sample(seed: int, n: int, power: float = 1.0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    scores = rng.beta(2, 2, n)
    return scores, (rng.random(n) < scores**power).astype(np.float64)


def test_plain_error_is_that_of_its_definition() -> None:
    scores, labels = sample(1, 1000, 2.0)
    order = np.argsort(scores)
    gaps = [abs(labels[rows].mean() - scores[rows].mean()) for rows in np.array_split(order, 10)]
    assert ece(bins_of(scores, labels)).plain == pytest.approx(np.mean(gaps))


def test_equal_scores_stay_in_one_bin() -> None:
    scores = np.repeat([0.2, 0.8], [300, 100])
    bins = bins_of(scores, np.zeros(400))
    assert [one.rows for one in bins] == [300, 100]
    assert [one.score for one in bins] == pytest.approx([0.2, 0.8])


@pytest.mark.parametrize("n", [300, 3000])
def test_probabilities_that_are_right_have_an_error_near_0(n: int) -> None:
    found = [ece(bins_of(*sample(seed, n))) for seed in range(100)]
    plain = np.mean([one.plain for one in found])
    told = np.mean([one.bounds.value for one in found])
    assert told < plain / 2  # what chance adds is taken away
    assert np.mean([one.bounds.low > 0 for one in found]) <= 0.08


@pytest.mark.parametrize("power, truth", [(1.0, 0.0), (1.3, 0.0772), (2.0, 0.2)])
def test_error_is_covered_at_least_as_often_as_said(power: float, truth: float) -> None:
    found = [ece(bins_of(*sample(seed, 500, power))).bounds for seed in range(200)]
    covered = np.mean([one.low <= truth <= one.high for one in found])
    assert covered >= 0.92


def test_no_positive_yet_is_not_certainty() -> None:
    found = ece(bins_of(np.full(100, 0.01), np.zeros(100)))
    assert found.deviation > 0
    assert found.bounds.low == 0.0


def test_isotonic_is_that_of_scikit_learn() -> None:
    scores, labels = sample(2, 400, 1.7)
    scores = np.round(scores, 2)
    expected = IsotonicRegression(out_of_bounds="clip").fit(scores, labels)
    at = np.linspace(-0.1, 1.1, 50)
    assert isotonic(scores, labels)(at) == pytest.approx(expected.predict(at))
