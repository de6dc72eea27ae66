"""Errors of predictions one after the other: when did they get worse? ADWIN and Page-Hinkley.

Both are river's (the extra `drift`). Errors are standardised by the first of them, so that one
threshold fits all. How often they may be wrong is a time, as everywhere:

    Page-Hinkley   a sum of what exceeds the mean by ALLOWANCE; its threshold b is the one whose
                   expected run without change is MARGIN times as long as asked, for the mean is
                   learnt, too: (e^x - 1 - x) / (2 ALLOWANCE²), x = 2 ALLOWANCE (b + 1.166)
                   (Siegmund 1985)
    ADWIN          windows whose means differ more than chance gives, with probability at most
                   `delta` a check; it checks every 32 errors

A change stands until errors are back, or for LONGEST_US; then what is is the new level.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from msgspec import Struct
from scipy import optimize

if TYPE_CHECKING:
    from river.base import DriftDetector

StreamTest = Literal["adwin", "page_hinkley"]

FIRST = 300  # errors that say what is usual
LATEST = 200  # errors that say what is now
ALLOWANCE = 0.1  # of a standard deviation: less is no change to Page-Hinkley
CHECK = 32  # errors between two looks of ADWIN
WIDEST_DELTA = 0.002  # river's default
LONGEST_US = 7 * 86_400 * 10**6
MARGIN = 4.0  # measured: of 1, false alarms are twice as many as asked
_OVERSHOOT = 1.166
_DAY_US = 86_400 * 10**6


class Change(Struct, frozen=True, kw_only=True):
    """Errors got worse."""

    at_us: int  # when that was seen
    before: float  # mean error
    after: float  # of the latest errors
    rows: int  # errors since


class ErrorStream:
    """One detector and what it saw; rows come in order of time, each once."""

    def __init__(self, test: StreamTest, false_alarm_days: float, rows_a_day: float) -> None:
        self.test = test
        self._run = max(false_alarm_days * rows_a_day, 1000.0)
        self._first: list[float] = []
        self._mean, self._deviation = 0.0, 1.0
        self._detector: DriftDetector | None = None
        self._latest: deque[float] = deque(maxlen=LATEST)
        self._change: Change | None = None
        self.last_us = -1

    @property
    def change(self) -> Change | None:
        """What stands now."""
        return self._change

    @property
    def is_learning(self) -> bool:
        """Whether there were too few errors yet to say anything."""
        return self._detector is None and self._change is None

    def feed(self, times_us: Iterable[int], errors: Iterable[float], least: float) -> None:
        """Take what came; `least` is the rise of the mean error from which it matters."""
        for at_us, error in zip(times_us, errors, strict=True):
            self.last_us = max(self.last_us, at_us)
            self._latest.append(error)
            if self._detector is None:
                self._learn(error)
            else:
                self._watch(at_us, error)
            if self._change is not None:
                self._settle(self._change, at_us, least)

    def _learn(self, error: float) -> None:
        self._first.append(error)
        if len(self._first) < FIRST:
            return
        usual, self._first = self._first, []
        values = np.array(usual)
        self._mean = float(values.mean())
        self._deviation = max(float(values.std()), 1e-9)
        self._detector = _detector(self.test, self._run)
        # Why: a detector that begins with its first error alone does not know what is usual.
        for value in usual:
            self._detector.update((value - self._mean) / self._deviation)

    def _watch(self, at_us: int, error: float) -> None:
        detector = self._detector
        if detector is None:
            return
        before = float(getattr(detector, "estimation", 0.0))
        detector.update((error - self._mean) / self._deviation)
        if not detector.drift_detected:
            return
        if float(getattr(detector, "estimation", math.inf)) < before:
            return  # ADWIN sees what gets better, too
        usual = self._change.before if self._change else self._mean + before * self._deviation
        self._change = Change(at_us=at_us, before=usual, after=error, rows=0)
        self._detector = None  # what comes now is learnt anew, to see the next change

    def _settle(self, change: Change, at_us: int, least: float) -> None:
        after = math.fsum(self._latest) / len(self._latest)
        rows = change.rows + 1
        is_over = rows >= LATEST and after - change.before < least
        if is_over or at_us - change.at_us > LONGEST_US:
            self._change = None
        else:
            self._change = Change(at_us=change.at_us, before=change.before, after=after, rows=rows)


def _detector(test: StreamTest, run: float) -> DriftDetector:
    from river.drift import ADWIN, PageHinkley  # noqa: PLC0415  an extra, and slow

    if test == "adwin":
        return ADWIN(  # type: ignore[no-untyped-call]
            delta=min(WIDEST_DELTA, CHECK / run), clock=CHECK
        )
    return PageHinkley(
        min_instances=1,
        delta=ALLOWANCE,
        threshold=threshold_of(MARGIN * run),
        alpha=1.0,
        mode="up",
    )


def threshold_of(run: float) -> float:
    """Of Page-Hinkley, for so many errors between two false alarms."""

    def excess(x: float) -> float:
        return math.expm1(x) - x - 2 * ALLOWANCE**2 * run

    x = float(optimize.brentq(excess, 0.0, 60.0))
    return max(x / (2 * ALLOWANCE) - _OVERSHOOT, 1.0)


def days_of(times_us: Sequence[int]) -> float:
    """How long a stretch of rows is, in days; at least a minute."""
    if len(times_us) < 2:
        return 1.0
    return max((times_us[-1] - times_us[0]) / _DAY_US, 1 / 1440)
