"""Whole bodies: what a record keeps of them."""

from __future__ import annotations

import base64
import json
import os
import random
import time
from typing import Any

import msgspec
import pytest
import xxhash

from gateway.messages import Payload
from gateway.payloads.redaction import READ_AHEAD, RULES, WINDOW, kind_of
from tests.payloads.canaries import (
    CANARIES,
    EVERY_PATTERN,
    JSON,
    LOT,
    SSE,
    TEXT,
    betrayed,
    content_of,
    delta,
    kept,
    redactor,
)

ALL = redactor()
PLAIN = redactor(redact_patterns=())
SLOW = os.environ.get("RUN_SLOW") == "1"


def chat(text: str, **more: Any) -> bytes:
    return json.dumps({"model": "chat", "messages": [{"content": text}], **more}).encode()


def streamed(text: str, size: int = 3) -> bytes:
    return b"".join(delta(text[at : at + size]) for at in range(0, len(text), size))


def test_rules_are_those_of_the_configuration() -> None:
    assert set(RULES) == set(EVERY_PATTERN)


def test_ordinary_body_is_kept_as_it_came_with_its_hash() -> None:
    body = b'{"b" : 1.50, "a":\r\n[1e3, "\\u00e4"]}'
    line = ALL.payload(body, JSON, len(body), True)
    payload = msgspec.json.decode(line, type=Payload)
    assert bytes(payload.body) == body.replace(b"\r\n", b"  ")  # type: ignore[arg-type]
    assert payload.xxh3 == f"{xxhash.xxh3_64_intdigest(body):016x}"
    assert (payload.bytes, payload.type, payload.redacted) == (len(body), "json", 0)
    assert not payload.truncated


def test_empty_body_is_its_size() -> None:
    assert kept(ALL, b"", JSON) == {"bytes": 0}


@pytest.mark.parametrize("name", CANARIES)
@pytest.mark.parametrize("content_type", [JSON, TEXT, SSE, b"", b"application/x-ndjson"])
def test_canary_is_taken_out_of_each_kind_of_body(name: str, content_type: bytes) -> None:
    text = f"a {CANARIES[name][1]}\nb"
    body = {TEXT: text.encode(), SSE: streamed(text)}.get(content_type, chat(text))
    found = kept(ALL, body, content_type)
    assert found["redacted"] >= 1
    assert "xxh3" not in found  # it would betray a short text
    assert not betrayed(name, json.dumps(found["body"]))
    assert "truncated" not in found
    assert found["bytes"] == len(body)


def test_json_is_written_anew_only_where_something_was_taken_out() -> None:
    body = b'{"a": 1.50, "mail": "ann@example.org", "n": 123456789012345678901234567890}'
    assert kept(ALL, body, JSON)["body"] == {
        "a": 1.5,
        "mail": "[redacted:email]",
        "n": 123456789012345678901234567890,
    }


def test_pointers_take_out_values_and_names_say_what_is_secret() -> None:
    made = redactor(redact_pointers=("/user", "/messages/*/content"), redact_patterns=("secrets",))
    found = kept(made, chat("private", user="ann", password="hunter2"), JSON)
    assert found["body"] == {
        "model": "chat",
        "messages": [{"content": "[redacted]"}],
        "user": "[redacted]",
        "password": "[redacted:secrets]",
    }
    assert found["redacted"] == 3


def test_pointers_are_followed_without_patterns() -> None:
    made = redactor(redact_pointers=("/user",), redact_patterns=())
    assert kept(made, chat("password=hunter2", user="ann"), JSON)["redacted"] == 1
    stream = kept(made, b'data: {"user": "ann"}\n\n', SSE)
    assert stream["body"] == 'data: {"user":"[redacted]"}\n\n'


def test_tokens_of_an_answer_go_with_what_they_repeat() -> None:
    tokens = {"content": [{"token": "sk-", "bytes": [1]}, {"token": LOT[:6], "bytes": [2]}]}
    body = json.dumps({"choices": [{"text": f"sk-{LOT}", "logprobs": tokens}]}).encode()
    [choice] = kept(ALL, body, JSON)["body"]["choices"]
    assert choice == {"text": "[redacted:secrets]", "logprobs": "[redacted]"}


@pytest.mark.parametrize("size", range(1, 60, 7))
def test_body_is_cut_between_characters(size: int) -> None:
    body = ("äöü€\N{GRINNING FACE}" * 10).encode()
    found = kept(redactor(max_bytes=size), body, TEXT)
    assert found["truncated"]
    assert body.decode().startswith(found["body"])
    assert size - 4 < len(found["body"].encode()) <= size
    assert found["xxh3"] == f"{xxhash.xxh3_64_intdigest(body):016x}"


def cases() -> list[tuple[str, bytes, bytes, int]]:
    """Canary, body, type and about where in the body it begins."""
    result = []
    for name, (_, planted, _) in CANARIES.items():
        for lead in ("hello, it is ", "x" * 700 + " "):
            text = f"{lead}{planted}\n" + "and more words follow " * 30
            result.append((name, text.encode(), TEXT, len(lead)))
            result.append((name, chat(text), JSON, len(lead) + 30))
            stream = streamed(text)
            result.append((name, stream, SSE, stream.find(delta(text[3:6])) * len(lead) // 3))
    return result


def check_cut(name: str, body: bytes, content_type: bytes, size: int) -> None:
    """Neither a limit nor a body that was not read to its end leaves half a canary."""
    limited = kept(redactor(max_bytes=size), body, content_type)
    given = kept(ALL, body[:size], content_type, total_bytes=len(body), is_whole=False)
    for found in (limited, given):
        text = found.get("body", "")
        said = content_of(text[: text.rfind("\n\n") + 2]) if content_type == SSE else text
        assert not betrayed(name, json.dumps(said)), (size, found)
        assert found["bytes"] == len(body)
    assert given["truncated"]
    assert "xxh3" not in given


def test_no_half_canary_stays_wherever_the_body_is_cut() -> None:
    choose = random.Random(5)
    for name, body, content_type, start in cases():
        for _ in range(4):
            size = start + choose.randrange(-5, 60 if content_type != SSE else 4000)
            check_cut(name, body, content_type, max(size, 1))


@pytest.mark.skipif(not SLOW, reason="RUN_SLOW=1 cuts every canary at every byte")
@pytest.mark.timeout(900)
@pytest.mark.slow
@pytest.mark.parametrize("name", CANARIES)
def test_no_half_canary_stays_at_any_cut(name: str) -> None:
    for canary, body, content_type, start in cases():
        if canary == name:
            step, reach = (41, 8000) if content_type == SSE else (1, 300)
            for size in range(max(start - 20, 1), min(start + reach, len(body)), step):
                check_cut(name, body, content_type, size)


def test_text_before_a_cut_is_kept() -> None:
    """The rule about half secrets must not empty records."""
    text = "some ordinary words " * 100
    found = kept(ALL, text.encode()[:1500], TEXT, total_bytes=2000, is_whole=False)
    assert len(found["body"]) > 1400
    found = kept(ALL, chat(text)[:1500], JSON, total_bytes=2000, is_whole=False)
    assert len(found["body"]) > 1400
    assert found["type"] == "text"
    found = kept(ALL, chat(f"{LOT} sk-{LOT} {text}")[:1500], JSON, total_bytes=2000, is_whole=False)
    assert len(found["body"]) > 1300
    assert "[redacted:secrets]" in found["body"]


def test_pointer_is_followed_in_a_body_that_was_cut() -> None:
    made = redactor(redact_pointers=("/user",), redact_patterns=())
    body = json.dumps({"user": "private", "text": "x" * 500}).encode()
    found = kept(made, body[:300], JSON, total_bytes=len(body), is_whole=False)
    assert "private" not in found["body"]
    assert found["body"].startswith('{"user":"[redacted]","text":"xxx')
    inside = kept(made, b'{"user": "priv', JSON, total_bytes=99, is_whole=False)
    assert "priv" not in json.dumps(inside.get("body", ""))


def test_no_more_is_read_than_is_wanted() -> None:
    made = redactor(max_bytes=100)
    assert made.wanted_bytes == WINDOW * 100 + READ_AHEAD
    begun = time.thread_time()
    found = kept(made, b"password=hunter2 " * 2_000_000, TEXT)
    assert time.thread_time() - begun < 0.2
    assert found["truncated"]
    assert len(found["body"]) <= 100


def test_binary_body_is_kept_only_where_nothing_is_to_be_taken_out() -> None:
    body = bytes(range(256))
    assert kept(ALL, body, b"audio/wav") == {"bytes": 256, "truncated": True, "redacted": 1}
    found = kept(PLAIN, body, b"audio/wav")
    assert (found["type"], base64.b64decode(found["body"])) == ("base64", body)
    assert found["xxh3"] == f"{xxhash.xxh3_64_intdigest(body):016x}"
    cut = kept(redactor(redact_patterns=(), max_bytes=10), body, b"")
    assert base64.b64decode(cut["body"]) == body[:10]
    assert cut["truncated"]


def test_malformed_json_is_not_kept_where_pointers_lead_nowhere_in_it() -> None:
    body = b'{"user": "ann",,}'
    assert "body" not in kept(redactor(redact_pointers=("/user",)), body, JSON)
    assert kept(ALL, body, JSON)["body"] == body.decode()
    spelled = '{"a": "' + "".join(f"\\u{ord(one):04x}" for one in f"sk-{LOT}") + '",,}'
    assert kept(ALL, spelled.encode(), JSON)["body"] == '{"a": "[redacted:secrets]",,}'


def test_form_is_kept_as_text() -> None:
    found = kept(ALL, b"a=1&password=hunter2", b"application/x-www-form-urlencoded")
    assert found["body"] == "a=1&password=%5Bredacted%3Asecrets%5D"
    parts = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nann@example.org\r\n--x--\r\n'
    found = kept(ALL, parts, b"multipart/form-data; boundary=x")
    assert found["body"].count("[redacted:email]") == 1
    assert "body" not in kept(ALL, parts, b"multipart/form-data; boundary=other")
    assert kept(PLAIN, parts, b"multipart/form-data; boundary=x")["body"] == parts.decode()


def test_stream_without_anything_is_kept_as_it_came() -> None:
    body = streamed("ordinary words of an answer", 4) + b"data: [DONE]\n\n"
    found = kept(ALL, body, SSE)
    assert found["body"] == body.decode()
    assert found["xxh3"]


def test_text_is_cleaned() -> None:
    assert ALL.text("no such model: ann@example.org") == "no such model: [redacted:email]"
    assert ALL.text("no such model: café\udc80 %20") == "no such model: café\udc80 %20"
    assert ALL.text("/x%2Fy?password%3Dhunter2%20%C3") == "/x/y?password=[redacted:secrets] \ufffd"
    assert ALL.text("/ann%40example.org") == "/[redacted:email]"


def test_headers_are_those_that_are_wanted_and_never_credentials() -> None:
    made = redactor(
        headers=("x-team", "x-mail", "x-hidden", "authorization", "x-api-key", "cookie"),
        redact_headers=("x-hidden",),
    )
    given = {
        "X-Team": "fraud",
        "X-Mail": "ann@example.org",
        "X-Hidden": "private",
        "Authorization": LOT,
        "X-Api-Key": LOT,
        "Cookie": LOT,
        "X-Other": LOT,
    }
    assert made.headers(given) == {
        "x-team": "fraud",
        "x-mail": "[redacted:email]",
        "x-hidden": "[redacted]",
    }


def test_features_are_cleaned() -> None:
    made = redactor(features="/inputs", redact_pointers=("/inputs/0/private",))
    body = b'{"inputs": [{"data": [1, 2.5], "private": 1, "m": "ann@example.org"}]}'
    assert json.loads(made.features(body) or b"") == [
        {"data": [1, 2.5], "private": "[redacted]", "m": "[redacted:email]"}
    ]


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"other": 1}', b'{"inputs": "' + b"x" * 70000 + b'"}']
)
def test_features_that_are_not_there_or_too_large_are_none(body: bytes) -> None:
    assert redactor(features="/inputs").features(body) is None
    assert redactor().features(b'{"inputs": 1}') is None


@pytest.mark.parametrize(
    "record, body, leaves",
    [
        ({}, b'{"outputs": [0.5]}', True),
        ({}, b'{"outputs": ["ann@example.org"]}', False),
        ({"redact_patterns": ("secrets",)}, b'{"outputs": ["ann@example.org"]}', True),
        ({"redact_patterns": ("secrets",)}, b'{"password": "x", "outputs": [1]}', False),
        ({"redact_patterns": ()}, b'{"password": "x"}', True),
        ({"redact_pointers": ("/outputs/0",)}, b'{"outputs": [0.5]}', False),
        ({"max_bytes": 10}, b"[" + b"1," * 9000 + b"1]", False),
    ],
)
def test_what_holds_nothing_to_take_out_is_left(
    record: dict[str, Any], body: bytes, leaves: bool
) -> None:
    assert redactor(**record).leaves(body) is leaves
    assert not redactor(bytes(32), **record).leaves(body)


@pytest.mark.parametrize("canary", CANARIES)
def test_canaries_are_never_left(canary: str) -> None:
    _, text, _ = CANARIES[canary]
    body = json.dumps({"outputs": [{"label": f"it is {text} there"}]}).encode()
    assert not redactor().leaves(body)


def test_predictions_are_cleaned_and_bound_to_their_place() -> None:
    made = redactor(predictions="/outputs", redact_pointers=("/outputs/0/who",))
    body = b'{"outputs": [{"who": 1, "y": 0.5}], "inputs": 1}'
    assert made.predictions(body) == b'[{"who":"[redacted]","y":0.5}]'
    assert made.features(body) is None
    assert redactor(predictions="/outputs").predictions(b"[1]") is None


def test_names_of_members_in_features_are_cleaned() -> None:
    made = redactor(features="/inputs", redact_patterns=("email",))
    assert made.features(b'{"inputs": {"ann@example.org": 1}}') == b'{"[redacted:email]":1}'
    plain = redactor(features="/inputs", redact_patterns=())
    assert plain.features(b'{"inputs": {"ann@example.org": 1}}') == b'{"ann@example.org":1}'


def test_features_are_encrypted_with_the_payloads() -> None:
    sealed = redactor(bytes(32), features="/inputs").features(b'{"inputs": [1]}')
    assert sealed is not None
    assert sealed.startswith(b'"gcm1.')


@pytest.mark.parametrize(
    "content_type, data, kind",
    [
        (b"application/json", b"{}", "json"),
        (b"application/problem+json; charset=utf-8", b"{}", "json"),
        (b"", b" [1]", "json"),
        (b"text/plain", b'{"a": 1}', "json"),
        (b"text/plain", b"hello", "text"),
        (b"", b"hello", "text"),
        (b"application/octet-stream", b"hello", "text"),
        (b"image/svg+xml", b"<svg>", "binary"),
        (b"", b"\x00\x01", "binary"),
        (b"application/json", b"\xff{}", "binary"),
        (b"text/plain", "hé".encode()[:-1], "text"),
        (b"text/plain", "hé".encode("latin-1") + b" there", "binary"),
        (b"Text/Event-Stream; charset=utf-8", b"data: 1\n\n", "events"),
        (b"application/x-ndjson", b"{}\n{}", "lines"),
        (b"multipart/form-data; boundary=x", b"\xff", "multipart"),
        (b"application/x-www-form-urlencoded", b"a=b", "form"),
    ],
)
def test_kind_of_a_body(content_type: bytes, data: bytes, kind: str) -> None:
    assert kind_of(content_type, data) == kind


def test_nothing_that_comes_makes_it_fail() -> None:
    choose = random.Random(11)
    seeds = [
        chat("ann@example.org"),
        streamed(f"sk-{LOT}"),
        b"--x\r\n\r\n",
        b"a=%ff&=",
        b"data:\n\n\r",
    ]
    types = [
        JSON,
        SSE,
        TEXT,
        b"application/x-ndjson",
        b"multipart/form-data; boundary=x",
        b";;",
        b"application/x-www-form-urlencoded",
    ]
    strict = redactor(redact_pointers=("", "/a/*"), max_bytes=200)
    for _ in range(1500):
        body = bytearray(choose.choice(seeds))
        for _ in range(choose.randrange(6)):
            body[choose.randrange(len(body)) :][:1] = b""
            body[choose.randrange(len(body))] = choose.randrange(256)
        for made in (ALL, strict, PLAIN):
            line = made.payload(bytes(body), choose.choice(types), len(body), choose.random() < 0.5)
            assert b"\n" not in line
            msgspec.json.decode(line, type=Payload)


HOSTILE_JSON = [
    b"[" + b"1," * 40_000 + b"1]",
    b"[" + b"[]," * 30_000 + b"1]",
    b"[" * 100_000,
    b"[" + b'"\\u0073",' * 12_000 + b"1]",
    b"[" + b'{"password":"abcdef"},' * 5_000 + b"1]",
    b'{"a":' * 150 + b"1" + b"}" * 150,
    b'"' + b"\\n" * 50_000 + b'"',
]


@pytest.mark.parametrize("number", range(len(HOSTILE_JSON)))
@pytest.mark.parametrize("content_type", [JSON, SSE, TEXT, b"application/x-ndjson"])
def test_time_for_a_hostile_body_is_bounded(number: int, content_type: bytes) -> None:
    begun = time.thread_time()
    ALL.payload(HOSTILE_JSON[number], content_type, len(HOSTILE_JSON[number]), True)
    assert time.thread_time() - begun < 0.5


def test_time_grows_with_a_stream_and_not_faster() -> None:
    def seconds(count: int) -> float:
        made = redactor(max_bytes=10**7)
        body = (delta("sk-") + delta(LOT) + delta(" ")) * count
        begun = time.thread_time()
        assert kept(made, body, SSE)["redacted"] == count
        return time.thread_time() - begun

    assert seconds(800) < 20 * max(seconds(100), 0.005)
