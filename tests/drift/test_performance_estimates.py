"""What scores say before labels come: NannyML's numbers, and the figures that came."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from gateway.drift.performance import of_probabilities
from gateway.drift.performance_estimates import (
    LEAST,
    Calibration,
    estimated,
    estimated_accuracy,
    expected_figures,
)

# Of nannyml 0.13.1, CBPE without calibration, on the sample of the test (bench/drift/scripts).
NANNYML = {
    "auc": 0.7555117116287178,
    "f1": 0.7375910974628124,
    "precision": 0.710980289918046,
    "recall": 0.7662713575370191,
    "accuracy": 0.6914111069689339,
}


def test_estimates_are_those_of_nannyml() -> None:
    rng = np.random.default_rng(5)
    scores = rng.beta(1.2, 2.5, 3000)
    known = Calibration.fitted(scores, rng.random(3000) < scores)
    assert known is not None
    assert known.steps is None  # they are probabilities as they are
    found = {one.name: one.value for one in estimated(rng.beta(2.5, 2.0, 1000), known)}
    assert {name: found[name] for name in NANNYML} == pytest.approx(NANNYML, abs=1e-7)


@pytest.mark.parametrize("power", [1.0, 1.6])
def test_figures_that_came_are_in_their_estimates(power: float) -> None:
    """Inputs drift, what scores mean does not; with power 1.6 they are no probabilities."""
    hits, runs = Counter[str](), 60
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        scores = rng.beta(1.2, 2.5, 3000)
        known = Calibration.fitted(scores, rng.random(3000) < scores**power)
        assert known is not None
        now = rng.beta(2.5, 2.0, 600)
        came = {one.name: one.value for one in of_probabilities(now, rng.random(600) < now**power)}
        for one in estimated(now, known):
            hits[one.name] += one.low <= came[one.name] <= one.high
    assert len(hits) == 7
    assert min(hits.values()) / runs >= 0.88


def test_scores_that_mean_nothing_are_made_the_share_of_positives() -> None:
    rng = np.random.default_rng(1)
    scores = rng.beta(2, 2, 3000)
    known = Calibration.fitted(scores, rng.random(3000) < 0.3)
    assert known is not None
    assert known.chances(np.array([0.3, 0.7])) == pytest.approx([0.3, 0.3], abs=0.1)


def test_what_is_learnt_is_checked_on_rows_that_were_not_learnt_from() -> None:
    rng = np.random.default_rng(2)
    scores = rng.beta(2, 2, 4000)
    known = Calibration.fitted(scores, rng.random(4000) < scores**3)
    assert known is not None
    assert known.before.bounds.low > 0.05
    assert known.after.bounds.value < 0.03
    assert known.is_sound


@pytest.mark.parametrize("rows", [0, LEAST - 1])
def test_of_few_rows_nothing_is_learnt(rows: int) -> None:
    truth = np.arange(rows) % 2 == 0
    assert Calibration.fitted(np.full(rows, 0.5), truth) is None


def test_of_one_class_alone_nothing_is_learnt() -> None:
    assert Calibration.fitted(np.full(500, 0.5), np.ones(500, dtype=bool)) is None


def test_accuracy_of_several_classes_is_the_mean_of_the_likeliest() -> None:
    rng = np.random.default_rng(3)
    likeliest = rng.uniform(0.4, 1.0, 4000)
    known = Calibration.fitted(likeliest, rng.random(4000) < likeliest)
    assert known is not None
    (found,) = estimated_accuracy(likeliest[:500], known)
    assert found.value == pytest.approx(float(likeliest[:500].mean()))


def test_expected_figures_fall_when_scores_lose_their_certainty() -> None:
    rng = np.random.default_rng(4)
    scores = rng.beta(0.5, 0.5, 4000)
    known = Calibration.fitted(scores, rng.random(4000) < scores)
    assert known is not None
    sure, unsure = (
        {one.name: one for one in expected_figures(each, known)}
        for each in (rng.beta(0.5, 0.5, 500), rng.beta(5, 5, 500))
    )
    assert unsure["accuracy"].high < sure["accuracy"].low
    assert unsure["brier"].low > sure["brier"].high


def test_no_rows_have_no_estimate() -> None:
    rng = np.random.default_rng(6)
    scores = rng.beta(2, 2, 1000)
    known = Calibration.fitted(scores, rng.random(1000) < scores)
    assert known is not None
    assert estimated(np.array([]), known) == []
