"""Puts history, figures and registration of one backend together into its answer."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.plan import PPM
from gateway.production.answer import Before, InProduction, Since, Window
from gateway.production.figures import Span, Tally, difference
from gateway.production.moments import stamp
from gateway.production.outline import CHALLENGER, expanded
from gateway.production.standing import RouteStanding, Standing
from gateway.production.timeline import Stretch
from gateway.production.versions import version_in_force
from gateway.registry.registration import Registration


def in_production(
    standing: Standing,
    route: RouteStanding,
    tally: Tally,
    registration: Registration | None,
    environ: Mapping[str, str],
) -> InProduction:
    """One backend of a route."""
    place = standing.place
    own, route_share = tally.of(standing.span, route.name, place.backend)
    model, configured = expanded(place.model, environ), expanded(place.version, environ)
    version, note = version_in_force(configured, model, own.versions if own else {})
    before = _before(standing, route.name, tally)
    compared = None
    if own is not None and before is not None and before.figures is not None:
        compared = difference(own, before.figures, route_share, before.route_error_share)
    return InProduction(
        backend=place.backend,
        role=place.role,
        protocol=place.protocol,
        model=model,
        version=version,
        configured_version=configured,
        note=note,
        weight=place.weight,
        share=_share(standing, route),
        since=since_of(standing.served),
        weight_since=since_of(standing.weighed),
        registration=registration,
        window=_window(tally.shorter.get(standing.span, standing.span)),
        figures=own,
        route_error_share=route_share,
        before=before,
        difference=compared,
    )


def since_of(stretch: Stretch) -> Since:
    """The change that began it."""
    began = stretch.began
    return Since(
        at=stamp(began.at_ms / 1000),
        by=began.author,
        plan=began.hash,
        is_at_least=stretch.is_at_least,
    )


def _before(standing: Standing, route: str, tally: Tally) -> Before | None:
    found, span = standing.before, standing.span_before
    if found is None or span is None:
        return None
    own, route_share = tally.of(span, route, found.place.backend)
    said = own.versions if own else {}
    version, _ = version_in_force(found.place.version, found.place.model, said)
    return Before(
        backend=found.place.backend,
        model=found.place.model,
        version=version,
        since=since_of(found.stretch),
        until="" if found.is_still_there else stamp(standing.served.began.at_ms / 1000),
        is_still_there=found.is_still_there,
        window=_window(tally.shorter.get(span, span)),
        figures=own,
        route_error_share=route_share,
    )


def _share(standing: Standing, route: RouteStanding) -> float | None:
    """Of the requests, as long as every candidate can answer."""
    place, outline = standing.place, route.outline
    candidates, challengers = outline.candidates(), outline.challengers()
    if place.role == CHALLENGER:
        return round(place.weight / PPM, 6) if place.weight else None
    if place.role != "candidate" or not all(each.weight for each in challengers):
        return None
    left = 1 - sum(each.weight for each in challengers) / PPM
    if outline.policy == "weighted":
        weights = sum(each.weight for each in candidates)
        return round(max(left, 0.0) * place.weight / weights, 6) if weights else None
    return round(max(left, 0.0), 6) if challengers and len(candidates) == 1 else None


def _window(span: Span) -> Window:
    return Window(stamp(span.since_s), stamp(span.until_s))
