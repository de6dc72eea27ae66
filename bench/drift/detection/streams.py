"""Values that come one by one, and change at a known place.

Of river's generators a concept before and one after the change (scripts/river_streams.py);
where only the answers to the same rows change, what is watched is the error of a model that
was fitted to the concept before. Four more are normal numbers of which one of two changes.

A stream is warm for WARM values, in which nobody's alarms count and ours has its reference;
at CHANGE it changes, at once or over GRADUAL values, where each row is the more likely of the
concept after.

Rule: nothing here knows how drift is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WARM, CHANGE, END = 1000, 3000, 5000
GRADUAL = 1000
FITTED = 10_000  # rows of the concept before that the model is fitted to
ERRORS = ("SEA", "Sine", "Agrawal", "Friedman")  # answers change, rows do not


class Stream(NamedTuple):
    """One sort of stream."""

    name: str
    watched: str
    draw: Callable[[np.random.Generator], Floats]  # END rows, a column a value


class Concept(NamedTuple):
    """What can be watched of rows, before and after."""

    before: Floats
    after: Floats


def concepts(file: Mapping[str, Floats]) -> dict[str, Concept]:
    """Of the generators' rows, by name."""
    found: dict[str, Concept] = {}
    for name in ERRORS:
        parts = {
            key: file[f"{name}.{key}"] for key in ("before.x", "before.y", "after.x", "after.y")
        }
        found[name] = errors(parts, is_number=name == "Friedman")
    found["RandomRBF"] = Concept(file["RandomRBF.before.x"], file["RandomRBF.after.x"])
    # Of 24 attributes the seven that mean something; three of them change places with others.
    found["LED"] = Concept(file["LED.before.x"][:, :7], file["LED.after.x"][:, :7])
    return found


def errors(parts: Mapping[str, Floats], *, is_number: bool) -> Concept:
    """Of a model that is linear in the rows, their squares and products."""
    rows, answers = _terms(parts["before.x"]), parts["before.y"]
    fit = _line if is_number else _logistic
    weights = fit(rows[:FITTED], answers[:FITTED])
    after = _terms(parts["after.x"], parts["before.x"])

    def wrong(given: Floats, wanted: Floats) -> Floats:
        said = given @ weights
        off = np.abs(said - wanted) if is_number else (said > 0) != (wanted > 0)
        return np.asarray(off, np.float64)[:, None]

    return Concept(wrong(rows[FITTED:], answers[FITTED:]), wrong(after, parts["after.y"]))


def _terms(rows: Floats, scaled_by: Floats | None = None) -> Floats:
    by = rows if scaled_by is None else scaled_by
    scaled = (rows - by.mean(axis=0)) / np.maximum(by.std(axis=0), 1e-9)
    pairs = [
        scaled[:, i] * scaled[:, j] for i in range(rows.shape[1]) for j in range(i, rows.shape[1])
    ]
    return np.column_stack([np.ones(len(rows)), scaled, *pairs])


def _line(rows: Floats, answers: Floats) -> Floats:
    return np.asarray(np.linalg.lstsq(rows, answers, rcond=None)[0])


def _logistic(rows: Floats, answers: Floats) -> Floats:
    """By Newton's steps, with a little of a ridge."""
    weights = np.zeros(rows.shape[1])
    for _ in range(12):
        p = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        slope = rows.T @ (answers - p) - 1e-2 * weights
        bend = (rows * (p * (1 - p))[:, None]).T @ rows + 1e-2 * np.eye(rows.shape[1])
        weights += np.linalg.solve(bend, slope)
    return weights


def all_of(known: Mapping[str, Concept]) -> Iterator[Stream]:
    """Every stream."""
    for name in ERRORS:
        what = "error of a line" if name == "Friedman" else "errors of a model"
        yield Stream(f"{name}, at once", what, _mixed(known[name], 1))
    yield Stream("SEA, gradually", "errors of a model", _mixed(known["SEA"], GRADUAL))
    yield Stream("Sine, gradually", "errors of a model", _mixed(known["Sine"], GRADUAL))
    yield Stream("RandomRBF, gradually", "3 features", _mixed(known["RandomRBF"], GRADUAL))
    yield Stream("LED, at once", "7 attributes", _mixed(known["LED"], 1))
    for name, shape in NORMAL.items():
        yield Stream(name, "2 features", _normal(shape))


def _mixed(of: Concept, width: int) -> Callable[[np.random.Generator], Floats]:
    """River's ConceptDriftStream: a sigmoid of this width."""

    def draw(rng: np.random.Generator) -> Floats:
        at = np.arange(END)
        if width > 1:
            # Why later by half the width: before CHANGE nothing is to be found.
            middle = CHANGE + width / 2
            is_after = rng.random(END) < 1 / (1 + np.exp(-4 * (at - middle) / (width / 2)))
            is_after &= at >= CHANGE
        else:
            is_after = at >= CHANGE
        before = of.before[rng.integers(0, len(of.before), END)]
        after = of.after[rng.integers(0, len(of.after), END)]
        return np.where(is_after[:, None], after, before)

    return draw


Shape = Callable[[np.random.Generator, Floats, Floats], Floats]  # rng, normal values, 0 to 1
NORMAL: dict[str, Shape] = {
    "mean + 0.5 deviations": lambda _, values, part: values + 0.5 * (part > 0),
    "mean + 1 deviation, slowly": lambda _, values, part: values + part,
    "deviation × 1.5": lambda _, values, part: values * np.where(part > 0, 1.5, 1.0),
    "two peaks, same mean and deviation": lambda rng, values, part: np.where(
        part > 0, 0.5 * values + 0.866 * rng.choice([-1.0, 1.0], values.size), values
    ),
}


def _normal(shape: Shape) -> Callable[[np.random.Generator], Floats]:
    def draw(rng: np.random.Generator) -> Floats:
        rows = rng.normal(size=(END, 2))
        part = np.clip((np.arange(END) - CHANGE + 1) / (END - CHANGE), 0.0, 1.0)
        rows[:, 0] = shape(rng, rows[:, 0], part)
        return rows

    return draw
