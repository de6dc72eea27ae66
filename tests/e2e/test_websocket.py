"""WebSocket upgrades: a tunnel where the route allows it, a refusal everywhere else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.answers import Answer, plays
from tests.support.backends import Backend
from tests.support.fixtures import MakeBackend, MakeGateway
from tests.support.gateway import Gateway
from tests.support.loops import LoopThread
from tests.support.raw_client import RawClient
from tests.support.script import Close, Hang, Received, Script, Send
from tests.support.settings import Settings
from tests.support.settings import echo as echo_settings
from tests.support.waiting import until

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PUSHED = b"\x81\x05hello"


def accepts(received: Received) -> Script:
    """101 with the proper key, and a frame in the same write."""
    key = (received.header("sec-websocket-key") or "").encode()
    proof = base64.b64encode(hashlib.sha1(key + MAGIC).digest())
    head = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    yield Send(head + b"Sec-WebSocket-Accept: " + proof + b"\r\n\r\n" + PUSHED)
    yield Hang()


def upgrade(target: str = "/echo/ws", **more: str) -> tuple[bytes, bytes]:
    """A request to upgrade, and the accept key that must come back."""
    key = base64.b64encode(os.urandom(16))
    fields = {
        "Host": "gateway.test",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key.decode(),
        "Sec-WebSocket-Protocol": "realtime",
        **more,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    proof = base64.b64encode(hashlib.sha1(key + MAGIC).digest())
    return f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode(), proof


def allowing(backend: Backend) -> Settings:
    return echo_settings(backend, websocket=True)


@pytest.fixture
def backend(make_backend: MakeBackend) -> Backend:
    return make_backend("echo", accepts)


@pytest.fixture
def gateway(backend: Backend, make_gateway: MakeGateway) -> Gateway:
    return make_gateway(allowing(backend))


@pytest.fixture
def tunnel(gateway: Gateway) -> Iterator[RawClient]:
    """A client whose upgrade was accepted; the pushed frame has been read."""
    with gateway.connect() as client:
        request, proof = upgrade()
        client.send(request)
        head = read_head(client)
        assert head.startswith(b"HTTP/1.1 101 ")
        assert proof in head
        assert client.read_exactly(len(PUSHED)) == PUSHED
        yield client


def read_head(client: RawClient) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.read_exactly(1)
    return head


def test_upgrade_is_tunnelled_where_the_route_allows_it(
    tunnel: RawClient, backend: Backend
) -> None:
    got = backend.received[0]
    assert (got.header("upgrade"), (got.header("connection") or "").lower()) == (
        "websocket",
        "upgrade",
    )
    assert got.header("sec-websocket-protocol") == "realtime"
    tunnel.send(b"\x81\x85mask.....")
    tunnel.send(b"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n")  # bytes, not a request
    assert tunnel.is_quiet(0.1)
    assert len(backend.received) == 1


async def echo_frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept the upgrade, then send back whatever comes."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n")
    writer.write(b"Upgrade: websocket\r\n\r\n")
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize("size", [1, 125, 65536, 1_000_000])
def test_bytes_pass_both_ways_unchanged(
    backend: Backend, make_gateway: MakeGateway, size: int
) -> None:
    with LoopThread("frames") as loop:
        server = loop.run(asyncio.start_server(echo_frames, "127.0.0.1", 0))
        settings = allowing(backend)
        settings["backends"]["echo"]["url"] = "http://{}:{}".format(
            *server.sockets[0].getsockname()
        )
        with make_gateway(settings).connect() as client:
            client.send(upgrade()[0])
            assert read_head(client).startswith(b"HTTP/1.1 101 ")
            sent = os.urandom(size)
            sender = threading.Thread(target=client.send, args=(sent,))
            sender.start()
            assert client.read_exactly(size) == sent
            sender.join()
        loop.run(closed(server))


async def closed(server: asyncio.Server) -> None:
    server.close()
    await asyncio.sleep(0.05)


def test_client_that_leaves_ends_the_backends_side(tunnel: RawClient, backend: Backend) -> None:
    left_at = time.monotonic()
    tunnel.close()
    until(lambda: backend.received[0].abandoned_at > 0)
    assert backend.received[0].abandoned_at - left_at < 0.1


def test_backend_that_leaves_ends_the_clients_side(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("echo", lambda received: [*list(accepts(received))[:1], Close()])
    with make_gateway(allowing(backend)).connect() as client:
        client.send(upgrade()[0])
        read_head(client)
        assert client.read_exactly(len(PUSHED)) == PUSHED
        assert client.is_closed()


def test_upgrade_is_refused_where_the_route_does_not_allow_it(
    backend: Backend, make_gateway: MakeGateway
) -> None:
    with make_gateway(echo_settings(backend)).connect() as client:
        client.send(upgrade()[0])
        assert client.read_response().status in (400, 403, 404, 426)
        assert client.is_closed()
    assert backend.received == []


def test_backend_that_refuses_the_upgrade_is_heard(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("echo", plays(lambda _: Answer(403, (), b"not you")))
    with make_gateway(allowing(backend)).connect() as client:
        client.send(upgrade()[0])
        answer = client.read_response()
    assert (answer.status, answer.body) == (403, b"not you")


def test_upgrade_to_something_else_is_refused_there_too(gateway: Gateway, backend: Backend) -> None:
    with gateway.connect() as client:
        client.send(upgrade(Upgrade="h2c")[0])
        assert client.read_response().status == 400
    assert backend.received == []


def test_plain_request_on_a_route_that_allows_upgrades_is_plain(
    make_backend: MakeBackend, make_gateway: MakeGateway
) -> None:
    backend = make_backend("echo", plays(lambda _: Answer(200, (), b"plain")))
    with make_gateway(allowing(backend)).connect() as client:
        assert client.request("GET", "/echo/ws").body == b"plain"


def test_101_without_an_upgrade_asked_for_is_not_a_tunnel(gateway: Gateway) -> None:
    with gateway.connect() as client:
        assert client.request("GET", "/echo/ws").status == 502


def test_connection_of_a_tunnel_is_never_pooled(
    tunnel: RawClient, gateway: Gateway, backend: Backend
) -> None:
    tunnel.close()
    until(lambda: not backend.open)
    backend.answer = plays(lambda _: Answer(200, (), b"fresh"))
    with gateway.connect() as client:
        assert client.request("GET", "/echo").body == b"fresh"
    assert backend.received[-1].connection != backend.received[0].connection
