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
from gateway.watch.performance.asked import Asked
from gateway.watch.performance.rows import Cohort, cohort_of, measured_values

PREDICTIONS = "/predictions"  # of a record
NS_PER_US = 1000
WIDEST_US = 14 * 24 * 3600 * 10**6
MOST_NOW = 20_000  # records read of a window


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


class Matured:
    """Rows with a label that are old enough, as one look wants them.

    Those of the window; where they are too few, what was before it is taken in, up to WIDEST.
    """

    def __init__(self, store: LabelStore, asked: Asked) -> None:
        self._store, self._asked = store, asked
        self._until = matured_us(asked.labels, asked.now_us)
        self._window = self._labelled(asked.rule.window // NS_PER_US)
        self._wide: Cohort | None = None

    def rows(self, version: str = "") -> Cohort:
        """Of this version of the model; by default of all."""
        found = _of(self._window, version)
        if found.at_us.size >= self._asked.least:
            return found
        if self._wide is None:
            self._wide = self._labelled(WIDEST_US)
        return latest(_of(self._wide, version), self._asked.least)

    def _labelled(self, width_us: int) -> Cohort:
        asked, since = self._asked, self._until - width_us
        found = stretch_of(self._store, asked.route, asked.labels, since, self._until, MOST_NOW)
        return found.cohort.labelled()


def _of(cohort: Cohort, version: str) -> Cohort:
    return cohort.of_version(version) if version else cohort
