"""Labelled rows of a route, of any stretch of time, as the local store has them.

Rule 1: a stretch ends `matured` before now at the latest: what is in it will not change any more.
Rule 2: nothing of a record is kept longer than a look, but for the figures and streams made of it.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gateway.config.watching import DriftLabels
from gateway.drift.performance import Floats
from gateway.store.labelled import Labelled, LabelQuestion
from gateway.watch.performance.rows import Cohort, cohort_of, measured_values

PREDICTIONS = "/predictions"  # of a record
NS_PER_US = 1000


class LabelStore(Protocol):
    """`store.Store`, as far as it is asked here."""

    def labelled(self, question: LabelQuestion) -> Labelled: ...


class Stretch(Struct, frozen=True, kw_only=True):
    """Rows of a route between two moments."""

    cohort: Cohort
    records: int  # there are; more than were read where a part was taken
    notes: tuple[str, ...]


def stretch_of(
    store: LabelStore,
    route: str,
    labels: DriftLabels,
    since_us: int,
    until_us: int,
    most: int,
) -> Stretch:
    """All rows, with and without a label."""
    found = store.labelled(question_of(route, labels, labels.signal, since_us, until_us, most))
    return Stretch(cohort=cohort_of(found.rows, labels), records=found.records, notes=found.notes)


def signal_of(
    store: LabelStore,
    route: str,
    labels: DriftLabels,
    signal: str,
    since_us: int,
    until_us: int,
    most: int,
) -> tuple[Floats, NDArray[np.int64]]:
    """Values of a signal of numbers, and when their answers were asked."""
    asked = question_of(route, labels, signal, since_us, until_us, most)
    return measured_values(store.labelled(asked).rows)


def question_of(
    route: str, labels: DriftLabels, signal: str, since_us: int, until_us: int, most: int
) -> LabelQuestion:
    named = labels.prediction
    return LabelQuestion(
        route=route,
        since_us=since_us,
        until_us=until_us,
        signal=signal,
        pointer=named if named.startswith("/") else PREDICTIONS,
        horizon_us=max(labels.matured // NS_PER_US, 1),
        most=most,
    )


def matured_us(labels: DriftLabels, now_us: int) -> int:
    """Until when records are old enough."""
    return now_us - labels.matured // NS_PER_US


def latest(cohort: Cohort, least: int) -> Cohort:
    """The last rows, of whom so many have a label."""
    at = np.flatnonzero(cohort.is_labelled)
    return cohort if at.size <= least else cohort.only(slice(int(at[-least]), None))
