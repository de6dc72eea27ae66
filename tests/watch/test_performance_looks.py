"""Looks at labels: what is found, what is not, when they are made, how often they are wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gateway.alerts.finding import Look
from gateway.config.units import Age, Duration
from gateway.config.watching import Drift, DriftLabels, DriftRule
from gateway.store.database import StoreError
from gateway.store.labelled import Labelled, LabelledRow, LabelQuestion
from gateway.watch.performance.looks import PerformanceLooks, watched
from tests.watch.labels import (
    DAY_US,
    HOUR_NS,
    HOUR_US,
    LABELS,
    NOW_US,
    FakeStore,
    drift,
    row,
    scored,
)

END_US = NOW_US - DAY_US  # of what is matured
RULE = DriftRule(window=Duration(6 * HOUR_NS), every=Duration(HOUR_NS))


def usual(count: int = 4000, days: int = 14, **changes: object) -> list[LabelledRow]:
    return scored(END_US - days * DAY_US, END_US - 6 * HOUR_US, count, seed=1, **changes)  # type: ignore[arg-type]


def looks_of(store: FakeStore, settings: Drift | None = None) -> Callable[[int], list[Look]]:
    made = PerformanceLooks(store, lambda: settings or drift(RULE), lambda: ["fraud", "chat"])
    return lambda now_us: made.due(now_us // 1000)


def fields(looks: list[Look]) -> set[str]:
    return {one.field for look in looks for one in look.findings}


def test_scores_that_mean_less_are_found_with_figures_and_requests() -> None:
    bad = scored(END_US - 6 * HOUR_US, END_US, 600, seed=2, faith=0.2)
    (look,) = looks_of(FakeStore(usual() + bad))(NOW_US)
    assert (look.rule, look.route, look.about) == ("labels", "fraud", "performance")
    assert {"performance.brier", "performance.log_loss", "performance.auc"} <= fields([look])
    found = {one.field: one for one in look.findings}["performance.brier"]
    assert found.kind == "performance_drop"
    assert found.sentence.startswith("brier rose from 0.1")
    assert "of 600 labelled predictions" in found.sentence
    assert found.evidence["rows"] == 600
    assert float(str(found.evidence["low"])) > float(str(found.evidence["reference"]))
    assert len(found.requests) == 3
    assert found.current is not None
    assert found.current.until_ms <= END_US // 1000 + 1


def test_the_usual_is_a_look_that_finds_nothing() -> None:
    fine = scored(END_US - 6 * HOUR_US, END_US, 600, seed=2)
    (look,) = looks_of(FakeStore(usual() + fine))(NOW_US)
    assert look.findings == ()


def test_labels_of_answers_that_are_not_old_enough_do_not_count() -> None:
    fine = scored(END_US - 6 * HOUR_US, END_US, 600, seed=2)
    bad = scored(END_US, NOW_US, 3000, seed=3, faith=0.2)
    (look,) = looks_of(FakeStore(usual() + fine + bad))(NOW_US)
    assert not [name for name in fields([look]) if name.startswith("performance.")]


def test_window_of_few_labels_takes_in_what_was_before_it() -> None:
    store = FakeStore(scored(END_US - 20 * DAY_US, END_US, 2000))
    store.rows += scored(END_US - 2 * HOUR_US, END_US, 10, seed=5)
    (look,) = looks_of(store)(NOW_US)
    assert look.findings == ()
    assert min(one.since_us for one in store.asked) <= END_US - 14 * DAY_US


def test_too_few_labels_are_no_look_at_all() -> None:
    """Else an alert would end when labels stay away."""
    assert looks_of(FakeStore(usual(30)))(NOW_US) == []


@pytest.mark.parametrize("reference", ["pin", "week"])
def test_reference_is_what_the_rule_says(reference: str) -> None:
    rule = DriftRule(window=Duration(6 * HOUR_NS), every=Duration(HOUR_NS), reference=reference)
    then = {"pin": 19_986 * DAY_US, "week": END_US - 7 * DAY_US - 6 * HOUR_US}[reference]
    old = scored(then, then + 6 * HOUR_US, 1000, seed=7)
    between = scored(then + DAY_US, END_US - 6 * HOUR_US, 1000, seed=8, faith=0.2)
    now = scored(END_US - 6 * HOUR_US, END_US, 600, seed=9, faith=0.2)
    (look,) = looks_of(FakeStore(old + between + now), drift(rule))(NOW_US)
    found = {one.field: one for one in look.findings}["performance.brier"]
    assert found.evidence["reference rows"] == 1000


def test_scores_lose_their_certainty_before_labels_come() -> None:
    unsure = scored(
        NOW_US - 6 * HOUR_US, NOW_US, 600, is_labelled=False,
        draw=lambda rng, n: rng.uniform(0.4, 0.6, n),
    )  # fmt: skip
    fine = scored(END_US - 6 * HOUR_US, END_US, 600, seed=2)
    (look,) = looks_of(FakeStore(usual() + fine + unsure))(NOW_US)
    assert fields([look]) == {"estimated.accuracy", "estimated.brier"}
    assert "of 600 estimated predictions" in look.findings[0].sentence


def test_fields_of_a_rule_say_what_is_looked_at() -> None:
    bad = scored(END_US - 6 * HOUR_US, END_US, 600, seed=2, faith=0.2)
    rule = DriftRule(
        window=Duration(6 * HOUR_NS), every=Duration(HOUR_NS), fields=("performance.b*",)
    )
    (look,) = looks_of(FakeStore(usual() + bad), drift(rule))(NOW_US)
    assert fields([look]) == {"performance.brier", "performance.balanced_accuracy"}


@pytest.mark.parametrize(
    "rule, expected",
    [
        (DriftRule(), True),
        (DriftRule(fields=("feedback.thumbs",)), True),
        (DriftRule(test="adwin"), True),
        (DriftRule(fields=("amount", "prediction.*")), False),
        (DriftRule(test="psi"), False),
        (DriftRule(routes=("chat",)), False),
    ],
)
def test_rules_that_look_at_labels(rule: DriftRule, expected: bool) -> None:
    found = watched(drift(rule), ["chat", "fraud"])
    assert found == ([("labels", "fraud")] if expected else [])


def test_a_look_is_made_once_in_its_time() -> None:
    looks = looks_of(FakeStore(usual()))
    assert len(looks(NOW_US)) == 1
    assert looks(NOW_US + HOUR_US - 1_000_000) == []
    assert len(looks(NOW_US + HOUR_US)) == 1


def test_reference_is_read_once_for_many_looks() -> None:
    store = FakeStore(usual())
    looks = looks_of(store)
    looks(NOW_US)
    asked = len(store.asked)
    looks(NOW_US + HOUR_US)
    assert len(store.asked) - asked < asked


def test_signal_whose_mean_falls_is_found() -> None:
    labels = DriftLabels(kind="probability", matured=Age(24 * HOUR_NS), signals=("thumbs",))
    rng = np.random.default_rng(1)
    shares = np.repeat([0.9, 0.6], [2000, 400])
    times = np.linspace(END_US - 5 * DAY_US, END_US - 1, 2400).astype(np.int64)
    store = FakeStore(usual())
    store.signals["thumbs"] = [
        row(int(at), None, bool(rng.random() < share))
        for at, share in zip(times, shares, strict=True)
    ]
    (look,) = looks_of(store, drift(RULE, labels))(NOW_US)
    assert fields([look]) == {"feedback.thumbs"}
    assert look.findings[0].sentence.startswith("thumbs fell from 0.")


@pytest.mark.parametrize("test", ["adwin", "page_hinkley"])
def test_errors_that_rise_are_found_until_they_are_back(test: str) -> None:
    rule = DriftRule(test=test, window=Duration(6 * HOUR_NS), every=Duration(HOUR_NS))  # type: ignore[arg-type]
    store = FakeStore(usual(3000))
    looks = looks_of(store, drift(rule))
    assert [look.findings for look in looks(NOW_US)] == [()]
    store.rows += scored(END_US, END_US + 2 * HOUR_US, 800, seed=2, faith=0.0)
    (look,) = looks(NOW_US + 3 * HOUR_US)
    (found,) = look.findings
    assert (found.field, found.test) == ("performance.error", test)
    assert len(found.requests) == 3
    store.rows += scored(END_US + 3 * HOUR_US, END_US + 5 * HOUR_US, 800, seed=3)
    assert [look.findings for look in looks(NOW_US + 6 * HOUR_US)] == [()]


def test_store_that_fails_is_a_sentence() -> None:
    class Broken(FakeStore):
        def labelled(self, question: LabelQuestion) -> Labelled:
            raise StoreError("the store is on fire")

    made = PerformanceLooks(Broken(), lambda: drift(RULE), lambda: ["fraud"])
    assert made.due(NOW_US // 1000) == []
    assert made.problems == {("labels", "fraud"): "the store is on fire"}


def test_null_traffic_is_wrong_no_oftener_than_said() -> None:
    """12 looks of 5 % each, of which the measured have half and the estimated a quarter."""
    rule = DriftRule(
        window=Duration(24 * HOUR_NS), every=Duration(24 * HOUR_NS), false_alarm_days=20, effect=0.0
    )
    wrong = 0
    for seed in range(12):
        rows = scored(END_US - 9 * DAY_US, END_US, 2400, seed=seed)
        looks = looks_of(FakeStore(rows), drift(rule, LABELS))
        wrong += sum(bool(look.findings) for look in looks(NOW_US))
    assert wrong <= 2


def of_versions(rows: list[LabelledRow], *versions: str) -> list[LabelledRow]:
    """One after the other."""
    return [
        each._replace(version=versions[at % len(versions)], id=f"{each.id}-{versions[0]}")
        for at, each in enumerate(rows)
    ]


def by_version(look: Look) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in look.findings:
        found.setdefault(each.version, set()).add(each.field)
    return found


def test_version_that_is_worse_is_named() -> None:
    """A tenth of the traffic: too little to be seen in the route's own figures."""
    fine = of_versions(scored(END_US - 6 * HOUR_US, END_US, 5400, seed=2), "1")
    bad = of_versions(scored(END_US - 6 * HOUR_US, END_US, 600, seed=3, faith=0.4), "2")
    before = of_versions(usual(8000), "1", "2")
    (look,) = looks_of(FakeStore(before + fine + bad))(NOW_US)
    found = by_version(look)
    assert "performance.brier" in found["2"]
    assert "performance.brier" not in found.get("", set())
    assert "1" not in found
    (brier,) = (one for one in look.findings if one.field == "performance.brier")
    assert brier.sentence.startswith("brier of version `2` rose from 0.1")
    assert brier.evidence["rows"] == 600
    assert brier.evidence["reference rows"] == 4000  # its own
    assert all(name.endswith("-2") for name in brier.requests)
    assert look.unjudged == ()


def test_version_that_is_new_is_compared_with_the_route() -> None:
    fine = of_versions(scored(END_US - 6 * HOUR_US, END_US, 600, seed=2), "1")
    bad = of_versions(scored(END_US - 6 * HOUR_US, END_US, 600, seed=3, faith=0.2), "2")
    (look,) = looks_of(FakeStore(of_versions(usual(), "1") + fine + bad))(NOW_US)
    (brier,) = (o for o in look.findings if (o.version, o.field) == ("2", "performance.brier"))
    assert brier.evidence["reference rows"] == 4000


def test_version_with_few_labels_takes_in_what_was_before_the_window() -> None:
    fine = of_versions(scored(END_US - 6 * HOUR_US, END_US, 600, seed=2), "1")
    bad = of_versions(scored(END_US - 4 * DAY_US, END_US, 260, seed=3, faith=0.0), "2")
    (look,) = looks_of(FakeStore(of_versions(usual(), "1") + fine + bad))(NOW_US)
    rows = {one.evidence["rows"] for one in look.findings if one.version == "2"}
    assert rows == {200}


def test_of_a_version_with_hardly_any_labels_nothing_is_said() -> None:
    fine = of_versions(scored(END_US - 6 * HOUR_US, END_US, 600, seed=2), "1")
    few = of_versions(scored(END_US - 6 * HOUR_US, END_US, 20, seed=3, faith=0.0), "2")
    (look,) = looks_of(FakeStore(of_versions(usual(), "1") + fine + few))(NOW_US)
    assert (by_version(look), look.unjudged) == ({}, ("2",))


def test_one_version_is_the_route_and_has_no_name() -> None:
    bad = of_versions(scored(END_US - 6 * HOUR_US, END_US, 600, seed=2, faith=0.2), "2")
    (look,) = looks_of(FakeStore(of_versions(usual(), "1") + bad))(NOW_US)
    assert set(by_version(look)) == {""}


def test_scores_of_one_version_lose_their_certainty_before_labels_come() -> None:
    now = (NOW_US - 6 * HOUR_US, NOW_US)
    sure = of_versions(scored(*now, 1200, seed=4, is_labelled=False), "1")
    unsure = of_versions(
        scored(*now, 300, is_labelled=False, draw=lambda rng, n: rng.uniform(0.4, 0.6, n)), "2"
    )
    rows = of_versions(usual(6000), "1", "2") + sure + unsure
    rule = DriftRule(window=Duration(6 * HOUR_NS), every=Duration(HOUR_NS), fields=("estimated.*",))
    (look,) = looks_of(FakeStore(rows), drift(rule))(NOW_US)
    assert by_version(look)["2"] == {"estimated.accuracy", "estimated.brier"}
    assert "1" not in by_version(look)


def test_null_traffic_of_several_versions_is_wrong_no_oftener_than_said() -> None:
    rule = DriftRule(
        window=Duration(24 * HOUR_NS), every=Duration(24 * HOUR_NS), false_alarm_days=20, effect=0.0
    )
    wrong = 0
    for seed in range(6):
        rows = of_versions(scored(END_US - 9 * DAY_US, END_US, 1600, seed=seed), "1", "2")
        looks = looks_of(FakeStore(rows), drift(rule, LABELS))
        wrong += sum(bool(look.findings) for look in looks(NOW_US))
    assert wrong <= 1
