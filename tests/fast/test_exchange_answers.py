"""What a client is told of a backend's answer: its head, its framing, its stream."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.messages import STREAM_HEAD, answer, chat, chunk
from tests.support.stage import Stage, echoing, serving

GET = b"GET /echo HTTP/1.1\r\nhost: a\r\n\r\n"
DATE = r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"
DROPPED = (
    "connection: keep-alive", "keep-alive: timeout=5", "upgrade: h2c", "te: trailers",
    "trailer: x", "proxy-authenticate: Basic", "server: nginx", "via: 1.1 x", "x-powered-by: PHP",
    "set-cookie: a=b", "alt-svc: h3", "strict-transport-security: max-age=1",
    "openai-organization: org", "openai-project: p", "access-control-allow-origin: *",
    "x-gateway-backend: evil", "x-gateway-cost-usd: 0", "x-accel-buffering: yes",
)  # fmt: skip


def answered(*fields: str, status: int = 200, body: Any = None) -> dict[str, str]:
    stage = Stage(echoing())
    client, server = stage.asked(GET)
    server.answer(body, status, *fields)
    stage.assert_settled()
    return client.answer().fields


def test_who_answered_how_often_and_how_long_is_told() -> None:
    stage = Stage(serving("a"))
    client, server = stage.asked()
    stage.wait(0.25)
    server.answer({"x": 1})
    fields = client.answer().fields
    assert (fields["x-gateway-backend"], fields["x-gateway-attempts"]) == ("a", "1")
    pattern = r"queue;dur=0\.000, upstream;dur=250\.\d{3}, gateway;dur=0\.\d{3}"
    assert re.fullmatch(pattern, fields["server-timing"])
    assert re.fullmatch(DATE, fields["date"])


@pytest.mark.parametrize("line", DROPPED)
def test_a_field_of_the_backends_own_goes_no_further(line: str) -> None:
    name, _, value = line.partition(": ")
    assert answered(line).get(name) != value


def test_other_fields_pass_as_they_came() -> None:
    told = answered("x-ratelimit-remaining: 7", 'ETag:  W/"a" ', "openai-model: x\xe9")
    assert told["x-ratelimit-remaining"] == "7"
    assert told["etag"] == 'W/"a"'
    assert told["openai-model"] == "x\xe9"


def test_a_field_that_connection_names_is_dropped() -> None:
    assert "x-hop" not in answered("connection: x-hop", "x-hop: 1")


def test_a_date_is_passed_on_and_one_is_added_where_none_is() -> None:
    date = "Tue, 01 Jan 2030 00:00:00 GMT"
    assert answered(f"date: {date}")["date"] == date
    assert re.fullmatch(DATE, answered()["date"])


def test_the_backends_own_request_id_has_a_name_of_its_own() -> None:
    told = answered("x-request-id: theirs")
    assert told["x-upstream-request-id"] == "theirs"
    assert told["x-request-id"] != "theirs"


def test_the_price_is_told() -> None:
    price = {"input": 1.5, "output": 2.0, "cached": 0.5}
    stage = Stage(serving("a", each={"price": price}))
    client, server = stage.asked()
    cached = {"cached_tokens": 400}
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "prompt_tokens_details": cached}
    server.answer({"usage": usage})
    expected = (600 * 1.5 + 400 * 0.5 + 10 * 2.0) / 1e6
    assert float(client.answer().fields["x-gateway-cost-usd"]) == pytest.approx(expected)
    row = stage.row("chat", "a")
    assert row["cost_nano_usd"] == round(expected * 1e9)
    assert (row["input_tokens"], row["output_tokens"], row["cached_tokens"]) == (1000, 10, 400)
    assert stage.row("chat")["cost_nano_usd"] == row["cost_nano_usd"]


# Framing


@pytest.mark.parametrize("status", [200, 201, 299, 302, 404, 418, 500, 599])
def test_any_status_passes(status: int) -> None:
    stage = Stage(echoing())
    client, server = stage.asked(GET)
    server.answer({"s": status}, status)
    assert (client.answer().status, client.answer().json) == (status, {"s": status})
    assert stage.row("echo")["statuses"][status // 100] == 1


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("kind", ["text/plain", "text/event-stream", "application/x-ndjson"])
@pytest.mark.parametrize("length", ["", "content-length: 7\r\n"])
def test_an_answer_without_body_has_none(status: int, kind: str, length: str) -> None:
    stage = Stage(echoing())
    client, server = stage.asked(GET)
    server.send(f"HTTP/1.1 {status} Nothing\r\ncontent-type: {kind}\r\n{length}\r\n".encode())
    found = client.answer()
    assert (found.status, found.body, found.is_whole) == (status, b"", True)
    assert "transfer-encoding" not in found.fields
    client.ask(GET)
    assert len(client.answers()) == 1
    stage.serve()
    assert [each.status for each in client.answers()] == [status, 200]
    stage.end()


@pytest.mark.parametrize("kind", ["text/plain", "text/event-stream"])
@pytest.mark.parametrize("framing", ["content-length: 7", "transfer-encoding: chunked"])
def test_head_is_answered_without_body_and_with_its_length(kind: str, framing: str) -> None:
    stage = Stage(echoing())
    client, server = stage.asked(GET.replace(b"GET", b"HEAD"))
    server.send(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n".encode())
    found = client.answer()
    assert (found.status, found.body, found.is_whole) == (200, b"", True)
    if framing.startswith("content-length"):
        assert found.fields["content-length"] == "7"
    assert server.is_open
    stage.end()


def test_a_long_answer_is_relayed_as_it_comes() -> None:
    stage = Stage(echoing(limits={"hold": "100B"}))
    client, server = stage.asked(GET)
    whole = answer(b"x" * 300)
    server.send(whole[:150])
    assert client.heard == b""
    server.send(whole[150:250])
    assert not client.answer().is_whole
    server.send(whole[250:])
    assert client.answer().body == b"x" * 300
    assert client.answer().fields["content-length"] == "300"
    stage.end()


@pytest.mark.parametrize("how", ["leave", "reset"])
@pytest.mark.parametrize("framing", ["content-length: 300", "transfer-encoding: chunked"])
def test_a_relayed_answer_that_stops_short_is_never_whole(how: str, framing: str) -> None:
    stage = Stage(echoing(limits={"hold": "100B"}))
    client, server = stage.asked(GET)
    body = b"x" * 200 if "length" in framing else chunk(b"x" * 200)
    server.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + body)
    getattr(server, how)()
    assert not client.is_open
    assert not client.answer().is_whole
    assert stage.outcomes("echo") == {"truncated": 1}
    stage.end()


def old(version: str = "1.0", *fields: str) -> bytes:
    return "\r\n".join([f"GET /echo HTTP/{version}", *fields, "", ""]).encode()


def test_http_1_0_is_answered_and_closed() -> None:
    stage = Stage(echoing())
    client, server = stage.asked(old())
    server.answer({"x": 1})
    assert client.answer().fields["connection"] == "close"
    assert client.answer().json == {"x": 1}
    assert client.is_ended


def test_http_1_0_may_keep_its_connection() -> None:
    stage = Stage(echoing())
    client, server = stage.asked(old("1.0", "connection: keep-alive"))
    server.answer({"x": 1})
    assert client.answer().fields["connection"] == "keep-alive"
    assert client.is_open
    assert not client.is_ended


def test_http_1_0_is_told_a_stream_until_the_close() -> None:
    stage = Stage(echoing())
    client, server = stage.asked(old("1.0", "connection: keep-alive"))
    server.stream(b"data: 1\n\n", b"data: 2\n\n")
    found = client.answer()
    assert "transfer-encoding" not in found.fields
    assert (found.body, found.is_whole) == (b"data: 1\n\ndata: 2\n\n", True)
    assert client.is_ended
    assert not client.transport.is_aborted


def test_http_1_0_cannot_take_a_broken_answer_for_a_whole_one() -> None:
    stage = Stage(echoing(limits={"hold": "10B"}))
    client, server = stage.asked(old())
    server.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"x" * 20))
    server.leave()
    assert client.transport.is_aborted, "a clean close would be this body's proper end"
    stage.end()


# Streams


def event(text: str, **more: Any) -> bytes:
    delta = {"choices": [{"index": 0, "delta": {"content": text}, **more}]}
    return b"data: " + json.dumps(delta).encode() + b"\n\n"


def test_a_stream_is_passed_on_piece_by_piece() -> None:
    stage = Stage(serving("a"))
    client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD)
    assert client.heard == b""
    server.send(chunk(event("1")))
    fields = client.answer().fields
    assert (fields["x-accel-buffering"], fields["cache-control"]) == ("no", "no-cache")
    for text in "234":
        before = len(client.heard)
        server.send(chunk(event(text)))
        assert client.heard[before:] == chunk(event(text))
    server.send(chunk(event("", finish_reason="stop") + b"data: [DONE]\n\n"), b"0\r\n\r\n")
    assert client.answer().is_whole
    assert stage.row("chat")["streams"] == 1
    assert stage.row("chat", "a")["gap_ns"]["total"] == 4
    stage.end()


def test_usage_that_nobody_asked_for_is_not_told() -> None:
    stage = Stage(serving("a", each={"price": {"output": 1.0}}))
    client, server = stage.asked(chat(stream=True))
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}\n\n'
    server.stream(event("x", finish_reason="stop"), usage, b"data: [DONE]\n\n")
    assert b"usage" not in client.answer().body
    assert stage.row("chat", "a")["output_tokens"] == 5
    assert stage.row("chat", "a")["cost_nano_usd"] == 5000
    stage.end()


def test_usage_that_was_asked_for_is_told() -> None:
    stage = Stage(serving("a"))
    client, server = stage.asked(chat(stream=True, stream_options={"include_usage": True}))
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}\n\n'
    server.stream(event("x", finish_reason="stop"), usage, b"data: [DONE]\n\n")
    assert usage in client.answer().body


@pytest.mark.parametrize("how", ["leave", "reset", "no end", "error", "silence"])
def test_a_stream_that_goes_wrong_ends_with_an_error_and_without_an_end(how: str) -> None:
    stage = Stage(serving("a"))
    client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD, chunk(event("x")))
    if how == "no end":
        server.send(b"0\r\n\r\n")
    elif how == "error":
        server.send(chunk(b'data: {"error":{"message":"x"}}\n\n'), b"0\r\n\r\n")
    elif how == "silence":
        stage.wait(31)
    else:
        getattr(server, how)()
    found = client.answer()
    assert not found.is_whole
    assert found.body.count(b'data: {"error"') == 1, "once, whoever said it"
    assert not client.is_open
    stage.end()


def test_a_slow_reader_slows_its_backend_and_is_not_taken_for_a_slow_backend() -> None:
    stage = Stage(serving("a", each={"timeout": {"idle": "1s"}}))
    client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD, chunk(event("x")))
    client.stall()
    assert not server.reads()
    stage.wait(10)
    assert client.is_open
    client.drink()
    assert server.reads()
    server.send(chunk(event("", finish_reason="stop")), b"0\r\n\r\n")
    assert client.answer().is_whole
    stage.end()


def test_a_stalled_reader_does_not_outlast_the_deadline() -> None:
    stage = Stage(serving("a", timeout={"total": "5s"}))
    client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD, chunk(event("x")))
    client.stall()
    stage.wait(6)
    assert not server.is_open
    assert stage.outcomes("chat") == {"deadline": 1}
    stage.end()


@given(
    st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5),
    st.lists(st.integers(1, 400), max_size=12),
    st.sampled_from(["%x", "%X", "00%x", "%x;note=1"]),
)
def test_chunks_reach_the_client_however_they_are_cut(
    pieces: list[bytes], cuts: list[int], size: str
) -> None:
    """A whole chunk goes on as it came; a part of one, or one with an extension, must not."""
    stage = Stage(serving("a", limits={"hold": 1}))
    client, server = stage.asked()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
    body = b"".join(b"%b\r\n%b\r\n" % ((size % len(p)).encode(), p) for p in pieces)
    server.send(head)
    rest = body + b"0\r\n\r\n"
    for cut in cuts:
        part, rest = rest[:cut], rest[cut:]
        if part:
            server.send(part)
    if rest:
        server.send(rest)
    assert client.answer().body == b"".join(pieces)
    assert b"note" not in client.heard.partition(b"\r\n\r\n")[2] or b"note" in b"".join(pieces)
    stage.assert_settled()
