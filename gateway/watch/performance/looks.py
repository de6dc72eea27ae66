"""Looks at labelled predictions: whether a route has become worse than it was.

What is looked at, of a rule on a route with `drift.labels`:

    performance.NAME   figures of the matured rows of the window against those of the reference
    estimated.NAME     the same of what scores say before labels come, up to now
    feedback.SIGNAL    the mean of a signal
    performance.error  by `test: adwin` or `page_hinkley`: errors one after the other

Where the window has fewer labels than are needed, what came before it is looked at, too, at most
WIDEST. References: `pinned` and `last_week` as they say; otherwise the BEFORE up to the window.

A look may be wrong with the probability of `false_alarm_days`, divided by the rule's routes; PART
of it is for labels, where the rule looks at data, too: half for what is measured, the rest for
what is estimated and for signals.

Rule: whatever comes, it is a look or a sentence in `problems`, never an exception.
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from gateway.alerts.finding import Finding, Look, Window
from gateway.config.watching import Drift, DriftLabels, DriftReference, DriftRule
from gateway.drift.alarms import alpha_of
from gateway.drift.error_streams import ErrorStream, StreamTest, days_of
from gateway.drift.performance import Figure, Floats, of_signal
from gateway.drift.performance_drops import LEAST, POINTS, RELATIVE, drops
from gateway.drift.performance_estimates import Calibration, expected_figures
from gateway.errors import GatewayError
from gateway.store.moments import to_us
from gateway.watch.performance.findings import (
    ESTIMATED,
    FEEDBACK,
    PERFORMANCE,
    finding_of,
    signal_finding,
    stream_finding,
)
from gateway.watch.performance.rows import Cohort, errors_of, figures_of
from gateway.watch.performance.source import (
    LabelStore,
    latest,
    matured_us,
    signal_of,
    stretch_of,
)

NS_PER_US, US_PER_MS = 1000, 1000
SECOND_NS, SECOND_US = 10**9, 10**6
HOUR_US = 3600 * SECOND_US
DAY_US = 24 * HOUR_US
WEEK_US = 7 * DAY_US
WIDEST_US = 14 * DAY_US
BEFORE_US = 28 * DAY_US
ENOUGH = 200  # labels that a look wants by default
MOST_NOW, MOST_THEN = 20_000, 50_000  # records read of the window, of the reference
PART = 0.5  # of a rule's false alarms that labels may have, where it looks at data, too
MOST_KEPT = 200  # references, and streams
STREAMS: tuple[StreamTest, ...] = ("adwin", "page_hinkley")

Place = tuple[str, str]  # rule and route
Then = tuple[list[Figure], Calibration | None]


def watched(drift: Drift, routes: Iterable[str]) -> list[Place]:
    """Rules and routes that are looked at."""
    if not drift.enabled:
        return []
    return [
        (name, route)
        for name in sorted(drift.rules)
        for route in routes
        if route in drift.labels and _is_for(drift.rules[name], route)
    ]


def _is_for(rule: DriftRule, route: str) -> bool:
    is_ours = rule.test in {"auto", *STREAMS}
    families = (f"{PERFORMANCE}accuracy", f"{FEEDBACK}thumbs", f"{ESTIMATED}accuracy")
    names_ours = any(
        any(fnmatch.fnmatchcase(one, pattern) for one in families)
        or pattern.startswith((PERFORMANCE, FEEDBACK, ESTIMATED))
        for pattern in rule.fields
    )
    return is_ours and names_ours and (not rule.routes or route in rule.routes)


class PerformanceLooks:
    """Makes looks when they are due; of one thread."""

    def __init__(
        self,
        store: LabelStore,
        settings: Callable[[], Drift],
        routes: Callable[[], Sequence[str]],
    ) -> None:
        self._store, self._settings, self._routes = store, settings, routes
        self._done: dict[Place, int] = {}  # the last look's number
        self._then: dict[tuple[object, ...], Then] = {}
        self._streams: dict[tuple[object, ...], ErrorStream] = {}
        self.problems: dict[Place, str] = {}  # of the last look, in sentences

    def is_due(self, now_ms: int) -> bool:
        """Whether there is anything to look at now."""
        drift = self._settings()
        return any(
            self._done.get(place, -1) < _number(drift.rules[place[0]], now_ms)
            for place in watched(drift, self._routes())
        )

    def due(self, now_ms: int) -> list[Look]:
        """All looks whose time has come: of each rule and route at most one, the latest."""
        drift = self._settings()
        places = watched(drift, self._routes())
        self._done = {place: self._done[place] for place in places if place in self._done}
        self.problems = {place: self.problems[place] for place in places if place in self.problems}
        looks = []
        for name, route in places:
            number = _number(drift.rules[name], now_ms)
            if self._done.get((name, route), -1) < number:
                self._done[name, route] = number
                look = self._look(drift, name, route, now_ms)
                if look is not None:
                    looks.append(look)
        return looks

    def _look(self, drift: Drift, name: str, route: str, now_ms: int) -> Look | None:
        rule = drift.rules[name]
        count = sum(one == name for one, _route in watched(drift, self._routes()))
        try:
            found = self._findings(drift, rule, route, now_ms * US_PER_MS, max(count, 1))
        except GatewayError as error:
            self.problems[name, route] = str(error)
            return None
        if found is None:
            return None  # Why no look: too little to see anything does not end an alert
        self.problems.pop((name, route), None)
        return Look(
            route=route, rule=name, at_ms=now_ms, findings=tuple(found), about="performance"
        )

    def _findings(
        self, drift: Drift, rule: DriftRule, route: str, now_us: int, routes: int
    ) -> list[Finding] | None:
        labels = drift.labels[route]
        every_s, days = rule.every / SECOND_NS, rule.false_alarm_days
        part = PART if rule.reference else 1.0
        alpha = alpha_of(every_s, days * 86_400) * part / routes
        if rule.test == "adwin" or rule.test == "page_hinkley":  # noqa: PLR1714 - narrows
            return self._of_stream(rule.test, rule, route, labels, now_us, days * routes)
        reference = drift.references.get(rule.reference)
        asked = _Asked(rule, route, labels, reference, now_us)
        parts = [self._measured(asked, alpha / 2), self._estimated(asked, alpha / 4)]
        parts += [
            self._signal(asked, signal, alpha / 4 / len(labels.signals))
            for signal in labels.signals
        ]
        known = [part for part in parts if part is not None]
        return [one for part in known for one in part] if known else None

    # -- figures

    def _measured(self, asked: _Asked, alpha: float) -> list[Finding] | None:
        if not asked.names(PERFORMANCE):
            return None
        now = self._window(asked)
        if now.at_us.size < LEAST:
            return None
        then, _calibration = self._reference(asked, int(now.at_us[0]))
        current = asked.chosen(figures_of(now, asked.labels), PERFORMANCE)
        found = drops(then, current, alpha, effect=asked.rule.effect, least=asked.least)
        if not found:
            return None
        return [finding_of(PERFORMANCE, drop, now) for drop in found if drop.is_drop]

    def _window(self, asked: _Asked) -> Cohort:
        """Matured rows: those of the window, and of what was before it as many as are needed."""
        until = matured_us(asked.labels, asked.now_us)
        since = until - asked.rule.window // NS_PER_US
        found = stretch_of(
            self._store, asked.route, asked.labels, since, until, MOST_NOW
        ).cohort.labelled()
        if found.at_us.size >= asked.least:
            return found
        wide = stretch_of(
            self._store, asked.route, asked.labels, until - WIDEST_US, until, MOST_NOW
        )
        return latest(wide.cohort.labelled(), asked.least)

    def _reference(self, asked: _Asked, first_us: int) -> Then:
        """Figures and what scores meant, of what is compared with; kept for a while."""
        since, until = asked.reference_of(first_us)
        key = (asked.route, asked.labels, since, until)
        if key not in self._then:
            rows = stretch_of(self._store, asked.route, asked.labels, since, until, MOST_THEN)
            cohort = rows.cohort.labelled()
            while len(self._then) >= MOST_KEPT:
                del self._then[next(iter(self._then))]
            self._then[key] = figures_of(cohort, asked.labels), calibration_of(cohort)
        return self._then[key]

    def _estimated(self, asked: _Asked, alpha: float) -> list[Finding] | None:
        """What scores say of rows whose labels are still to come."""
        if asked.labels.kind != "probability" or not asked.names(ESTIMATED):
            return None
        until = asked.now_us
        since = until - asked.rule.window // NS_PER_US
        rows = stretch_of(self._store, asked.route, asked.labels, since, until, MOST_NOW)
        now = rows.cohort
        before_us = min(since, matured_us(asked.labels, asked.now_us))
        then_since, then_until = asked.reference_of(before_us)
        _figures, known = self._reference(asked, before_us)
        if known is None or not known.is_sound or now.at_us.size < LEAST:
            return None
        key = ("estimated", asked.route, asked.labels, then_since, then_until)
        if key not in self._then:
            old = stretch_of(
                self._store, asked.route, asked.labels, then_since, then_until, MOST_THEN
            ).cohort
            self._then[key] = _expected(asked, old, known), None
        current = _expected(asked, now, known)
        found = drops(
            self._then[key][0],
            asked.chosen(current, ESTIMATED),
            alpha,
            effect=asked.rule.effect,
            least=LEAST,
        )
        return [finding_of(ESTIMATED, drop, now) for drop in found if drop.is_drop]

    def _signal(self, asked: _Asked, signal: str, alpha: float) -> list[Finding] | None:
        if not asked.names(f"{FEEDBACK}{signal}"):
            return None
        until = matured_us(asked.labels, asked.now_us)
        begin = until - asked.rule.window // NS_PER_US
        values, times_us = self._values(asked, signal, begin, until, MOST_NOW)
        if values.size < asked.least:
            values, times_us = self._values(asked, signal, until - WIDEST_US, until, MOST_NOW)
            values, times_us = values[-asked.least :], times_us[-asked.least :]
        if values.size < LEAST:
            return None
        since = int(times_us[0])
        before, _times = self._values(asked, signal, *asked.reference_of(since), MOST_THEN)
        drop = drops(
            [of_signal(signal, before)],
            [of_signal(signal, values)],
            alpha,
            effect=asked.rule.effect,
        )
        window = Window(since_ms=since // US_PER_MS, until_ms=until // US_PER_MS)
        if not drop:
            return None
        return [signal_finding(one, window) for one in drop if one.is_drop]

    def _values(
        self, asked: _Asked, signal: str, since: int, until: int, most: int
    ) -> tuple[Floats, NDArray[np.int64]]:
        return signal_of(self._store, asked.route, asked.labels, signal, since, until, most)

    # -- streams

    def _of_stream(
        self,
        test: StreamTest,
        rule: DriftRule,
        route: str,
        labels: DriftLabels,
        now_us: int,
        days: float,
    ) -> list[Finding] | None:
        until = matured_us(labels, now_us)
        key = (test, route, labels, days)
        stream = self._streams.get(key)
        since = until - BEFORE_US if stream is None else stream.last_us + 1
        cohort = stretch_of(self._store, route, labels, since, until, MOST_THEN).cohort.labelled()
        errors, times = errors_of(cohort), cohort.at_us.tolist()
        if stream is None:
            rate = len(times) / days_of(times)
            while len(self._streams) >= MOST_KEPT:
                del self._streams[next(iter(self._streams))]
            stream = self._streams[key] = ErrorStream(test, days, max(rate, 1.0))
        usual = float(errors.mean()) if errors.size else 0.0
        least = rule.effect if rule.effect is not None else _least_rise(labels, usual)
        stream.feed(times, errors.tolist(), least)
        change = stream.change
        if stream.is_learning:
            return None
        if change is None or change.after - change.before < least:
            return []
        return [stream_finding(test, change, cohort, errors)]


def _number(rule: DriftRule, now_ms: int) -> int:
    """Of the look whose time it is; they rise."""
    return now_ms * US_PER_MS // max(rule.every // NS_PER_US, SECOND_US)


class _Asked:
    """One rule on one route at one moment."""

    def __init__(
        self,
        rule: DriftRule,
        route: str,
        labels: DriftLabels,
        reference: DriftReference | None,
        now_us: int,
    ) -> None:
        self.rule, self.route, self.labels, self.now_us = rule, route, labels, now_us
        self._reference = reference
        self.least = max(rule.minimum or ENOUGH, LEAST)
        self.threshold = float(labels.threshold)

    def names(self, prefix: str) -> bool:
        """Whether the rule's fields may name something of this family."""
        return any(
            pattern.startswith(prefix) or fnmatch.fnmatchcase(prefix, pattern)
            for pattern in self.rule.fields
        )

    def chosen(self, figures: Sequence[Figure], prefix: str) -> list[Figure]:
        """Those that the rule's fields name."""
        return [
            one
            for one in figures
            if any(fnmatch.fnmatchcase(prefix + one.name, pattern) for pattern in self.rule.fields)
        ]

    def reference_of(self, first_us: int) -> tuple[int, int]:
        """The stretch that rows from `first_us` on are compared with."""
        kind = self._reference.kind if self._reference else ""
        if kind == "pinned" and self._reference:
            return _moment_us(self._reference.since), _moment_us(self._reference.until)
        # Why steps: the figures of a reference are made once for many looks.
        step = min(max(self.rule.window // NS_PER_US, SECOND_US), HOUR_US)
        until = first_us // step * step
        if kind == "last_week":
            width = max(self.rule.window // NS_PER_US, step)
            return until - WEEK_US, until - WEEK_US + width
        return until - BEFORE_US, until


def calibration_of(cohort: Cohort) -> Calibration | None:
    """What scores of a labelled cohort mean; None where they are no probabilities."""
    if cohort.kind != "probability" or not cohort.truth.size:
        return None
    if cohort.scores.ndim == 2:
        return Calibration.fitted(
            cohort.scores.max(axis=1), cohort.scores.argmax(axis=1) == cohort.truth
        )
    return Calibration.fitted(cohort.scores, cohort.truth > 0.5)


def _expected(asked: _Asked, cohort: Cohort, known: Calibration) -> list[Figure]:
    if cohort.scores.ndim == 2:  # the likeliest class, which is always said
        return expected_figures(cohort.scores.max(axis=1), known, -math.inf)
    return expected_figures(cohort.scores, known, asked.threshold)


def _least_rise(labels: DriftLabels, usual: float) -> float:
    return POINTS if labels.kind == "class" else RELATIVE * usual


def _moment_us(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return to_us(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
