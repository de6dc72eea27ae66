"""A client's connection: reading requests however they are cut, time, order, and goodbye."""

from typing import Any

import pytest

from tests.support.messages import STREAM_HEAD, chat, chunk
from tests.support.stage import Client, Settings, Stage, echoing, serving

GET = b"GET /echo HTTP/1.1\r\nhost: a\r\n\r\n"
HEAD = b"POST /echo HTTP/1.1\r\nhost: a\r\n"
UPLOADS = [
    GET,
    b"\r\n" + GET,
    HEAD + b"content-length: 11\r\n\r\nhello world",
    HEAD + b"transfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nx: 1\r\n\r\n",
    HEAD + b"expect: 100-continue\r\ncontent-length: 3\r\n\r\nabc",
]


def limited(**limits: Any) -> Stage:
    return Stage(echoing(top={"limits": limits}))


def code(client: Client) -> tuple[int, str]:
    answer = client.answers()[-1]
    return answer.status, answer.json["error"]["code"]


@pytest.mark.parametrize("data", UPLOADS)
def test_a_request_means_the_same_however_it_is_cut(data: bytes) -> None:
    expected = None
    for cut in range(len(data)):
        stage = Stage(echoing())
        client = stage.client()
        client.methods.append("POST")
        client.send(data[:cut], data[cut:]) if cut else client.send(data)
        server = stage.server()
        body = server.request()[1]
        expected = expected or body
        assert body == expected
        server.answer({"ok": 1})
        assert client.heard.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").count(b"200 OK") == 1
        stage.end()


@pytest.mark.parametrize("data", UPLOADS)
def test_a_request_may_come_byte_by_byte(data: bytes) -> None:
    stage = Stage(echoing())
    client = stage.client()
    client.methods.append("POST")
    client.send(*(data[n : n + 1] for n in range(len(data))))
    stage.server().answer()
    assert client.heard.endswith(b'{"ok": true}')
    stage.end()


@pytest.mark.parametrize(
    "data, status",
    [
        (b"\0", 400),
        (b"\r\n\r\n", 400),
        (b"\n", 400),
        (b"\rGET", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/3.0\r\nhost: a\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),  # a TLS hello
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
)
def test_what_is_no_request_is_answered_once_and_closed(data: bytes, status: int) -> None:
    for pieces in ([data], [data[n : n + 1] for n in range(len(data))]):
        stage = Stage(echoing())
        client = stage.client()
        client.methods.append("GET")
        client.send(*pieces, GET)
        assert client.answer().status == status
        assert client.answer().fields["connection"] == "close"
        assert client.is_ended
        assert not stage.dials
        stage.wait(3)
        assert not client.is_open
        stage.end()


# Sizes


@pytest.mark.parametrize("cut", [1000, 10_000, 100_000])
@pytest.mark.parametrize(
    "data, status",
    [
        (b"GET /echo HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 9000 + b"\r\n\r\n", 431),
        (b"GET /echo HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 9000, 431),
        (b"GET /echo HTTP/1.1\r\nhost: a\r\n" + b"x: 1\r\n" * 60 + b"\r\n", 431),
        (b"GET /echo?" + b"y" * 2000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 414),
        (b"GET /echo?" + b"y" * 9000, 414),
    ],
)
def test_a_head_beyond_its_limits_is_refused(data: bytes, status: int, cut: int) -> None:
    stage = limited(head="8KiB", target="1KiB", head_fields=50)
    client = stage.client()
    client.methods.append("GET")
    client.send(*(data[at : at + cut] for at in range(0, len(data), cut)))
    assert client.answer().status == status
    stage.wait(3)
    stage.end()


def test_a_head_of_exactly_the_limit_is_taken() -> None:
    stage = limited(head="8KiB")
    fill = 8192 - len(GET) - len("x: \r\n")
    client = stage.client()
    client.ask(GET[:-2] + b"x: " + b"y" * fill + b"\r\n\r\n")
    stage.serve()
    assert client.answer().status == 200


def test_requests_under_way_are_bounded() -> None:
    stage = Stage(serving("a", top={"limits": {"in_flight": 2}}))
    for _ in range(2):
        stage.client().ask(chat())
    client = stage.client()
    client.ask(chat())
    assert code(client) == (503, "overloaded")
    assert client.answer().fields["retry-after"] == "1"


def test_connections_are_bounded() -> None:
    stage = limited(connections=1)
    stage.client()
    client = stage.client()
    client.methods.append("GET")
    assert code(client) == (503, "overloaded")
    assert client.is_ended


def test_bodies_held_are_bounded_together() -> None:
    stage = Stage(serving("a", top={"limits": {"buffered": "1KiB"}}))
    first = stage.client()
    first.ask(chat(user="x" * 700)[:-1])
    client = stage.client()
    client.ask(chat(user="x" * 700)[:-1])
    assert code(client) == (503, "overloaded")
    first.reset()
    stage.wait(3)
    stage.end()


# Order


def test_requests_sent_ahead_are_answered_in_order() -> None:
    stage = Stage(echoing())
    client = stage.client()
    client.methods += ["GET"] * 3
    client.send(GET * 2 + GET[:9], GET[9:])
    server = stage.server()
    for n in range(3):
        assert len(server.requests()) == n + 1, "one at a time"
        server.answer({"n": n})
    assert [each.json["n"] for each in client.answers()] == [0, 1, 2]
    stage.end()


def test_a_hundred_requests_ahead_pause_the_reading_and_are_all_answered() -> None:
    stage = Stage(echoing())
    client = stage.client()
    client.methods += ["POST"] * 100
    request = HEAD + b"content-length: 2000\r\n\r\n" + b"x" * 2000
    client.send(*([request] * 100))
    assert not client.reads()
    stage.serve()
    assert [each.status for each in client.answers()] == [200] * 100
    assert client.reads()
    stage.end()


def test_a_client_that_reads_nothing_is_not_served_further() -> None:
    stage = Stage(echoing())
    client = stage.client()
    client.methods += ["GET"] * 2
    client.stall()
    client.send(GET * 2)
    assert not stage.dials, "what is asked waits until the answer can go out"
    client.drink()
    stage.serve()
    assert len(client.answers()) == 2
    stage.end()


def test_after_connection_close_nothing_more_is_read() -> None:
    stage = Stage(echoing())
    client = stage.client()
    client.methods.append("GET")
    client.send(GET[:-2] + b"connection: close\r\n\r\n" + GET)
    server = stage.server()
    server.answer()
    assert client.answer().fields["connection"] == "close"
    assert len(server.requests()) == 1
    stage.wait(3)
    stage.end()


def test_a_connection_ends_after_its_last_request() -> None:
    stage = limited(connection_requests=2)
    client = stage.client()
    for _ in range(2):
        client.ask(GET)
        stage.serve()
    first, second = client.answers()
    assert "connection" not in first.fields
    assert second.fields["connection"] == "close"
    assert client.is_ended


# Time


def test_a_head_must_be_whole_in_time_whatever_comes() -> None:
    stage = limited(head_timeout="1s")
    client = stage.client()
    client.methods.append("GET")
    for byte in GET[:-1]:
        if not client.answers():
            client.send(bytes([byte]))
            stage.wait(0.1)
    assert code(client) == (408, "request_timeout")
    assert client.is_ended


def test_a_connection_that_asks_nothing_is_closed_without_a_word() -> None:
    stage = limited(head_timeout="1s")
    client = stage.client()
    stage.wait(1.1)
    assert not client.is_open
    assert client.heard == b""


def test_an_idle_connection_is_closed_without_a_word() -> None:
    stage = limited(keepalive="5s")
    client = stage.client()
    client.ask(GET)
    stage.serve()
    heard = client.heard
    stage.wait(4.9)
    assert client.is_open
    stage.wait(0.2)
    assert client.transport.is_closed
    assert client.heard == heard
    stage.wait(20)
    stage.end()


def slow_body(stage: Stage, *, rate_per_s: int, chunked: bool, seconds: int = 8) -> Client:
    client = stage.client()
    framing = b"transfer-encoding: chunked\r\n\r\n" if chunked else b"content-length: 90000\r\n\r\n"
    client.ask(b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n" + framing)
    for _ in range(seconds):
        piece = b"x" * rate_per_s
        client.send(chunk(piece) if chunked else piece)
        stage.wait(1)
    return client


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_must_keep_to_a_least_rate_after_its_time_of_grace(chunked: bool) -> None:
    limits: Settings = {"limits": {"body_grace": "3s", "body_rate": "1KiB"}}
    stage = Stage(serving("a", top=limits))
    assert not slow_body(stage, rate_per_s=1100, chunked=chunked).answers()
    slow = slow_body(stage, rate_per_s=100, chunked=chunked)
    assert code(slow) == (408, "request_timeout")
    assert not slow_body(stage, rate_per_s=1, chunked=chunked, seconds=2).answers()


def test_what_a_body_sends_is_measured_only_while_we_read() -> None:
    limits = {"limits": {"body_grace": "1s", "body_rate": "1KiB"}}
    stage = Stage(echoing(limits={"replay": "10B"}, top=limits))
    client, server = stage.asked(HEAD + b"content-length: 90\r\n\r\n" + b"x" * 20)
    server.stall()
    stage.wait(10)
    assert client.is_open
    assert not client.answers()


# 100-continue


def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    stage = Stage(echoing())
    client = stage.client()
    client.methods.append("POST")
    client.send(HEAD + b"expect: 100-continue\r\ncontent-length: 3\r\n\r\n")
    assert client.heard == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"abc")
    stage.serve()
    assert client.answer().status == 200


def test_a_client_that_does_not_wait_is_told_nothing() -> None:
    stage = Stage(echoing())
    client = stage.client()
    client.ask(HEAD + b"expect: 100-continue\r\ncontent-length: 3\r\n\r\nabc")
    stage.serve()
    assert client.heard.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [
        b"POST /nowhere HTTP/1.1\r\nhost: a\r\n",
        HEAD + b"upgrade: x\r\nconnection: upgrade\r\n",
    ],
)
def test_a_client_whose_body_nobody_wants_is_not_told_to_send_it(head: bytes) -> None:
    stage = Stage(echoing())
    client = stage.client()
    client.ask(head + b"expect: 100-continue\r\ncontent-length: 3\r\n\r\n")
    assert client.answer().status in (400, 404)
    assert b"100 Continue" not in client.heard
    assert client.is_ended


def test_http_1_0_does_not_know_it() -> None:
    stage = Stage(echoing())
    client = stage.client()
    client.ask(b"POST /echo HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
    assert client.heard == b""


# Leaving and goodbye


@pytest.mark.parametrize("how", ["leave", "reset"])
def test_a_client_that_goes_stops_its_backend(how: str) -> None:
    stage = Stage(serving("a"))
    client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD, chunk(b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'))
    getattr(client, how)()
    assert not server.is_open
    assert stage.outcomes("chat") == {"client_closed": 1}
    assert stage.outcomes("chat", "a") == {"cancelled": 1}
    stage.end()


@pytest.mark.parametrize("data", [b"", b"GET", chat()[:-3]])
def test_a_client_that_goes_before_it_asked_leaves_nothing(data: bytes) -> None:
    stage = Stage(serving("a"))
    client = stage.client()
    if data:
        client.ask(data)
    client.leave()
    assert client.heard == b""
    stage.end()


def test_after_a_refusal_what_still_comes_is_read_and_thrown_away() -> None:
    """Why: a close with unread bytes is a reset, and the answer would be lost."""
    stage = Stage(echoing(limits={"body": "1KiB"}))
    client = stage.client()
    client.ask(HEAD + b"content-length: 5000\r\n\r\n" + b"x" * 100)
    assert client.answer().status == 413
    assert client.is_ended
    assert client.reads()
    client.send(b"x" * 4900, GET)
    assert client.heard.count(b"HTTP/1.1") == 1
    stage.wait(2.1)
    assert not client.is_open


def test_a_draining_worker_closes_who_is_idle_and_answers_the_rest_to_their_end() -> None:
    stage = Stage(serving("a"))
    idle = stage.client()
    idle.ask(chat())
    stage.serve()
    busy = stage.client()
    busy.ask(chat())
    stage.worker.lame_duck()
    stage.worker.close_idle()
    stage.event()
    assert not idle.is_open
    assert busy.is_open
    stage.serve()
    assert busy.answer().fields["connection"] == "close"
    assert busy.is_ended


def test_a_worker_out_of_time_ends_everything_in_words() -> None:
    stage = Stage(serving("a"))
    streaming, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD, chunk(b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'))
    waiting = stage.client()
    waiting.ask(chat())
    stage.worker.cut()
    stage.event()
    assert code(waiting) == (503, "draining")
    assert b'"draining"' in streaming.answer().body
    assert not streaming.answer().is_whole
    assert stage.outcomes("chat") == {"draining": 2}
    assert stage.worker.in_flight == 0
