"""Records with labels, made up: a store that has them, and scores that are probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.config.units import Age
from gateway.config.watching import Drift, DriftLabels, DriftReference, DriftRule
from gateway.store.labelled import Labelled, LabelledRow, LabelQuestion

MINUTE_US, HOUR_US = 60 * 10**6, 3600 * 10**6
DAY_US = 24 * HOUR_US
HOUR_NS = 3600 * 10**9
NOW_US = 20_000 * DAY_US

LABELS = DriftLabels(kind="probability", matured=Age(24 * HOUR_NS))

Scores = NDArray[np.float64]


class FakeStore:
    """Rows as they were put; takes a part as the real one does, but for which."""

    def __init__(self, rows: Sequence[LabelledRow] = ()) -> None:
        self.rows = sorted(rows, key=lambda row: row.at_us)
        self.signals: dict[str, list[LabelledRow]] = {}
        self.asked: list[LabelQuestion] = []

    def labelled(self, question: LabelQuestion) -> Labelled:
        self.asked.append(question)
        rows = self.signals.get(question.signal, self.rows)
        found = [one for one in rows if question.since_us <= one.at_us < question.until_us]
        step = max(1, -(-len(found) // question.most))
        return Labelled(tuple(found[::step]), len(found))


def row(at_us: int, prediction: object, label: object = None, **changes: Any) -> LabelledRow:
    made = LabelledRow(
        id=f"r-{at_us}",
        request_id="",
        at_us=at_us,
        version="1",
        prediction=None if prediction is None else msgspec.json.encode(prediction).decode(),
        label=None if label is None else msgspec.json.encode(label).decode(),
        late=0,
    )
    return made._replace(**changes)


def scored(
    since_us: int,
    until_us: int,
    count: int,
    *,
    seed: int = 1,
    faith: float = 1.0,
    draw: Callable[[np.random.Generator, int], Scores] = lambda rng, n: rng.beta(0.8, 1.2, n),
    is_labelled: bool = True,
) -> list[LabelledRow]:
    """Rows at even times; positive with the probability score, at a `faith` of 1."""
    rng = np.random.default_rng(seed)
    scores = draw(rng, count)
    truth = rng.random(count) < faith * scores + (1 - faith) / 2
    times = np.linspace(since_us, until_us - 1, count).astype(np.int64).tolist()
    return [
        row(at, [score], bool(yes) if is_labelled else None)
        for at, score, yes in zip(times, scores.tolist(), truth.tolist(), strict=True)
    ]


def drift(rule: DriftRule | None = None, labels: DriftLabels = LABELS) -> Drift:
    return Drift(
        rules={"labels": rule or DriftRule()},
        labels={"fraud": labels},
        references={
            "week": DriftReference(kind="last_week"),
            "pin": DriftReference(
                kind="pinned", since="2024-09-20T00:00:00Z", until="2024-09-21T00:00:00Z"
            ),
        },
    )
