"""A backend's connection: framing of answers however they are cut, reuse, poison, age."""

from typing import Any

import pytest

from tests.support.messages import Answer, chunk
from tests.support.stage import Client, Server, Stage, echoing, serving

GET = b"GET /echo HTTP/1.1\r\nhost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = {
    "a length": OK + b"content-length: 5\r\n\r\nhello",
    "no length": OK + b"content-length: 0\r\n\r\n",
    "chunks": OK
    + b"transfer-encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nx: 1\r\n\r\n",
    "nothing in chunks": OK + b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "no reason": b"HTTP/1.1 200\r\ncontent-length: 5\r\n\r\nhello",
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    + OK
    + b"content-length: 5\r\n\r\nhello",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b'HTTP/1.1 304 Not Modified\r\netag: "x"\r\ncontent-length: 5\r\n\r\n',
}
BODIES = {"no length": b"", "nothing in chunks": b"", "no content": b"", "not modified": b""}


def asked(**each: Any) -> tuple[Stage, Client, Server]:
    stage = Stage(echoing(each={"breaker": {"consecutive": 0, "failure_share": "100%"}, **each}))
    client, server = stage.asked(GET)
    return stage, client, server


def failure(client: Client) -> tuple[int, str]:
    return client.answer().status, client.answer().json["error"]


@pytest.mark.parametrize("kind", WHOLE)
def test_an_answer_means_the_same_however_it_is_cut(kind: str) -> None:
    data = WHOLE[kind]
    for cut in range(len(data)):
        stage, client, server = asked()
        server.send(*([data[:cut], data[cut:]] if cut else [data]))
        assert client.answer().body == BODIES.get(kind, b"hello")
        assert server.is_open, "it is used again"
        assert stage.gauge("echo")["idle"] == 1
        stage.end()


@pytest.mark.parametrize("kind", WHOLE)
def test_an_answer_may_come_byte_by_byte(kind: str) -> None:
    stage, client, server = asked()
    server.send(*(WHOLE[kind][n : n + 1] for n in range(len(WHOLE[kind]))))
    assert client.answer().body == BODIES.get(kind, b"hello")
    stage.end()


@pytest.mark.parametrize("kind", [each for each in WHOLE if each != "no length"])
def test_an_answer_that_stops_short_is_none(kind: str) -> None:
    data = WHOLE[kind]
    for end in range(1, len(data)):
        stage, client, server = asked()
        server.send(data[:end])
        assert not client.answers(), f"after {data[:end]!r}"
        server.leave()
        assert client.answer().status == 502
        assert not server.is_open
        stage.end()


# Bodies without length


def test_a_body_without_length_ends_with_a_clean_close() -> None:
    stage, client, server = asked()
    server.send(OK + b"\r\n", b"hello ", b"world")
    assert not client.answers()
    server.leave()
    assert client.answer().body == b"hello world"
    assert client.answer().fields["content-length"] == "11"
    assert not server.is_open
    stage.end()


def test_a_body_without_length_is_not_ended_by_a_reset() -> None:
    stage, client, server = asked()
    server.send(OK + b"\r\nhello")
    server.reset()
    assert failure(client) == (502, "The backend's answer was incomplete.")
    assert stage.outcomes("echo", "echo") == {"truncated": 1}
    stage.end()


# Reuse


@pytest.mark.parametrize(
    "data, is_kept",
    [
        (WHOLE["a length"], True),
        (WHOLE["a length"].replace(b"OK\r\n", b"OK\r\nconnection: close\r\n"), False),
        (WHOLE["a length"].replace(b"OK\r\n", b"OK\r\nconnection: x, Close\r\n"), False),
        (WHOLE["a length"].replace(b"1.1", b"1.0", 1), False),
        (
            WHOLE["a length"].replace(b"1.1 200 OK", b"1.0 200 OK\r\nconnection: keep-alive", 1),
            True,
        ),
        (WHOLE["a length"] + b"x", False),
        (WHOLE["chunks"] + b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n", False),
        (b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n", False),
    ],
)
def test_a_connection_is_used_again_only_when_nothing_speaks_against_it(
    data: bytes, is_kept: bool
) -> None:
    stage, client, server = asked()
    server.send(data)
    assert client.answer().status in (200, 204)
    assert server.is_open is is_kept
    stage.end()


def test_what_stands_behind_an_answer_is_nobodys_answer() -> None:
    stage, client, server = asked()
    server.send(WHOLE["a length"] + OK + b"content-length: 4\r\n\r\nevil")
    client.ask(GET)
    stage.serve()
    assert [each.body for each in client.answers()] == [b"hello", b'{"by": "echo"}']
    stage.end()


def test_a_byte_on_an_idle_connection_poisons_it() -> None:
    stage, client, server = asked()
    server.answer()
    server.send(OK + b"content-length: 4\r\n\r\nevil")
    assert not server.is_open
    client.ask(GET)
    stage.serve()
    assert client.answers()[1].json == {"by": "echo"}
    stage.end()


@pytest.mark.parametrize("how", ["poison", "leave", "expire"])
def test_an_idle_connection_that_is_about_to_go_is_not_lent(how: str) -> None:
    """Between its close and the loop's notice there is a turn, and a request may come in it."""
    stage, client, server = asked(pool={"idle_timeout": "1s"})
    server.answer()
    stage.is_holding = True
    if how == "poison":
        server.send(b"x")
    elif how == "leave":
        server.leave()
    else:
        stage.wait(1.1)
    client.ask(GET)
    assert len(server.requests()) == 1
    assert len(stage.dials) == 1
    stage.is_holding = False
    stage.event()
    stage.serve()
    assert client.answers()[1].status == 200
    assert stage.row("echo")["retries"] == 0
    assert stage.outcomes("echo", "echo") == {"ok": 2}
    stage.end()


def test_the_connection_used_last_is_used_next() -> None:
    stage = Stage(echoing())
    clients = [stage.client() for _ in range(3)]
    for client in clients:
        client.ask(GET)
    servers = [stage.server() for _ in range(3)]
    for server in (servers[1], servers[0], servers[2]):
        server.answer()
    clients[0].ask(GET)
    assert len(servers[2].requests()) == 2


def test_idle_connections_are_bounded() -> None:
    stage = Stage(echoing(each={"pool": {"idle": 2}}))
    for _ in range(4):
        stage.client().ask(GET)
    stage.serve()
    assert sum(server.is_open for server in stage.servers) == 2
    assert stage.gauge("echo")["idle"] == 2
    stage.end()


def test_an_idle_connection_is_closed_in_time() -> None:
    stage, _, server = asked(pool={"idle_timeout": "5s"})
    server.answer()
    stage.wait(4.9)
    assert server.is_open
    stage.wait(0.2)
    assert server.transport.is_closed
    assert stage.gauge("echo")["idle"] == 0
    stage.end()


def test_a_connection_is_not_used_beyond_its_age() -> None:
    stage, client, server = asked(pool={"max_age": "10s", "idle_timeout": "9s"})
    for _ in range(3):
        server.answer()
        stage.wait(4)
        client.ask(GET)
    assert len(server.requests()) == 4
    server.answer()
    assert not server.is_open, "it came back too old"
    stage.end()


def test_a_connection_lent_for_long_is_not_taken_for_idle() -> None:
    stage, client, server = asked(pool={"idle_timeout": "1s"}, timeout={"first_byte": "60s"})
    stage.wait(30)
    server.answer()
    assert client.answer().status == 200


# What is no answer

REFUSED = {
    "no status line": b"hello\r\n\r\n",
    "an unknown version": b"HTTP/2.0 200 OK\r\n\r\n",
    "a status below 100": b"HTTP/1.1 099 x\r\n\r\n",
    "a status beyond the classes": b"HTTP/1.1 700 x\r\n\r\n",
    "two lengths": OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\n",
    "the same length twice": OK + b"content-length: 5\r\ncontent-length: 5\r\n\r\n",
    "a length and chunks": OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
    "a signed length": OK + b"content-length: +5\r\n\r\n",
    "another coding": OK + b"transfer-encoding: gzip, chunked\r\n\r\n",
    "a bare LF": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "a folded line": OK + b"x: 1\r\n 2\r\n\r\n",
    "a blank before a colon": OK + b"content-length : 5\r\n\r\n",
    "a control character": OK + b"x: a\0b\r\n\r\n",
    "a bad chunk": OK + b"transfer-encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a bad chunk's end": OK + b"transfer-encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n",
    "framing in a trailer": OK
    + b"transfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 5\r\n\r\n",
    "a head without end": OK + b"x: " + b"y" * 70_000,
    "too many fields": OK + b"x: y\r\n" * 200 + b"\r\n",
    "a flood of interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
    "an upgrade nobody asked for": b"HTTP/1.1 101 Go\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_answer_is_told_as_a_bad_gateway(kind: str) -> None:
    for pieces in ([REFUSED[kind]], [REFUSED[kind][:20], REFUSED[kind][20:]]):
        stage, client, server = asked()
        server.send(*pieces)
        assert failure(client) == (502, "The backend's answer is not valid HTTP/1.1.")
        assert not server.is_open
        assert stage.outcomes("echo", "echo") == {"upstream_protocol": 1}
        stage.end()


def test_an_answer_before_the_request_is_whole_is_taken_but_the_connection_is_not() -> None:
    stage = Stage(echoing(limits={"replay": "10B"}))
    head = b"POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 60\r\n\r\n"
    client, server = stage.asked(head + b"x" * 20)
    server.answer({"early": True})
    found: Answer = client.answer()
    assert found.json == {"early": True}
    assert not server.is_open


def test_chunks_of_one_read_are_one_piece() -> None:
    stage = Stage(echoing(limits={"hold": "4B"}))
    client, server = stage.asked(GET)
    server.send(OK + b"transfer-encoding: chunked\r\n\r\n" + chunk(b"hello"))
    before = len(client.transport.writes)
    server.send(chunk(b"a") + chunk(b"b") + chunk(b"c"))
    assert client.transport.writes[before:] == [chunk(b"abc")]


def test_a_defect_behind_an_answer_ends_the_attempt_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody waits for the deadline because something here raised."""
    stage = Stage(serving("a", fallback=["cached", "unavailable"]))

    def fail(*_: object) -> None:
        raise RuntimeError("defect")

    monkeypatch.setattr(type(stage.table.routes_by_index[0].answers), "keep", fail)
    client, server = stage.asked()
    server.answer({"ok": True})
    assert [str(error) for error in stage.loop.errors] == ["defect"]
    assert not client.is_open
    assert stage.worker.in_flight == 0
    assert server.is_open  # its answer was whole
