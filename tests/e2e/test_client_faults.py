"""What clients do wrong, or slowly: bounded time, bounded memory, nobody else harmed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.answers import Answer, Stream, always, chunk, echo, plays
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeGateway, MakeProcess
from tests.support.gateway import Gateway, GatewayThread
from tests.support.openai_model import OpenAIModel
from tests.support.raw_client import request_bytes
from tests.support.script import Received, Send, Step
from tests.support.settings import chat
from tests.support.settings import echo as echo_settings
from tests.support.waiting import until

MIB = 1 << 20
LIMITS = {
    "head_timeout": "300ms",
    "keepalive": "300ms",
    "body_grace": "300ms",
    "body_rate": 10_000,
}


@pytest.fixture
def backend(make_backend: MakeBackend) -> Backend:
    return make_backend("echo", plays(echo))


@pytest.fixture
def hasty(backend: Backend, make_gateway: MakeGateway) -> Gateway:
    """A gateway whose patience with clients is short."""
    return make_gateway(echo_settings(backend, limits=LIMITS))


def resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_head_that_trickles_is_cut_off_at_an_absolute_deadline(hasty: Gateway) -> None:
    """Bytes that keep coming do not move the deadline (slowloris)."""
    begun = time.monotonic()
    with hasty.connect() as client:
        client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n")
        while client.is_quiet(0.05):
            client.send(b"X: y\r\n")
            assert time.monotonic() - begun < 2.0
        assert client.read_response().status == 408
        assert client.is_closed()
    assert 0.25 < time.monotonic() - begun < 1.5


def test_head_that_never_begins_is_closed_without_an_answer(hasty: Gateway) -> None:
    begun = time.monotonic()
    with hasty.connect() as client:
        assert client.is_closed()
        assert client.received == b""
    assert 0.25 < time.monotonic() - begun < 1.5


def test_idle_connection_is_closed_after_its_time(hasty: Gateway) -> None:
    with hasty.connect() as client:
        assert client.request("GET", "/echo").status == 200
        begun = time.monotonic()
        assert client.is_closed()
    assert 0.25 < time.monotonic() - begun < 1.5


def test_body_that_trickles_below_the_least_rate_is_refused(
    hasty: Gateway, backend: Backend
) -> None:
    begun = time.monotonic()
    with hasty.connect() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        while client.is_quiet(0.05):
            client.send(b"x")
            assert time.monotonic() - begun < 4.0
        assert client.read_response().status == 408
        assert client.is_closed()
    assert [one for one in backend.received if one.is_complete] == []


def test_body_that_keeps_the_rate_is_read(backend: Backend, make_gateway: MakeGateway) -> None:
    gateway = make_gateway(echo_settings(backend, limits={**LIMITS, "body_rate": 1000}))
    body = b"x" * 60_000
    with gateway.connect() as client:
        client.send(request_bytes("POST", "/echo", body)[: -len(body)])
        client.send_pieces([body[n : n + 5000] for n in range(0, len(body), 5000)], 0.06)
        assert client.read_response().body == body


@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_that_leaves_in_the_middle_of_its_body_wakes_no_backend(
    hasty: Gateway, backend: Backend, how: str
) -> None:
    with hasty.connect() as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        hasty.settle()
        client.reset() if how == "reset" else client.close()
    with hasty.connect() as other:
        assert other.request("POST", "/echo", b"mine").body == b"mine"
    assert [one.body for one in backend.received if one.is_complete] == [b"mine"]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_that_leaves_a_stream_cancels_it_upstream_within_100_ms(
    make_backend: MakeBackend, make_gateway: MakeGateway, how: str
) -> None:
    backend = make_backend("mini", plays(OpenAIModel("mini", chunks=1000, gap_s=0.01)))
    gateway = make_gateway(chat(backend))
    with gateway.connect() as client:
        body = b'{"model": "chat", "messages": [], "stream": true}'
        client.send(request_bytes("POST", "/v1/chat/completions", body))
        until(lambda: not client.is_quiet(0))
        left_at = time.monotonic()
        client.reset() if how == "reset" else client.close()
    until(lambda: backend.received[0].abandoned_at > 0)
    assert backend.received[0].abandoned_at - left_at < 0.1


def test_hundred_pipelined_requests_are_answered_in_order(hasty: Gateway, backend: Backend) -> None:
    with hasty.connect() as client:
        client.send(b"".join(request_bytes("POST", "/echo", b"%d" % n) for n in range(100)))
        assert [client.read_response().body for _ in range(100)] == [b"%d" % n for n in range(100)]
    assert [one.body for one in backend.received] == [b"%d" % n for n in range(100)]


def test_pipelined_requests_of_all_framings_keep_their_bodies(hasty: Gateway) -> None:
    coded = b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with hasty.connect() as client:
        wanted = []
        for n in range(30):
            body = b"%d" % n * n
            wanted.append(body)
            framed = coded + (chunk(body) if body else b"") + b"0\r\n\r\n"
            client.send(request_bytes("POST", "/echo", body) if n % 2 else framed)
        assert [client.read_response().body for _ in range(30)] == wanted


def test_answers_wait_when_a_pipelining_client_does_not_read(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    """The first answers fill every buffer on the way; the rest of its requests must wait."""
    size = MIB // 2
    backend = make_backend("echo", plays(always(Answer(200, (), b"x" * size))))
    gateway = make_gateway(echo_settings(backend))
    with gateway.connect(receive_bytes=65536, timeout_s=20) as client:
        client.send(request_bytes("GET", "/echo") * 40)
        until(lambda: len(backend.received) > 2)
        until(lambda: is_steady(lambda: len(backend.received)))
        assert len(backend.received) < 30
        assert [len(client.read_response().body) for _ in range(40)] == [size] * 40


def is_steady(count: Callable[[], int]) -> bool:
    """Whether a count stays the same for a while."""
    before = count()
    time.sleep(0.3)
    return count() == before


def endless_stream(pieces: int, piece: bytes) -> Iterator[Step]:
    yield Send(Stream(()).head())
    for _ in range(pieces):
        yield Send(chunk(b"data: " + piece + b"\n\n"))
    yield Send(b"0\r\n\r\n")


def test_slow_reader_of_a_stream_pauses_its_backend_and_nobody_else(
    make_backend: MakeBackend, make_process: MakeProcess
) -> None:
    """256 MiB are on offer; the client reads nothing, and the worker's memory stays flat."""
    sent = []

    def stream(received: Received) -> Iterator[Step]:
        if received.path != "/echo/stream":
            yield from plays(echo)(received)
            return
        for step in endless_stream(1024, b"z" * (MIB // 4)):
            sent.append(1)
            yield step

    backend = make_backend("echo", stream)
    gateway = make_process(echo_settings(backend))
    [worker] = gateway.workers()
    before = resident_bytes(worker)
    with gateway.connect(receive_bytes=4096) as slow:
        slow.send(request_bytes("GET", "/echo/stream"))
        until(lambda: len(sent) > 2)
        with gateway.connect() as other:
            for n in range(200):
                assert other.request("POST", "/echo", b"%d" % n).body == b"%d" % n
        assert resident_bytes(worker) - before < 24 * MIB
        assert len(sent) < 200, "the backend was never paused"


def test_slow_reader_gets_every_byte_in_the_end(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("echo", lambda _: endless_stream(60, b"y" * (MIB // 4)))
    gateway = make_gateway(echo_settings(backend))
    with gateway.connect(receive_bytes=8192, timeout_s=20) as client:
        client.send(request_bytes("GET", "/echo/stream"))
        time.sleep(0.3)  # let every buffer on the way fill up
        body = client.read_response().body
    assert len(body) == 60 * (MIB // 4 + len(b"data: \n\n"))
    assert set(body.split(b"\n\n")) == {b"data: " + b"y" * (MIB // 4), b""}


def test_connections_beyond_the_limit_are_refused_and_the_others_served(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(echo_settings(backend, limits={"connections": 10}))
    first = [gateway.connect() for _ in range(10)]
    for client in first:
        assert client.request("GET", "/echo").status == 200
    with gateway.connect() as extra:
        answer = extra.read_to_end()
        assert answer == b"" or answer.startswith(b"HTTP/1.1 503 ")
    for client in first:
        assert client.request("GET", "/echo").status == 200
        client.close()


def test_connection_is_closed_after_its_last_request(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(echo_settings(backend, limits={"connection_requests": 3}))
    with gateway.connect() as client:
        answers = [client.request("GET", "/echo") for _ in range(3)]
        assert [answer.header("connection") for answer in answers] == [None, None, "close"]
        assert client.is_closed()


def test_bodies_beyond_the_buffer_are_refused_while_others_pass(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    """`buffered` bounds what all exchanges of a worker hold together."""
    limits = {"buffered": MIB}
    gateway = make_gateway(echo_settings(backend, limits=limits))
    holders = [gateway.connect() for _ in range(8)]
    for client in holders:
        client.send(
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + b"x" * 200_000
        )
        gateway.settle()
    refused = [client for client in holders if not client.is_quiet(0.05)]
    assert {client.read_response().status for client in refused} == {503}
    assert len(refused) == 3
    for client in holders:
        client.close()
    until(lambda: is_served(gateway))


def is_served(gateway: Gateway) -> bool:
    with gateway.connect() as client:
        return client.request("POST", "/echo", b"x" * 300_000).status == 200


def test_gauges_return_to_zero_after_clients_left(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(echo_settings(backend))
    if not isinstance(gateway, GatewayThread):
        pytest.skip("reads the worker of this process")
    for n in range(30):
        with gateway.connect() as client:
            client.send(request_bytes("POST", "/echo", b"x" * 50)[: 20 + n * 3])
            gateway.settle()
    worker = gateway.plane.worker
    until(lambda: (worker.connections, worker.in_flight, worker.buffered_bytes) == (0, 0, 0))
