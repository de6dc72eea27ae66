"""Contracts on real sockets: who is refused, what is recorded, what a contract learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.contracts.anomalies import slots
from tests.support.answers import Answer, json_answer, plays
from tests.support.fixtures import MakeBackend
from tests.support.gateway import GatewayThread
from tests.support.script import Received
from tests.support.settings import configuration, http_backend
from tests.support.shadows import records_in

FIELDS: dict[str, Any] = {
    "amount": {"type": "number", "min": 0, "max": 1000},
    "currency": {"type": "text", "categories": ["EUR", "USD"], "default": "EUR"},
}
PATH = "/v1/models/fraud:predict"
BIG = "output:FLOAT_TYPE_BIG_FLOAT:/predictions/0/score"
GOOD = {"amount": 5, "currency": "EUR"}


def scores(_request: Received) -> Answer:
    return json_answer({"predictions": [{"score": 0.5}]})


def test_good_wrong_and_repaired_requests(make_backend: MakeBackend, tmp_path: Path) -> None:
    backend = make_backend("model", plays(scores))
    settings = configuration(
        {"model": http_backend(backend)},
        {
            "fraud": {
                "backends": ["model"],
                "contract": {
                    "on_violation": "repair",
                    "input": {"at": "/instances", "fields": FIELDS},
                    "output": {
                        "at": "/predictions",
                        "fields": {"score": {"type": "number", "max": 0.4}},
                        "on_violation": "flag",
                    },
                },
            }
        },
        state=str(tmp_path),
    )
    bodies = [[GOOD], [{**GOOD, "amount": -1}], [{"amount": 7}]]
    with GatewayThread(settings) as gateway, gateway.connect() as client:
        answers = [client.post_json(PATH, {"instances": rows}) for rows in bodies]
        served = records_in(tmp_path, 2, "prediction")
        refused = records_in(tmp_path, 1, "refusal")
        counted = gateway.board.read_row(gateway.plan.routes[0].row)["anomalies"]
    found = {slots()[at]: count for at, count in enumerate(counted) if count}
    assert found == {
        ("input", "SCHEMA_MISSING_COLUMN"): 1,
        ("input", "FLOAT_TYPE_SMALL_FLOAT"): 1,
        ("output", "FLOAT_TYPE_BIG_FLOAT"): 2,
    }
    assert [answer.status for answer in answers] == [200, 422, 200]
    assert "`/instances/0/amount`: expected a number from 0 to 1000" in answers[1].body.decode()
    sent = [json.loads(each.body) for each in backend.received]
    assert sent == [{"instances": [GOOD]}, {"instances": [{"amount": 7, "currency": "EUR"}]}]
    assert [record.anomalies for record in (*served, *refused)] == [
        (BIG,),
        ("input:SCHEMA_MISSING_COLUMN:/instances/0/currency", BIG),
        ("input:FLOAT_TYPE_SMALL_FLOAT:/instances/0/amount",),
    ]
    assert refused[0].outcome == "contract_violated"
