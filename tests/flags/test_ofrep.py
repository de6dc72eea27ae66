"""OpenFeature's remote evaluation protocol: bodies, statuses, tags."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.flags.ofrep import CONFIGURATION, EVALUATE, Answer, answer
from gateway.messages import Delivery
from tests.flags.declared import FLAGS, compiled

flags = compiled()


def asked(key: str = "", *, etag: str = "", **context: Any) -> Answer:
    path = f"{EVALUATE}/{key}" if key else EVALUATE
    return answer(flags, "POST", path, json.dumps({"context": context}).encode(), etag)


@pytest.mark.parametrize(
    "key, context, status, body",
    [
        (
            "plain",
            {},
            200,
            {"key": "plain", "reason": "STATIC", "variant": "on", "value": True, "metadata": {}},
        ),
        (
            "shape",
            {},
            200,
            {"key": "shape", "reason": "STATIC", "variant": "b", "value": {}, "metadata": {}},
        ),
        ("asleep", {}, 200, {"key": "asleep", "reason": "DISABLED", "metadata": {}}),
        (
            "no%20such%2Fflag",
            {},
            404,
            {
                "key": "no such/flag",
                "errorCode": "FLAG_NOT_FOUND",
                "errorDetails": "There is no flag of this key.",
            },
        ),
        (
            "limit",
            {},
            400,
            {
                "key": "limit",
                "errorCode": "TARGETING_KEY_MISSING",
                "errorDetails": "The split is drawn by `targetingKey`, which the context does"
                " not have.",
            },
        ),
    ],
)
def test_one_flag(key: str, context: dict[str, Any], status: int, body: dict[str, Any]) -> None:
    found = asked(key, **context)
    assert (found.status, json.loads(found.body)) == (status, body)


@pytest.mark.parametrize(
    "body, code",
    [
        (b"{", "PARSE_ERROR"),
        (b"\xff", "PARSE_ERROR"),
        (b"[" * 100_000, "PARSE_ERROR"),
        (b"[]", "INVALID_CONTEXT"),
        (b'{"context": 3}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": {}}}', "INVALID_CONTEXT"),
    ],
)
def test_body_that_is_no_context(body: bytes, code: str) -> None:
    one, every = (answer(flags, "POST", path, body) for path in (f"{EVALUATE}/plain", EVALUATE))
    assert one.status == every.status == 400
    assert json.loads(one.body)["errorCode"] == json.loads(every.body)["errorCode"] == code
    assert json.loads(one.body)["key"] == "plain"
    assert "key" not in json.loads(every.body)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"context": {}}', b'{"more": 1}'])
def test_body_without_a_context_is_nobody_s(body: bytes) -> None:
    assert answer(flags, "POST", f"{EVALUATE}/plain", body).status == 200


def test_all_flags_come_with_a_tag() -> None:
    first = asked(targetingKey="u", plan="pro")
    assert [each["key"] for each in json.loads(first.body)["flags"]] == list(FLAGS)
    again = asked(targetingKey="u", plan="pro", etag=first.etag)
    assert (again.status, again.body, again.etag) == (304, b"", first.etag)


@pytest.mark.parametrize("known", ['W/{}, "x"', '"x", {}', "*"])
def test_tag_is_found_among_others(known: str) -> None:
    etag = asked().etag
    assert asked(etag=known.format(etag)).status == 304


def test_tag_changes_with_the_evaluation_and_not_with_the_plan() -> None:
    body = b'{"context": {"targetingKey": "ann"}}'
    before = answer(flags, "POST", EVALUATE, body).etag
    same = compiled(Delivery(flags={"plain": "on"}))
    other = compiled(Delivery(flags={"plain": "off"}))
    assert answer(same, "POST", EVALUATE, body, before).status == 304
    assert answer(other, "POST", EVALUATE, body, before).status == 200


def test_error_of_one_flag_is_among_the_others() -> None:
    found = {each["key"]: each for each in json.loads(asked().body)["flags"]}
    assert found["limit"]["errorCode"] == "TARGETING_KEY_MISSING"
    assert found["plain"]["value"] is True


def test_configuration_says_that_polling_is_welcome() -> None:
    found = answer(flags, "GET", CONFIGURATION, b"")
    assert json.loads(found.body)["capabilities"]["cacheInvalidation"]["polling"]["enabled"]
    assert answer(flags, "GET", CONFIGURATION, b"", found.etag).status == 304


@pytest.mark.parametrize(
    "method, path, status, allow",
    [
        ("GET", EVALUATE, 405, "POST"),
        ("GET", f"{EVALUATE}/plain", 405, "POST"),
        ("POST", CONFIGURATION, 405, "GET"),
        ("POST", "/ofrep/v1/evaluate", 404, ""),
        ("POST", "/ofrep/v2/evaluate/flags", 404, ""),
    ],
)
def test_what_is_not_served(method: str, path: str, status: int, allow: str) -> None:
    found = answer(flags, method, path, b"{}")
    assert (found.status, found.allow) == (status, allow)
    assert json.loads(found.body)["errorDetails"]


def test_header_fields() -> None:
    assert Answer(304, etag='"a"').fields() == b'etag: "a"\r\ncache-control: no-cache\r\n'
    assert Answer(405, b"{}", allow="POST").fields() == (
        b"content-type: application/json\r\nallow: POST\r\n"
    )


@settings(max_examples=40)  # each compiles what it asks for
@given(st.binary(max_size=200), st.text(max_size=30), st.text(max_size=20))
def test_anything_is_answered_in_json(body: bytes, key: str, tag: str) -> None:
    found = answer(flags, "POST", f"{EVALUATE}/{key}", body, tag)
    assert found.status in {200, 304, 400, 404}
    assert found.status == 304 or json.loads(found.body)
    assert b"\r\n\r\n" not in found.fields()
