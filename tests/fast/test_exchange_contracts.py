"""What becomes of requests and answers that violate the contract of their route."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.messages import chat, post
from tests.support.stage import Settings, Stage, serving

FIELDS: Settings = {
    "amount": {"type": "number", "min": 0, "max": 1000, "default": 0},
    "currency": {"type": "text", "categories": ["EUR", "USD"]},
}
GOOD = {"amount": 5, "currency": "EUR"}
PATH = "/v1/models/fraud:predict"


def contract(on_violation: str, *, protocol: str = "http", **sides: Any) -> Settings:
    """A route `fraud` with one backend."""
    made = {"input": {"at": "/instances", "fields": FIELDS}, **sides}
    made = {key: side for key, side in made.items() if side is not None}
    return {
        "backends": {"one": {"protocol": protocol, "url": "http://one.test"}},
        "routes": {
            "fraud": {
                "backends": ["one"],
                "retry": {"attempts": 1},
                "record": {"payload": "full"},
                "contract": {"on_violation": on_violation, **made},
            }
        },
    }


def predict(*rows: Any, **members: Any) -> bytes:
    return post(PATH, {"instances": list(rows), **members})


OUTPUT = {"at": "/predictions", "fields": {"score": {"type": "number", "min": 0, "max": 1}}}
ANSWER_ONLY: Settings = {"input": None, "output": OUTPUT}


def test_good_request_is_served_and_its_record_says_nothing() -> None:
    stage = Stage(contract("reject"))
    client, server = stage.asked(predict(GOOD))
    server.answer({"ok": True})
    assert client.answer().status == 200
    assert stage.log.records()[0].anomalies == ()
    assert b"anomalies" not in stage.log.lines()[0]
    stage.assert_settled()


def test_wrong_request_is_refused_with_its_places_and_no_backend_is_asked() -> None:
    stage = Stage(contract("reject"))
    client = stage.client()
    client.ask(predict(GOOD, {"amount": "7", "currency": "EUR"}))
    answer = client.answer()
    assert answer.status == 422
    sentence = (
        "The request violates its contract:"
        " `/instances/1/amount`: expected a number from 0 to 1000, got a text."
    )
    assert answer.json == {"error": sentence}
    assert not stage.dials
    [record] = stage.log.records()
    assert (record.outcome, record.status, record.kind) == ("contract_violated", 422, "refusal")
    assert record.anomalies == ("input:FLOAT_TYPE_NOT_FLOAT:/instances/1/amount",)
    assert stage.outcomes("fraud") == {"contract_violated": 1}
    stage.assert_settled()


def test_connection_goes_on_after_a_refusal() -> None:
    stage = Stage(contract("reject"))
    client = stage.client()
    client.ask(predict({}))
    client.ask(predict(GOOD))
    stage.server().answer()
    assert [each.status for each in client.answers()] == [422, 200]


def test_refusal_has_the_shape_of_its_protocol() -> None:
    settings = serving("one")
    fields = {"temperature": {"type": "number", "max": 1}}
    side = {"fields": fields, "extra": "allow"}
    settings["routes"]["chat"]["contract"] = {"on_violation": "reject", "input": side}
    stage = Stage(settings)
    client = stage.client()
    client.ask(chat(temperature=1.5))
    assert client.answer().status == 422
    assert client.answer().json["error"] == {
        "message": "The request violates its contract: `/temperature`: expected a number"
        " at most 1, got more.",
        "type": "invalid_request_error",
        "param": "/temperature",
        "code": "contract_violated",
    }


def test_tensors_of_kserve_are_rows() -> None:
    side = {"fields": {"amount": {"type": "number", "max": 10}}}
    stage = Stage(contract("reject", protocol="kserve", input=side))
    tensor = {"name": "amount", "shape": [2, 1], "datatype": "FP64", "data": [1, 20]}
    client = stage.client()
    client.ask(post("/v2/models/fraud/infer", {"inputs": [tensor]}))
    assert client.answer().status == 422
    assert "/inputs/0/data/1" in client.answer().json["error"]
    client.ask(post("/v2/models/fraud/infer", {"inputs": [{**tensor, "data": [1, 2]}]}))
    stage.server().answer({"outputs": []})
    assert client.answers()[1].status == 200


def test_questions_about_a_model_have_no_contract() -> None:
    stage = Stage(contract("reject", protocol="kserve"))
    client = stage.client()
    client.ask(b"GET /v2/models/fraud/ready HTTP/1.1\r\nhost: a\r\n\r\n")
    stage.server().answer()
    assert client.answer().status == 200


def test_repaired_request_goes_on_and_the_record_keeps_what_the_client_sent() -> None:
    settings = contract("repair")
    settings["routes"]["fraud"]["record"]["features"] = "/instances"
    stage = Stage(settings)
    client, server = stage.asked(predict({"amount": -1, "currency": "EUR"}, id=7))
    expected = {"instances": [{"amount": 0, "currency": "EUR"}], "id": 7}
    assert json.loads(server.request()[1]) == expected
    server.answer()
    assert client.answer().status == 200
    [record] = stage.log.records()
    assert record.anomalies == ("input:FLOAT_TYPE_SMALL_FLOAT:/instances/0/amount",)
    [line] = stage.log.lines()
    assert json.loads(line)["request"]["body"]["instances"][0]["amount"] == -1
    assert json.loads(line)["features"] == expected["instances"]
    assert "predictions" not in json.loads(line)
    stage.assert_settled()


def test_what_cannot_be_repaired_is_refused() -> None:
    stage = Stage(contract("repair"))
    client = stage.client()
    client.ask(predict({"amount": -1, "currency": "GBP"}))
    assert client.answer().status == 422
    assert "currency" in client.answer().json["error"]
    assert "amount" not in client.answer().json["error"]


def test_flagged_request_goes_on_as_it_came() -> None:
    stage = Stage(contract("flag"))
    request = predict({"amount": -1, "currency": "GBP"})
    client, server = stage.asked(request)
    assert server.request()[1] == request.partition(b"\r\n\r\n")[2]
    server.answer()
    assert client.answer().status == 200
    assert stage.log.records()[0].anomalies == (
        "input:FLOAT_TYPE_SMALL_FLOAT:/instances/0/amount",
        "input:ENUM_TYPE_UNEXPECTED_STRING_VALUES:/instances/0/currency",
    )


def test_name_that_a_client_chose_is_searched_for_secrets_before_it_is_recorded() -> None:
    stage = Stage(contract("flag"))
    secret = "sk-proj-" + "a1B2c3D4" * 6
    client, server = stage.asked(predict({**GOOD, secret: 1}))
    server.answer()
    assert client.answer().status == 200
    [line] = stage.log.records()
    [anomaly] = line.anomalies
    assert anomaly.startswith("input:SCHEMA_NEW_COLUMN:/instances/0/")
    assert secret not in anomaly


def test_body_that_would_be_relayed_is_held_and_checked() -> None:
    settings = contract("reject", input={"at": "/instances", "fields": FIELDS, "max": "64KiB"})
    settings["routes"]["fraud"]["limits"] = {"replay": 100}
    stage = Stage(settings)
    client = stage.client()
    whole = predict(*[GOOD] * 20, {"amount": -1, "currency": "EUR"})
    client.ask(whole[:400], whole[400:])
    assert client.answer().status == 422
    assert "/instances/20/amount" in client.answer().json["error"]


def test_client_that_leaves_gets_no_answer_and_a_record() -> None:
    stage = Stage(contract("reject"))
    client = stage.client()
    client.ask(predict(GOOD))
    client.leave()
    assert stage.log.records()[0].outcome == "client_closed"
    stage.assert_settled()


@pytest.mark.parametrize("score, anomalies", [(0.5, ()), (7, ("BIG",)), ("x", ("NOT_FLOAT",))])
def test_flagged_answer_is_passed_on_as_it_is(score: Any, anomalies: tuple[str, ...]) -> None:
    stage = Stage(contract("flag", **ANSWER_ONLY))
    client, server = stage.asked(predict(GOOD))
    server.answer({"predictions": [{"score": score}]})
    assert client.answer().json == {"predictions": [{"score": score}]}
    found = stage.log.records()[0].anomalies
    assert len(found) == len(anomalies)
    for one, name in zip(found, anomalies, strict=True):
        assert one.startswith("output:FLOAT_TYPE_")
        assert name in one
        assert one.endswith(":/predictions/0/score")


def test_refused_answer_is_a_failed_attempt() -> None:
    stage = Stage(contract("reject", **ANSWER_ONLY))
    client, server = stage.asked(predict(GOOD))
    server.answer({"predictions": [{"score": 7}]})
    assert client.answer().status == 502
    assert client.answer().json == {"error": "The model's answer violates its contract."}
    [record] = stage.log.records()
    assert (record.outcome, record.status) == ("answer_violated", 502)
    assert [each.outcome for each in record.attempts] == ["answer_violated"]
    assert record.anomalies == ("output:FLOAT_TYPE_BIG_FLOAT:/predictions/0/score",)
    stage.assert_settled()


def test_another_backend_is_tried_after_a_refused_answer() -> None:
    settings = contract("reject", **ANSWER_ONLY)
    settings["backends"]["two"] = {"protocol": "http", "url": "http://two.test"}
    settings["routes"]["fraud"] |= {"backends": ["one", "two"], "retry": {"attempts": 2}}
    stage = Stage(settings)
    client, server = stage.asked(predict(GOOD))
    server.answer({"predictions": [{"score": 7}]})
    stage.server("two").answer({"predictions": [{"score": 0.7}]})
    assert client.answer().json == {"predictions": [{"score": 0.7}]}
    [record] = stage.log.records()
    assert (record.outcome, record.backend) == ("ok", "two")
    assert [each.outcome for each in record.attempts] == ["answer_violated", "ok"]
    stage.assert_settled()


def test_fallback_answers_for_a_refused_answer() -> None:
    settings = contract("reject", **ANSWER_ONLY)
    rule = {"body": {"predictions": [{"score": 0.5}]}}
    settings["routes"]["fraud"]["fallback"] = [{"rule": rule}]
    stage = Stage(settings)
    client, server = stage.asked(predict(GOOD))
    server.answer({"predictions": []} | {"predictions": [{"score": None}]})
    assert client.answer().json == rule["body"]
    assert stage.log.records()[0].fallback == "rule"
    stage.assert_settled()


def test_repaired_answer_is_what_the_client_gets() -> None:
    fields = {"score": {"type": "number", "max": 1, "default": 0.5}}
    output = {"at": "/predictions", "fields": fields}
    stage = Stage(contract("repair", input=None, output=output))
    client, server = stage.asked(predict(GOOD))
    server.answer({"predictions": [{"score": 7}]})
    assert client.answer().json == {"predictions": [{"score": 0.5}]}
    assert client.answer().is_whole
    [line] = stage.log.lines()
    assert json.loads(line)["response"]["body"] == {"predictions": [{"score": 7}]}
    assert json.loads(line)["predictions"] == [{"score": 7}]
    stage.assert_settled()


def test_error_of_a_backend_has_no_contract() -> None:
    stage = Stage(contract("reject", **ANSWER_ONLY))
    client, server = stage.asked(predict(GOOD))
    server.answer({"error": "no"}, 400)
    assert client.answer().status == 400
    assert stage.log.records()[0].anomalies == ()


def test_stream_is_passed_on_unchecked() -> None:
    settings = serving("one")
    output = {"fields": {"never": "number"}}
    settings["routes"]["chat"]["contract"] = {"on_violation": "reject", "output": output}
    stage = Stage(settings)
    client, server = stage.asked(chat(stream=True))
    server.stream(b'data: {"choices":[{"index":0,"delta":{}}]}\n\n', b"data: [DONE]\n\n")
    assert client.answer().status == 200
    assert stage.log.records()[0].anomalies == ()


def test_request_and_answer_are_both_in_the_record() -> None:
    stage = Stage(contract("flag", output=OUTPUT))
    _, server = stage.asked(predict({"amount": -1, "currency": "EUR"}))
    server.answer({"predictions": [{"score": 7}]})
    assert [each.partition(":")[0] for each in stage.log.records()[0].anomalies] == [
        "input",
        "output",
    ]


def test_contract_changes_with_the_plan() -> None:
    stage = Stage(contract("reject"))
    client = stage.client()
    client.ask(predict({}))
    stage.apply(contract("flag"))
    client.ask(predict({}))
    stage.serve()
    assert [each.status for each in client.answers()] == [422, 200]
