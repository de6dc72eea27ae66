"""What a look says of one unit's fields: findings with kind, words, evidence and cause.

Of each field that a test found changed there is one finding. What kind it is, is asked of the
values since it began, where that is known, so that it does not change while the window fills.

Rule: a finding that goes on keeps its kind, its cause and its requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec import Struct

from gateway.alerts.finding import Fact, Finding, Window
from gateway.alerts.kinds import KINDS, Kind
from gateway.drift.verdict import Finding as Tested
from gateway.drift.verdict import Verdict
from gateway.profiles.profile import Profile
from gateway.watch.causes import Causes, Onset
from gateway.watch.references import Pair, Span
from gateway.watch.sign import Sign
from gateway.watch.signs import signs_of

MINUTE_MS = 60_000
LONGEST = 200  # characters of a field's name in a finding


class Known(Struct):
    """A finding as it was in earlier looks."""

    kind: Kind
    cause: str
    since: int  # minute; 0 unknown
    seen: int  # minute of the latest look that found it
    requests: tuple[str, ...] = ()


class Place(NamedTuple):
    """Which field is meant."""

    rule: str
    route: str
    version: str
    arm: str
    field: str


class Broken(NamedTuple):
    """A field that a test found changed, before it is known what that is."""

    name: str
    tested: tuple[Tested, ...]  # that are drift, the surest first

    @property
    def qualities(self) -> tuple[str, ...]:
        """Shares among them."""
        return tuple(one.test for one in self.tested)


def broken_of(verdict: Verdict) -> list[Broken]:
    """The fields that drift or whose shares do, the surest first."""
    if not verdict.drifting and not any(verdict.qualities):
        return []
    found: dict[str, list[Tested]] = {}
    for one in verdict.findings():
        if one.is_drift:
            found.setdefault(one.field, []).append(one)
    return [Broken(name, tuple(tested)) for name, tested in found.items()]


class Told(NamedTuple):
    """A finding, and what is to be remembered of it."""

    place: Place
    finding: Finding
    known: Known


class Teller:
    """Makes findings of one look at one unit."""

    def __init__(
        self,
        pair: Pair,
        where: tuple[str, str],
        span: Span,
        causes: Causes,
        *,
        onset: Callable[[str], Onset | None],
        since: Callable[[str, int], Profile],
        requests: Callable[[str, Kind, int], tuple[str, ...]],
    ) -> None:
        """`where` is rule and route; `onset`, `since` and `requests` are asked where needed."""
        self._pair, self._where, self._span, self._causes = pair, where, span, causes
        self._onset, self._since, self._requests = onset, since, requests

    def tell(self, broken: list[Broken], known: Mapping[Place, Known]) -> list[Told]:
        """What is nearest to the source first: its field names the cause."""
        signs = [(self._sign(each, known.get(self._place(each.name))), each) for each in broken]
        signs.sort(key=lambda one: KINDS[one[0].sign.kind].rank)
        return [self._told(made, each) for made, each in signs]

    def _place(self, name: str) -> Place:
        return Place(*self._where, self._pair.unit.version, self._pair.unit.arm, name)

    def _sign(self, broken: Broken, known: Known | None) -> _Made:
        name = broken.name
        onset = None if known else self._onset(name)
        since = known.since if known else (onset.minute if onset else 0)
        now = self._pair.now[name]
        if since > self._span.first:
            fresh = self._since(name, since)
            now = fresh if fresh.rows else now
        signs = signs_of(self._pair.then[name], now, broken.qualities)
        same = [sign for sign in signs if known and sign.kind == known.kind]
        return _Made((same or signs)[0], onset, since, known)

    def _told(self, made: _Made, broken: Broken) -> Told:
        place, sign, known = self._place(broken.name), made.sign, made.known
        cause = known.cause if known else self._causes.of(place.route, place.field, made.onset)
        requests = known.requests if known and known.kind == sign.kind else ()
        requests = requests or self._requests(place.field, sign.kind, made.since)
        tested = next((one for one in broken.tested if one.test in sign.tests), broken.tested[0])
        finding = Finding(
            kind=sign.kind,
            field=place.field[:LONGEST],
            version=place.version[:LONGEST],
            sentence=_sentence(place, sign, made.since)[:1000],
            cause=cause[:LONGEST],
            test=tested.test,
            effect=tested.effect,
            p=tested.adjusted,
            reference=_window(self._pair.then_span),
            current=_window(self._span),
            evidence=_evidence(sign, tested, made.since, place.arm),
            requests=requests,
        )
        return Told(place, finding, Known(sign.kind, cause, made.since, self._span.end, requests))


class _Made(NamedTuple):
    """A sign, and since when."""

    sign: Sign
    onset: Onset | None
    since: int
    known: Known | None


def _sentence(place: Place, sign: Sign, since: int) -> str:
    began = f", since {_clock(since)}" if since else ""
    return f"`{place.field}` {sign.sentence}{began}."


def _clock(minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M}Z"


def _window(span: Span | None) -> Window | None:
    return None if span is None else Window(span.first * MINUTE_MS, span.end * MINUTE_MS)


def _evidence(sign: Sign, tested: Tested, since: int, arm: str) -> dict[str, Fact]:
    facts = dict(sign.facts) | {
        "statistic": tested.statistic,
        "large from": tested.limit,
        "values": tested.current,
        "reference values": tested.reference,
    }
    if since:
        facts["since"] = _clock(since)
    if arm != "champion":
        facts["arm"] = arm
    return {name: _plain(value) for name, value in facts.items()}


def _plain(value: Fact) -> Fact:
    """As JSON can have it: NaN and infinities are words."""
    if isinstance(value, float) and not -1e300 < value < 1e300:
        return str(value)
    return value
