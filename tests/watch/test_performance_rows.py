"""Predictions and labels as rows: every shape of them, and what is said of others."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.watching import DriftLabels
from gateway.watch.answers import predictions_of, truths_of
from gateway.watch.performance.rows import cohort_of, errors_of, figures_of, measured_values
from tests.watch.labels import row

TENSOR = {"name": "score", "datatype": "FP32", "shape": [2, 1], "data": [0.1, 0.9]}
WIDE = {"name": "probs", "datatype": "FP32", "shape": [2, 2], "data": [[0.2, 0.8], [0.7, 0.3]]}


@pytest.mark.parametrize(
    "value, name, expected",
    [
        (0.7, "", [0.7]),
        ("spam", "", ["spam"]),
        ([0.7, 0.1], "", [0.7, 0.1]),
        ({"score": 0.7}, "", [0.7]),
        ({"score": 0.7, "label": "a"}, "label", ["a"]),
        ({"ham": 0.4, "spam": 0.6}, "", [{"ham": 0.4, "spam": 0.6}]),
        ([{"score": 0.7}, {"score": 0.2}], "score", [0.7, 0.2]),
        ([[0.2, 0.8], [0.7, 0.3]], "", [[0.2, 0.8], [0.7, 0.3]]),
        ([TENSOR], "", [0.1, 0.9]),
        ([TENSOR, WIDE], "score", [0.1, 0.9]),
        ([TENSOR, WIDE], "probs", [[0.2, 0.8], [0.7, 0.3]]),
        ([TENSOR, WIDE], "probs.1", [0.8, 0.3]),
    ],
)
def test_predictions_of_every_shape_are_one_a_row(value: Any, name: str, expected: Any) -> None:
    assert predictions_of(value, name) == expected


@pytest.mark.parametrize(
    "label, rows, expected",
    [
        (None, 2, [None, None]),
        ("true", 1, [True]),
        ('"spam"', 2, ["spam", "spam"]),
        ("[1, 0]", 2, [1, 0]),
        ('{"class": "spam"}', 1, ["spam"]),
        ('{"score": 4, "range": [1, 5]}', 1, [4]),
        ('{"label": [1, 0]}', 2, [1, 0]),
    ],
)
def test_labels_of_every_shape_are_one_a_row(label: str, rows: int, expected: Any) -> None:
    assert truths_of(label, rows) == expected


@pytest.mark.parametrize(
    "labels, prediction, label, sentence",
    [
        ({}, None, 1, "the record has no prediction"),
        ({}, {"a": "x", "b": "y"}, 1, "`prediction` in drift.labels says which counts"),
        ({"prediction": "prediction.c"}, {"a": 1}, 1, "the prediction has no `c`"),
        ({}, [[1, 2]], 1, "a list or an object, not a class"),
        ({"kind": "probability"}, 1.5, 1, "not between 0 and 1"),
        ({"kind": "probability"}, [[0.5, 1.5]], 1, "holds no probabilities"),
        ({"kind": "probability"}, [[0.5] * 101], 1, "more than 100 classes"),
        ({"kind": "number"}, "x", 1, "a number was expected"),
        ({}, ["a", "b"], ["a"], "another number of rows"),
        ({}, "a", {"verdict": 1}, "without `class`, `label`, `value` or `score`"),
        ({}, "a", {"class": {"deep": 1}}, "a class is a text, a number or a boolean"),
        ({}, [TENSOR, WIDE], 1, "of tensors `score`, `probs`"),
        ({}, [TENSOR | {"shape": [3, 1]}], 1, "do not fit its shape"),
    ],
)
def test_what_cannot_be_read_is_told_and_leaves_no_row(
    labels: dict[str, Any], prediction: Any, label: Any, sentence: str
) -> None:
    found = cohort_of([row(1, prediction, label)], DriftLabels(**labels))
    assert found.at_us.size == 0
    ((reason, count),) = found.unread.items()
    assert sentence in reason
    assert count == 1


def test_classes_are_the_same_however_they_are_written() -> None:
    rows = [row(1, 1, 1.0), row(2, True, "true"), row(3, "1", 1), row(4, "a", None)]
    found = cohort_of(rows, DriftLabels())
    assert errors_of(found)[:3].tolist() == [0, 0, 0]
    assert found.is_labelled.tolist() == [True, True, True, False]


def test_label_of_no_known_word_asks_for_the_positive_one() -> None:
    rows = [row(1, 0.9, "fraud"), row(2, 0.1, "fine")]
    found = cohort_of(rows, DriftLabels(kind="probability"))
    assert not found.is_labelled.any()
    assert "`positive` in drift.labels names the positive one" in next(iter(found.unread))
    named = cohort_of(rows, DriftLabels(kind="probability", positive="fraud"))
    assert named.truth.tolist() == [1.0, 0.0]


def test_probabilities_of_classes_are_found_by_their_names() -> None:
    rows = [row(1, {"ham": 0.4, "spam": 0.6}, "spam"), row(2, {"spam": 0.2, "ham": 0.8}, "spam")]
    rows += [row(3, {"ham": 1.0, "spam": 0.0}, "eggs"), row(4, 0.4, "ham")]
    found = cohort_of(rows, DriftLabels(kind="probability"))
    assert found.classes == ("ham", "spam")
    assert found.scores.tolist() == [[0.4, 0.6], [0.8, 0.2], [1.0, 0.0]]
    assert found.truth.tolist() == [1.0, 1.0, -1.0]
    assert list(found.unread) == ["some predictions are one value, others one a class"]
    figures = {one.name: one.value for one in figures_of(found, DriftLabels(kind="probability"))}
    assert figures["accuracy"] == pytest.approx(1 / 3)
    assert errors_of(found).tolist() == pytest.approx([0.32, 1.28, 2.0])


def test_figures_are_of_rows_with_a_label_alone() -> None:
    rows = [row(1, "a", "a"), row(2, "b", "a"), row(3, "b", None)]
    (accuracy, *_rest) = figures_of(cohort_of(rows, DriftLabels()), DriftLabels())
    assert (accuracy.hits, accuracy.n) == (1, 2)


def test_of_two_classes_the_yes_is_positive() -> None:
    yes_no = cohort_of([row(n, n % 2, 1) for n in range(8)], DriftLabels())
    names = {one.name for one in figures_of(yes_no, DriftLabels())}
    assert {"precision", "recall", "f1"} <= names
    others = cohort_of([row(n, "ab"[n % 2], "a") for n in range(8)], DriftLabels())
    assert "f1" not in {one.name for one in figures_of(others, DriftLabels())}


def test_stretches_and_versions_are_cut_out() -> None:
    rows = [row(at, 1.0, 2.0, version="12"[at % 2]) for at in range(10)]
    found = cohort_of(rows, DriftLabels(kind="number"))
    assert found.between(3, 6).at_us.tolist() == [3, 4, 5]
    assert found.of_version("2").requests == tuple(f"r-{at}" for at in (1, 3, 5, 7, 9))
    assert np.all(errors_of(found) == 1.0)


def test_signals_are_numbers_or_yes_and_no() -> None:
    said = [True, 4, {"score": 5, "range": [1, 5]}, {"distance": 0.2, "count": 3}, "no", None]
    values, times_us = measured_values(row(at, None, each) for at, each in enumerate(said))
    assert values.tolist() == [1.0, 4.0, 5.0, 0.2]
    assert times_us.tolist() == [0, 1, 2, 3]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats(allow_nan=False)
    | st.text(max_size=3) | st.just("score"),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["name", "data", "shape", "score", "class"]), inner),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(JSON, JSON, st.sampled_from(["class", "probability", "number"]))
def test_whatever_stands_there_is_a_row_or_a_reason(value: Any, label: Any, kind: Any) -> None:
    texts = [json.dumps(each) for each in (value, label)]
    rows = [row(1, 0.5, 1), row(2, None)._replace(prediction=texts[0], label=texts[1])]
    labels = DriftLabels(kind=kind)
    found = cohort_of(rows, labels)
    assert found.at_us.size >= 1 or found.unread
    assert len(found.requests) == found.at_us.size == len(found.truth) == len(found.scores)
    figures_of(found, labels)
    errors_of(found)
    measured_values(rows)


def test_nesting_without_end_is_a_reason() -> None:
    deep = "[" * 5000 + "]" * 5000
    found = cohort_of([row(1, None)._replace(prediction=deep, label=deep)], DriftLabels())
    assert list(found.unread) == ["the JSON cannot be read"]
