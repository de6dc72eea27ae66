"""Flags on the admin port."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from gateway.compiler import AT_REST, compile_plan
from gateway.messages import Delivery
from gateway.run.flags import LiveFlags
from tests.config.texts import document
from tests.control.parts import FakeGateway
from tests.flags.declared import AUDIENCES, FLAGS

PATH = "/api/v1/flags"
OFREP = "/ofrep/v1/evaluate/flags"


def gateway_with(delivery: Delivery = AT_REST) -> FakeGateway:
    declared = document({}, flags=FLAGS, audiences=AUDIENCES)
    gateway = FakeGateway(compile_plan(declared, delivery=delivery))
    gateway.configuration.delivery = delivery
    answers = LiveFlags(lambda: gateway.configuration.plan).answer
    gateway.parts = msgspec.structs.replace(gateway.parts, flags=answers)
    return gateway


@pytest.fixture
def gateway() -> FakeGateway:
    return gateway_with()


@pytest.fixture
def client(gateway: FakeGateway) -> TestClient:
    return gateway.client()


def test_flags_are_listed_in_order(client: TestClient) -> None:
    found = client.get(PATH).json()
    assert [each["key"] for each in found] == list(FLAGS)
    assert found[1] == {
        "key": "prompt",
        "kind": "string",
        "variants": {"short": "Be brief.", "long": "Explain."},
        "default": "long",
        "is_enabled": True,
        "forced": "",
        "rules": 2,
        "unit": "targetingKey",
        "notes": [],
    }
    assert client.get(f"{PATH}/prompt").json() == found[1]


@pytest.mark.parametrize(
    "delivery, state",
    [
        (Delivery(flags={"prompt": "short"}), (True, "short", [])),
        (Delivery(flags={"prompt": ""}), (False, "", [])),
        (
            Delivery(flags={"prompt": "gone"}),
            (True, "", ["it was forced to `gone`, which is no variant of it any more"]),
        ),
        (Delivery(off=("feature.flags",)), (False, "", ["all flags are off: `feature.flags`"])),
    ],
)
def test_what_is_forced_is_shown(delivery: Delivery, state: tuple[bool, str, list[str]]) -> None:
    found = gateway_with(delivery).client().get(f"{PATH}/prompt").json()
    assert (found["is_enabled"], found["forced"], found["notes"]) == state


def test_variant_is_forced_with_its_author(gateway: FakeGateway, client: TestClient) -> None:
    answer = client.post(f"{PATH}/prompt", json={"variant": "short", "author": "ann"})
    assert (answer.status_code, answer.json()["propagation_s"]) == (200, 0.012)
    assert gateway.configuration.delivery.flags == {"prompt": "short"}
    assert gateway.configuration.authors == ["ann"]
    again = client.post(f"{PATH}/prompt", json={"variant": "short"})
    assert again.json()["is_changed"] is False


def test_flag_is_switched_off_and_reset(gateway: FakeGateway, client: TestClient) -> None:
    client.post(f"{PATH}/prompt", json={"is_off": True})
    client.post(f"{PATH}/plain", json={"variant": "off"})
    assert gateway.configuration.delivery.flags == {"prompt": "", "plain": "off"}
    assert client.post(f"{PATH}/prompt/reset", json={}).status_code == 200
    assert gateway.configuration.delivery.flags == {"plain": "off"}


def test_flag_that_is_gone_can_be_reset() -> None:
    gateway = gateway_with(Delivery(flags={"gone": "on"}))
    assert gateway.client().post(f"{PATH}/gone/reset", json={}).status_code == 200
    assert gateway.configuration.delivery.flags == {}


@pytest.mark.parametrize(
    "path, body, status, code, message",
    [
        (
            "/promt",
            {"variant": "short"},
            404,
            "no_flag",
            "There is no flag of this key, did you mean `prompt`?",
        ),
        (
            "/promt/reset",
            {},
            404,
            "no_flag",
            "There is no flag of this key, did you mean `prompt`?",
        ),
        (
            "/prompt",
            {"variant": "shrt"},
            400,
            "no_variant",
            "This flag has no such variant, did you mean `short`?",
        ),
        ("/prompt", {}, 400, "bad_body", "Give exactly one of `variant` and `is_off`."),
        (
            "/prompt",
            {"variant": "short", "is_off": True},
            400,
            "bad_body",
            "Give exactly one of `variant` and `is_off`.",
        ),
    ],
)
def test_wrong_change_is_told(
    client: TestClient, path: str, body: dict[str, Any], status: int, code: str, message: str
) -> None:
    answer = client.post(PATH + path, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["message"]) == (status, code, message)


def test_openfeature_s_protocol_is_spoken(client: TestClient) -> None:
    one = client.post(f"{OFREP}/prompt", json={"context": {"targetingKey": "ann"}})
    assert (one.status_code, one.json()["value"]) == (200, "Be brief.")
    every = client.post(OFREP, json={"context": {}})
    assert [each["key"] for each in every.json()["flags"]] == list(FLAGS)
    known = {"if-none-match": every.headers["etag"]}
    again = client.post(OFREP, json={"context": {}}, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/ofrep/v1/configuration").json()["name"] == "inference-gateway"
    assert client.post(f"{OFREP}/nothing", json={}).status_code == 404
    headers = {"content-type": "application/json"}
    assert client.post(OFREP, content=b"{", headers=headers).json()["errorCode"] == "PARSE_ERROR"


def test_openfeature_s_protocol_wants_the_token_too() -> None:
    gateway = FakeGateway(token="a-long-enough-token")
    assert gateway.client().post(OFREP, json={}).status_code == 401


def test_controller_without_flags_says_so() -> None:
    answer = FakeGateway().client().post(OFREP, json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_flags")


def test_answers_follow_the_plan_in_force(gateway: FakeGateway, client: TestClient) -> None:
    assert client.post(f"{OFREP}/plain", json={}).json()["value"] is True
    gateway.configuration.plan = gateway_with(Delivery(flags={"plain": "off"})).plan
    assert client.post(f"{OFREP}/plain", json={}).json()["value"] is False
    assert json.loads(client.post(f"{OFREP}/plain", json={}).content)["reason"] == "STATIC"
