"""The history as a line of time: since when something has been so, and what was before.

`in_force` are the applied configurations, the newest first, from the one in force at the
time that is asked for. A question is a function of an outline; `since` walks back while it
stays true.

Rule: a change that does not touch what is asked about does not end it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from gateway.production.outline import CHALLENGER, Outline, Place
from gateway.production.outlines import Outlines
from gateway.state.history import Entry

Question = Callable[[Outline], bool]


class Stretch(Struct, frozen=True):
    """For how long something has been so."""

    began: Entry  # the change that made it so
    before: Entry | None  # the configuration that this change replaced; None: not known, or none
    is_at_least: bool  # the history begins later than it


class Predecessor(Struct, frozen=True):
    """What answered before."""

    place: Place
    stretch: Stretch  # how long it had been so when it was replaced
    is_still_there: bool  # beside its successor


def entries_until(entries: Sequence[Entry], at_ms: int) -> list[Entry]:
    """What was applied by then, the newest first."""
    return [entry for entry in entries if entry.outcome == "applied" and entry.at_ms <= at_ms]


def since(in_force: Sequence[Entry], outlines: Outlines, question: Question) -> Stretch:
    """How long the answer has been yes; `in_force` is not empty, and its first says yes."""
    began = in_force[0]
    for entry in in_force[1:]:
        if not question(outlines.of(entry)):
            return Stretch(began, entry, is_at_least=False)
        began = entry
    # Why: ids count from 1, and the oldest entries of a long history go.
    return Stretch(began, None, is_at_least=began.id > 1)


def serves(route: str, place: Place) -> Question:
    """Whether the route had this backend, with the same model behind it."""

    def question(outline: Outline) -> bool:
        found = outline.routes.get(route)
        then = found.place(place.backend, place.role) if found else None
        return then is not None and then.served == place.served

    return question


def weighs(route: str, place: Place) -> Question:
    """Whether it also had the same weight under the same policy."""
    is_served = serves(route, place)

    def question(outline: Outline) -> bool:
        if not is_served(outline):
            return False
        then = outline.routes[route].place(place.backend, place.role)
        return then is not None and then.weight == place.weight

    return question


def is_untouched(route: str, mark: str) -> Question:
    """Whether the route and its backends were configured exactly so."""

    def question(outline: Outline) -> bool:
        found = outline.routes.get(route)
        return found is not None and found.print == mark

    return question


def predecessor(
    in_force: Sequence[Entry], outlines: Outlines, route: str, place: Place, stretch: Stretch
) -> Predecessor | None:
    """What answered before this place did; None where nothing did, or nobody knows.

    The same backend with another model behind it; else a candidate that left the route when
    this one came; else the one that was first, or had the most weight, which may still be there.
    """
    if stretch.before is None or place.role not in {"candidate", CHALLENGER}:
        return None
    earlier = list(in_force[in_force.index(stretch.before) :])
    then = outlines.of(stretch.before).routes.get(route)
    if then is None or not then.candidates():
        return None
    now = outlines.of(stretch.began).routes[route]
    same = then.place(place.backend, place.role)
    left = [p for p in then.candidates() if now.place(p.backend, p.role) is None]
    found = same or max(left or then.candidates(), key=lambda p: p.weight)
    is_still_there = same is None and not left
    return Predecessor(found, since(earlier, outlines, serves(route, found)), is_still_there)
