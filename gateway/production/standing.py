"""How the backends of a route came to stand where they stand at one time.

Pure history: which model each has, since when, with which weight, what was there before;
and the spans of time over which the two are worth comparing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from gateway.production.figures import Span, last_day
from gateway.production.outline import Place, RouteOutline
from gateway.production.outlines import Outlines
from gateway.production.timeline import (
    Predecessor,
    Stretch,
    is_untouched,
    predecessor,
    serves,
    since,
    weighs,
)
from gateway.state.history import Entry


class Standing(Struct, frozen=True):
    """One backend in a route."""

    place: Place
    served: Stretch  # this model behind it
    weighed: Stretch  # with this weight
    span: Span
    before: Predecessor | None
    span_before: Span | None


class RouteStanding(Struct, frozen=True):
    """One route."""

    name: str
    outline: RouteOutline
    untouched: Stretch
    backends: tuple[Standing, ...]

    def spans(self) -> Iterator[Span]:
        for each in self.backends:
            yield each.span
            if each.span_before is not None:
                yield each.span_before


def standing_of(
    in_force: Sequence[Entry], outlines: Outlines, route: str, at_s: float
) -> RouteStanding:
    """The route at a time; `in_force` is what was applied until then, and has the route."""
    outline = outlines.of(in_force[0]).routes[route]

    def standing(place: Place) -> Standing:
        served = since(in_force, outlines, serves(route, place))
        before = predecessor(in_force, outlines, route, place, served)
        return Standing(
            place=place,
            served=served,
            weighed=since(in_force, outlines, weighs(route, place)),
            span=last_day(served.began.at_ms / 1000, at_s),
            before=before,
            span_before=_span_of(before, served, at_s) if before else None,
        )

    return RouteStanding(
        name=route,
        outline=outline,
        untouched=since(in_force, outlines, is_untouched(route, outline.print)),
        backends=tuple(standing(place) for place in outline.places),
    )


def _span_of(before: Predecessor, served: Stretch, at_s: float) -> Span:
    """Its last day; beside its successor where it is still there."""
    until_s = at_s if before.is_still_there else served.began.at_ms / 1000
    began_s = served.began.at_ms if before.is_still_there else before.stretch.began.at_ms
    return last_day(began_s / 1000, until_s)
