"""What a look compares with: figures, and what scores meant, of the route and of each version.

Rule: a version is compared with itself, where the reference has enough of it, else with the route.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from gateway.config.watching import DriftLabels
from gateway.drift.performance import Figure
from gateway.drift.performance_drops import LEAST
from gateway.drift.performance_estimates import Calibration, expected_figures
from gateway.watch.performance.rows import Cohort, figures_of

MOST_VERSIONS = 20  # that are looked at apart: those with the most rows


class Known(NamedTuple):
    """Of the route, or of one version."""

    figures: list[Figure]
    calibration: Calibration | None


class Standard(NamedTuple):
    """Of a stretch of time."""

    whole: Known
    by_version: Mapping[str, Known]

    def of(self, version: str) -> Known:
        """What rows of this version are compared with; "" is the route."""
        return self.by_version.get(version, self.whole)


def versions_of(cohort: Cohort, least: int = 1) -> list[str]:
    """Those with so many rows, the most frequent first."""
    counts = Counter(version for version in cohort.versions if version)
    return [name for name, count in counts.most_common(MOST_VERSIONS) if count >= least]


def standard_of(cohort: Cohort, labels: DriftLabels, least: int) -> Standard:
    """Of rows with a label; of a version where there are so many of it."""

    def known(rows: Cohort) -> Known:
        return Known(figures_of(rows, labels), calibration_of(rows))

    whole, versions = known(cohort), versions_of(cohort, least)
    if len(set(cohort.versions)) < 2:
        return Standard(whole, dict.fromkeys(versions, whole))
    return Standard(whole, {name: known(cohort.of_version(name)) for name in versions})


def expected_standard_of(cohort: Cohort, threshold: float, known: Standard) -> Standard:
    """What scores of rows say, by what they meant."""

    def of(version: str, rows: Cohort) -> Known:
        meant = known.of(version).calibration
        is_known = meant is not None and meant.is_sound
        return Known(expected_of(rows, threshold, meant) if is_known and meant else [], meant)

    whole, versions = of("", cohort), versions_of(cohort, LEAST)
    if len(set(cohort.versions)) < 2:
        return Standard(whole, {})
    return Standard(whole, {name: of(name, cohort.of_version(name)) for name in versions})


def calibration_of(cohort: Cohort) -> Calibration | None:
    """What scores of a labelled cohort mean; None where they are no probabilities."""
    if cohort.kind != "probability" or not cohort.truth.size:
        return None
    if cohort.scores.ndim == 2:
        return Calibration.fitted(
            cohort.scores.max(axis=1), cohort.scores.argmax(axis=1) == cohort.truth
        )
    return Calibration.fitted(cohort.scores, cohort.truth > 0.5)


def expected_of(cohort: Cohort, threshold: float, known: Calibration) -> list[Figure]:
    """Figures that scores promise, whatever the labels will be."""
    if cohort.scores.ndim == 2:  # the likeliest class, which is always said
        return expected_figures(cohort.scores.max(axis=1), known, -math.inf)
    return expected_figures(cohort.scores, known, threshold)
