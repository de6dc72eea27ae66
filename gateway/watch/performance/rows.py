"""Predictions and labels of records as arrays, a row a prediction.

Rule: what cannot be read is counted in `unread` with the first reason, and leaves no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from gateway.config.watching import DriftLabels
from gateway.drift import performance
from gateway.drift.performance import Figure, Flags, Floats
from gateway.store.labelled import LabelledRow
from gateway.watch.answers import Unreadable, decoded, predictions_of, text_of, truths_of

Scalar = str | int | float | bool
Prediction = Scalar | dict[str, float]  # by class, where it is several probabilities

PREFIX = "prediction."
YES, NO = {"1", "true", "yes"}, {"0", "false", "no"}
_NUMBER_MEMBERS = ("score", "distance", "count", "value")
LARGEST = 1e300  # number
MOST_ROWS = 1_000_000
MOST_CLASSES = 100  # that a prediction has probabilities of


class Cohort(Struct, kw_only=True):
    """Rows in order of time; arrays are of equal length."""

    kind: str  # of the prediction: class, probability, number
    classes: tuple[str, ...] = ()  # names of the columns of `scores`, or of the numbers in it
    at_us: NDArray[np.int64]
    scores: Floats  # of `class`: its number; of several classes: a column each
    truth: Floats  # a number of a class, 0 and 1, or what was true; nan: no label
    requests: tuple[str, ...]
    versions: tuple[str, ...]
    late: int = 0  # labels that came too late to count
    unread: dict[str, int] = field(default_factory=dict)  # records by the reason

    @property
    def is_labelled(self) -> Flags:
        """Rows with a label."""
        return ~np.isnan(self.truth)

    def between(self, since_us: int, until_us: int) -> Cohort:
        """Rows of this stretch."""
        first, end = np.searchsorted(self.at_us, [since_us, until_us])
        return self.only(slice(int(first), int(end)))

    def of_version(self, version: str) -> Cohort:
        """Rows that this version of the model answered."""
        return self.only(np.flatnonzero([each == version for each in self.versions]))

    def labelled(self) -> Cohort:
        """Rows with a label."""
        return self.only(np.flatnonzero(self.is_labelled))

    def only(self, rows: slice | NDArray[np.int64]) -> Cohort:
        if isinstance(rows, slice):
            requests, versions = self.requests[rows], self.versions[rows]
        else:
            requests = tuple(self.requests[at] for at in rows)
            versions = tuple(self.versions[at] for at in rows)
        return msgspec.structs.replace(
            self,
            at_us=self.at_us[rows],
            scores=self.scores[rows],
            truth=self.truth[rows],
            requests=requests,
            versions=versions,
        )


def figures_of(cohort: Cohort, labels: DriftLabels) -> list[Figure]:
    """Of the rows with a label."""
    known = cohort.labelled()
    truth = known.truth
    if not truth.size:
        return []
    if known.kind == "number":
        return performance.of_numbers(known.scores, truth)
    if known.kind == "class":
        positive = _positive(known.classes, labels)
        numbers = known.scores.astype(np.int64)
        return performance.of_classes(numbers, truth.astype(np.int64), len(known.classes), positive)
    if known.scores.ndim == 2:
        return performance.of_class_probabilities(known.scores, truth.astype(np.int64))
    return performance.of_probabilities(known.scores, truth > 0.5, labels.threshold)


def errors_of(cohort: Cohort) -> Floats:
    """How wrong each row is, the more the worse; nan without a label."""
    scores, truth = cohort.scores, cohort.truth
    if cohort.kind == "number":
        return np.abs(scores - truth)
    if cohort.kind == "class":
        return np.where(np.isnan(truth), np.nan, (scores != truth).astype(np.float64))
    if scores.ndim == 2:
        known = np.where(np.isnan(truth), -1, truth).astype(np.int64)
        chosen = np.where(known >= 0, scores[np.arange(known.size), np.maximum(known, 0)], 0.0)
        errors: Floats = (scores**2).sum(axis=1) - 2 * chosen + 1
        return np.where(np.isnan(truth), np.nan, errors)
    return (scores - truth) ** 2


def cohort_of(rows: Iterable[LabelledRow], labels: DriftLabels) -> Cohort:
    """All rows of records, in their order."""
    reading = _Reading(labels)
    for row in rows:
        reading.take(row)
    return reading.cohort()


class _Reading:
    """Rows as they come; classes get their numbers at the end."""

    def __init__(self, labels: DriftLabels) -> None:
        self._labels = labels
        self._name = labels.prediction.removeprefix(PREFIX)
        if self._name.startswith("/"):
            self._name = ""
        self._rows: list[tuple[int, str, str, Prediction, Scalar | None]] = []
        self._is_many: bool | None = None  # whether predictions are those of several classes
        self._unread: dict[str, int] = {}
        self._late = 0

    def take(self, row: LabelledRow) -> None:
        self._late += row.late if row.label is None else 0
        try:
            predictions = predictions_of(_decoded(row.prediction), self._name)
            said = truths_of(row.label, len(predictions))
            made = [
                (self._prediction(one), None if truth is None else self._truth(truth))
                for one, truth in zip(predictions, said, strict=True)
            ]
            self._check(made)
            if len(self._rows) + len(made) > MOST_ROWS:
                raise Unreadable(f"{MOST_ROWS:,} rows are enough")  # noqa: TRY301
        except Unreadable as reason:
            self._unread[str(reason)] = self._unread.get(str(reason), 0) + 1
            return
        name = row.request_id or row.id
        self._rows += [(row.at_us, name, row.version, one, truth) for one, truth in made]

    def _check(self, made: Sequence[tuple[Prediction, Scalar | None]]) -> None:
        for prediction, _truth in made:
            is_many = isinstance(prediction, dict)
            self._is_many = is_many if self._is_many is None else self._is_many
            if is_many != self._is_many:
                raise Unreadable("some predictions are one value, others one a class")

    def _prediction(self, value: Any) -> Prediction:
        kind = self._labels.kind
        if isinstance(value, dict | list):
            if kind != "probability":
                raise Unreadable(f"the prediction is a list or an object, not a {kind}")
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            found = {str(name): _number(one) for name, one in pairs}
            if len(found) > MOST_CLASSES:
                raise Unreadable(f"the prediction holds more than {MOST_CLASSES} classes")
            if not found or not all(0 <= one <= 1 for one in found.values()):
                raise Unreadable("the prediction holds no probabilities")
            return found
        if kind == "class":
            return text_of(value)
        number = _number(value)
        if kind == "probability" and not 0 <= number <= 1:
            raise Unreadable("the prediction is no probability: it is not between 0 and 1")
        return number

    def _truth(self, value: Any) -> Scalar:
        return _number(value) if self._labels.kind == "number" else text_of(value)

    def cohort(self) -> Cohort:
        predictions = [row[3] for row in self._rows]
        truths = [row[4] for row in self._rows]
        classes: tuple[str, ...] = ()
        if self._labels.kind == "number":
            scores, truth = _floats(predictions), _floats(truths)
        elif self._labels.kind == "class":
            given = {*map(str, predictions), *(str(one) for one in truths if one is not None)}
            classes = tuple(sorted(given))
            scores, truth = _numbered(predictions, classes), _numbered(truths, classes)
        elif self._is_many:
            classes = tuple(dict.fromkeys(name for one in predictions for name in _names(one)))
            scores = _matrix(predictions, classes)
            truth = _numbered(truths, classes)
        else:
            scores = _floats(predictions)
            truth = self._flags(truths)
        return Cohort(
            kind=self._labels.kind,
            classes=classes,
            at_us=np.array([row[0] for row in self._rows], dtype=np.int64),
            scores=scores,
            truth=truth,
            requests=tuple(row[1] for row in self._rows),
            versions=tuple(row[2] for row in self._rows),
            late=self._late,
            unread=self._unread,
        )

    def _flags(self, truths: Sequence[Scalar | None]) -> Floats:
        """1 where the label is the positive class."""
        said = {str(one) for one in truths if one is not None}
        yes = {self._labels.positive} if self._labels.positive else YES
        if not self._labels.positive and said - YES - NO:
            odd = min(said - YES - NO)
            reason = f"a label is `{odd}`: `positive` in drift.labels names the positive one"
            self._unread[reason] = sum(one is not None for one in truths)
            return np.full(len(truths), np.nan)
        return _floats([None if one is None else float(str(one) in yes) for one in truths])


def _decoded(prediction: str | None) -> Any:
    if prediction is None:
        raise Unreadable("the record has no prediction")
    return decoded(prediction)


def _value_of(label: str | None) -> Any:
    try:
        return decoded(label) if label else None
    except Unreadable:
        return None


def measured_values(rows: Iterable[LabelledRow]) -> tuple[Floats, NDArray[np.int64]]:
    """Values of a signal that is a number, or yes or no; and when their answers were asked."""
    values, times_us = [], []
    for row in rows:
        value = _value_of(row.label)
        if isinstance(value, dict):
            value = next((value[one] for one in _NUMBER_MEMBERS if one in value), None)
        with suppress(Unreadable):
            values.append(_number(value))
            times_us.append(row.at_us)
    return np.array(values, dtype=np.float64), np.array(times_us, dtype=np.int64)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float) and abs(value) <= LARGEST:
        return float(value)
    raise Unreadable("a number was expected, of the prediction or its label")


def _names(one: Prediction) -> Iterable[str]:
    return one if isinstance(one, dict) else ()


def _floats(values: Sequence[Any]) -> Floats:
    return np.array([np.nan if one is None else float(one) for one in values], dtype=np.float64)


def _numbered(values: Sequence[Any], classes: Sequence[str]) -> Floats:
    """The number of each class; -1 of one that is none of them."""
    numbers = {name: float(at) for at, name in enumerate(classes)}
    return np.array(
        [np.nan if one is None else numbers.get(str(one), -1.0) for one in values], dtype=np.float64
    )


def _matrix(rows: Sequence[Prediction], classes: Sequence[str]) -> Floats:
    made = np.zeros((len(rows), len(classes)))
    at = {name: column for column, name in enumerate(classes)}
    for number, row in enumerate(rows):
        for name in _names(row):
            made[number, at[name]] = row[name] if isinstance(row, dict) else 0.0
    return made


def _positive(classes: Sequence[str], labels: DriftLabels) -> int | None:
    """The positive class's number; -1: no row has it; None: none is."""
    if labels.positive:
        return classes.index(labels.positive) if labels.positive in classes else -1
    binary = [one for one in classes if one in YES]
    if len(binary) == 1 and set(classes) <= YES | NO:
        return classes.index(binary[0])
    return None
