"""Contracts on real sockets: who is refused, what is recorded, what a contract learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.contracts.anomalies import slots
from tests.support.answers import Answer, Stream, json_answer, plays, sse
from tests.support.fixtures import MakeBackend
from tests.support.gateway import GatewayThread
from tests.support.openai_model import DONE
from tests.support.script import Received
from tests.support.settings import chat, configuration, http_backend
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


def chat_answer(received: Received) -> Answer | Stream:
    """What the last message says, whatever was asked for; as a stream where that was asked."""
    asked = json.loads(received.body)
    text = asked["messages"][-1]["content"]
    if asked.get("stream"):
        parts = [{"content": text[:5]}, {"content": text[5:]}]
        events = [{"choices": [{"index": 0, "delta": part}]} for part in parts]
        last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        return Stream((*map(sse, events), sse(last), DONE))
    choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
    return json_answer({"choices": [choice]})


def test_json_that_a_request_asks_for(make_backend: MakeBackend, tmp_path: Path) -> None:
    """No contract stands: the record says so, and the client gets what the model said."""
    settings = chat(make_backend("mini", plays(chat_answer))) | {"state": str(tmp_path)}
    schema = {"type": "object", "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("Sure! Here it is", {}),
        ('{"n": 1}', {"response_format": {"type": "json_object"}}),
        ("Sure! Here it is", {"response_format": {"type": "json_object"}}),
        ("Sure! Here it is", {"response_format": {"type": "json_object"}, "stream": True}),
        ('{"n": 1}', {"response_format": form, "stream": True}),
        ('{"m": 1}', {"response_format": form, "stream": True}),
    ]
    with GatewayThread(settings) as gateway:
        for text, more in asked:
            with gateway.connect() as client:
                body = {"model": "chat", "messages": [{"role": "user", "content": text}], **more}
                answer = client.post_json("/v1/chat/completions", body)
                assert answer.status == 200
                assert text[:5] in answer.body.decode().replace('\\"', '"')
        records = records_in(tmp_path, len(asked), "prediction")
        counted = gateway.board.read_row(gateway.plan.routes[0].row)["anomalies"]
    place = "/choices/0/message/content"
    assert [(each.response_format, each.anomalies) for each in records] == [
        ("", ()),
        ("json_object", ()),
        ("json_object", (f"output:ANSWER_NOT_JSON:{place}",)),
        ("json_object", (f"output:ANSWER_NOT_JSON:{place}",)),
        ("json_schema", ()),
        ("json_schema", (f"output:ANSWER_UNLIKE_SCHEMA:{place}",)),
    ]
    assert [each.response.xxh3 for each in records[3:]] == [""] * 3  # as of any other stream
    found = {slots()[at]: count for at, count in enumerate(counted) if count}
    assert found == {("output", "ANSWER_NOT_JSON"): 2, ("output", "ANSWER_UNLIKE_SCHEMA"): 1}
