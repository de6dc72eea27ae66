"""Kill switches on the admin port, and in the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.control.parts import Worker
from gateway.messages import Delivery
from tests.control.parts import FakeGateway, FakeWorkers

PATH = "/api/v1/switches"
NAMES = [
    "route.chat",
    "route.fraud",
    "backend.mini",
    "backend.local",
    "backend.fraud-v3",
    "feature.shadow",
    "feature.rollouts",
    "feature.cache",
    "feature.flags",
]


def off_of(gateway: FakeGateway) -> tuple[str, ...]:
    return gateway.configuration.delivery.off


def test_every_switch_is_listed() -> None:
    gateway = FakeGateway()
    gateway.configuration.delivery = Delivery(off=("backend.gone", "route.fraud"))
    found = gateway.client().get(PATH).json()
    assert [each["name"] for each in found] == [*NAMES, "backend.gone"]
    assert [each["name"] for each in found if each["is_off"]] == ["route.fraud", "backend.gone"]
    assert found[-1]["is_known"] is False


def test_switch_is_thrown_and_thrown_back_with_its_author() -> None:
    gateway = FakeGateway()
    client = gateway.client()
    body = {"name": "route.chat", "is_off": True, "author": "ann"}
    answer = client.post(PATH, json=body)
    assert answer.json() | {"notes": ()} == {
        "hash": "new",
        "previous": gateway.plan.hash,
        "is_changed": True,
        "notes": (),
        "propagation_s": 0.012,
    }
    client.post(PATH, json={"name": "backend.local", "is_off": True})
    assert off_of(gateway) == ("backend.local", "route.chat")
    assert client.post(PATH, json=body).json()["is_changed"] is False
    client.post(PATH, json=body | {"is_off": False})
    assert off_of(gateway) == ("backend.local",)
    assert gateway.configuration.authors == ["ann", "api", "ann", "ann"]


def test_switch_of_what_is_gone_can_be_thrown_back_only() -> None:
    gateway = FakeGateway()
    gateway.configuration.delivery = Delivery(off=("route.gone",))
    client = gateway.client()
    assert client.post(PATH, json={"name": "route.gone", "is_off": True}).status_code == 404
    assert client.post(PATH, json={"name": "route.gone", "is_off": False}).status_code == 200
    assert off_of(gateway) == ()


def test_workers_that_are_away_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever throws a kill switch must know whether it is thrown."""
    monkeypatch.setattr("gateway.control.delivering.WAIT_S", 0.05)
    gateway = FakeGateway()
    gateway.workers.up = 1
    change = gateway.client().post(PATH, json={"name": "route.chat", "is_off": True}).json()
    assert change["notes"] == [f"1 of {gateway.workers.count} workers do not serve on it yet"]
    assert change["propagation_s"] >= 0.05


def test_workers_that_connect_just_now_are_waited_for() -> None:
    gateway = FakeGateway()
    gateway.workers.up = 1
    looks = iter([1, 1, 1])

    def seats() -> Sequence[Worker]:
        gateway.workers.up = next(looks, gateway.workers.count)
        return FakeWorkers.seats(gateway.workers)

    gateway.parts.workers.seats = seats  # type: ignore[method-assign]
    change = gateway.client().post(PATH, json={"name": "route.chat", "is_off": True}).json()
    assert change["notes"] == []
    assert 0.01 <= change["propagation_s"] < 1


@pytest.mark.parametrize(
    "body, status, message",
    [
        (
            {"name": "route.chta", "is_off": True},
            404,
            "There is no switch of this name, did you mean `route.chat`?",
        ),
        ({"name": "route.chat"}, 400, "The body is not what this path takes"),
    ],
)
def test_wrong_throw_is_told(body: dict[str, Any], status: int, message: str) -> None:
    answer = FakeGateway().client().post(PATH, json=body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"].startswith(message)


def test_what_is_off_and_how_long_it_took_are_metrics() -> None:
    gateway = FakeGateway()
    gateway.configuration.plan = replace(gateway.plan, off=("feature.cache", "route.chat"))
    text = gateway.client().get("/metrics").text
    assert 'gateway_switch_off{switch="feature.cache"} 1' in text
    assert 'gateway_switch_off{switch="route.chat"} 1' in text
    assert "gateway_config_last_propagation_seconds 0.012" in text
