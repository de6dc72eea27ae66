"""How a route's predictions did over the last days, from the local store."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from gateway.config.watching import DriftLabels
from gateway.drift.performance import Figure, of_signal
from gateway.drift.performance_estimates import (
    Calibration,
    estimated,
    estimated_accuracy,
)
from gateway.drift.performance_view import (
    CalibrationView,
    FigureView,
    PartView,
    PerformanceView,
)
from gateway.store.moments import from_us
from gateway.watch.performance.rows import Cohort, figures_of
from gateway.watch.performance.source import (
    LabelStore,
    Stretch,
    matured_us,
    signal_of,
    stretch_of,
)
from gateway.watch.performance.standard import calibration_of

MOST = 200_000  # records that are read
PERIODS = 10
MOST_VERSIONS = 10


def performance_report(
    store: LabelStore, route: str, labels: DriftLabels, now_us: int, last_us: int
) -> PerformanceView:
    """Figures of what is matured, and what scores say of what is not."""
    since = now_us - last_us
    matured = max(min(matured_us(labels, now_us), now_us), since)
    found = stretch_of(store, route, labels, since, now_us, MOST)
    cohort = found.cohort
    old, new = cohort.between(since, matured), cohort.between(matured, now_us)
    known = calibration_of(old.labelled())
    return PerformanceView(
        route=route,
        kind=labels.kind,
        signal=labels.signal,
        prediction=labels.prediction,
        since=from_us(since),
        until=from_us(now_us),
        matured_until=from_us(matured),
        rows=old.at_us.size,
        labelled=int(old.is_labelled.sum()),
        late=cohort.late,
        figures=_shown(figures_of(old, labels)),
        estimates=_estimates(new, known, labels),
        calibration=_calibration(known),
        signals=tuple(_signals(store, route, labels, since, matured)),
        versions=tuple(_versions(old, labels)),
        periods=tuple(_periods(old, labels, since, matured)),
        notes=tuple(_notes(found, old, labels, known)),
    )


def _shown(figures: Iterable[Figure]) -> tuple[FigureView, ...]:
    return tuple(
        FigureView(
            name=one.name,
            value=_known(one.value),
            low=_known(one.low),
            high=_known(one.high),
            rows=one.n,
            method=one.method,
        )
        for one in figures
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _estimates(
    cohort: Cohort, known: Calibration | None, labels: DriftLabels
) -> tuple[FigureView, ...]:
    if known is None or not cohort.at_us.size:
        return ()
    if cohort.scores.ndim == 2:
        return _shown(estimated_accuracy(cohort.scores.max(axis=1), known))
    return _shown(estimated(cohort.scores, known, float(labels.threshold)))


def _calibration(known: Calibration | None) -> CalibrationView | None:
    if known is None:
        return None
    return CalibrationView(
        error=known.before.bounds.value,
        error_after=known.after.bounds.value,
        is_sound=known.is_sound,
    )


def _signals(
    store: LabelStore, route: str, labels: DriftLabels, since: int, until: int
) -> Iterator[FigureView]:
    for signal in labels.signals:
        values, _times_us = signal_of(store, route, labels, signal, since, until, MOST)
        yield from _shown([of_signal(signal, values)])


def _versions(cohort: Cohort, labels: DriftLabels) -> Iterator[PartView]:
    counts = Counter(cohort.versions).most_common(MOST_VERSIONS)
    for version, _count in counts if len(counts) > 1 else ():
        yield _part(cohort.of_version(version), labels, version=version)


def _periods(cohort: Cohort, labels: DriftLabels, since: int, until: int) -> Iterator[PartView]:
    edges = np.linspace(since, until, PERIODS + 1).astype(np.int64).tolist()
    for begin, end in itertools.pairwise(edges):
        part = cohort.between(begin, end)
        if part.at_us.size:
            yield _part(part, labels, since=from_us(begin), until=from_us(end))


def _part(cohort: Cohort, labels: DriftLabels, **place: str) -> PartView:
    return PartView(
        rows=cohort.at_us.size,
        labelled=int(cohort.is_labelled.sum()),
        figures=_shown(figures_of(cohort, labels)),
        **place,
    )


def _notes(
    found: Stretch, old: Cohort, labels: DriftLabels, known: Calibration | None
) -> Iterator[str]:
    yield from found.notes
    cohort = found.cohort
    if found.records > MOST:
        yield f"Of {found.records:,} records about {MOST:,} were read, chosen by their ids."
    for reason, count in sorted(cohort.unread.items(), key=lambda one: -one[1])[:3]:
        yield f"{count:,} records are left out: {reason}."
    if cohort.late:
        yield (
            f"{cohort.late:,} labels came later than {labels.matured} after their answer and do"
            " not count; a longer `matured` in drift.labels takes them in."
        )
    if not old.is_labelled.any():
        yield (
            f"No answer that is at least {labels.matured} old has a `{labels.signal}`: send it"
            " to /v1/feedback with the answer's x-request-id."
        )
    if known is not None and not known.is_sound:
        yield "Scores are no probabilities, even when corrected: do not rely on the estimates."
