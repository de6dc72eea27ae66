"""Looks at labelled predictions: whether a route has become worse than it was.

What is looked at, of a rule on a route with `drift.labels`, and, where several versions of the
model answer, of each of them:

    performance.NAME   figures of the matured rows of the window against those of the reference
    estimated.NAME     the same of what scores say before labels come, up to now

and of the route as a whole:

    feedback.SIGNAL    the mean of a signal
    performance.error  by `test: adwin` or `page_hinkley`: errors one after the other

Where the window has fewer labels than are needed, what came before it is looked at, too, at most
WIDEST. References: `pinned` and `last_week` as they say; otherwise the BEFORE up to the window.

A look may be wrong with the probability of `false_alarm_days`, divided by the rule's routes; PART
of it is for labels, where the rule looks at data, too: half for what is measured, the rest for
what is estimated and for signals. Where versions are looked at, they share half of each.

Rule: whatever comes, it is a look or a sentence in `problems`, never an exception.
"""

from __future__ import annotations

import fnmatch
import functools
import operator
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.alerts.finding import Finding, Look, Window
from gateway.config.watching import Drift, DriftLabels, DriftRule
from gateway.drift.alarms import alpha_of
from gateway.drift.error_streams import ErrorStream, StreamTest, days_of
from gateway.drift.performance import Figure, Floats, of_signal
from gateway.drift.performance_drops import LEAST, POINTS, RELATIVE, Drop, drops
from gateway.errors import GatewayError
from gateway.watch.performance.asked import BEFORE_US, Asked
from gateway.watch.performance.findings import (
    ESTIMATED,
    FEEDBACK,
    PERFORMANCE,
    Found,
    found_of,
    signal_finding,
    stream_finding,
)
from gateway.watch.performance.rows import Cohort, errors_of, figures_of
from gateway.watch.performance.source import (
    MOST_NOW,
    WIDEST_US,
    LabelStore,
    Matured,
    matured_us,
    signal_of,
    stretch_of,
)
from gateway.watch.performance.standard import (
    Known,
    Standard,
    expected_of,
    expected_standard_of,
    standard_of,
    versions_of,
)

NS_PER_US, US_PER_MS = 1000, 1000
SECOND_NS, SECOND_US = 10**9, 10**6
MOST_THEN = 50_000  # records read of a reference
PART = 0.5  # of a rule's false alarms that labels may have, where it looks at data, too
MOST_KEPT = 200  # references, and streams
STREAMS: tuple[StreamTest, ...] = ("adwin", "page_hinkley")

Place = tuple[str, str]  # rule and route


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
        self._then: dict[tuple[object, ...], Standard] = {}
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
            route=route,
            rule=name,
            at_ms=now_ms,
            findings=found.findings,
            about="performance",
            unjudged=tuple(dict.fromkeys(found.unjudged)),
        )

    def _findings(
        self, drift: Drift, rule: DriftRule, route: str, now_us: int, routes: int
    ) -> Found | None:
        labels = drift.labels[route]
        every_s, days = rule.every / SECOND_NS, rule.false_alarm_days
        part = PART if rule.reference else 1.0
        alpha = alpha_of(every_s, days * 86_400) * part / routes
        if rule.test == "adwin" or rule.test == "page_hinkley":  # noqa: PLR1714 - narrows
            found = self._of_stream(rule.test, rule, route, labels, now_us, days * routes)
            return None if found is None else Found(tuple(found))
        reference = drift.references.get(rule.reference)
        asked = Asked(rule, route, labels, reference, now_us)
        parts = [self._measured(asked, alpha / 2), self._estimated(asked, alpha / 4)]
        parts += [
            self._signal(asked, signal, alpha / 4 / len(labels.signals))
            for signal in labels.signals
        ]
        known = [part for part in parts if part is not None]
        return functools.reduce(operator.add, known) if known else None

    # -- figures

    def _measured(self, asked: Asked, alpha: float) -> Found | None:
        if not asked.names(PERFORMANCE):
            return None
        matured = Matured(self._store, asked)
        whole, found = matured.rows(), Found()
        is_known = False
        for version, share in shares_of(whole, alpha):
            now = matured.rows(version) if version else whole
            compared: list[Drop] = []
            if now.at_us.size >= LEAST:
                then = self._standard(asked, int(now.at_us[0])).of(version)
                current = asked.chosen(figures_of(now, asked.labels), PERFORMANCE)
                compared = _drops(asked, then, current, share, asked.least)
            is_known |= bool(compared)
            found += found_of(PERFORMANCE, compared, now, version)
        return found if is_known else None

    def _standard(self, asked: Asked, first_us: int) -> Standard:
        """What rows from then on are compared with; kept for a while."""
        since, until = asked.reference_of(first_us)
        key = (asked.route, asked.labels, since, until, asked.least)
        if key not in self._then:
            rows = stretch_of(self._store, asked.route, asked.labels, since, until, MOST_THEN)
            self._keep(key, standard_of(rows.cohort.labelled(), asked.labels, asked.least))
        return self._then[key]

    def _keep(self, key: tuple[object, ...], standard: Standard) -> None:
        while len(self._then) >= MOST_KEPT:
            del self._then[next(iter(self._then))]
        self._then[key] = standard

    def _estimated(self, asked: Asked, alpha: float) -> Found | None:
        """What scores say of rows whose labels are still to come."""
        if asked.labels.kind != "probability" or not asked.names(ESTIMATED):
            return None
        since = asked.now_us - asked.rule.window // NS_PER_US
        rows = stretch_of(self._store, asked.route, asked.labels, since, asked.now_us, MOST_NOW)
        now = rows.cohort
        before_us = min(since, matured_us(asked.labels, asked.now_us))
        known = self._standard(asked, before_us)
        meant = known.whole.calibration
        if meant is None or not meant.is_sound or now.at_us.size < LEAST:
            return None
        then = self._expected_standard(asked, before_us, known)
        found = Found()
        for version, share in shares_of(now, alpha):
            own = now.of_version(version) if version else now
            calibration = then.of(version).calibration
            compared: list[Drop] = []
            if own.at_us.size >= LEAST and calibration is not None and calibration.is_sound:
                expected = expected_of(own, asked.threshold, calibration)
                current = asked.chosen(expected, ESTIMATED)
                compared = _drops(asked, then.of(version), current, share, LEAST)
            found += found_of(ESTIMATED, compared, own, version)
        return found

    def _expected_standard(self, asked: Asked, before_us: int, known: Standard) -> Standard:
        since, until = asked.reference_of(before_us)
        key = ("estimated", asked.route, asked.labels, since, until)
        if key not in self._then:
            rows = stretch_of(self._store, asked.route, asked.labels, since, until, MOST_THEN)
            self._keep(key, expected_standard_of(rows.cohort, asked.threshold, known))
        return self._then[key]

    def _signal(self, asked: Asked, signal: str, alpha: float) -> Found | None:
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
        return Found(tuple(signal_finding(one, window) for one in drop if one.is_drop))

    def _values(
        self, asked: Asked, signal: str, since: int, until: int, most: int
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


def shares_of(cohort: Cohort, alpha: float) -> list[tuple[str, float]]:
    """(version, alpha): the route as a whole, "", and its versions, where there are several."""
    versions = versions_of(cohort)
    if len(versions) < 2:
        return [("", alpha)]
    return [("", alpha / 2), *((version, alpha / 2 / len(versions)) for version in versions)]


def _drops(
    asked: Asked, then: Known, current: Sequence[Figure], alpha: float, least: int
) -> list[Drop]:
    return drops(then.figures, current, alpha, effect=asked.rule.effect, least=least)


def _number(rule: DriftRule, now_ms: int) -> int:
    """Of the look whose time it is; they rise."""
    return now_ms * US_PER_MS // max(rule.every // NS_PER_US, SECOND_US)


def _least_rise(labels: DriftLabels, usual: float) -> float:
    return POINTS if labels.kind == "class" else RELATIVE * usual
