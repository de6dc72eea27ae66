"""What is compared with what: the profiles of now, and those of the reference, by unit.

A *unit* is a version of the model in an arm of a route; the champion and a route without a
rollout are one arm. Units are looked at apart, so that a rollout that moves traffic from one
version to another is no drift of either, and copies (shadows) are not counted as requests.

    training, pinned   the reference as it was frozen
    last_week          the same hours a week ago: of the same version in any arm; where that had
                       too little, what concerns inputs is compared with the whole route
    before             what came before the window, up to a length: of whom as for last_week; and
                       the rows, but not answers, that fields were learned of, if they are within
    champion           units that are not the champion, against it, in the same minutes

Cost: one read of a window of all fields a source; of `last_week` and `before` two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from gateway.profiles.profile import Profile
from gateway.profiles.slices import Source
from gateway.watch.basis import Basis
from gateway.watch.signs import is_output
from gateway.watch.view import View

WEEK = 7 * 24 * 60  # minutes
DAY = 24 * 60
CHAMPION = {"", "champion"}  # arms
SHADOW = "shadow"
OF_TRAFFIC = {"last_week", "champion", "before"}

Profiles = Mapping[str, Profile]


class Span(NamedTuple):
    """Minutes since 1970, the second not included."""

    first: int
    end: int


class Unit(NamedTuple):
    """Whose values are looked at."""

    version: str
    arm: str  # "champion" also where there is no rollout


class Pair(NamedTuple):
    """A unit's values and what they are compared with."""

    unit: Unit
    sources: tuple[Source, ...]
    now: Profiles
    then: Profiles
    then_span: Span | None  # of traffic


class Pairs(NamedTuple):
    """All of a route's."""

    judged: tuple[Pair, ...]
    unjudged: tuple[str, ...]  # versions with too few rows, here or in the reference


def pairs_of(
    view: View,
    basis: Basis,
    kind: str,
    names: Iterable[str],
    now: Span,
    least: int,
    length: int = DAY,
) -> Pairs:
    """What a look compares; `names` are the fields it is about, `length` is that of `before`."""
    wanted = frozenset(names)
    units = _units(view.sources(basis))
    current = {unit: _sum(view, basis, sources, now, wanted) for unit, sources in units.items()}
    judged: list[Pair] = []
    unjudged: list[str] = []
    for unit, profiles in current.items():
        if kind == "champion" and unit.arm == "champion":
            continue
        span = _then_span(kind, now, length)
        then = _reference(view, basis, kind, unit, span, wanted, least)
        fields = [name for name in profiles if name in then and then[name].rows >= least]
        if rows_of(profiles) < least or not fields:
            unjudged.append(unit.version)
            continue
        judged.append(
            Pair(
                unit,
                units[unit],
                {name: profiles[name] for name in fields},
                {name: then[name] for name in fields},
                span if kind in OF_TRAFFIC else None,
            )
        )
    return Pairs(tuple(judged), tuple(dict.fromkeys(unjudged)))


def _then_span(kind: str, now: Span, length: int) -> Span:
    if kind == "last_week":
        return Span(now.first - WEEK, now.end - WEEK)
    return Span(now.first - length, now.first) if kind == "before" else now


def rows_of(profiles: Profiles) -> int:
    """Of the field that has most."""
    return max((profile.rows for profile in profiles.values()), default=0)


def _units(sources: Iterable[Source]) -> dict[Unit, tuple[Source, ...]]:
    found: dict[Unit, tuple[Source, ...]] = {}
    for source in sources:
        arm = "champion" if source.arm in CHAMPION else source.arm
        unit = Unit(source.version, arm)
        found[unit] = (*found.get(unit, ()), source)
    return found


def _sum(
    view: View, basis: Basis, sources: Iterable[Source], span: Span, wanted: frozenset[str]
) -> dict[str, Profile]:
    whole: dict[str, Profile] = {}
    for source in sources:
        for name, profile in view.profiles(basis, source, span.first, span.end).items():
            if name in wanted:
                whole[name] = whole[name].merge(profile) if name in whole else profile
    return whole


def _reference(
    view: View,
    basis: Basis,
    kind: str,
    unit: Unit,
    span: Span,
    wanted: frozenset[str],
    least: int,
) -> Profiles:
    if kind not in OF_TRAFFIC:
        return {name: one for name, one in basis.reference.profiles.items() if name in wanted}
    answered = [source for source in view.sources(basis) if source.arm != SHADOW]
    if kind == "champion":
        champion = [source for source in answered if source.arm in CHAMPION]
        return _sum(view, basis, champion, span, wanted)
    same = [source for source in answered if source.version == unit.version]
    own = _sum(view, basis, same, span, wanted)
    if kind == "before" and _learned_within(view, basis, span, answered):
        _add_learned(own, basis, wanted)
    if rows_of(own) >= least:
        return own
    whole = _sum(view, basis, answered, span, wanted)
    return {name: profile for name, profile in whole.items() if not is_output(name)}


def _learned_within(view: View, basis: Basis, span: Span, sources: Iterable[Source]) -> bool:
    """Whether the rows that fields were learned of came in these minutes, before others."""
    if basis.origin != "learned" or not basis.reference.ended:
        return False
    ended = datetime.fromisoformat(basis.reference.ended).timestamp() // 60
    # Why none earlier: a backfill counts those rows too.
    first = min((at for source in sources for at in view.minutes(basis, source)[:1]), default=0)
    return span.first <= ended <= first and ended < span.end


def _add_learned(own: dict[str, Profile], basis: Basis, wanted: frozenset[str]) -> None:
    """Rows that are in no slice; whose answers they had is not known."""
    for name, one in basis.reference.profiles.items():
        if name in wanted and not is_output(name):
            own[name] = own[name].merge(one) if name in own else Profile(one.field).merge(one)
