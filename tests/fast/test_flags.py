"""Flags on the data port: evaluated by the worker's own plan, no request of any route."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.messages import Delivery
from tests.flags.declared import AUDIENCES, FLAGS
from tests.support.messages import post
from tests.support.stage import Stage, serving

ALL = "/ofrep/v1/evaluate/flags"
SETTINGS = serving("a", top={"flags": FLAGS, "audiences": AUDIENCES})


@pytest.fixture
def stage() -> Stage:
    return Stage(SETTINGS)


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "host: g", *fields, "", ""]).encode()


def asking(path: str = ALL, *fields: str, **context: Any) -> bytes:
    return post(path, {"context": context}, *fields)


def test_one_flag_is_answered(stage: Stage) -> None:
    client = stage.client()
    client.ask(asking(f"{ALL}/prompt", targetingKey="ann"))
    answer = client.answer()
    assert (answer.status, answer.json["value"]) == (200, "Be brief.")
    assert answer.fields["content-type"] == "application/json"
    assert client.is_open
    stage.end()


def test_all_flags_and_the_tag_on_one_connection(stage: Stage) -> None:
    client = stage.client()
    client.ask(asking(targetingKey="ann"))
    etag = client.answer().fields["etag"]
    client.ask(asking(ALL, f"if-none-match: {etag}", targetingKey="ann"))
    client.ask(asking(ALL, f"if-none-match: {etag}", targetingKey="bob", plan="pro"))
    first, second, third = client.answers()
    assert [each["key"] for each in first.json["flags"]] == list(FLAGS)
    assert (second.status, second.body, second.fields["etag"]) == (304, b"", etag)
    assert "content-length" not in second.fields
    assert third.status == 200
    stage.end()


def test_configuration_for_providers(stage: Stage) -> None:
    client = stage.client()
    client.ask(get("/ofrep/v1/configuration"))
    assert client.answer().json["name"] == "inference-gateway"


def test_next_plan_answers_the_next_request(stage: Stage) -> None:
    stage.apply(SETTINGS, Delivery(flags={"plain": "off"}))
    client = stage.client()
    client.ask(asking(f"{ALL}/plain"))
    assert client.answer().json["value"] is False


@pytest.mark.parametrize(
    "request_, status",
    [
        (asking(f"{ALL}/nothing"), 404),
        (post(f"{ALL}/plain", b"{"), 400),
        (get(f"{ALL}/plain"), 405),
        (get("/ofrep/"), 404),
        (get("/ofrep"), 404),
        (get("/ofre"), 404),
    ],
)
def test_what_is_wrong_is_told_and_the_connection_lives(
    stage: Stage, request_: bytes, status: int
) -> None:
    client = stage.client()
    client.ask(request_)
    assert client.answer().status == status
    assert json.loads(client.answer().body)
    client.ask(asking(f"{ALL}/plain"))
    assert client.answers()[-1].status == 200


def test_a_context_too_large_is_refused_before_it_comes(stage: Stage) -> None:
    client = stage.client()
    client.ask(f"POST {ALL} HTTP/1.1\r\nhost: g\r\ncontent-length: 65537\r\n\r\n".encode())
    assert client.answer().status == 413


def test_a_context_too_large_is_refused_as_it_comes(stage: Stage) -> None:
    client = stage.client()
    client.ask(f"POST {ALL} HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n".encode())
    client.send(b"ffff\r\n" + b" " * 0xFFFF + b"\r\n", b"2\r\n  \r\n")
    assert client.answer().status == 413


def test_context_that_comes_in_pieces(stage: Stage) -> None:
    client = stage.client()
    whole = asking(f"{ALL}/prompt", targetingKey="ann")
    client.ask(whole[:-20], *(whole[at : at + 1] for at in range(len(whole) - 20, len(whole))))
    assert client.answer().json["variant"] == "short"


def test_it_is_no_request_of_a_route_and_has_no_record(stage: Stage) -> None:
    client = stage.client()
    client.ask(asking())
    client.ask(post(f"{ALL}/plain", b"["))
    assert stage.refusals() == {}
    assert stage.log.records() == []
    stage.assert_settled()


def test_cross_origin_callers_may_read_the_tag() -> None:
    cors = {"origins": ["https://app.example"]}
    stage = Stage(SETTINGS | {"cors": cors})
    client = stage.client()
    client.ask(asking(ALL, "origin: https://app.example"))
    fields = client.answer().fields
    assert fields["access-control-allow-origin"] == "https://app.example"
    assert "etag" in fields["access-control-expose-headers"].split(", ")


def test_defect_is_an_error_that_leaves_applications_their_defaults(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ArithmeticError

    monkeypatch.setattr("gateway.dataplane.slow.answer_flags", fails)
    client = stage.client()
    client.ask(asking(f"{ALL}/plain"))
    assert client.answer().status == 500
    assert client.answer().json == {"errorDetails": "Flags cannot be evaluated now."}
    assert isinstance(stage.loop.errors.pop(), ArithmeticError)
