"""Traffic that stops or falls is told, seasons and what is on its way are not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gateway.alerts.book import Book
from gateway.alerts.finding import Look
from gateway.config.units import Duration
from gateway.config.watching import Drift, DriftReference, DriftRule
from gateway.profiles.profile import Profile
from gateway.profiles.slices import Source
from gateway.watch.basis import Bases, Basis
from gateway.watch.changes import HOUR, Key, encoded
from gateway.watch.looks import Looker
from gateway.watch.references import Span
from gateway.watch.traffic import FIELD, Volume, is_asked
from gateway.watch.view import Counted
from tests.watch.lines import basis_of
from tests.watch.seasons import A_MONDAY, DAY, WEEK, day_of, is_weekend
from tests.watch.world import MINUTE_NS

FIRST = 29_379_000 - 29_379_000 % WEEK + A_MONDAY
NOW = FIRST + 8 * DAY + 12 * HOUR  # a Tuesday's noon, in the second week
HERE = Source("iris", "7")
Rate = Callable[[int], float]  # of requests an hour, at a minute


@functools.cache
def the_basis() -> Basis:
    return basis_of("iris", x=np.arange(100.0))


@functools.cache
def slot_of(rows: int) -> bytes:
    basis = the_basis()
    profile = Profile(basis.reference.profiles["x"].field)
    profile.update(np.zeros(rows))
    return encoded({"x": profile})


def seasonal(minute: int) -> float:
    return 300 + 900 * day_of(minute) * (0.6 if is_weekend(minute) else 1.0)


def traffic(
    rate: Rate, *, seed: int = 1, first: int = FIRST, end: int = NOW, source: Source = HERE
) -> dict[Key, bytes]:
    """Hours, and the last day by the ten minutes; each hour 8% off its rate, by chance."""
    rng, found = np.random.default_rng(seed), {}
    for hour in range(first, end, HOUR):
        off = rng.lognormal(0, 0.08)
        step = HOUR if hour < end - DAY else 10
        for minute in range(hour, hour + HOUR, step):
            rows = int(rng.poisson(rate(minute) * off * step / HOUR))
            if rows and minute < end:
                span = HOUR if step == HOUR else 1
                found[Key(the_basis().name, source, minute, span)] = slot_of(rows)
    return found


def looker(kind: str = "last_week", **more: Any) -> Looker:
    usual: dict[str, Any] = {"fields": ("traffic.*",), "every": Duration(10 * MINUTE_NS)}
    rule = DriftRule(reference="it", window=Duration(HOUR * MINUTE_NS), **usual | more)
    drift = Drift(references={"it": DriftReference(kind=kind)}, rules={"volume": rule})  # type: ignore[arg-type]
    basis = the_basis()
    return Looker(drift, Bases(all=(basis,), of_rule={("volume", "iris"): basis}), back=4 * HOUR)


def looks(values: dict[Key, bytes], made: Looker, *, clock: int = 0) -> list[Look]:
    newest = max(key.minute + 1 for key in values)
    view = Counted(values, lambda: newest)
    view.settled = clock
    return list(made.looks(view))


def found(seen: list[Look]) -> list[str]:
    return [finding.sentence for look in seen for finding in look.findings]


@pytest.mark.parametrize("kind", ["last_week", "training"])
def test_season_is_no_fall(kind: str) -> None:
    seen = looks(traffic(seasonal), looker(kind))
    assert len(seen) >= 20
    assert {look.about for look in seen} == {"traffic"}
    assert not found(seen)


def test_traffic_that_stops_is_told_though_no_record_comes() -> None:
    stopped = NOW - 2 * HOUR
    values = traffic(seasonal, end=stopped)
    assert not found(looks(values, looker()))
    seen = looks(values, looker(), clock=NOW)
    first = next(look for look in seen if look.findings)
    (finding,) = first.findings
    assert (finding.kind, finding.field) == ("traffic_drop", FIELD)
    assert first.at_ms // 60_000 - stopped <= 50
    assert finding.cause.startswith(FIELD)
    last = seen[-1].findings[0]
    assert last.sentence.startswith("No request since ")
    assert last.effect == 1.0
    assert last.cause == finding.cause


def test_alert_opens_once_and_ends_when_requests_come_again() -> None:
    def broken(minute: int) -> float:
        return 0.0 if NOW - 3 * HOUR <= minute < NOW - HOUR else seasonal(minute)

    made, book = looker(), Book()
    rule = DriftRule(reference="it", fields=("traffic.*",))
    seen = looks(traffic(broken), made, clock=NOW)
    for look in seen:
        book.take(look, rule, 0)
    (alert,) = book.alerts.values()
    assert alert.leader.finding.kind == "traffic_drop"
    assert alert.status == "resolved"


def test_route_that_others_outlive_is_told_by_the_records_own_time() -> None:
    """Where another route goes on, the newest record says what time it is."""
    values = traffic(seasonal, end=NOW - HOUR)
    view = Counted(values, lambda: NOW)
    assert found(list(looker().looks(view)))


@pytest.mark.parametrize("clock", [0, NOW + 3 * WEEK])
def test_time_stands_still_where_records_may_be_on_their_way_or_are_a_replay(clock: int) -> None:
    assert not found(looks(traffic(seasonal, end=NOW - 3 * HOUR), looker(), clock=clock))


def test_fall_by_less_than_half_is_told_where_a_rule_asks() -> None:
    def less(minute: int) -> float:
        return seasonal(minute) * (0.6 if minute >= NOW - 2 * HOUR else 1.0)

    assert not found(looks(traffic(less), looker()))
    (first, *_) = found(looks(traffic(less), looker(effect=0.3)))
    assert first.startswith("Requests fell by ")


def test_other_arms_count_and_copies_do_not() -> None:
    """A rollout that takes the traffic is no fall; copies of requests are no traffic."""
    half = NOW - 2 * HOUR
    values = traffic(seasonal, end=half)
    challenger = traffic(seasonal, first=half, source=Source("iris", "8", "challenger"))
    copies = traffic(seasonal, first=half, source=Source("iris", "8", "shadow"))
    assert not found(looks(values | challenger, looker(), clock=NOW))
    assert found(looks(values | copies, looker(), clock=NOW))


def test_without_a_week_nothing_is_said() -> None:
    values = traffic(seasonal, first=NOW - 5 * DAY, end=NOW - 2 * HOUR)
    assert not looks(values, looker(), clock=NOW)


def test_state_goes_over_a_restart() -> None:
    values = traffic(seasonal, end=NOW - 2 * HOUR)
    whole = looker()
    first = looks(values, whole, clock=NOW - HOUR)
    again = Looker(whole._drift, whole._bases, state=whole.state())
    assert len(looks(values, again, clock=NOW)) == 6
    assert first


def test_rows_of_an_hour_are_spread_over_it() -> None:
    volume = Volume([(0, 60, 600), (60, 1, 7), (61, 1, 3)])
    assert volume.rows(Span(30, 61)) == 307
    assert (volume.first, volume.last) == (0, 62)


@pytest.mark.parametrize(
    "fields, asked",
    [(("*",), False), (("traffic.*",), True), (("amount", FIELD), True), (("traffic",), False)],
)
def test_traffic_is_looked_at_by_rules_that_name_it(fields: tuple[str, ...], asked: bool) -> None:
    assert is_asked(DriftRule(reference="it", fields=fields)) is asked
