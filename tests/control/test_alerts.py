"""Alerts on the admin port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.testclient import TestClient

from gateway.control.app import create_app
from tests.alerts.alerts import START_MS, Case, Clock, Gateway, make_drift
from tests.control.parts import FakeGateway

PATH = "/api/v1/alerts"
FINDING = {"kind": "sentinel", "field": "amount", "requests": ["r-1"], "evidence": {"value": -1}}


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    case = Case(tmp_path, make_drift(), Clock(), Gateway())
    gateway = FakeGateway()
    parts = replace(gateway.parts, alerts=case.desk)
    yield TestClient(create_app(parts), base_url="http://127.0.0.1:8081")
    case.engine.dispose()


def say(client: TestClient, minute: int, *findings: dict[str, Any], **fields: Any) -> Any:
    body = {"route": "scores", "at_ms": START_MS + minute * 60_000, "findings": findings} | fields
    return client.post(f"{PATH}/looks", json=body)


def open_one(client: TestClient) -> None:
    assert say(client, 0, FINDING).json() == {"watched": 1, "open": []}
    assert say(client, 1, FINDING).json() == {"watched": 0, "open": [1]}


def test_looks_become_an_alert_that_is_listed_and_shown(client: TestClient) -> None:
    assert client.get(PATH).json() == []
    open_one(client)
    (listed,) = client.get(PATH).json()
    shown = client.get(f"{PATH}/1").json()
    assert listed == shown
    assert (shown["status"], shown["count"]) == ("open", 2)
    assert shown["lead"]["evidence"] == {"value": -1}
    assert shown["runbook"].endswith("sentinel.md")


def test_alert_is_silenced_and_resolved_by_name(client: TestClient) -> None:
    open_one(client)
    silent = client.post(f"{PATH}/1/silence", json={"for_s": 3600, "author": "eva"}).json()
    assert silent["silenced_by"] == "api:eva"
    resolved = client.post(f"{PATH}/1/resolve", json={}).json()
    assert (resolved["status"], resolved["resolved_by"]) == ("resolved", "api")
    assert client.get(PATH).json() == []
    assert len(client.get(PATH, params={"all": "true"}).json()) == 1
    actions = client.get(f"{PATH}/actions", params={"alert": "1"}).json()
    assert [one["n"] for one in actions] == [1, 2]
    assert client.get(f"{PATH}/receivers").json() == []


@pytest.mark.parametrize(
    "body, status",
    [
        ({"rule": "nobody"}, 422),
        ({"route": "nowhere"}, 422),
        ({"at_ms": 1 << 52}, 422),
        ({"findings": [FINDING | {"kind": "bad"}]}, 400),
        ({"findings": [FINDING | {"requests": ["1", "2", "3", "4"]}]}, 400),
        ({"findings": [FINDING] * 1_001}, 400),
        ({"surprise": 1}, 400),
    ],
)
def test_look_that_is_wrong_is_refused(
    client: TestClient, body: dict[str, Any], status: int
) -> None:
    answer = say(client, 0, **body)
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("number", ["7", "x", "-1"])
def test_alert_that_is_none_is_not_found(client: TestClient, number: str) -> None:
    assert client.get(f"{PATH}/{number}").status_code == 404


def test_gateway_without_alerts_says_so() -> None:
    assert FakeGateway().client().get(PATH).status_code == 503
