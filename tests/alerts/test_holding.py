"""What an alert changes on its route while it is open: weights and payloads, over restarts."""

from __future__ import annotations

import asyncio

import pytest

from gateway.config.units import Share
from gateway.config.watching import Drift, DriftActions, DriftRule
from gateway.errors import GatewayError
from gateway.messages import Delivery, Hold
from tests.alerts.alerts import finding, make_drift
from tests.alerts.test_desk import Cases, cases, open_one, said_of

__all__ = ["cases"]

SHIFT = DriftActions(weights={"new": Share(0.1)}, payload="full")
HELD = Hold(route="scores", weights={"new": 100_000}, payload_ppm=1_000_000)


async def test_weights_and_payloads_are_held_while_the_alert_is_open(cases: Cases) -> None:
    case = cases(make_drift(actions=SHIFT))
    await open_one(case)
    assert cases.gateway.delivery.holds == {}  # its group may still grow
    await case.tick(2)
    assert cases.gateway.delivery.holds == {"alert:1": HELD}
    assert case.desk.alert(1).holds == ("weights new=10%", "payload full")
    for minute in (3, 4, 5):
        await case.look(minute)
    assert cases.gateway.delivery.holds == {}
    assert said_of(case) == [
        ("weights", "new=10%", "asked"),
        ("payload", "full", "asked"),
        ("weights", "new=10%", "done"),
        ("payload", "full", "done"),
        ("take_back", "weights", "done"),
        ("take_back", "payload", "done"),
    ]


async def test_what_was_begun_before_a_crash_is_done_after_it(cases: Cases) -> None:
    drift = make_drift(actions=SHIFT)
    case = cases(drift)
    await open_one(case)

    async def die(*_arguments: object) -> None:
        raise asyncio.CancelledError

    case.desk._arms._deliver = die
    with pytest.raises(asyncio.CancelledError):
        await case.tick(2)
    again = cases(drift)
    await again.tick(3)
    assert cases.gateway.delivery.holds == {"alert:1": HELD}
    await again.desk.resolve(1, "api")
    last = cases(drift)
    await last.tick(4)
    assert cases.gateway.delivery.holds == {}


async def test_rules_of_one_alert_hold_the_most_careful_of_what_they_ask(cases: Cases) -> None:
    more = DriftActions(weights={"new": Share(0.3), "old": Share(0.2)}, payload=Share(0.5))
    first = DriftActions(weights={"new": Share(0.1)}, payload=Share(0.25))
    rules = {"watch": DriftRule(actions=first), "other": DriftRule(actions=more)}
    case = cases(Drift(rules=rules, alerts=make_drift().alerts))
    for minute in (0, 1):
        await case.look(minute, finding())
        await case.look(minute, finding("feature_drift"), rule="other")
    await case.tick(2)
    held = Hold(route="scores", weights={"new": 100_000, "old": 200_000}, payload_ppm=500_000)
    assert cases.gateway.delivery.holds == {"alert:1": held}


async def test_what_would_change_nothing_is_refused(cases: Cases) -> None:
    case = cases(make_drift(actions=SHIFT))
    case.desk._arms._refuses = lambda route, shares: f"no {route} {shares}"
    await open_one(case)
    await case.tick(2)
    assert said_of(case)[0] == ("weights", "new=10%", "refused")
    assert cases.gateway.delivery.holds == {"alert:1": Hold(route="scores", payload_ppm=1_000_000)}
    assert case.desk.alert(1).holds == ("payload full",)


async def test_what_workers_do_not_take_is_written_down_and_swept_up(cases: Cases) -> None:
    case = cases(make_drift(actions=SHIFT))
    await open_one(case)
    deliver = case.desk._arms._deliver

    async def fail(*_arguments: object) -> None:
        raise GatewayError("no worker takes it")

    case.desk._arms._deliver = fail
    await case.tick(2)
    assert said_of(case)[-1] == ("payload", "full", "failed")
    cases.gateway.delivery = Delivery(holds={"alert:1": HELD, "alert:9": HELD})
    await case.desk.resolve(1, "api")
    await case.tick(3)
    assert said_of(case)[-1] == ("take_back", "payload", "failed")
    case.desk._arms._deliver = deliver
    await case.tick(4)
    assert cases.gateway.delivery.holds == {}


async def test_switches_that_are_off_and_rollouts_stay_as_they_are(cases: Cases) -> None:
    cases.gateway.delivery = Delivery(off=("backend.x",), flags={"f": "on"})
    case = cases(make_drift(actions=SHIFT))
    await open_one(case)
    await case.tick(2)
    await case.desk.resolve(1, "api")
    await case.tick(3)
    assert cases.gateway.delivery == Delivery(off=("backend.x",), flags={"f": "on"})


async def test_rule_that_finds_the_same_cause_later_has_its_actions(cases: Cases) -> None:
    rules = {"watch": DriftRule(), "other": DriftRule(actions=SHIFT)}
    case = cases(Drift(rules=rules, alerts=make_drift().alerts))
    await open_one(case)
    await case.tick(2)
    assert cases.gateway.delivery.holds == {}
    for minute in (3, 4):
        await case.look(minute, finding("feature_drift"), rule="other")
        await case.look(minute, finding())
    assert [one.id for one in case.desk.alerts()] == [1]
    assert cases.gateway.delivery.holds == {"alert:1": HELD}
    for minute in (5, 6):
        await case.look(minute, finding("feature_drift"), rule="other")
    asked = [each for each in said_of(case) if each[2] == "asked"]
    assert asked == [("weights", "new=10%", "asked"), ("payload", "full", "asked")]
