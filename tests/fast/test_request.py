"""What of a client's request reaches a backend, and what is changed on the way."""

import json
import re
from typing import Any

import pytest

from tests.support.messages import chat, post
from tests.support.stage import Client, Server, Settings, Stage, echoing, serving

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PASSED = {
    "accept": "text/html",
    "content-type": "application/json",
    "user-agent": "x/1",
    "X-Custom": "a  b",
    "if-none-match": '"e"',
    "accept-language": "de",
    "openai-beta": "assistants=v2",
    "tracestate": "a=b",
    "inference-header-content-length": "3",
}
DROPPED = {
    "connection": "keep-alive",
    "keep-alive": "timeout=5",
    "proxy-authorization": "Basic x",
    "proxy-connection": "keep-alive",
    "te": "trailers",
    "trailer": "x",
    "upgrade": "h2c",
    "authorization": "Bearer client",
    "x-api-key": "client",
    "api-key": "client",
    "x-goog-api-key": "client",
    "cookie": "a=b",
    "forwarded": "for=1.2.3.4",
    "x-forwarded-for": "1.2.3.4",
    "x-forwarded-proto": "https",
    "x-real-ip": "1.2.3.4",
    "accept-encoding": "gzip",
    "x_custom": "underscore",
    "expect": "100-continue",
}


def sent(stage: Stage, request: bytes) -> Server:
    return stage.asked(request)[1]


def echoed(*fields: str) -> dict[str, str]:
    """What a backend is told of a request with these fields."""
    lines = ["GET /echo?a=b HTTP/1.1", "host: client.test", *fields, "", ""]
    return sent(Stage(echoing()), "\r\n".join(lines).encode("latin-1")).fields()


@pytest.mark.parametrize("name", PASSED)
def test_a_field_is_passed_on_as_it_came(name: str) -> None:
    assert echoed(f"{name}:{PASSED[name]} ")[name.lower()] == PASSED[name]


@pytest.mark.parametrize("name", DROPPED)
def test_a_field_between_two_neighbours_goes_no_further(name: str) -> None:
    told = echoed(f"{name}: {DROPPED[name]}")
    assert name not in told
    assert DROPPED[name] not in told.values()


def test_the_backend_is_addressed_by_its_own_name() -> None:
    assert echoed()["host"] == "echo.test"


def test_bytes_beyond_ascii_stand_unchanged_in_a_value() -> None:
    assert echoed("x-name: J\xfcrgen")["x-name"] == "J\xfcrgen"


def test_a_field_that_connection_names_is_dropped() -> None:
    told = echoed("connection: close, X-Secret", "x-secret: 1", "x-other: 2")
    assert "x-secret" not in told
    assert told["x-other"] == "2"


@pytest.mark.parametrize("given", ["abc-1.2_3", "x" * 64])
def test_a_sound_request_id_is_kept(given: str) -> None:
    stage = Stage(echoing())
    client, server = stage.asked(
        f"GET /echo HTTP/1.1\r\nhost: a\r\nx-request-id: {given}\r\n\r\n".encode()
    )
    server.answer()
    assert server.fields()["x-request-id"] == client.answer().fields["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a/b", "\xe4", '"', "a,b"])
def test_any_other_request_id_is_replaced(given: str) -> None:
    assert UUID.fullmatch(echoed(f"x-request-id: {given}")["x-request-id"])


def test_a_trace_is_carried_on() -> None:
    assert echoed(f"traceparent: {TRACE}")["traceparent"] == TRACE


@pytest.mark.parametrize(
    "given",
    [
        "",
        TRACE[:-1],
        TRACE.upper(),
        TRACE.replace("00-4", "01-4"),
        TRACE.replace("-00f067aa0ba902b7-", "-" + "0" * 16 + "-"),
        TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        TRACE.replace("-00f0", "x00f0"),
    ],
)
def test_a_trace_that_is_none_is_begun_anew(given: str) -> None:
    told = echoed(f"traceparent: {given}")
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", told["traceparent"])
    assert told["traceparent"][3:35] == told["x-request-id"].replace("-", "")


def test_a_trace_of_a_foreign_request_id_is_random() -> None:
    told = echoed("x-request-id: mine")
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", told["traceparent"])


def test_the_backend_is_told_how_much_time_is_left() -> None:
    stage = Stage(serving("a", timeout={"total": "30s"}))
    assert sent(stage, chat()).fields()["x-request-timeout-ms"] == "30000"


def test_the_target_is_rewritten_and_its_query_kept() -> None:
    settings = serving("a")
    settings["backends"]["a"]["url"] = "http://a.test/base/v1"
    stage = Stage(settings)
    head, _ = sent(stage, chat(path="/v1/chat/completions?trace=1&x=%20")).request()
    target = b"POST /base/v1/chat/completions?trace=1&x=%20 HTTP/1.1\r\n"
    assert head.startswith(target)


def test_a_model_in_the_path_becomes_the_backends_own() -> None:
    backend = {"protocol": "kserve", "url": "http://k.test", "model": "a b/c"}
    stage = Stage({"backends": {"k": backend}, "routes": {"m": {"backends": ["k"]}}})
    head, body = sent(stage, post("/v2/models/m/versions/3/infer?x=1", b"\0\1binary")).request()
    assert head.startswith(b"POST /v2/models/a%20b%2Fc/versions/3/infer?x=1 HTTP/1.1\r\n")
    assert body == b"\0\1binary"


# The body


def body_of(request: bytes, **backend: Any) -> Any:
    stage = Stage(serving("a", each=backend))
    server = sent(stage, request)
    head, body = server.request()
    assert f"content-length: {len(body)}\r\n".encode() in head
    return body


def test_the_models_name_is_replaced_and_every_other_byte_kept() -> None:
    text = b'{ "x" : 1e400, "model"\t:\n"chat" , "y":"\\ud800 \xc3\xa4", "z":[1 ,2]}'
    expected = text.replace(b'"chat"', b'"gpt \\"4\\""')
    assert body_of(post("/v1/chat/completions", text), model='gpt "4"') == expected


def test_a_models_name_may_be_spelt_with_escapes() -> None:
    text = b'{"model":"ch\\u0061t","messages":[]}'
    assert json.loads(body_of(post("/v1/chat/completions", text)))["model"] == "a"


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, {"include_usage": True}),
        ({"stream_options": {}}, {"include_usage": True}),
        ({"stream_options": {"a": 1}}, {"include_usage": True, "a": 1}),
        ({"stream_options": {"include_usage": False, "a": 1}}, {"include_usage": True, "a": 1}),
        ({"stream_options": {"include_usage": True}}, {"include_usage": True}),
    ],
)
def test_a_stream_is_asked_for_its_usage(options: dict[str, Any], expected: dict[str, Any]) -> None:
    sent_on = json.loads(body_of(chat(stream=True, **options)))
    assert sent_on["stream_options"] == expected
    assert sent_on["model"] == "a"


@pytest.mark.parametrize("first", ["model", "stream_options"])
def test_both_changes_are_made_whichever_member_comes_first(first: str) -> None:
    members = {"model": "chat", "stream_options": {"a": 1}, "stream": True}
    ordered = {first: members[first], **members}
    made = json.loads(body_of(post("/v1/chat/completions", ordered), model="a-longer-name"))
    assert made == {
        "model": "a-longer-name",
        "stream": True,
        "stream_options": {"include_usage": True, "a": 1},
    }


def test_what_is_no_stream_is_not_asked_for_usage() -> None:
    assert "stream_options" not in json.loads(body_of(chat(stream=False)))


def refused(request: bytes) -> tuple[int, str]:
    stage = Stage(serving("a"))
    client = stage.client()
    client.ask(request)
    answer = client.answer()
    stage.end()
    return answer.status, answer.json["error"]["code"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"nonsense",
        b'{"model":"chat"',
        b'{"model":"chat"} x',
        b'{"model":"chat","model":"other"}',
        b'{"model":"chat","stream":true,"stream":false}',
        b'{"model":"chat","\\u006dodel":"other"}',
        b'{"model":"chat","user":"a","user":"b"}',
    ],
)
def test_a_body_that_two_readers_could_read_differently_is_refused(text: bytes) -> None:
    assert refused(post("/v1/chat/completions", text)) == (400, "bad_body")


@pytest.mark.parametrize("text", [b"{}", b'{"model":3}', b'{"model":null}', b'{"model":["chat"]}'])
def test_a_body_that_names_no_model_is_refused(text: bytes) -> None:
    assert refused(post("/v1/chat/completions", text)) == (400, "no_model")


def test_a_model_that_is_not_there_is_told_by_name() -> None:
    assert refused(post("/v1/chat/completions", {"model": "none"})) == (404, "model_not_found")


def multipart(*parts: tuple[str, str]) -> bytes:
    text = "".join(
        f'--B\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in parts
    )
    body = f"{text}--B--\r\n".encode()
    head = "POST /v1/audio/transcriptions HTTP/1.1\r\nhost: a\r\n"
    kind = 'content-type: multipart/form-data; boundary="B"\r\n'
    return f"{head}{kind}content-length: {len(body)}\r\n\r\n".encode() + body


def test_a_model_named_in_a_form_is_replaced() -> None:
    body = body_of(multipart(("file", "sound"), ("model", "chat"), ("language", "de")))
    expected = multipart(("file", "sound"), ("model", "a"), ("language", "de"))
    assert body == expected.partition(b"\r\n\r\n")[2]


def test_a_form_with_two_models_is_refused() -> None:
    assert refused(multipart(("model", "chat"), ("model", "other"))) == (400, "bad_body")


# Framing and what only some backends may see


def test_a_request_without_body_gets_no_length() -> None:
    assert "content-length" not in echoed()


def test_an_empty_body_keeps_its_length() -> None:
    server = sent(Stage(echoing()), b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")
    assert server.fields()["content-length"] == "0"


def test_a_chunked_body_that_was_kept_goes_on_with_its_length() -> None:
    request = b"POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    server = sent(Stage(echoing()), request + b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nx-t: 1\r\n\r\n")
    assert server.request()[1] == b"abcde"
    assert server.fields()["content-length"] == "5"
    assert "transfer-encoding" not in server.fields()


def told_by(client: str, top: Settings | None = None, *fields: str, **each: Any) -> dict[str, str]:
    """What a backend is told of a caller at this address."""
    stage = Stage(echoing(each=each, top=top))
    end: Client = stage.client(client)
    lines = ["GET /echo HTTP/1.1", "host: public.test", *fields, "", ""]
    end.ask("\r\n".join(lines).encode())
    return stage.server().fields()


def test_a_backend_may_be_allowed_to_see_credentials() -> None:
    told = told_by("192.0.2.1", None, "authorization: Bearer mine", "cookie: a", forward=["cookie"])
    assert told["cookie"] == "a"
    assert "authorization" not in told


def test_a_backend_that_compresses_is_told_what_the_client_takes() -> None:
    assert (
        told_by("192.0.2.1", None, "accept-encoding: br", compression=True)["accept-encoding"]
        == "br"
    )


def test_the_caller_is_told_where_configured() -> None:
    top = {"forwarded": {"x_forwarded": True}}
    told = told_by("192.0.2.1", top, "x-forwarded-for: 6.6.6.6", "x-forwarded-proto: https")
    assert told["x-forwarded-for"] == "192.0.2.1"
    assert (told["x-forwarded-proto"], told["x-forwarded-host"]) == ("http", "public.test")


def test_a_trusted_proxys_word_is_extended() -> None:
    top = {"forwarded": {"x_forwarded": True, "trusted": ["192.0.2.0/24"]}}
    told = told_by("192.0.2.1", top, "x-forwarded-for: 6.6.6.6", "x-forwarded-proto: https")
    assert told["x-forwarded-for"] == "6.6.6.6, 192.0.2.1"
    assert told["x-forwarded-proto"] == "https"


def test_the_forwarded_field_names_an_ipv6_caller_in_quotes() -> None:
    told = told_by("2001:db8::1", {"forwarded": {"forwarded": True}})
    assert 'for="[2001:db8::1]"' in told["forwarded"]


def test_names_that_look_alike_are_not_mixed_up() -> None:
    """What came lately is found again by its bytes; these share length, last and middle byte."""
    client = Stage(serving("a")).client()
    for name in ("abc-d", "xbc-d", "abc-d", "abc-e", "xbc-d"):
        client.ask(post("/v1/chat/completions", {"model": name}))
        assert f"`{name}`" in client.answers()[-1].json["error"]["message"]
