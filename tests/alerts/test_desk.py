"""Alerts in the controller: what is told and done, over restarts and with bad receivers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from gateway.alerts.deeds import DeedsError, opened, verify
from gateway.alerts.desk import BadLook, UnknownAlert
from gateway.alerts.finding import Look, Window
from gateway.config.units import Duration, Secret
from gateway.config.watching import Drift, DriftActions, Retraining
from gateway.errors import StateError
from gateway.messages import Delivery
from gateway.notices.signature import is_genuine
from tests.alerts.alerts import (
    START_MS,
    Case,
    Clock,
    Gateway,
    OneRollout,
    finding,
    look,
    make_drift,
    make_webhook,
)
from tests.notices.webhooks import WebhookServer, answer

HOUR = 3600 * 10**9


class Cases:
    """Desks over one directory, one after the other."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._made = directory, list[Case]()
        self.clock, self.gateway = Clock(), Gateway()

    def __call__(self, drift: Drift) -> Case:
        self._made.append(Case(self._directory, drift, self.clock, self.gateway))
        return self._made[-1]

    def close(self) -> None:
        for case in self._made:
            case.engine.dispose()


@pytest.fixture
def cases(tmp_path: Path) -> Iterator[Cases]:
    found = Cases(tmp_path / "state")
    yield found
    found.close()


@contextlib.asynccontextmanager
async def telling(case: Case) -> AsyncIterator[None]:
    couriers = asyncio.create_task(case.desk._couriers.run())
    try:
        yield
    finally:
        couriers.cancel()
        await asyncio.gather(couriers, return_exceptions=True)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():
            await asyncio.sleep(0.005)


async def open_one(case: Case, *findings: object) -> None:
    found = findings or (finding(),)
    for minute in (0, 1):
        await case.look(minute, *found)  # type: ignore[arg-type]


def said_of(case: Case) -> list[tuple[str, str, str]]:
    entries = [opened(one) for one in case.desk.deeds()]
    return [(one.action, one.target, one.result) for one in entries]


async def test_alert_is_told_once_signed_and_struck_out(cases: Cases) -> None:
    secret = Secret("s3cr3t-of-the-webhook")
    with WebhookServer() as server:
        case = cases(make_drift(make_webhook(server.port, secret=secret)))
        async with telling(case):
            await open_one(case)
            for minute in (2, 3, 4):
                await case.look(minute, finding())
            await until(lambda: not case.store.parcels())
    (call,) = server.calls
    said = json.loads(call.body)
    assert said["event"] == "opened"
    assert said["alert"]["lead"]["field"] == "amount"
    assert said["alert"]["runbook"].endswith("docs/runbooks/data-missing.md")
    assert call.headers["x-gateway-delivery"] == said["id"] == "alert-1-1"
    header = call.headers["x-gateway-signature"]
    assert is_genuine(header, secret.reveal(), call.body, time.time())


async def test_restart_neither_repeats_nor_forgets(cases: Cases) -> None:
    with WebhookServer() as good, WebhookServer() as late:
        drift = make_drift(make_webhook(good.port), make_webhook(late.port, "slack"))
        case = cases(drift)
        await open_one(case)
        await case.tick(2)  # both are due, nobody is told: the couriers do not run
        again = cases(drift)
        async with telling(again):
            await again.tick(3)
            await until(lambda: not again.store.parcels())
        third = cases(drift)
        async with telling(third):
            await third.tick(4)
            await third.look(5, finding())
            assert not third.store.parcels()
    assert len(good.calls) == len(late.calls) == 1
    assert third.desk.alerts()[0].count == 3


async def test_symptoms_outlive_a_restart(cases: Cases) -> None:
    await cases(make_drift()).look(0, finding())
    again = cases(make_drift())
    await again.look(1, finding())
    assert [one.id for one in again.desk.alerts()] == [1]


async def test_resolved_alert_is_told_and_stays_in_the_list_of_all(cases: Cases) -> None:
    with WebhookServer() as server:
        case = cases(make_drift(make_webhook(server.port)))
        async with telling(case):
            await open_one(case)
            await case.tick(2)
            await case.desk.resolve(1, "api:eva")
            await case.tick(3)
            await until(lambda: len(server.calls) == 2)
    assert json.loads(server.calls[1].body)["event"] == "resolved"
    assert case.desk.alerts() == []
    assert case.store.live() == []
    (alert,) = case.desk.alerts(is_all=True)
    assert (alert.status, alert.resolved_by) == ("resolved", "api:eva")
    assert case.desk.alert(1) == alert


async def test_receiver_hears_of_its_routes_and_severities_only(cases: Cases) -> None:
    case = cases(
        make_drift(
            make_webhook(1, severity="critical"),
            make_webhook(2, routes=("chat",)),
            make_webhook(3, routes=("scores",)),
        )
    )
    await open_one(case)
    await case.tick(2)
    assert len(case.store.parcels()) == 1


async def test_what_is_kept_for_a_receiver_that_is_gone_is_not_told(cases: Cases) -> None:
    case = cases(make_drift(make_webhook(1)))
    await open_one(case)
    await case.tick(2)
    again = cases(make_drift())
    await again.tick(3)
    assert again.store.parcels() == []


async def test_switch_is_held_off_while_the_alert_is_open(cases: Cases) -> None:
    case = cases(make_drift(actions=DriftActions(switch_off=("backend.new",))))
    await open_one(case)
    assert list(cases.gateway.off) == []  # its group may still grow
    await case.tick(2)
    assert list(cases.gateway.off) == ["backend.new"]
    for minute in (3, 4, 5):
        await case.look(minute)
    assert list(cases.gateway.off) == []
    asked, done, on = said_of(case)
    assert asked == ("switch_off", "backend.new", "asked")
    assert done == ("switch_off", "backend.new", "done")
    assert on == ("switch_on", "backend.new", "done")


async def test_week_that_is_replayed_begins_no_action(cases: Cases) -> None:
    case = cases(make_drift(actions=DriftActions(switch_off=("backend.new",))))
    for minute in (0, 5):
        case.clock.at(3 * 1440)
        await case.desk.look(look(minute, finding(), rule="watch"))
        await case.desk.tick()
    assert case.desk.alerts()[0].status == "open"
    assert not case.gateway.off
    assert not said_of(case)
    for minute in (3 * 1440 - 5, 3 * 1440):
        await case.look(minute, finding())
    assert tuple(case.gateway.off) == ("backend.new",)


async def test_switch_that_somebody_threw_is_left_alone(cases: Cases) -> None:
    cases.gateway.delivery = Delivery(off=("backend.new",))
    case = cases(make_drift(actions=DriftActions(switch_off=("backend.new",))))
    await open_one(case)
    await case.tick(2)
    await case.desk.resolve(1, "api")
    await case.tick(3)
    assert list(cases.gateway.off) == ["backend.new"]
    assert said_of(case)[0] == ("switch_off", "backend.new", "refused")


async def test_what_was_begun_before_a_crash_is_done_after_it(cases: Cases) -> None:
    drift = make_drift(actions=DriftActions(switch_off=("backend.new",)))
    case = cases(drift)
    await open_one(case)

    async def die(*_arguments: object) -> None:
        raise asyncio.CancelledError

    case.desk._arms._deliver = die
    with pytest.raises(asyncio.CancelledError):
        await case.tick(2)
    again = cases(drift)
    await again.tick(3)
    assert list(cases.gateway.off) == ["backend.new"]
    await again.desk.resolve(1, "api")
    await again.tick(4)
    assert list(cases.gateway.off) == []


@pytest.mark.parametrize("how, verb", [("hold", "pause"), ("rollback", "abort")])
async def test_rollouts_on_the_route_are_told(cases: Cases, how: str, verb: str) -> None:
    cases.gateway.views = [
        OneRollout("scores-v2", "scores", ("pause", "abort")),
        OneRollout("done", "scores", ()),
        OneRollout("chat-v2", "chat", ("pause", "abort")),
    ]
    case = cases(make_drift(actions=DriftActions(rollout=how)))  # type: ignore[arg-type]
    await open_one(case)
    for minute in (2, 3):
        await case.tick(minute)
    assert [said[:2] for said in cases.gateway.said] == [(verb, "scores-v2")]
    assert said_of(case)[-1] == ("rollout", "scores-v2", "done")


async def test_rollout_that_says_no_is_written_down(cases: Cases) -> None:
    cases.gateway.views = [OneRollout("stubborn", "scores", ("pause",))]
    case = cases(make_drift(actions=DriftActions(rollout="hold")))
    await open_one(case)
    await case.tick(2)
    assert said_of(case)[-1] == ("rollout", "stubborn", "failed")


def retraining(port: int) -> Drift:
    url = Secret(f"http://127.0.0.1:{port}/train")
    drift = make_drift(actions=DriftActions(retrain="nightly"))
    trainings = {"nightly": Retraining(url=url, at_most_every=Duration(HOUR))}
    return Drift(rules=drift.rules, alerts=drift.alerts, retraining=trainings)


async def test_training_is_asked_for_with_the_window_and_confirmed(cases: Cases) -> None:
    window = Window(START_MS - 1000, START_MS)
    with WebhookServer() as server:
        case = cases(retraining(server.port))
        async with telling(case):
            await open_one(case, finding(current=window, version="7"))
            await case.tick(2)
            await until(lambda: len(case.desk.deeds()) == 2)
    said = json.loads(server.calls[0].body)
    assert said["window"] == {"since_ms": window.since_ms, "until_ms": window.until_ms}
    assert (said["retraining"], said["version"], said["route"]) == ("nightly", "7", "scores")
    assert [each[2] for each in said_of(case)] == ["asked", "done"]


async def test_training_is_asked_for_at_most_every_so_often(cases: Cases) -> None:
    case = cases(retraining(1))
    await open_one(case)
    await case.tick(2)
    await case.desk.resolve(1, "api")
    for minute in (3, 4):
        await case.look(minute, finding())
    await case.tick(6)
    assert [each[2] for each in said_of(case) if each[0] == "retrain"] == ["asked", "refused"]


async def test_training_that_is_refused_is_written_down(cases: Cases) -> None:
    with WebhookServer(answer(403)) as server:
        case = cases(retraining(server.port))
        async with telling(case):
            await open_one(case)
            await case.tick(2)
            await until(lambda: len(case.desk.deeds()) == 2)
    assert said_of(case)[-1] == ("retrain", "nightly", "failed")


async def test_nothing_is_done_that_no_rule_asks_for(cases: Cases) -> None:
    cases.gateway.views = [OneRollout("scores-v2", "scores", ("pause", "abort"))]
    case = cases(make_drift())
    await open_one(case)
    await case.tick(2)
    assert cases.gateway.said == []
    assert case.desk.deeds() == []


async def test_silence_holds_messages_and_actions(cases: Cases) -> None:
    case = cases(make_drift(make_webhook(1), actions=DriftActions(switch_off=("backend.new",))))
    await open_one(case)
    await case.desk.silence(1, 3600, "api:eva")
    await case.tick(30)
    assert case.store.parcels() == []
    assert cases.gateway.said == []
    await case.desk.silence(1, 0, "api:eva")
    await case.tick(31)
    assert len(case.store.parcels()) == 1
    assert cases.gateway.said


async def test_log_of_actions_shows_a_change(cases: Cases, tmp_path: Path) -> None:
    case = cases(make_drift())
    await open_one(case)
    for seconds in (60, 120, 180):
        await case.desk.silence(1, seconds, "api:eva")
    assert verify(case.desk.deeds()) == 3
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "gateway.sqlite")) as database:
        database.execute("UPDATE alert_deeds SET text = replace(text, 'eva', 'bob') WHERE n = 2")
        database.commit()
    with pytest.raises(DeedsError, match="entry 2"):
        verify(case.desk.deeds())
    with pytest.raises(DeedsError, match="no entry 1"):
        verify(case.desk.deeds()[1:])


@pytest.mark.parametrize(
    "look, says",
    [
        (Look(route="scorse"), "scores"),
        (Look(route="scores", rule="wacth"), "watch"),
        (Look(route="scores", at_ms=START_MS + 86_400_000), "future"),
    ],
)
async def test_look_that_cannot_be_is_refused(cases: Cases, look: Look, says: str) -> None:
    with pytest.raises(BadLook, match=says):
        await cases(make_drift()).desk.look(look)


async def test_alert_that_is_none_is_said(cases: Cases) -> None:
    with pytest.raises(UnknownAlert):
        cases(make_drift()).desk.alert(7)


async def test_resolved_alert_cannot_be_silenced(cases: Cases) -> None:
    case = cases(make_drift())
    await open_one(case)
    await case.desk.resolve(1, "api")
    with pytest.raises(BadLook):
        await case.desk.silence(1, 60, "api")


async def test_database_that_fails_leaves_nothing_in_memory(
    cases: Cases, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = cases(make_drift())
    await case.look(0, finding())

    def fail(_changes: object) -> None:
        raise StateError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(case.store, "save", fail)
        with pytest.raises(StateError):
            await case.look(1, finding())
    assert case.desk.alerts() == []
    await case.look(1, finding())
    assert len(case.desk.alerts()) == 1


async def test_topic_has_every_alert_in_json(cases: Cases) -> None:
    case = cases(make_drift(kafka_topic="alerts"))
    async with telling(case):
        await open_one(case, finding(severity="info"))
        await case.tick(2)
        await until(lambda: not case.store.parcels())
    ((topic, parcel),) = case.on_topic
    assert (topic, parcel.key, parcel.about) == ("alerts", "alert-1-1", "alert 1")
    assert json.loads(parcel.body)["alert"]["id"] == 1
