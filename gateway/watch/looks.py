"""Looks of the rules, on event time: which are due, and what each finds.

    looker = Looker(drift, bases)
    for look in looker.looks(view):     # all that are due up to the view's watermark
        …                               # hand it on; the next one counts this as done

A rule looks at each of its routes every `every`, at whole minutes of the clock that divide so,
at the window before. A week that is replayed gives the looks of that week; of looks in arrears
the latest MOST are made, the others counted in `skipped`.

Rule 1: a unit with too few rows, here or in its reference, is said to be unjudged, and a route
        without any that was judged has no look.
Rule 2: a look that fails by a defect is told, counted and passed over; the others go on.
Rule 3: looking reads the view and nothing else, but for the requests that show a new finding.
Cost: reading a window of 20 fields and 60 minutes a unit, then about 0.1 ms a look.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from gateway.alerts.finding import MOST_FINDINGS, Look
from gateway.alerts.kinds import Kind
from gateway.config.watching import Drift, DriftRule
from gateway.drift.battery import Battery
from gateway.errors import GatewayError
from gateway.profiles.profile import Profile
from gateway.watch.basis import Bases, Basis
from gateway.watch.causes import Cause, Causes, Onset, onset_of
from gateway.watch.examples import Examples, NoExamples, best_of
from gateway.watch.findings import MINUTE_MS, Known, Place, Teller, Told, broken_of
from gateway.watch.references import Pair, Span
from gateway.watch.terms import Terms, minutes_of, terms_of
from gateway.watch.traffic import Asked, Noted, clock_of, look_at
from gateway.watch.view import View

MOST = 2_000  # looks in arrears
REMEMBERED = 10_000  # findings
MEMORY = 24 * 60  # minutes after which a finding that was not seen again is forgotten
ONSET_BEFORE = 30  # minutes in front of the window, where an onset is looked for
ONSET_MOST = 360  # minutes in all

log = logging.getLogger(__name__)


class Due(NamedTuple):
    """A look that is to be made."""

    end: int  # minute: it looks at what was before
    rule: str
    route: str
    about: Literal["data", "traffic"] = "data"


class _State(Struct):
    """What a restart needs."""

    last: list[tuple[str, str, int]] = []  # rule, route, end of the latest look
    known: list[tuple[Place, Known]] = []
    causes: list[Cause] = []
    traffic: list[tuple[str, str, int]] = []  # as `last`, of looks at how much came
    falls: list[tuple[str, str, Noted]] = []  # rule, route


class Looker:
    """Makes the looks of all rules; of one thread at a time."""

    def __init__(
        self,
        drift: Drift,
        bases: Bases,
        *,
        examples: Examples | None = None,
        state: bytes = b"",
        back: int | None = None,
    ) -> None:
        """`state` is what `state()` of a former life said; what cannot be read is forgotten.

        A rule that never looked begins with the first data; with `back`, so many minutes back.
        """
        self._back = back
        self._examples = examples or NoExamples()
        self.skipped = 0  # looks that were too far in arrears
        self.defects = 0  # looks that were passed over
        kept = _decoded(state)
        self._last = {
            (rule, route, about): end
            for about, ends in (("data", kept.last), ("traffic", kept.traffic))
            for rule, route, end in ends
        }
        self._falls = {(rule, route): noted for rule, route, noted in kept.falls}
        self._known = dict(kept.known)
        self._causes = Causes(kept.causes)
        self.use(drift, bases)

    def use(self, drift: Drift, bases: Bases) -> None:
        """Look by these from now on."""
        self._drift, self._bases = drift, bases
        self._terms = terms_of(drift, bases)
        self._batteries: dict[tuple[str, str, frozenset[str]], Battery] = {}
        self._last = {key: end for key, end in self._last.items() if key[0] in drift.rules}

    def state(self) -> bytes:
        """To be kept over a restart."""
        last, traffic = (
            [
                (rule, route, end)
                for (rule, route, which), end in self._last.items()
                if which == about
            ]
            for about in ("data", "traffic")
        )
        known = list(self._known.items())
        falls = [(*place, noted) for place, noted in self._falls.items()]
        return msgspec.json.encode(_State(last, known, self._causes.kept, traffic, falls))

    def looks(self, view: View) -> Iterator[Look]:
        """All that are due, the oldest first; one counts as made when the next is asked for."""
        for due in self.due(view):
            look = self.look(view, due)
            if look is not None:
                yield look
            self.made(due)

    def made(self, due: Due) -> None:
        """This look need not be made again."""
        self._last[due.rule, due.route, due.about] = due.end

    def due(self, view: View) -> list[Due]:
        """Looks up to the watermark, or the clock of traffic, the oldest first."""
        watermark, clock = view.watermark, clock_of(view)
        found: list[Due] = []
        for (name, route), terms in self._terms.items():
            if terms.names or not terms.traffic:
                found += self._due(view, Due(watermark, name, route), terms)
            if terms.traffic:
                found += self._due(view, Due(clock, name, route, "traffic"), terms)
        found.sort()
        self.skipped += max(0, len(found) - MOST)
        return found[-MOST:]

    def _due(self, view: View, latest: Due, terms: Terms) -> list[Due]:
        """All of a kind that end no later."""
        place = (latest.rule, latest.route, latest.about)
        last, step = self._last.get(place), terms.every
        if last is None:
            last = _first(view, terms.basis)
            if last is None:
                return []
            if self._back is not None:
                last = max(last, latest.end - self._back)
            self._last[place] = last
        ends = range((last // step + 1) * step, latest.end + 1, step)
        self.skipped += max(0, len(ends) - MOST)
        return [latest._replace(end=end) for end in ends[-MOST:]]

    def look(self, view: View, due: Due) -> Look | None:
        """What a rule finds on a route; None where nothing could be judged."""
        try:
            # Why: values of 1e308 overflow when squared; what comes of it is no finding.
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                return self._look(view, due) if due.about == "data" else self._traffic(view, due)
        except (GatewayError, OSError):
            raise  # the view cannot be read now; the look is made later
        except Exception:  # Why: one field that nobody thought of must not end all looking
            self.defects += 1
            log.exception("the look of %s at %s is passed over: a defect", due.rule, due.route)
            return None

    def _look(self, view: View, due: Due) -> Look | None:
        terms = self._terms[due.rule, due.route]
        span = terms.span(due.end)
        pairs = terms.pairs(view, span)
        if not pairs.judged:
            return None
        alpha = terms.alpha / len(pairs.judged)
        found: list[Told] = []
        for pair in pairs.judged:
            battery = self._battery(due, terms, pair)
            broken = broken_of(battery.look(pair.now, alpha, control=terms.control))
            if broken:
                teller = self._teller(view, terms.basis, pair, due, span)
                found += teller.tell(broken, self._known)
        self._remember(found, due, terms.rule)
        return Look(
            route=due.route,
            rule=due.rule,
            at_ms=due.end * MINUTE_MS,
            about="data",
            findings=tuple(one.finding for one in found[:MOST_FINDINGS]),
            unjudged=tuple(name[:200] for name in pairs.unjudged[:MOST_FINDINGS]),
        )

    def _traffic(self, view: View, due: Due) -> Look | None:
        terms, place = self._terms[due.rule, due.route], (due.rule, due.route)
        asked = Asked(terms.rule, terms.basis, terms.kind, terms.window, terms.traffic, due.end)
        seen = look_at(view, asked, self._falls.get(place))
        if seen is None:
            return None
        self._falls.pop(place, None)
        if seen.noted is not None and len(self._falls) < REMEMBERED:
            self._falls[place] = seen.noted
        findings = []
        if seen.finding is not None:
            onset = Onset(seen.stopped, is_sharp=True) if seen.stopped else None
            cause = self._causes.of(due.route, seen.finding.field, onset)
            findings = [replace(seen.finding, cause=cause)]
        return Look(
            route=due.route,
            rule=due.rule,
            at_ms=due.end * MINUTE_MS,
            about="traffic",
            findings=tuple(findings),
        )

    def _battery(self, due: Due, terms: Terms, pair: Pair) -> Battery:
        """Tests of a reference; what is known of one that stays is kept."""
        key = (due.rule, terms.basis.name, frozenset(pair.then))
        kept = self._batteries.get(key) if pair.then_span is None else None
        if kept is None:
            kept = terms.battery(pair)
            if pair.then_span is None:
                if len(self._batteries) >= 256:
                    self._batteries.clear()
                self._batteries[key] = kept
        return kept

    def _teller(self, view: View, basis: Basis, pair: Pair, due: Due, span: Span) -> Teller:
        keep = minutes_of(self._drift.consumer.keep)
        oldest = view.watermark - keep + 60  # minutes before are sums of hours
        first = max(span.first - ONSET_BEFORE, span.end - ONSET_MOST, oldest)
        minutes = _Minutes(view, basis, pair, Span(first, span.end))

        def onset(name: str) -> Onset | None:
            return onset_of(pair.then[name], minutes.of(name)) if first < span.end else None

        def requests(name: str, kind: Kind, since: int) -> tuple[str, ...]:  # noqa: ARG001
            begin = max(since, span.first)
            lines = self._examples.lines(due.route, pair.unit.version, begin, span.end)
            return best_of(lines, pair.then[name], minutes.since(name, begin))

        return Teller(
            pair,
            (due.rule, due.route),
            span,
            self._causes,
            onset=onset,
            since=minutes.since,
            requests=requests,
        )

    def _remember(self, found: list[Told], due: Due, rule: DriftRule) -> None:
        """What was found; what was not for as long as an alert takes to end is another one then."""
        for one in found:
            self._known.pop(one.place, None)
            self._known[one.place] = one.known
        oldest = due.end - (rule.closes + 1) * minutes_of(rule.every)
        for place, known in list(self._known.items()):
            is_ours = (place.rule, place.route) == (due.rule, due.route)
            is_over = is_ours and known.seen < oldest
            if is_over or due.end - known.seen > MEMORY or len(self._known) > REMEMBERED:
                del self._known[place]


class _Minutes:
    """A unit's profiles by minute, read where a finding asks for them, and then kept."""

    def __init__(self, view: View, basis: Basis, pair: Pair, span: Span) -> None:
        self._view, self._basis, self._pair, self._span = view, basis, pair, span

    @functools.cached_property
    def _all(self) -> dict[int, dict[str, Profile]]:
        found: dict[int, dict[str, Profile]] = {}
        for source in self._pair.sources:
            for minute in range(*self._span):
                slot = found.setdefault(minute, {})
                read = self._view.profiles(self._basis, source, minute, minute + 1)
                for name, profile in read.items():
                    slot[name] = slot[name].merge(profile) if name in slot else profile
        return found

    def of(self, name: str) -> Mapping[int, Profile]:
        """Of one field."""
        return {minute: slot[name] for minute, slot in self._all.items() if name in slot}

    def since(self, name: str, first: int) -> Profile:
        """All of a field from a minute on."""
        whole = Profile(self._pair.now[name].field)
        for source in self._pair.sources:
            whole.merge(self._view.window(self._basis, source, name, first, self._span.end))
        return whole


def _first(view: View, basis: Basis) -> int | None:
    """The first minute of which there is anything."""
    firsts = [view.minutes(basis, source)[:1] for source in view.sources(basis)]
    return min((first[0] for first in firsts if first), default=None)


def _decoded(state: bytes) -> _State:
    try:
        return msgspec.json.decode(state, type=_State) if state else _State()
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _State()
