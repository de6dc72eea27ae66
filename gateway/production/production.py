"""Answers what is in production, at any time, from what is kept.

First the history says what was in force, since when and what was before; from that the
spans of time follow whose figures are wanted; they are counted in one go, and put in.

Cost: one look at the history, and one count for each different span, of a day at most.
Rule: figures that fail or are too many cost themselves and a note, not the answer.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from msgspec.structs import replace

from gateway.config.problems import meant
from gateway.config.recording import Registry
from gateway.errors import GatewayError
from gateway.production.answer import InProduction, Production, RouteInProduction
from gateway.production.assembly import in_production, since_of
from gateway.production.figures import NOTHING, FigureSource, Tally
from gateway.production.moments import NotKnown, moment_of, stamp
from gateway.production.outline import registries_of
from gateway.production.outlines import Outlines
from gateway.production.standing import RouteStanding, Standing, standing_of
from gateway.production.timeline import Stretch, entries_until
from gateway.registry.registrations import Registrations
from gateway.state.history import MOST_ENTRIES, Entry

MOST_SPANS = 12


class History(Protocol):
    """The configurations that were offered, the newest first."""

    def latest(self, limit: int = ...) -> list[Entry]: ...


class InForce:
    """Below one state directory."""

    def __init__(
        self,
        state: Path,
        history: History,
        *,
        environ: Mapping[str, str],
        figures: FigureSource | None = None,
        registrations: Registrations | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._history, self._environ, self._now_s = history, environ, now_s
        self._outlines, self._source = Outlines(state), figures
        self._registrations = registrations or Registrations(state, now_s=now_s)

    def at(self, moment: str = "", route: str = "") -> Production:
        """What is in production, or was at a moment; NotKnown, WrongTime."""
        now_s = self._now_s()
        at_s = moment_of(moment, now_s) if moment else now_s
        entries = self._history.latest(MOST_ENTRIES)
        in_force = entries_until(entries, int(at_s * 1000))
        if not in_force:
            raise NotKnown(_nothing_before(entries, at_s))
        standings = self._standings(in_force, route, at_s)
        tally = self._counted(standings)
        self._outlines.keep(entries)
        registries = registries_of(in_force[0].text, self._environ)
        return Production(
            at=stamp(at_s),
            is_now=not moment,
            plan=in_force[0].hash,
            since=since_of(_whole(in_force)),
            figures=tally.source,
            notes=tally.notes,
            routes=tuple(
                self._route(each, tally, registries, at_s if moment else None) for each in standings
            ),
        )

    def warm(self) -> None:
        """Makes ready what the first answer would have to wait for."""
        entries = self._history.latest(MOST_ENTRIES)
        for entry in entries:
            if entry.outcome == "applied":
                self._outlines.of(entry)
        self._outlines.keep(entries)

    def _standings(self, in_force: Sequence[Entry], route: str, at_s: float) -> list[RouteStanding]:
        known = self._outlines.of(in_force[0]).routes
        if route and route not in known:
            hint = meant(route, known).rstrip("?")
            raise NotKnown(f"there was no route `{route}` at {stamp(at_s)}{hint}")
        names = [route] if route else list(known)
        return [standing_of(in_force, self._outlines, name, at_s) for name in names]

    def _counted(self, standings: Sequence[RouteStanding]) -> Tally:
        """The figures of the spans that most backends share."""
        if self._source is None:
            return NOTHING
        wanted = Counter(span for standing in standings for span in standing.spans())
        spans = [span for span, _ in wanted.most_common(MOST_SPANS)]
        try:
            tally = self._source.over(spans, [standing.name for standing in standings])
        except GatewayError as error:
            return Tally({}, "", (f"there are no figures: {error}",))
        if len(wanted) > len(spans):
            note = "some figures are left out; ask for one route"
            return replace(tally, notes=(*tally.notes, note))
        return tally

    def _route(
        self,
        standing: RouteStanding,
        tally: Tally,
        registries: Mapping[str, Registry],
        at_s: float | None,
    ) -> RouteInProduction:
        # Why: what variables held at another time nobody knows.
        environ = self._environ if at_s is None else {}

        def backend(each: Standing) -> InProduction:
            registration = self._registrations.known(registries.get(each.place.backend), at_s)
            return in_production(each, standing, tally, registration, environ)

        return RouteInProduction(
            name=standing.name,
            policy=standing.outline.policy,
            since=since_of(standing.untouched),
            backends=tuple(backend(each) for each in standing.backends),
        )


def _whole(in_force: Sequence[Entry]) -> Stretch:
    """Since when the configuration in force has been it, to the letter."""
    began = in_force[0]
    for entry in in_force:
        if entry.hash != began.hash:
            return Stretch(began, entry, is_at_least=False)
        began = entry
    return Stretch(began, None, is_at_least=began.id > 1)


def _nothing_before(entries: Sequence[Entry], at_s: float) -> str:
    applied = [entry for entry in entries if entry.outcome == "applied"]
    if not applied:
        return "no configuration has been in force yet"
    first = applied[-1]
    return (
        f"nothing is known of {stamp(at_s)}: the first configuration in the history came into"
        f" force at {stamp(first.at_ms / 1000)}, by {first.author}"
    )
