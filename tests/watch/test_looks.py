"""Each trouble raises the right alert, once, soon, naming its cause; quiet traffic raises none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gateway.config.units import Duration
from gateway.config.watching import DriftReference
from gateway.profiles.reference import Reference
from gateway.watch.examples import Ring
from gateway.watch.looks import Looker
from tests.watch.world import (
    LATENESS,
    MINUTE_NS,
    SCORE,
    START,
    Befall,
    Columns,
    Traffic,
    Watch,
    bases_of,
    drift_of,
    rule,
    trained,
)

Rng = np.random.Generator
BREAK = START + 75  # minute in which troubles begin


@pytest.fixture(scope="module")
def reference() -> Reference:
    return trained()


def befall(change: Callable[[Columns, int, Rng], None]) -> Befall:
    """What happens from BREAK on; minutes since then."""

    def changed(columns: Columns, minute: int, rng: Rng) -> None:
        if minute >= BREAK:
            change(columns, minute - BREAK, rng)

    return changed


def some(share: float, value: object, name: str) -> Callable[[Columns, int, Rng], None]:
    def change(columns: Columns, _minutes: int, rng: Rng) -> None:
        columns[name] = [value if rng.random() < share else old for old in columns[name]]

    return change


def cents(columns: Columns, _minutes: int, _rng: Rng) -> None:
    columns["amount"] = [round(value * 100) for value in columns["amount"]]


def older(columns: Columns, minutes: int, _rng: Rng) -> None:
    columns["age"] = [round(value + minutes * 0.1, 1) for value in columns["age"]]


def same_score(columns: Columns, _minutes: int, rng: Rng) -> None:
    columns["score"] = [0.5 + 0.001 * rng.normal() for _ in columns["score"]]


TROUBLES = {
    "a feature goes null": (some(0.3, None, "amount"), "amount", "data_missing", 10),
    "a category appears": (some(0.1, "XX", "country"), "country", "new_category", 15),
    "cents for euros": (cents, "amount", "unit_changed", 10),
    "a slow shift of the mean": (older, "age", "feature_drift", 60),
    "predictions collapse": (same_score, SCORE, "prediction_collapse", 10),
    "an upstream writes -1": (some(0.2, -1, "amount"), "amount", "sentinel", 10),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_raises_its_alert_once_within_its_delay(name: str, reference: Reference) -> None:
    change, field, kind, delay = TROUBLES[name]
    watch = Watch(drift_of(), reference)
    watch.run(Traffic(befall=befall(change)), 210)
    assert len(watch.book.alerts) == 1
    (alert,) = watch.book.alerts.values()
    assert [(each.finding.field, each.finding.kind) for each in alert.symptoms.values()] == [
        (field, kind)
    ]
    assert alert.opened_ms // 60_000 - BREAK <= delay
    assert not any(look.findings for look in watch.looks if look.at_ms // 60_000 <= BREAK)
    assert not watch.book.symptoms


def test_quiet_traffic_raises_nothing(reference: Reference) -> None:
    watch = Watch(drift_of(), reference)
    watch.run(Traffic(), 120)
    assert len(watch.looks) == 21
    assert not any(look.findings for look in watch.looks)


def words_of(watch: Watch) -> str:
    (alert,) = watch.book.alerts.values()
    return alert.leader.finding.sentence


@pytest.mark.parametrize(
    "change, words",
    [
        (some(0.3, None, "amount"), "`amount` is null in "),
        (some(0.2, "XX", "country"), "`country` is `XX` in "),
        (some(0.2, "unknown", "country"), "`country` is 'unknown' in "),
        (cents, "`amount` is 100 times what it was"),
        (some(0.2, -1, "amount"), "`amount` is -1 in "),
        (some(0.2, ..., "age"), "`age` is missing in "),
        (some(0.2, "45", "age"), "`age` is of another type in "),
        (some(0.2, 0, "amount"), "`amount` is 0 in "),
        (some(0.2, 250.0, "age"), "`age` is 250 in "),
    ],
)
def test_sentence_says_what_is_wrong_and_since_when(
    change: Callable[[Columns, int, Rng], None], words: str, reference: Reference
) -> None:
    watch = Watch(drift_of(), reference)
    watch.run(Traffic(befall=befall(change)), 100)
    assert words_of(watch).startswith(words)
    assert words_of(watch).endswith("since 2025-11-10 03:15Z.")


def test_fields_that_break_in_the_same_minute_are_one_alert(reference: Reference) -> None:
    def both(columns: Columns, minutes: int, rng: Rng) -> None:
        some(0.3, None, "amount")(columns, minutes, rng)
        some(0.2, "XX", "country")(columns, minutes, rng)
        same_score(columns, minutes, rng)

    watch = Watch(drift_of(), reference)
    watch.run(Traffic(befall=befall(both)), 120)
    (alert,) = watch.book.alerts.values()
    assert alert.leader.finding.kind == "data_missing"
    assert len(alert.symptoms) == 3
    assert {each.finding.cause for each in alert.symptoms.values()} == {
        "amount since 2025-11-10 03:15Z"
    }


def test_two_troubles_at_different_times_are_two_alerts(reference: Reference) -> None:
    def one_then_the_other(columns: Columns, minutes: int, rng: Rng) -> None:
        some(0.3, None, "amount")(columns, minutes, rng)
        if minutes >= 20:
            some(0.2, "XX", "country")(columns, minutes, rng)

    watch = Watch(drift_of(), reference)
    watch.run(Traffic(befall=befall(one_then_the_other)), 150)
    assert {alert.leader.finding.field for alert in watch.book.alerts.values()} == {
        "amount",
        "country",
    }


def test_alert_ends_when_the_window_is_clean_again(reference: Reference) -> None:
    def for_a_while(columns: Columns, minutes: int, rng: Rng) -> None:
        if minutes < 30:
            some(0.3, None, "amount")(columns, minutes, rng)

    watch = Watch(drift_of(), reference)
    watch.run(Traffic(befall=befall(for_a_while)), 210)
    (alert,) = watch.book.alerts.values()
    assert alert.status == "resolved"


def test_trouble_that_comes_again_has_a_beginning_of_its_own(reference: Reference) -> None:
    def twice(columns: Columns, minutes: int, rng: Rng) -> None:
        if minutes < 20 or minutes >= 110:
            some(0.3, None, "amount")(columns, minutes, rng)

    watch = Watch(drift_of(inputs=rule(window=Duration(30 * MINUTE_NS))), reference)
    watch.run(Traffic(befall=befall(twice)), 225)
    causes = [alert.cause for alert in watch.book.alerts.values()]
    assert causes == ["amount since 2025-11-10 03:15Z", "amount since 2025-11-10 05:05Z"]


def test_requests_that_show_it_are_those_that_have_it(reference: Reference) -> None:
    ring, had = Ring(), set[str]()
    watch = Watch(drift_of(), reference, examples=ring)
    traffic = Traffic(befall=befall(some(0.2, -1, "amount")))
    for minute in range(START, START + 100):
        lines = traffic.minute(minute)
        ring.add(b"\n".join([*lines, b""]))
        had |= {line.split(b'"', 6)[5].decode() for line in lines if b'"amount":-1,' in line}
        watch.take(minute, lines)
    (alert,) = watch.book.alerts.values()
    shown = alert.leader.finding.requests
    assert len(set(shown)) == 3
    assert set(shown) <= had


def test_looks_are_made_once_and_go_on_after_a_restart(reference: Reference) -> None:
    watch = Watch(drift_of(), reference)
    watch.run(Traffic(befall=befall(some(0.3, None, "amount"))), 100)
    again = Looker(watch.drift, watch.bases, state=watch.looker.state())
    assert not again.due(watch.view)
    fresh = Looker(watch.drift, watch.bases)
    ends = [due.end for due in fresh.due(watch.view)]
    assert ends == list(range(START + 5, START + 100 - LATENESS, 5))
    made = list(fresh.looks(watch.view))
    assert [look.at_ms for look in made] == [look.at_ms for look in watch.looks]
    assert not fresh.due(watch.view)


def test_look_that_was_not_taken_is_made_again(reference: Reference) -> None:
    watch = Watch(drift_of(), reference)
    watch.run(Traffic(), 60)
    looker = Looker(watch.drift, watch.bases)
    first = next(looker.looks(watch.view))
    assert next(looker.looks(watch.view)) == first


def test_of_too_many_looks_in_arrears_the_latest_are_made(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.watch.looks.MOST", 3)
    watch = Watch(drift_of(), reference)
    watch.tally.count(b"\n".join([*Traffic().minute(START), b""]), START)
    watch.tally.count(
        b"\n".join([*Traffic(seed=2).minute(START + 60, stream="t"), b""]), START + 60
    )
    watch.tally.drain()
    ends = [due.end for due in watch.looker.due(watch.view)]
    assert ends == [START + 40, START + 45, START + 50]
    assert watch.looker.skipped == 7


def test_window_with_too_few_rows_is_no_look(reference: Reference) -> None:
    watch = Watch(drift_of(inputs=rule(minimum=100_000)), reference)
    watch.run(Traffic(befall=befall(some(0.3, None, "amount"))), 100)
    assert not watch.looks


def test_version_with_too_few_rows_is_unjudged(reference: Reference) -> None:
    watch = Watch(drift_of(), reference)
    few = Traffic(rows=1, seed=3)
    for minute in range(START, START + 40):
        lines = Traffic(seed=minute).minute(minute, stream=f"s{minute}")
        watch.take(minute, [*lines, *few.minute(minute, version="8", stream="few")])
    assert {(look.about, look.unjudged) for look in watch.looks} == {("data", ("8",))}


def test_rule_looks_at_the_fields_it_names(reference: Reference) -> None:
    watch = Watch(drift_of(inputs=rule(fields=("a*", "prediction.*"))), reference)
    watch.run(Traffic(befall=befall(some(0.3, "XX", "country"))), 100)
    assert not any(look.findings for look in watch.looks)


def test_effect_of_a_rule_is_from_where_a_change_matters(reference: Reference) -> None:
    watch = Watch(drift_of(strict=rule(effect=0.02), lax=rule(effect=2.0)), reference)
    watch.run(Traffic(befall=befall(older)), 140)
    found = {look.rule for look in watch.looks if look.findings}
    assert found == {"strict"}


def test_champion_is_what_the_challenger_is_compared_with(reference: Reference) -> None:
    drift = drift_of(DriftReference(kind="champion"), apart=rule(window=Duration(30 * MINUTE_NS)))
    watch = Watch(drift, reference)
    champion = Traffic(seed=3)
    challenger = Traffic(seed=4, befall=befall(same_score))
    for minute in range(START, START + 110):
        other = {"version": "8", "decisions": [{"arm": "challenger"}], "stream": "t"}
        watch.take(minute, [*champion.minute(minute), *challenger.minute(minute, **other)])
    (alert,) = watch.book.alerts.values()
    assert alert.leader.finding.version == "8"
    assert alert.leader.finding.kind == "prediction_collapse"
    assert not any(look.findings for look in watch.looks if look.at_ms // 60_000 <= BREAK)


def test_unknown_state_is_forgotten(reference: Reference) -> None:
    assert not Looker(drift_of(), bases_of(drift_of(), reference), state=b"{").skipped
