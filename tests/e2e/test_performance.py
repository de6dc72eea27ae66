"""Labels on the real processes: from predictions and feedback to figures, and to an alert."""

from __future__ import annotations

import json
import random
import urllib.request
from typing import Any

import pytest

from tests.support.answers import Answer, json_answer, plays
from tests.support.fixtures import MakeBackend, MakeProcess
from tests.support.gateway import GatewayProcess
from tests.support.script import Received
from tests.support.settings import http_backend
from tests.support.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(120)]

PATH = "/v1/models/fraud:predict"


def scores(request: Received) -> Answer:
    """Each row's own score: what it means is for the labels to say."""
    rows = json.loads(request.body)["instances"]
    return json_answer({"predictions": [{"score": row["x"]} for row in rows]})


def asked(gateway: GatewayProcess, path: str) -> Any:
    host, port = gateway.admin_address
    with urllib.request.urlopen(f"http://{host}:{port}/api/v1{path}", timeout=10) as answer:
        return json.load(answer)


def test_scores_that_no_longer_mean_anything_are_alerted_of(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    labels = {"kind": "probability", "prediction": "prediction.score", "matured": "2s"}
    rule = {
        "fields": ["performance.*"],
        "window": "2s",
        "every": "1s",
        "minimum": 80,
        "opens": 1,
        "of": 1,
        "false_alarm_days": 0.01,
    }
    gateway = make_process(
        {
            "backends": {"model": http_backend(make_backend("model", plays(scores)))},
            "routes": {"fraud": {"backends": ["model"]}},
            "drift": {"labels": {"fraud": labels}, "rules": {"quality": rule}},
        }
    )
    rng = random.Random(1)

    def predict(count: int, *, is_right: bool) -> None:
        """Some answers, and at once what was true."""
        said = []
        with gateway.connect() as client:
            for _ in range(count):
                score = rng.random()
                answer = client.post_json(PATH, {"instances": [{"x": score}]})
                assert answer.status == 200
                truth = rng.random() < (score if is_right else 0.5)
                named = answer.header("x-request-id")
                said.append({"request_id": named, "signal": "label", "value": truth})
            assert client.post_json("/v1/feedback", said).status == 202

    predict(400, is_right=True)

    def is_measured() -> bool:
        return bool(asked(gateway, "/drift/fraud/performance?last=1h")["labelled"] == 400)

    until(is_measured, 20)
    found = asked(gateway, "/drift/fraud/performance?last=1h")
    figures = {one["name"]: one for one in found["figures"]}
    assert figures["auc"]["low"] < 0.833 < figures["auc"]["high"]  # of scores that are right
    assert asked(gateway, "/alerts") == []

    def is_alerted() -> bool:
        predict(60, is_right=False)
        return bool(asked(gateway, "/alerts"))

    until(is_alerted, 40)
    (alert,) = asked(gateway, "/alerts")
    found = [alert["lead"], *alert["followers"]]
    assert {one["kind"] for one in found} == {"performance_drop"}
    assert all(one["field"].startswith("performance.") for one in found)
    assert "labelled predictions" in alert["lead"]["sentence"]
    assert len(alert["lead"]["requests"]) == 3
