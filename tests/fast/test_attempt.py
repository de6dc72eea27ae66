"""One try at one backend: how it ends, in what time, and what is learned from it."""

import json
from typing import Any

import pytest

from tests.support.messages import STREAM_HEAD, answer, chat, chunk
from tests.support.stage import Client, Server, Stage, echoing, serving

ONE = {"attempts": 1}
NEVER = {"consecutive": 0, "failure_share": "100%"}


def event(**choice: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, **choice}]}).encode() + b"\n\n"


WORD = event(delta={"content": "x"})
STOP = event(delta={}, finish_reason="stop")
DONE = b"data: [DONE]\n\n"
FAILED = b'data: {"error":{"message":"x"}}\n\n'


def once(**each: Any) -> Stage:
    return Stage(serving("a", each=each, retry=ONE))


def streamed(*events: bytes, ends: bool = True) -> tuple[Stage, Client, Server]:
    stage = once(breaker=NEVER)
    client, server = stage.asked(chat(stream=True))
    server.stream(*events, ends=ends)
    return stage, client, server


def only(stage: Stage) -> str:
    """The one outcome of the one attempt."""
    (outcome,) = stage.outcomes("chat", "a")
    return outcome


# How it ends


@pytest.mark.parametrize(
    "status, outcome",
    [
        (200, "ok"), (204, "ok"), (302, "ok"), (400, "upstream_4xx"), (401, "upstream_4xx"),
        (404, "upstream_4xx"), (429, "upstream_429"), (500, "upstream_5xx"), (503, "upstream_5xx"),
    ],
)  # fmt: skip
def test_a_held_answer_ends_as_its_status_says(status: int, outcome: str) -> None:
    stage = once()
    stage.asked()[1].answer(b"" if status == 204 else {"x": 1}, status)
    assert only(stage) == outcome
    assert stage.outcomes("chat") == {outcome: 1}
    assert stage.row("chat", "a")["statuses"][status // 100] == 1
    stage.end()


@pytest.mark.parametrize(
    "events, outcome",
    [
        ([WORD, STOP, DONE], "ok"),
        ([WORD, STOP], "ok"),
        ([WORD, DONE], "ok"),
        ([WORD], "truncated"),
        ([WORD, FAILED], "stream_error"),
        ([WORD, STOP, FAILED, DONE], "stream_error"),
        ([FAILED], "stream_error"),
        ([], "truncated"),
        ([b": ping\n\n"], "truncated"),
    ],
)
def test_a_stream_ends_well_only_when_it_says_that_it_ends(
    events: list[bytes], outcome: str
) -> None:
    stage, client, _ = streamed(*events)
    assert only(stage) == outcome
    assert client.answer().is_whole is (outcome == "ok" or client.answer().status >= 500)
    stage.end()


def test_a_stream_in_one_read_is_the_same_stream() -> None:
    stage = once()
    client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD + chunk(WORD + STOP + DONE) + b"0\r\n\r\n")
    assert (only(stage), client.answer().body) == ("ok", WORD + STOP + DONE)
    stage.end()


def test_an_event_cut_in_two_is_passed_on_whole() -> None:
    stage = once()
    client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD, chunk(WORD[:10]))
    assert client.heard == b""
    server.send(chunk(WORD[10:]))
    assert client.answer().body == WORD
    server.send(chunk(STOP[:7]), chunk(STOP[7:]), b"0\r\n\r\n")
    assert client.answer().body == WORD + STOP


def test_an_ordinary_service_need_not_say_that_its_stream_ends() -> None:
    stage = Stage(echoing())
    client, server = stage.asked(b"GET /echo HTTP/1.1\r\nhost: a\r\n\r\n")
    server.stream(b"data: 1\n\n")
    assert client.answer().is_whole
    assert stage.outcomes("echo") == {"ok": 1}


def test_a_stream_without_length_must_end_by_word() -> None:
    stage = Stage(echoing())
    client, server = stage.asked(b"GET /echo HTTP/1.1\r\nhost: a\r\n\r\n")
    server.send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
    server.leave()
    assert not client.answer().is_whole


@pytest.mark.parametrize(
    "kind", ["text/event-stream; charset=utf-8", "TEXT/Event-Stream ;x", "application/x-ndjson"]
)
def test_a_stream_is_known_by_its_type(kind: str) -> None:
    stage = Stage(echoing())
    client, server = stage.asked(b"GET /echo HTTP/1.1\r\nhost: a\r\n\r\n")
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
    server.send(head.encode(), chunk(b"data: 1\n\n" if "event" in kind.lower() else b'{"a":1}\n'))
    assert client.answer().body != b""


def test_an_error_that_comes_as_a_stream_is_held_as_one() -> None:
    stage = Stage(serving("a", "b"))
    client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD.replace(b"200 OK", b"500 No"), chunk(FAILED), b"0\r\n\r\n")
    stage.serve()
    assert client.answer().json == {"by": "b"}


def test_a_compressed_answer_is_passed_on_unread() -> None:
    stage = once()
    client, server = stage.asked()
    server.answer(b"\x1f\x8b\x08", 200, "content-encoding: gzip")
    assert client.answer().body == b"\x1f\x8b\x08"
    assert only(stage) == "ok"


# In what time


def test_a_dial_that_takes_too_long_is_given_up() -> None:
    stage = once(timeout={"connect": "1s"})
    client = stage.client()
    client.ask(chat())
    stage.wait(1.1)
    assert client.answer().json["error"]["code"] == "connect_timeout"
    late = stage.server()
    assert late.is_open, "it is kept for the next"
    client.ask(chat())
    assert len(late.requests()) == 1


def test_a_first_byte_that_takes_too_long_is_given_up() -> None:
    stage = once(timeout={"first_byte": "1s"})
    client, server = stage.asked()
    stage.wait(1.1)
    assert client.answer().json["error"]["code"] == "first_byte_timeout"
    assert not server.is_open


@pytest.mark.parametrize("piece", [b": ping\n\n", b"event: x\n\n"])
def test_a_comment_is_no_first_byte(piece: bytes) -> None:
    stage = once(timeout={"first_byte": "1s", "idle": "60s"})
    client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD)
    for _ in range(12):
        if server.is_open:
            server.send(chunk(piece))
            stage.wait(0.1)
    assert client.answer().json["error"]["code"] == "first_byte_timeout"


@pytest.mark.parametrize("stream", [False, True])
def test_a_gap_that_is_too_long_ends_the_answer(stream: bool) -> None:
    stage = once(timeout={"idle": "1s"})
    _client, server = stage.asked(chat(stream=stream))
    begun = [STREAM_HEAD, chunk(WORD)] if stream else [answer({"x": "y" * 50})[:-20]]
    server.send(*begun)
    for _ in range(5):
        stage.wait(0.7)
        server.send(chunk(WORD) if stream else b"y")
    assert server.is_open, "it goes on, slowly"
    stage.wait(1.6)
    assert server.transport.is_closed
    assert only(stage) == "idle_timeout"
    stage.end()


def test_the_whole_attempt_has_a_limit_of_its_own() -> None:
    stage = Stage(serving("a", "b", each={"timeout": {"total": "3s", "idle": "2s"}}))
    client, server = stage.asked()
    server.send(answer({"x": "y" * 50})[:-20])
    for _ in range(4):
        stage.wait(1)
        server.send(b"y")
    stage.serve()
    assert client.answer().json == {"by": "b"}
    stage.end()


# What is learned


def test_a_backend_that_fails_often_is_given_a_rest() -> None:
    stage = Stage(serving("a", "b", each={"breaker": {"consecutive": 2, "open": "10s"}}))
    for _ in range(2):
        stage.client().ask(chat())
        stage.serve(a=500)
    assert stage.cell("a")["open_until_ns"] > stage.now_ns
    client = stage.client()
    client.ask(chat())
    stage.serve()
    assert client.answer().fields["x-gateway-backend"] == "b"
    stage.wait(15)
    client = stage.client()
    client.ask(chat())
    stage.serve()
    assert client.answer().fields["x-gateway-backend"] == "a"
    assert stage.cell("a")["open_until_ns"] == 0
    stage.end()


@pytest.mark.parametrize(
    "status, consecutive",
    [(200, 0), (400, 0), (404, 0), (429, 0), (401, 1), (403, 1), (500, 1), (503, 1)],
)
def test_what_an_answer_says_of_the_backend(status: int, consecutive: int) -> None:
    stage = once()
    stage.asked()[1].answer({"x": 1}, status)
    assert stage.cell("a")["consecutive"] == consecutive


@pytest.mark.parametrize("how", ["leave", "reset"])
def test_a_client_that_leaves_says_nothing_of_the_backend(how: str) -> None:
    stage = once()
    client, _ = stage.asked()
    getattr(client, how)()
    assert stage.cell("a")["consecutive"] == 0
    assert sum(stage.cell("a")["rate_failed"]) == 0


def test_times_and_sizes_are_counted() -> None:
    stage = once()
    client, server = stage.asked(chat(user="u" * 100))
    stage.wait(0.2)
    server.answer({"x": "y" * 100})
    row, route = stage.row("chat", "a"), stage.row("chat")
    sent, told = len(server.request()[1]), len(client.answer().body)
    assert (row["request_bytes"], row["answer_bytes"]) == (sent, told)
    assert route["answer_bytes"] == told
    for name in ("total_ns", "first_byte_ns"):
        assert 0.2e9 <= row[name]["sum"] < 0.22e9, name
        assert 0.2e9 <= route[name]["sum"] < 0.22e9, name
    assert route["overhead_ns"]["sum"] < 1e6, "the backend's time is not ours"


def test_only_good_answers_count_in_the_backends_times() -> None:
    stage = once(breaker=NEVER)
    stage.asked()[1].answer({"x": 1}, 500)
    assert stage.row("chat", "a")["total_ns"]["total"] == 0
    assert stage.gauge("a")["ewma_ns"] > 0, "but choosing knows that it failed"


def test_usage_of_an_answer_is_counted_and_learned() -> None:
    stage = once(price={"input": 1.0, "output": 2.0, "request": 0.001})
    _, server = stage.asked()
    server.answer({"usage": {"prompt_tokens": 100, "completion_tokens": 50}})
    row = stage.row("chat", "a")
    assert (row["input_tokens"], row["output_tokens"]) == (100, 50)
    assert row["cost_nano_usd"] == 100_000 + 100_000 + 1_000_000
    gauge = stage.gauge("a")
    assert (gauge["input_tokens"], gauge["output_tokens"], gauge["answers"]) == (100, 50, 1)


def test_an_answer_that_failed_costs_nothing_but_what_it_reported() -> None:
    stage, _, _ = streamed(
        WORD, b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5}}\n\n'
    )
    assert only(stage) == "truncated"
    assert stage.row("chat", "a")["cost_nano_usd"] == 0


def test_a_limit_that_adapts_shrinks_when_the_backend_says_so() -> None:
    stage = once(max_concurrency="adaptive", adaptive={"initial": 20, "floor": 4})
    for _ in range(4):
        stage.client().ask(chat())
        stage.serve(a=429)
        stage.wait(0.2)
    assert 4 <= stage.cell("a")["limit"] < 20
