"""Further attempts: after which failures, how many, when, and at whose expense."""

from typing import Any

import pytest

from tests.support.messages import STREAM_HEAD, answer, chat, chunk
from tests.support.stage import Client, Server, Stage, echoing, serving

MANY = {"attempts": 4, "budget": "100%", "backoff": "10ms", "backoff_max": "10ms"}
NO_BREAKER = {"breaker": {"consecutive": 0, "failure_share": "100%"}}
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'


def two(**route: Any) -> Stage:
    return Stage(serving("a", "b", **route))


def answered_by(stage: Stage, client: Client) -> str:
    """The last dial succeeds, and its backend answers well."""
    server = stage.server()
    server.answer({"by": server.name})
    assert client.answer().is_whole
    return str(client.answer().json.get("by"))


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_an_answer_that_may_be_retried_is_retried_elsewhere(status: int) -> None:
    stage = two()
    client, server = stage.asked()
    server.answer({"error": "no"}, status)
    assert answered_by(stage, client) == "b"
    assert client.answer().fields["x-gateway-attempts"] == "2"
    assert stage.row("chat")["retries"] == 1
    stage.end()


@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 410, 413, 415, 422, 501])
def test_an_answer_that_says_no_is_passed_on(status: int) -> None:
    stage = two()
    client, server = stage.asked()
    server.answer({"error": "no"}, status)
    assert client.answer().status == status
    assert client.answer().json == {"error": "no"}
    assert not stage.dials
    stage.end()


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_retried_unless_they_are_the_clients(status: int) -> None:
    stage = two()
    client, server = stage.asked()
    server.answer({"error": "key"}, status)
    assert answered_by(stage, client) == "b"
    forwarding = Stage(serving("a", "b", each={"forward": ["authorization"]}))
    client, server = forwarding.asked(chat("authorization: Bearer mine"))
    server.answer({"error": "key"}, status)
    assert client.answer().status == status


@pytest.mark.parametrize("how", ["leave", "reset"])
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\ncontent-le", answer({"x": 1})[:-2]])
def test_a_connection_that_ends_early_is_retried(how: str, said: bytes) -> None:
    stage = two()
    client, server = stage.asked()
    if said:
        server.send(said)
    getattr(server, how)()
    assert answered_by(stage, client) == "b"
    stage.end()


@pytest.mark.parametrize(
    "said",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ],
)
def test_an_answer_that_is_no_http_is_retried(said: bytes) -> None:
    stage = two()
    client, server = stage.asked()
    server.send(said)
    assert not server.is_open
    assert answered_by(stage, client) == "b"
    assert stage.outcomes("chat", "a") == {"upstream_protocol": 1}
    stage.end()


def test_json_that_stops_in_the_middle_is_retried() -> None:
    stage = two()
    client, server = stage.asked()
    server.answer(b'{"choices":[{"mess')
    assert answered_by(stage, client) == "b"
    assert stage.outcomes("chat", "a") == {"truncated": 1}


@pytest.mark.parametrize("outcome", ["connect_failed", "connect_timeout", "tls_failed"])
def test_a_backend_that_cannot_be_reached_is_retried_elsewhere(outcome: str) -> None:
    stage = two()
    client = stage.client()
    client.ask(chat())
    stage.no_server(outcome)
    assert answered_by(stage, client) == "b"
    assert stage.outcomes("chat", "a") == {outcome: 1}
    stage.end()


def test_a_backend_that_hangs_is_given_up_and_its_connection_closed() -> None:
    stage = two(timeout={"first_byte": "300ms"})
    client, server = stage.asked()
    stage.wait(0.4)
    assert not server.is_open
    assert answered_by(stage, client) == "b"
    assert stage.outcomes("chat", "a") == {"first_byte_timeout": 1}


def test_a_stream_that_fails_before_its_first_event_is_retried() -> None:
    stage = two()
    client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD, chunk(b": wait\n\n"), chunk(b'data: {"error":{"message":"x"}}\n\n'))
    assert answered_by(stage, client) == "b"
    assert stage.outcomes("chat", "a") == {"stream_error": 1}


def test_a_stream_that_has_begun_is_never_retried() -> None:
    stage = two(retry=MANY)
    client, server = stage.asked(chat(stream=True))
    server.send(STREAM_HEAD, chunk(EVENT))
    server.reset()
    assert not stage.dials
    assert not client.answer().is_whole
    assert client.answer().body.startswith(EVENT)
    assert b'"truncated"' in client.answer().body
    assert stage.outcomes("chat") == {"truncated": 1}
    stage.end()


def test_attempts_are_bounded() -> None:
    stage = two(retry={**MANY, "attempts": 2})
    client, server = stage.asked()
    server.answer({"error": 1}, 500)
    stage.server().answer({"error": 2}, 503)
    assert (client.answer().status, client.answer().json) == (503, {"error": 2})
    assert client.answer().fields["x-gateway-attempts"] == "2"
    stage.end()


def test_an_answer_says_more_than_a_broken_connection() -> None:
    stage = two()
    client, server = stage.asked()
    server.answer({"error": 1}, 500)
    stage.no_server()
    assert client.answer().json == {"error": 1}


def test_a_method_that_must_not_be_repeated_is_not() -> None:
    stage = Stage(echoing(retry={"attempts": 3, "methods": ["GET"]}))
    client, server = stage.asked(b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx")
    server.answer({"error": 1}, 500)
    assert client.answer().status == 500
    client = stage.client()
    client.ask(b"GET /echo HTTP/1.1\r\nhost: a\r\n\r\n")
    server.answer({"error": 1}, 500)
    assert not client.answers()


def test_a_backend_may_ask_for_no_retry() -> None:
    stage = two(retry=MANY)
    client, server = stage.asked()
    server.answer({"error": 1}, 500, "x-should-retry: false")
    assert client.answer().status == 500


def test_the_same_backend_is_asked_again_only_after_a_pause() -> None:
    stage = Stage(serving("a", each=NO_BREAKER, retry=MANY))
    client, server = stage.asked()
    server.answer({"error": 1}, 500)
    assert len(server.requests()) == 1
    stage.wait(0.05)
    assert len(server.requests()) == 2
    server.answer()
    assert client.answer().status == 200
    stage.end()


def test_no_pause_is_begun_that_ends_after_the_deadline() -> None:
    slow = {**MANY, "backoff": "5s", "backoff_max": "5s"}
    stage = Stage(serving("a", each=NO_BREAKER, retry=slow, timeout={"total": "1ms"}))
    client, server = stage.asked()
    server.answer({"error": 1}, 500)
    assert client.answer().status == 500


def test_the_budget_of_retries_is_a_share_of_the_requests() -> None:
    retry = {"attempts": 2, "budget": "20%", "budget_per_s": 0}
    stage = two(each=NO_BREAKER, retry=retry)
    for _ in range(20):
        stage.client().ask(chat())
        stage.serve(a=500)
    assert stage.row("chat")["retries"] == 4
    assert stage.outcomes("chat") == {"ok": 4, "upstream_5xx": 16}
    stage.end()


def test_a_429_keeps_everybody_away_for_as_long_as_it_says() -> None:
    stage = two()
    client, server = stage.asked()
    server.answer({"error": 1}, 429, "retry-after: 7")
    assert answered_by(stage, client) == "b"
    assert stage.cell("a")["cooldown_until_ns"] - stage.now_ns > 6.9e9
    client = stage.client()
    client.ask(chat())
    assert stage.gauge("b")["in_flight"] == 1, "a is cooling"
    client.reset()
    stage.wait(7.1)
    stage.client().ask(chat())
    assert stage.gauge("a")["in_flight"] == 1


def test_retry_after_may_be_told_in_milliseconds() -> None:
    stage = two()
    stage.asked()[1].answer({"error": 1}, 503, "retry-after: 9", "retry-after-ms: 250")
    left_ns = stage.cell("a")["cooldown_until_ns"] - stage.now_ns
    assert 0.2e9 < left_ns <= 0.25e9


@pytest.mark.parametrize("value", ["Fri, 31 Dec 1999 23:59:59 GMT", "-1", "1.5", "1" * 10, ""])
def test_a_retry_after_that_is_no_number_keeps_nobody_away(value: str) -> None:
    stage = two()
    stage.asked()[1].answer({"error": 1}, 429, f"retry-after: {value}")
    assert stage.cell("a")["cooldown_until_ns"] == 0


def test_a_retry_after_is_obeyed_up_to_a_bound() -> None:
    stage = two(retry={"retry_after_max": "2s"})
    stage.asked()[1].answer({"error": 1}, 429, "retry-after: 86400")
    assert stage.cell("a")["cooldown_until_ns"] - stage.now_ns <= 2e9


def test_a_caller_is_told_when_to_come_again() -> None:
    stage = Stage(serving("a", retry={"attempts": 1}))
    _client, server = stage.asked()
    server.answer({"error": 1}, 429, "retry-after: 7")
    late = stage.client()
    late.ask(chat())
    assert late.answer().status == 503
    assert late.answer().fields["retry-after"] == "7"


# Connections that died as they were taken


def used(stage: Stage) -> tuple[Client, Server]:
    client, server = stage.asked()
    server.answer({"n": 1})
    return client, server


def test_an_idle_connection_that_dies_as_it_is_taken_is_replaced_for_nothing() -> None:
    stage = Stage(serving("a", retry={"attempts": 1}))
    client, server = used(stage)
    client.ask(chat())
    server.leave()
    assert len(stage.dials) == 1
    stage.server().answer({"n": 2})
    assert [each.json["n"] for each in client.answers()] == [1, 2]
    assert client.answers()[1].fields["x-gateway-attempts"] == "1"
    stage.end()


def test_it_is_replaced_once() -> None:
    stage = Stage(serving("a", retry={"attempts": 1}))
    clients = [stage.client() for _ in range(3)]
    for client in clients:
        client.ask(chat())
    servers = [stage.server() for _ in range(3)]
    for server in servers:
        server.answer({"n": 1})
    clients[0].ask(chat())
    servers[2].leave()
    servers[1].leave()
    assert clients[0].answers()[1].status == 502
    assert stage.row("chat")["retries"] == 1
    stage.end()


def test_a_connection_that_dies_within_its_answer_is_no_idle_death() -> None:
    stage = Stage(serving("a", retry={"attempts": 1}))
    client, server = used(stage)
    client.ask(chat())
    server.send(b"HTTP/1.1 2")
    server.leave()
    assert client.answers()[1].status == 502


def test_a_fresh_connection_that_dies_is_no_idle_death() -> None:
    stage = Stage(serving("a", retry={"attempts": 1}))
    client, server = stage.asked()
    server.leave()
    assert client.answer().status == 502
