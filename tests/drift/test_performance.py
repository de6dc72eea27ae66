"""Figures of labelled rows: beside scikit-learn's, and covered as often as said."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics

from gateway.drift.performance import (
    Figure,
    of_class_probabilities,
    of_classes,
    of_numbers,
    of_probabilities,
    of_signal,
)


def by_name(figures: list[Figure]) -> dict[str, Figure]:
    return {one.name: one for one in figures}


def test_figures_of_classes_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 4, 500)
    said = np.where(rng.random(500) < 0.7, truth, rng.integers(0, 4, 500))
    found = by_name(of_classes(said, truth, 4, 2))
    expected = {
        "accuracy": metrics.accuracy_score(truth, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, said),
        "f1_macro": metrics.f1_score(truth, said, average="macro"),
        "precision": metrics.precision_score(truth == 2, said == 2),
        "recall": metrics.recall_score(truth == 2, said == 2),
        "f1": metrics.f1_score(truth == 2, said == 2),
    }
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected)
    assert all(one.low < one.value < one.high for one in found.values())


def test_figures_of_probabilities_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    scores = np.clip(rng.beta(1, 3, 800), 0, 1)
    truth = rng.random(800) < scores
    found = by_name(of_probabilities(scores, truth, 0.3))
    said = scores >= 0.3
    expected = {
        "log_loss": metrics.log_loss(truth, scores),
        "brier": metrics.brier_score_loss(truth, scores),
        "auc": metrics.roc_auc_score(truth, scores),
        "bias": float((scores - truth).mean()),
        "accuracy": metrics.accuracy_score(truth, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, said),
        "precision": metrics.precision_score(truth, said),
        "recall": metrics.recall_score(truth, said),
        "f1": metrics.f1_score(truth, said),
    }
    values = {name: one.value for name, one in found.items()}
    assert values.pop("ece") < 0.05
    assert values == pytest.approx(expected)


def test_figures_of_several_classes_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    scores = rng.dirichlet([1.0, 1.0, 1.0], 400)
    truth = np.array([rng.choice(3, p=row) for row in scores])
    found = by_name(of_class_probabilities(scores, truth))
    assert found["log_loss"].value == pytest.approx(metrics.log_loss(truth, scores))
    assert found["accuracy"].value == metrics.accuracy_score(truth, scores.argmax(axis=1))
    sums = ((scores - np.eye(3)[truth]) ** 2).sum(axis=1)
    assert found["brier"].value == pytest.approx(float(sums.mean()))


def test_class_that_no_column_has_is_wrong_and_has_no_probability() -> None:
    found = by_name(of_class_probabilities(np.array([[0.9, 0.1]] * 30), np.full(30, -1)))
    assert found["accuracy"].value == 0.0
    assert found["log_loss"].value == pytest.approx(-math.log(1e-15))


def test_figures_of_numbers_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    truth = rng.normal(10, 3, 300)
    said = truth + rng.laplace(0.5, 1, 300)
    found = by_name(of_numbers(said, truth))
    assert found["mae"].value == pytest.approx(metrics.mean_absolute_error(truth, said))
    assert found["rmse"].value == pytest.approx(metrics.root_mean_squared_error(truth, said))
    assert found["bias"].low < 0.5 < found["bias"].high


def test_yes_and_no_is_a_share_and_a_score_a_mean() -> None:
    assert of_signal("thumbs", np.array([1.0, 0.0, 1.0])).method == "Wilson"
    assert of_signal("score", np.array([4.0, 5.0, 1.0])).method == "Student"
    assert of_signal("score", np.array([])).n == 0


def test_perfect_predictions_are_not_certain() -> None:
    found = by_name(of_classes(np.arange(30) % 2, np.arange(30) % 2, 2, 1))
    assert all(one.value == 1.0 and 0.7 < one.low < 1.0 for one in found.values())


def test_positive_class_that_nobody_has_says_nothing() -> None:
    found = by_name(of_classes(np.zeros(10, np.int64), np.zeros(10, np.int64), 1, -1))
    assert math.isnan(found["f1"].value)
    assert found["accuracy"].value == 1.0


def test_of_very_many_classes_only_the_accuracy_is_measured() -> None:
    numbers = np.arange(600)
    assert [one.name for one in of_classes(numbers, numbers, 600)] == ["accuracy"]


Sample = Callable[[np.random.Generator], list[Figure]]


def scored(n: int) -> Sample:
    def draw(rng: np.random.Generator) -> list[Figure]:
        scores = rng.beta(2, 2, n)
        return of_probabilities(scores, rng.random(n) < scores**1.3)

    return draw


def named(n: int) -> Sample:
    chances = np.array([[0.3, 0.05, 0.02], [0.05, 0.2, 0.03], [0.05, 0.1, 0.2]])

    def draw(rng: np.random.Generator) -> list[Figure]:
        cells = rng.choice(9, n, p=chances.ravel())
        return of_classes(cells % 3, cells // 3, 3, 2)

    return draw


def numbered(n: int) -> Sample:
    def draw(rng: np.random.Generator) -> list[Figure]:
        return of_numbers(rng.laplace(0.2, 1.0, n), np.zeros(n))

    return draw


@pytest.mark.parametrize("sample, n", [(scored, 400), (named, 400), (numbered, 400)])
def test_truth_is_covered_as_often_as_said(sample: Callable[[int], Sample], n: int) -> None:
    truth = {one.name: one.value for one in sample(400_000)(np.random.default_rng(9))}
    runs, hits = 250, Counter[str]()
    for seed in range(runs):
        for one in sample(n)(np.random.default_rng(seed)):
            hits[one.name] += one.low <= truth[one.name] <= one.high
    shares = {name: hits[name] / runs for name in truth if name != "ece"}
    # Why so much room: of squared errors with heavy tails it is nine times in ten.
    assert shares == pytest.approx(dict.fromkeys(shares, 0.95), abs=0.06)
