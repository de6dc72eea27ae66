"""Symptoms and alerts: when one opens, what belongs to it, when it ends, what is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.alerts import book as book_module
from gateway.alerts.alert import Alert
from gateway.alerts.book import FOLLOWS_MS, FORGOTTEN_MS, MOST_MESSAGES, Book
from gateway.alerts.finding import Finding
from gateway.config.units import Duration
from gateway.config.watching import DriftAlerts, DriftRule
from tests.alerts.alerts import MINUTE, MINUTE_MS, START_MS, finding, look

RULE = DriftRule(opens=2, of=3, closes=3)
SETTINGS = DriftAlerts(group=Duration(MINUTE), repeat=Duration(60 * MINUTE))


def take(book: Book, minute: int, *findings: Finding, rule: DriftRule = RULE) -> None:
    book.take(look(minute, *findings), rule, MINUTE)


def opened(*findings: Finding) -> Book:
    book = Book()
    for minute in (0, 1):
        take(book, minute, *findings)
    return book


def the_one(book: Book) -> Alert:
    (alert,) = book.alerts.values()
    return alert


def told(book: Book, minute: float, settings: DriftAlerts = SETTINGS) -> list[tuple[int, str]]:
    at_ms = START_MS + int(minute * MINUTE_MS)
    return [(alert.id, event) for alert, event in book.due(settings, at_ms)]


@pytest.mark.parametrize(
    "seen, is_open",
    [("1", False), ("11", True), ("101", True), ("1001", False), ("1000", False), ("0101", True)],
)
def test_alert_opens_when_enough_of_the_last_looks_found_it(seen: str, is_open: bool) -> None:
    book = Book()
    for minute, said in enumerate(seen):
        take(book, minute, *([finding()] if said == "1" else []))
    assert bool(book.alerts) == is_open


def test_what_is_found_no_more_is_forgotten() -> None:
    book = Book()
    take(book, 0, finding())
    for minute in (1, 2, 3):
        take(book, minute)
    assert not book.symptoms
    assert not book.alerts


def test_same_cause_is_one_alert_with_counts() -> None:
    book = opened(finding())
    for minute in range(2, 10):
        take(book, minute, finding())
    assert the_one(book).count == 10
    assert the_one(book).status == "open"


def test_look_that_is_sent_twice_counts_once() -> None:
    book = Book()
    take(book, 0, finding())
    take(book, 0, finding())
    assert not book.alerts


def test_alert_stays_open_over_short_pauses_and_ends_after_long_ones() -> None:
    book = opened(finding())
    for minute, said in enumerate("001001000", 2):
        assert the_one(book).status == "open"
        take(book, minute, *([finding()] if said == "1" else []))
    assert the_one(book).status == "resolved"


def test_other_rules_and_routes_say_nothing_of_it() -> None:
    book = opened(finding())
    for minute in range(2, 9):
        book.take(look(minute, route="chat"), RULE, MINUTE)
        book.take(look(minute, rule="other"), RULE, MINUTE)
    assert the_one(book).status == "open"


def test_one_upstream_field_that_breaks_is_one_alert_and_what_follows_is_under_it() -> None:
    broken = finding("data_missing", "amount")
    moved = finding("feature_drift", "amount_per_day")
    collapse = finding("prediction_collapse", "")
    book = opened(collapse, moved, broken)
    alert = the_one(book)
    assert alert.leader.finding == broken
    assert len(alert.symptoms) == 3


def test_follower_that_shows_later_joins() -> None:
    book = opened(finding("data_missing"))
    for minute in (30, 31):
        take(book, minute, finding("data_missing"), finding("performance_drop", ""))
    assert the_one(book).leader.finding.kind == "data_missing"
    assert len(the_one(book).symptoms) == 2


def test_what_does_not_follow_is_an_alert_of_its_own() -> None:
    book = opened(finding("feature_drift", "age"))
    for minute in (30, 31):
        take(book, minute, finding("feature_drift", "age"), finding("data_missing", "amount"))
    assert [one.leader.finding.field for one in book.alerts.values()] == ["age", "amount"]


def test_follower_that_shows_much_later_does_not_join() -> None:
    book = opened(finding("data_missing"))
    late = FOLLOWS_MS // MINUTE_MS + 2
    for minute in (late, late + 1):
        take(book, minute, finding("data_missing"), finding("performance_drop", ""))
    assert len(book.alerts) == 2


def test_named_cause_groups_over_routes() -> None:
    book = Book()
    for minute in (0, 1):
        for route in ("scores", "chat"):
            one = look(minute, finding(cause="orders"), route=route)
            book.take(one, RULE, MINUTE)
    assert len(the_one(book).symptoms) == 2


def test_alert_is_resolved_when_the_last_symptom_is_over() -> None:
    book = opened(finding(), finding("feature_drift", "age"))
    for minute in (2, 3, 4):
        take(book, minute, finding("feature_drift", "age"))
    assert the_one(book).status == "open"
    for minute in (5, 6, 7):
        take(book, minute)
    assert the_one(book).status == "resolved"


def test_of_a_version_that_was_not_judged_silence_says_nothing() -> None:
    book = opened(finding(version="7"), finding("new_category", version="8"))
    for minute in (2, 3, 4):
        quiet = replace(look(minute), unjudged=("7",))
        book.take(quiet, RULE, MINUTE)
    kinds = {one.finding.version: one.is_over for one in the_one(book).symptoms.values()}
    assert kinds == {"7": False, "8": True}


def test_person_resolves_and_what_goes_on_opens_another() -> None:
    book = opened(finding())
    book.resolve(1, START_MS + 2 * MINUTE_MS, "api:eva")
    for minute in (2, 3):
        take(book, minute, finding())
    assert [one.status for one in book.alerts.values()] == ["resolved", "open"]


def test_what_nobody_looks_at_any_more_is_over() -> None:
    book = opened(finding())
    book.forget(START_MS + FORGOTTEN_MS + 2 * MINUTE_MS)
    assert the_one(book).status == "resolved"
    assert the_one(book).resolved_by == "nobody looks any more"


def test_looks_of_a_replayed_week_are_not_forgotten_while_they_come() -> None:
    book, now_ms = Book(), START_MS + 7 * FORGOTTEN_MS
    for minute in (0, 1):
        book.take(look(minute, finding()), RULE, MINUTE, now_ms)
        book.forget(now_ms)
    assert the_one(book).status == "open"
    book.forget(now_ms + FORGOTTEN_MS + 1)
    assert the_one(book).status == "resolved"


def test_version_that_answers_no_more_is_forgotten_though_others_are_looked_at() -> None:
    book = opened(finding(version="7"))
    minutes = FORGOTTEN_MS // MINUTE_MS + 5
    now_ms = START_MS + minutes * MINUTE_MS
    book.take(replace(look(minutes), unjudged=("7",)), RULE, MINUTE, now_ms)
    book.forget(now_ms)
    assert the_one(book).status == "resolved"


def test_life_of_an_alert_is_told_once_each() -> None:
    book = opened(finding())
    assert told(book, 1.5) == []  # its followers may still come
    assert told(book, 2) == [(1, "opened")]
    assert told(book, 3) == []
    take(book, 4, finding(severity="critical"))
    assert told(book, 4) == [(1, "raised")]
    assert told(book, 63.9) == []
    assert told(book, 64) == [(1, "repeated")]
    for minute in (65, 66, 67):
        take(book, minute)
    assert told(book, 67) == [(1, "resolved")]
    assert told(book, 68) == []
    assert book.drop_told(SETTINGS)
    assert not book.alerts


def test_alert_that_was_over_before_it_was_told_is_never_told() -> None:
    book = opened(finding())
    book.resolve(1, START_MS + MINUTE_MS, "")
    assert told(book, 100) == []
    assert book.drop_told(SETTINGS)


def test_silence_ends() -> None:
    book = opened(finding())
    book.silence(1, START_MS + 30 * MINUTE_MS, "api:eva")
    assert told(book, 29) == []
    assert told(book, 30) == [(1, "opened")]


def test_messages_are_bounded_and_the_worst_go_first() -> None:
    book = Book()
    for minute in (0, 1):
        for number in range(MOST_MESSAGES + 5):
            severity = "critical" if number == MOST_MESSAGES + 4 else "warning"
            book.take(look(minute, finding(severity=severity), route=f"r{number}"), RULE, MINUTE)
    first = told(book, 3)
    assert len(first) == MOST_MESSAGES
    assert first[0] == (MOST_MESSAGES + 5, "opened")
    assert told(book, 4) == []
    assert len(told(book, 14)) == 5  # late, but told


def test_what_does_not_fit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "MOST_SYMPTOMS", 3)
    book = Book()
    take(book, 0, *(finding(field=f"f{number}") for number in range(5)))
    assert len(book.symptoms) == 3
    assert book.turned_away == 2


def test_alert_is_kept_as_text_and_goes_on_from_there() -> None:
    book = opened(finding())
    again = Book({}, [msgspec.json.decode(msgspec.json.encode(the_one(book)), type=Alert)], 1)
    take(again, 2, finding())
    assert the_one(again).count == 3
    assert told(again, 2) == [(1, "opened")]


@pytest.mark.parametrize("about, is_over", [("data", False), ("performance", True), ("all", True)])
def test_silence_of_a_look_at_data_does_not_end_what_labels_said(about: Any, is_over: bool) -> None:
    book = opened(finding("performance_drop"))
    for minute in (2, 3, 4):
        book.take(replace(look(minute), about=about), RULE, MINUTE)
    assert (the_one(book).status == "resolved") is is_over


@pytest.mark.parametrize(
    "about, kinds",
    [
        ("data", ["data_missing", "llm_signals"]),
        ("performance", ["performance_drop"]),
        ("traffic", ["traffic_drop"]),
        ("all", ["data_missing", "llm_signals", "performance_drop", "traffic_drop"]),
    ],
)
def test_each_kind_is_ended_by_looks_at_what_it_is_of(about: Any, kinds: list[str]) -> None:
    asked: list[Any] = ["data_missing", "llm_signals", "performance_drop", "traffic_drop"]
    assert [kind for kind in asked if replace(look(1), about=about).covers(kind)] == kinds
