"""What a single backend can do wrong on its socket, and what becomes of the next request.

Each test ends with a request that must be answered properly: a fault may spoil its own
exchange, never the following one.
"""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest

from tests.support import faults
from tests.support.answers import Answer, Stream, chunk, echo, plays
from tests.support.backends import Backend
from tests.support.breaking_proxy import BreakingProxy, Wear
from tests.support.fixtures import MakeBackend, MakeGateway
from tests.support.gateway import Gateway, GatewayThread
from tests.support.raw_client import Response, request_bytes
from tests.support.script import (
    Answerer,
    AwaitBody,
    Close,
    HalfClose,
    Hang,
    Pause,
    Received,
    Reset,
    Send,
)
from tests.support.settings import SHORT
from tests.support.settings import echo as echo_settings
from tests.support.waiting import until

GOOD = plays(echo)
MIB = 1 << 20


@pytest.fixture
def backend(make_backend: MakeBackend) -> Backend:
    return make_backend("echo", GOOD)


@pytest.fixture
def gateway(backend: Backend, make_gateway: MakeGateway) -> Gateway:
    return make_gateway(echo_settings(backend, each={"timeout": SHORT}))


def ask(gateway: Gateway, body: bytes = b"x", method: str = "POST") -> Response:
    with gateway.connect(timeout_s=8) as client:
        return client.request(method, "/echo", body)


def check_next(gateway: Gateway, backend: Backend) -> None:
    backend.answer = GOOD
    backend.early = False
    answer = ask(gateway, b"and the next")
    assert (answer.status, answer.body) == (200, b"and the next")


def test_backend_that_refuses_connections(gateway: Gateway, backend: Backend) -> None:
    backend.kill()
    answer = ask(gateway)
    assert answer.status == 502
    backend.revive()
    check_next(gateway, backend)


def test_backend_that_accepts_and_resets(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("echo", GOOD)
    with BreakingProxy(backend.address) as proxy:
        settings = echo_settings(backend)
        settings["backends"]["echo"]["url"] = f"http://127.0.0.1:{proxy.address[1]}"
        gateway = make_gateway(settings)
        proxy.accepts = False
        assert ask(gateway).status == 502
        proxy.accepts = True
        check_next(gateway, backend)


@pytest.mark.parametrize("closed_by", ["close", "reset"])
def test_idle_connection_that_the_backend_closed_is_not_noticed_by_clients(
    gateway: Gateway, backend: Backend, closed_by: str
) -> None:
    """The race every keep-alive proxy has: the next request goes out on a dying connection."""
    end = Close() if closed_by == "close" else Reset()
    backend.answer = lambda received: [*GOOD(received), end]
    for n in range(20):
        assert ask(gateway, b"%d" % n).body == b"%d" % n


def test_request_on_a_connection_that_dies_as_it_is_used_is_sent_again(
    gateway: Gateway, backend: Backend
) -> None:
    ask(gateway)
    dying = backend.received[-1].connection
    backend.answer = lambda r: [Close()] if r.connection == dying else GOOD(r)
    answer = ask(gateway, b"again")
    assert (answer.status, answer.body) == (200, b"again")


def test_unsolicited_answer_on_an_idle_connection_poisons_it(
    gateway: Gateway, backend: Backend
) -> None:
    evil = Answer(200, (), b"evil").wire()
    backend.answer = lambda received: [*GOOD(received), Pause(0.05), Send(evil)]
    assert ask(gateway, b"first").body == b"first"
    used = backend.received[-1].connection
    until(lambda: used not in {one.number for one in backend.open})
    check_next(gateway, backend)


def test_answer_before_the_request_is_complete(gateway: Gateway, backend: Backend) -> None:
    """An early refusal reaches the client, and the half-used connection is not used again."""
    backend.early = True
    refusal = Answer(400, (), b"no")
    backend.answer = lambda _: [Send(refusal.wire()), AwaitBody()]
    body = b"a" * (4 * MIB)
    with gateway.connect() as client:
        try:
            answer = client.request("POST", "/echo", body)
        except (BrokenPipeError, ConnectionResetError):
            answer = client.read_response()
    assert (answer.status, answer.body) == (400, b"no")
    used = backend.received[-1].connection
    check_next(gateway, backend)
    assert backend.received[-1].connection != used or backend.received[-2].is_complete


def test_backend_that_closes_its_side_first_is_answered_by_nobody(
    gateway: Gateway, backend: Backend
) -> None:
    backend.answer = lambda _: [HalfClose(), Hang()]
    assert ask(gateway).status == 502
    check_next(gateway, backend)


def test_slow_head_is_waited_for_within_the_limit(gateway: Gateway, backend: Backend) -> None:
    backend.answer = faults.trickle(lambda r: Answer(200, (), b"slow"), 8, 0.005)
    assert ask(gateway).body == b"slow"


def test_head_that_trickles_beyond_the_limit_is_given_up(
    gateway: Gateway, backend: Backend
) -> None:
    backend.answer = faults.trickle(lambda r: Answer(200, (), b"slow"), 1, 0.05)
    begun = time.monotonic()
    assert ask(gateway).status == 504
    assert time.monotonic() - begun < 2.0
    check_next(gateway, backend)


def test_body_that_trickles_is_read_as_long_as_it_moves(gateway: Gateway, backend: Backend) -> None:
    def slow_body(received: Received) -> Any:
        yield Send(Answer(200, (), b"a" * 10).head())
        for _ in range(10):
            yield Pause(0.1)
            yield Send(b"a")

    backend.answer = slow_body
    assert ask(gateway).body == b"a" * 10


def test_body_that_never_ends_is_ended_by_the_total_time(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    backend.answer = faults.endless(b"x" * 100, 0.02)
    timeout = {**SHORT, "total": "600ms"}
    gateway = make_gateway(echo_settings(backend, each={"timeout": timeout}))
    begun = time.monotonic()
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/echo", b"x"))
        answer, is_whole = client.read_what_comes()
    assert answer is not None
    assert not is_whole or answer.status in (502, 504)
    assert time.monotonic() - begun < 3.0
    until(lambda: backend.received[0].abandoned_at > 0)
    check_next(gateway, backend)


@pytest.mark.parametrize("stream", [False, True])
def test_body_without_bound_does_not_fill_the_gateways_memory(
    backend: Backend, make_gateway: MakeGateway, stream: bool
) -> None:
    """More than `hold` is passed on as it comes; nothing is kept."""
    size = 24 * MIB
    piece = b"z" * 65536
    kind = "application/octet-stream"

    def big(_received: Received) -> Any:
        yield Send(Stream((), 200, (("content-type", kind),)).head())
        for _ in range(size // len(piece)):
            yield Send(chunk(piece))
        yield Send(b"0\r\n\r\n")

    backend.answer = big
    settings = echo_settings(backend)
    settings["routes"]["echo"]["limits"] = {"hold": 65536 if stream else MIB}
    answer = ask(make_gateway(settings))
    assert (answer.status, len(answer.body)) == (200, size)


@pytest.mark.parametrize(
    "answer",
    [
        faults.huge_head(lambda _: Answer(), 1, 10 * MIB),
        faults.huge_head(lambda _: Answer(), 50_000, 4),
        faults.wire(b"HTTP/1.1 200 OK\r\nX: " + b"a" * (10 * MIB)),
    ],
    ids=["one field", "many fields", "unfinished"],
)
def test_head_of_ten_megabytes_is_refused(
    make_gateway: MakeGateway, backend: Backend, answer: Answerer
) -> None:
    # Why not the short time-outs: on full cores the backend needs longer for so much.
    gateway = make_gateway(echo_settings(backend))
    backend.answer = answer
    assert ask(gateway).status == 502
    check_next(gateway, backend)


def test_zip_bomb_passes_as_the_bytes_it_is(backend: Backend, make_gateway: MakeGateway) -> None:
    """The gateway never inflates, so a bomb costs it what it weighs."""
    bomb = Answer(200, (("content-type", "application/json"),), b" " * (50 * MIB)).zipped()
    backend.answer = plays(lambda _: bomb)
    gateway = make_gateway(echo_settings(backend, each={"compression": True}))
    with gateway.connect(timeout_s=8) as client:
        answer = client.request("POST", "/echo", b"", [("accept-encoding", "gzip")])
    assert answer.header("content-encoding") == "gzip"
    assert answer.body == bomb.body


def test_backend_that_cannot_be_resolved_is_a_502(make_gateway: MakeGateway) -> None:
    settings = {
        "workers": 1,
        "backends": {"gone": {"protocol": "http", "url": "http://no-such-host.invalid"}},
        "routes": {"echo": {"backends": ["gone"], "match": [{"path": "/echo"}]}},
    }
    assert ask(make_gateway(settings)).status == 502


def test_backend_that_never_accepts_times_out_while_connecting(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    """A full backlog: the handshake is never completed."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        blockers = [socket.socket() for _ in range(4)]
        for blocker in blockers:
            blocker.setblocking(False)
            blocker.connect_ex(deaf.getsockname())
        settings = echo_settings(make_backend("echo", GOOD), each={"timeout": SHORT})
        settings["backends"]["echo"]["url"] = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        begun = time.monotonic()
        assert ask(make_gateway(settings)).status == 504
        assert 0.4 < time.monotonic() - begun < 2.0
        for blocker in blockers:
            blocker.close()


@pytest.mark.parametrize(
    "down",
    [Wear(piece_bytes=1), Wear(piece_bytes=3, gap_s=0.0002), Wear(piece_bytes=500, gap_s=0.002)],
    ids=["bytes", "threes", "slow"],
)
def test_answers_cut_into_pieces_on_the_way_are_put_together(
    make_backend: MakeBackend, make_gateway: MakeGateway, down: Wear
) -> None:
    backend = make_backend("echo", GOOD)
    with BreakingProxy(backend.address, down=down) as proxy:
        settings = echo_settings(backend)
        settings["backends"]["echo"]["url"] = f"http://127.0.0.1:{proxy.address[1]}"
        gateway = make_gateway(settings)
        for n in range(5):
            body = bytes(range(256)) * n
            assert ask(gateway, body).body == body


def test_nothing_is_left_in_flight_after_faults(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(echo_settings(backend, each={"timeout": SHORT}))
    if not isinstance(gateway, GatewayThread):
        pytest.skip("reads the board of this process")
    bends = [
        faults.reset_before_head(),
        faults.end_mid_body(lambda _: Answer(), Close()),
        faults.never(),
        faults.wire(b"junk\r\n\r\n"),
        GOOD,
    ]
    for bend in bends:
        backend.answer = bend
        ask(gateway)
    gauge = gateway.board.read_gauge(0, gateway.plan.backends[0].cell)
    assert gauge["in_flight"] == 0
    assert gateway.board.read_row(gateway.plan.routes[0].row)["in_flight"] == 0


def test_connection_count_does_not_grow_with_requests(gateway: Gateway, backend: Backend) -> None:
    for n in range(50):
        ask(gateway, b"%d" % n)
    assert backend.connection_count == 1
