"""What alerts do, by the real processes: traffic shifts and comes back, a training is asked for.

Looks are posted, as any program may; how they are made is tested where that is done.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from typing import Any

import pytest

from gateway.notices.signature import is_genuine
from tests.notices.webhooks import WebhookServer, answer
from tests.support.answers import json_answer, plays
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.settings import NO_BREAKER, Settings, configuration, http_backend
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SECRET = "a secret of the training's receiver"
GRACE_S = 15.0


def settings(old: Backend, new: Backend, port: int) -> Settings:
    backends = {
        "old": http_backend(old, breaker=NO_BREAKER),
        "new": http_backend(new, breaker=NO_BREAKER),
    }
    fraud = {
        "policy": "weighted",
        "backends": [{"backend": "new", "weight": 1}, {"backend": "old", "weight": 0}],
        "match": [{"path": "/score", "methods": ["POST"]}],
        "record": {"payload": "none"},
    }
    rule = {
        "routes": ["fraud"],
        "opens": 1,
        "of": 1,
        "closes": 1,
        "actions": {"weights": {"new": "0%", "old": "100%"}, "payload": "full", "retrain": "night"},
    }
    drift = {
        "rules": {"inputs": rule},
        "alerts": {"group": "0s"},
        "retraining": {
            "night": {"url": f"http://127.0.0.1:{port}/train", "secret": SECRET},
        },
    }
    return {**configuration(backends, {"fraud": fraud}, workers=2), "drift": drift}


def score(gateway: GatewayProcess) -> str:
    """Who answers."""
    connection = http.client.HTTPConnection(*gateway.address, timeout=5)
    with contextlib.closing(connection):
        body = json.dumps({"instances": [1]})
        connection.request("POST", "/score", body, {"content-type": "application/json"})
        found: str = json.loads(connection.getresponse().read())["by"]
        return found


def look(gateway: GatewayProcess, *findings: dict[str, Any]) -> list[int]:
    """What one look says; the alerts that are open then."""
    said = {"route": "fraud", "rule": "inputs", "findings": findings}
    time.sleep(0.002)  # a look is named by its millisecond
    status, body = gateway.admin("/api/v1/alerts/looks", "POST", json.dumps(said).encode())
    assert status == 200, body
    found: list[int] = json.loads(body)["open"]
    return found


def deeds(gateway: GatewayProcess) -> list[tuple[str, str, str]]:
    found = json.loads(gateway.admin("/api/v1/alerts/actions")[1])
    entries = [json.loads(each["text"]) for each in found]
    return [(one["action"], one.get("target", ""), one["result"]) for one in entries]


def weights(gateway: GatewayProcess) -> dict[str, int]:
    (route,) = json.loads(gateway.admin("/api/v1/routes")[1])
    return {one["backend"]: one["weight"] for one in route["candidates"]}


def named(name: str) -> Any:
    return plays(lambda _request: json_answer({"by": name}))


def test_traffic_shifts_bodies_are_kept_and_a_training_begins_until_it_is_over(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    old, new = make_backend("old", named("old")), make_backend("new", named("new"))
    missing = {
        "kind": "data_missing",
        "field": "amount",
        "version": "7",
        "current": {"since_ms": 1, "until_ms": 2},
    }
    with WebhookServer(answer(503), answer(202)) as trainer:
        gateway = make_process(settings(old, new, trainer.port))
        assert score(gateway) == "new"

        assert look(gateway, missing) == [1]
        until(lambda: weights(gateway) == {"new": 0, "old": 1_000_000}, GRACE_S, gateway.log)
        until(lambda: {score(gateway) for _ in range(5)} == {"old"}, GRACE_S)
        shown = json.loads(gateway.admin("/api/v1/alerts/1")[1])
        assert shown["holds"] == ["weights new=0% old=100%", "payload full"]

        # The training: refused at first, then confirmed, under one key, signed each time.
        until(lambda: ("retrain", "night", "done") in deeds(gateway), GRACE_S, gateway.log)
        first, second = trainer.calls
        said = json.loads(second.body)
        assert first.body == second.body
        assert said["window"] == {"since_ms": 1, "until_ms": 2}
        assert (said["retraining"], said["route"], said["version"]) == ("night", "fraud", "7")
        assert first.headers["x-gateway-delivery"] == second.headers["x-gateway-delivery"]
        for call in trainer.calls:
            assert is_genuine(call.headers["x-gateway-signature"], SECRET, call.body, time.time())

        # It is over: all is as it was.
        assert look(gateway) == []
        until(lambda: weights(gateway) == {"new": 1, "old": 0}, GRACE_S, gateway.log)
        until(lambda: score(gateway) == "new", GRACE_S)

        # It comes back soon: no second training.
        assert look(gateway, missing) == [2]
        until(lambda: ("retrain", "night", "refused") in deeds(gateway), GRACE_S, gateway.log)
        until(lambda: score(gateway) == "old", GRACE_S)
        _kept_bodies(gateway)
        _explained(gateway)

        # Somebody says that it is over.
        status, _ = gateway.admin("/api/v1/alerts/2/resolve", "POST", b"{}")
        assert status == 200
        until(lambda: score(gateway) == "new", GRACE_S, gateway.log)
        back = ("take_back", "weights", "done")
        until(lambda: deeds(gateway).count(back) == 2, GRACE_S, gateway.log)
        assert len(trainer.calls) == 2


def _kept_bodies(gateway: GatewayProcess) -> None:
    """The record of a request has its body while the alert is open, and had none before."""
    query = "/api/v1/records?route=fraud&payload=true&limit=1000"

    def bodies() -> dict[str, list[bool]]:
        found = json.loads(gateway.admin(query)[1])["records"]
        records = [each["record"] for each in found]
        return {
            who: ["body" in one["request"] for one in records if one["backend"] == who]
            for who in ("old", "new")
        }

    until(lambda: any(bodies()["old"]), GRACE_S, gateway.log)
    assert not any(bodies()["new"])


def _explained(gateway: GatewayProcess) -> None:
    """A choice that was made while the alert held the weights is made again alike."""
    found = json.loads(gateway.admin("/api/v1/records?route=fraud&backend=old")[1])["records"]
    number = found[0]["record"]["id"]
    said = json.loads(gateway.admin(f"/api/v1/records/{number}/explanation")[1])
    assert said["verdict"] == "agrees"
    (decision,) = said["decisions"]
    shifted = {one["backend"]: one["weight"] for one in decision["candidates"] if "weight" in one}
    assert shifted["old"] == 1_000_000
